"""The words of a model for a bot message: what of them is the message, however they are cut."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.llm.message_text import MessageText, message_text

PIECES = st.lists(
    st.sampled_from(
        ['"', "\n", " ", "\\", "n", "user", "user ", "us", "bot message:", "Hi", "a", "\r", "  "]
    ),
    max_size=14,
)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('  "Hello there."', "Hello there."),
        ("plain text", "plain text"),
        ('  "cut off', "cut off"),
        ('  "First line\n\n  second line"\nuser "and then?"\n  ask', "First line\nsecond line"),
        ('Bot message: "He said "yes" to me"\nuser ok', 'He said "yes" to me'),
        ('bot message: \n "Hi"', "Hi"),
        ("one\nuser two", "one"),
        ("one\nusers two", "one\nusers two"),
        ('user "hi"', ""),
        (r'"a\nb"', "a\nb"),
        ('"Hello\n"', "Hello"),
        ('"one" \r\n"two"', "one"),
        ('"', ""),
        ("  \n ", ""),
    ],
)
def test_what_of_a_reply_is_the_message(reply, message):
    assert message_text(reply) == message


@given(PIECES, st.data())
@settings(max_examples=300, deadline=None)
def test_the_message_does_not_depend_on_how_the_reply_is_cut(pieces, data):
    reply = "".join(pieces)
    shape, made, at = MessageText(empty="nothing"), "", 0
    while at < len(reply):
        size = data.draw(st.integers(1, 5))
        made += shape.feed(reply[at : at + size])
        at += size
    assert made + shape.finish() == message_text(reply, empty="nothing")


def test_words_leave_as_they_come():
    shape = MessageText()
    assert [shape.feed(piece) for piece in ('  "', "Hello", " there", ".", '"', "\n", "user ok")] == [
        "",
        "Hello",
        " there",
        ".",
        "",
        "",
        "",
    ]
    assert shape.done
    assert shape.finish() == ""


def test_a_quote_inside_is_held_only_until_the_next_word():
    shape = MessageText()
    assert [shape.feed(piece) for piece in ('"He said', ' "yes"', " to me", '"')] == [
        "He said",
        ' "yes',
        '" to me',
        "",
    ]


def test_an_empty_reply_is_replaced():
    assert message_text(" \n", empty="Hm.") == "Hm."
