"""The streamed text of a plain chat answer equals the message that is returned."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.llm.answer_text import AnswerText, answer_text


def streamed(pieces: list[str]) -> str:
    normaliser = AnswerText()
    return "".join([normaliser.feed(piece) for piece in pieces] + [normaliser.finish()])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("  Hello there.\n", "Hello there."),
        ('"Hello"', "Hello"),
        (' "Hello" \n', "Hello"),
        ('"Hello', "Hell"),
        ('He said "yes"', 'He said "yes"'),
        ('"', ""),
        ('" a', " "),
        ("", ""),
        (" \n ", ""),
        ("a \u00a0 b\u3000", "a \u00a0 b"),
        ("a \n\n b \r\n ", "a \n\n b"),
    ],
)
def test_an_answer_loses_outer_space_and_quotes(answer: str, message: str) -> None:
    assert answer_text(answer) == streamed([answer]) == streamed(list(answer)) == message


@given(st.lists(st.text(alphabet='" \na.\u00a0', max_size=4), max_size=10))
def test_the_stream_agrees_with_the_whole_for_every_cut(pieces: list[str]) -> None:
    assert streamed(pieces) == answer_text("".join(pieces))


def test_tokens_that_end_in_a_blank_go_out_as_they_came_one_later() -> None:
    normaliser = AnswerText()
    assert [normaliser.feed(token) for token in ["the ", "next ", "word "]] == ["", "the ", "next "]
    assert normaliser.finish() == "word"


def test_the_first_word_of_a_stream_need_not_wait() -> None:
    normaliser = AnswerText(first_at_once=True)
    assert [normaliser.feed(token) for token in ["the ", "next ", "word "]] == ["the ", "", "next "]
    assert normaliser.finish() == "word"


def test_ordinary_tokens_go_out_at_once_and_unchanged() -> None:
    normaliser = AnswerText()
    tokens = ["Once", " upon", " a", " time"]
    assert [normaliser.feed(token) for token in tokens] == tokens


def test_only_the_last_character_of_a_quoted_answer_is_held() -> None:
    normaliser = AnswerText()
    assert [normaliser.feed(token) for token in ['"He', "llo", " you", '"', "\n"]] == [
        "H",
        "ell",
        "o yo",
        "u",
        "",
    ]
