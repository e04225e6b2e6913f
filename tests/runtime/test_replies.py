"""What models reply to the tasks of a dialog."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.runtime.replies import SingleCallReply, intent_in, next_step_in, value_in


@pytest.mark.parametrize(
    ("reply", "intent"),
    [
        ("  express greeting", "express greeting"),
        ("user express greeting", "express greeting"),
        ("User intent: express greeting", "express greeting"),
        ("\n\n   greet   \nbot something\n", "greet"),
        ("", "unknown message"),
    ],
)
def test_the_users_intent(reply, intent):
    assert intent_in(reply) == intent


@pytest.mark.parametrize(
    ("reply", "intent"),
    [
        ("bot greet", "greet"),
        ("\n  bot greet\nbot leave", "greet"),
        ('bot greet "Hello"', "greet"),
        ("bot greet, then leave", "greet"),
        ("Bot intent: greet", "greet"),
        ("the bot greets", "general response"),
        ("bot", "general response"),
        ("", "general response"),
    ],
)
def test_the_next_step(reply, intent):
    assert next_step_in(reply) == intent


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ('"2"', "2"),
        ("'a'", "a"),
        ("eight o'clock;", "eight o'clock"),
        ("42\nmore", "42"),
        (r'"a\tb"', "a\tb"),
        ('"unbalanced" and "such"', 'unbalanced" and "such'),
        ("[x for x in y]", "[x for x in y]"),
        ("", ""),
    ],
)
def test_a_value_is_always_text(reply, value):
    assert value_in(reply) == value


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ('  ask\nbot tell\n  "Blue."', ("ask", "tell", "Blue.")),
        (
            '# note\nUser intent: ask\n\nBot intent: tell\nBot message: "Blue."\nuser x',
            ("ask", "tell", "Blue."),
        ),
        ("just words", ("just words", "general response", "-")),
        ("ask\nbot tell", ("ask", "tell", "-")),
        ("", ("unknown message", "general response", "-")),
    ],
)
def test_the_reply_to_a_single_call(reply, read):
    got = SingleCallReply(empty="-")
    text = got.feed(reply) + got.finish()
    assert (got.user_intent, got.bot_intent, text) == read


@given(st.lists(st.sampled_from(["ask", "\n", "bot tell", ' "Blue', '"', "#", "user x", " "]), max_size=12))
@settings(max_examples=100, deadline=None)
def test_a_single_call_may_come_in_any_pieces(pieces):
    whole, cut = SingleCallReply(empty="-"), SingleCallReply(empty="-")
    expected = whole.feed("".join(pieces)) + whole.finish()
    text = "".join(cut.feed(letter) for piece in pieces for letter in piece) + cut.finish()
    assert (cut.user_intent, cut.bot_intent, text) == (whole.user_intent, whole.bot_intent, expected)
