"""Reasoning in `<think>` tags is split off, however the answer is cut."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.llm.think import ThinkSplitter, split_think

ANSWERS = [
    "<think>why</think>\n\nBecause.",
    "  \n<think>a < b </thin k></think> text </think> more",
    "<think>never closed </think",
    "<thin air",
    "<think></think>",
    "plain",
    "see <think>this</think> later",
    "   ",
    "<think>a</think>   ",
]


def fed(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    splits = [splitter.feed(piece) for piece in pieces] + [splitter.finish()]
    return "".join(split.reasoning for split in splits), "".join(split.text for split in splits)


def every_cut_in_two(text: str) -> list[list[str]]:
    return [[text[:at], text[at:]] for at in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("answer", "reasoning", "text"),
    [
        ("<think>why</think>\n\nBecause.", "why", "Because."),
        (" \n<think>why</think>Because.", "why", "Because."),
        ("<think>cut short", "cut short", ""),
        ("<think>cut </thi", "cut </thi", ""),
        ("no tags", "", "no tags"),
        ("late <think>x</think>", "", "late <think>x</think>"),
        ("<thinking> is a word", "", "<thinking> is a word"),
        ("  <", "", "  <"),
    ],
)
def test_a_block_at_the_beginning_is_reasoning(answer: str, reasoning: str, text: str) -> None:
    assert fed([answer]) == (reasoning, text)


@pytest.mark.parametrize("answer", ANSWERS)
def test_tags_may_be_cut_anywhere(answer: str) -> None:
    whole = fed([answer])
    assert all(fed(pieces) == whole for pieces in every_cut_in_two(answer))
    assert fed(list(answer)) == whole


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "</", " ", "\n", "a", ""]), max_size=12)
)
def test_the_split_does_not_depend_on_the_cut(pieces: list[str]) -> None:
    assert fed(pieces) == fed(["".join(pieces)]) == fed(list("".join(pieces)))


@given(st.text(alphabet="<think>/ a", max_size=30), st.sampled_from(["", " <think>"]))
def test_nothing_is_lost(text: str, opening: str) -> None:
    answer = opening + text
    reasoning, rest = fed([answer])
    if not answer.lstrip().startswith("<think>"):
        assert (reasoning, rest) == ("", answer)
    elif "</think>" in text:
        block = f"<think>{reasoning}</think>"
        assert answer.lstrip().startswith(block)
        assert answer.lstrip()[len(block) :].lstrip() == rest
    else:
        assert answer.lstrip() == f"<think>{reasoning}"
        assert rest == ""


def test_a_settled_splitter_passes_everything_on() -> None:
    splitter = ThinkSplitter()
    splitter.feed("a")
    assert splitter.settled
    assert splitter.feed("<think>") == ("", "<think>")


@pytest.mark.parametrize(
    ("answer", "reasoning", "text"),
    [
        ("<think>a</think> x <think>b</think> y ", "ab", "x  y"),
        (" untouched ", "", " untouched "),
        ("<think>cut short", "cut short", ""),
        ("<think>a</think><think>b", "ab", ""),
    ],
)
def test_a_whole_answer_loses_all_its_blocks(answer: str, reasoning: str, text: str) -> None:
    assert split_think(answer) == (reasoning, text)


@pytest.mark.parametrize("answer", ["text </think>", "text <think> more", "<think>a</think> b </think>"])
def test_an_unbalanced_tag_in_a_whole_answer_is_left_alone(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert split_think(answer) == ("", answer)
    assert "unbalanced" in caplog.text


def test_other_tags_can_be_chosen() -> None:
    splitter = ThinkSplitter("[[", "]]")
    assert splitter.feed("[[r]] t") == ("r", "t")
    assert split_think("[[r]] t", start="[[", end="]]") == ("r", "t")
