"""Windows over tokens follow the rule that the specification works out by example."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.streaming.windows import Policy, Window, WindowCutter
from stream_toys import windows


def cut(tokens: list[str], policy: Policy) -> list[Window]:
    cutter = WindowCutter(policy)
    found = [cutter.push(token, end) for end, token in enumerate(tokens, 1)]
    return [window for window in (*found, cutter.finish()) if window is not None]


def names(count: int) -> list[str]:
    return [f"t{index} " for index in range(count)]


@pytest.mark.parametrize(
    ("count", "chunk", "context", "expected"),
    [
        (10, 4, 2, ["t0 t1 t2 t3 ", "t2 t3 t4 t5 ", "t4 t5 t6 t7 ", "t6 t7 t8 t9 "]),
        (3, 4, 2, ["t0 t1 t2 "]),
        (4, 4, 2, ["t0 t1 t2 t3 "]),
        (5, 4, 2, ["t0 t1 t2 t3 ", "t2 t3 t4 "]),
        (7, 4, 0, ["t0 t1 t2 t3 ", "t4 t5 t6 "]),
        (3, 0, 0, ["t0 ", "t1 ", "t2 "]),
        (5, 2, 2, ["t0 t1 ", "t0 t1 t2 ", "t0 t1 t2 t3 ", "t1 t2 t3 t4 "]),
        (0, 4, 2, []),
    ],
    ids=["worked example", "one short", "one full", "one more", "no context", "no size", "sliding", "empty"],
)
def test_windows_of_the_worked_examples(count: int, chunk: int, context: int, expected: list[str]) -> None:
    assert [window.text for window in cut(names(count), Policy(chunk, context))] == expected


@given(st.integers(0, 60), st.integers(0, 12), st.integers(0, 14))
def test_each_token_is_new_in_one_window_and_cleared_by_it(count: int, chunk: int, context: int) -> None:
    tokens = names(count)
    expected = [
        Window("".join(tokens[start:end]), new, end) for start, new, end in windows(count, chunk, context)
    ]
    assert cut(tokens, Policy(chunk, context)) == expected


@given(st.integers(1, 60), st.integers(1, 10), st.integers(0, 9), st.integers(0, 12), st.integers(0, 12))
def test_runs_as_long_as_context_or_hold_back_and_one_lie_in_a_window(
    count: int, chunk: int, context: int, hold_back: int, length: int
) -> None:
    tokens = names(count)
    length = min(length, max(context, hold_back) + 1, count)
    found = [window.text for window in cut(tokens, Policy(chunk, context, hold_back=hold_back))]
    for start in range(count - length + 1):
        run = "".join(tokens[start : start + length])
        assert any(run in text for text in found)


def test_hold_back_clears_only_what_has_so_many_tokens_behind_it() -> None:
    found = cut(names(6), Policy(chunk_size=3, context_size=1, hold_back=2))
    assert [(window.text, window.clears) for window in found] == [
        ("t0 t1 t2 ", 1),
        ("t1 t2 t3 t4 ", 3),
        ("t3 t4 t5 ", 6),
    ]


def test_words_and_characters_may_be_counted_instead_of_tokens() -> None:
    sentences = ["one two three. ", "four five. ", "six. "]
    by_word = cut(sentences, Policy(chunk_size=4, context_size=1, unit="word"))
    assert [window.text for window in by_word] == ["one two three. four five. ", "four five. six. "]
    by_char = cut(["abc", "de", "fgh"], Policy(chunk_size=4, context_size=2, unit="char"))
    assert [window.text for window in by_char] == ["abcde", "defgh"]


def test_a_window_closes_early_when_it_has_too_many_characters() -> None:
    policy = Policy(chunk_size=4, context_size=2, max_window_chars=10)
    assert [window.text for window in cut(["aaaaaa", "bbbbbb", "c", "d"], policy)] == [
        "aaaaaabbbbbb",
        "bbbbbcd",
    ]


@given(st.lists(st.text("ab", min_size=1, max_size=30), max_size=30), st.integers(1, 6), st.integers(0, 7))
def test_no_window_is_longer_than_its_limit_and_the_token_that_reaches_it(
    tokens: list[str], chunk: int, context: int
) -> None:
    for window in cut(tokens, Policy(chunk, context, max_window_chars=20)):
        assert len(window.text) < 20 + 30


def test_a_token_longer_than_the_limit_is_one_window() -> None:
    assert [window.text for window in cut(["x" * 100], Policy(max_window_chars=10))] == ["x" * 100]
