"""Rewrites are put into held text without touching the tokens around them; cuts are made in safe places."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.streaming.events import ReasoningDelta, StreamEvent, TextDelta
from nemoguardrails.streaming.release import Release, Splicer, edited, edits_between, equal_runs, last_cut
from nemoguardrails.streaming.verdict import Edit

WORDS = st.lists(st.sampled_from(["ab", "John ", "Smith ", " ", "x", "went ", "by "]), max_size=20)


def splice(tokens: list[str], edits: list[Edit]) -> list[str]:
    found: list[StreamEvent] = []
    splicer = Splicer(lambda event, _: found.append(event))
    for end, token in enumerate(tokens, 1):
        splicer.push(TextDelta(token), end)
    splicer.edit(edits)
    splicer.finish()
    return [event.text for event in found if isinstance(event, TextDelta)]


@pytest.mark.parametrize(
    ("tokens", "edits", "expected"),
    [
        (["ab", "cd", "ef"], [], ["ab", "cd", "ef"]),
        (["ab", "cd", "ef"], [Edit(2, 4, "X")], ["ab", "X", "ef"]),
        (["ab", "cd", "ef"], [Edit(1, 3, "X")], ["aXd", "ef"]),
        (["ab", "cd", "ef"], [Edit(2, 4, "")], ["ab", "ef"]),
        (["ab", "cd", "ef"], [Edit(0, 1, "X"), Edit(5, 6, "Y")], ["Xb", "cd", "eY"]),
        (["ab", "cd", "ef"], [Edit(1, 3, "X"), Edit(3, 5, "Y")], ["aXYf"]),
        (["ab", "cd"], [Edit(0, 0, "X"), Edit(4, 4, "Y")], ["Xab", "cd", "Y"]),
    ],
)
def test_only_tokens_that_an_edit_touches_change(
    tokens: list[str], edits: list[Edit], expected: list[str]
) -> None:
    assert splice(tokens, edits) == expected


def test_what_is_no_text_keeps_its_place_and_follows_a_rewrite_that_spans_it() -> None:
    found: list[tuple[StreamEvent, int]] = []
    splicer = Splicer(lambda event, end: found.append((event, end)))
    aside = ReasoningDelta("hm")
    events: list[tuple[StreamEvent, int]] = [
        (TextDelta("ab"), 1),
        (aside, 1),
        (TextDelta("cd"), 2),
        (aside, 2),
    ]
    for event, end in events:
        splicer.push(event, end)
    splicer.edit([Edit(1, 3, "X")])
    splicer.emit(4)
    assert found == [(TextDelta("aXd"), 2), (aside, 1), (aside, 2)]


@given(WORDS, WORDS)
def test_a_rewrite_is_the_edits_between_its_unchanged_runs(
    old_words: list[str], new_words: list[str]
) -> None:
    old, new = "".join(old_words), "".join(new_words)
    runs = equal_runs(old, new)
    for run in runs:
        length = run.end - run.start
        assert old[run.start : run.end] == new[run.new_start : run.new_start + length]
    edits = edits_between(runs, new)
    assert edited(old, edits) == new
    assert "".join(splice([word for word in old_words if word], edits)) == new


@given(WORDS, st.integers(0, 20), st.sampled_from([None, 0, 1, 3]))
def test_no_cut_goes_through_a_span_that_was_replaced(
    words: list[str], kept: int, margin: int | None
) -> None:
    old = "".join(words)
    ends = list(accumulate(map(len, words)))
    cut = last_cut(old, ends, equal_runs(old, re.sub(r"John Smith( by)?", "<N>", old)), kept, margin)
    assert cut <= kept
    at = ends[cut - 1] if cut else 0
    assert not any(found.start() < at < found.end() for found in re.finditer(r"John Smith( by)?", old))


def test_a_cut_may_lie_between_two_replaced_spans_at_a_word_both_texts_have_once() -> None:
    words = ["John ", "Smith ", "met ", "nobody ", "John ", "Smith "]
    old = "".join(words)
    runs = equal_runs(old, "<N> met nobody <N> ")
    ends = list(accumulate(map(len, words)))
    assert last_cut(old, ends, runs, 5, None) == 4
    assert last_cut(old, ends, runs, 5, 1) == 3
    assert last_cut(old, ends, runs, 3, None) == 3


def test_a_word_that_turns_up_again_is_no_place_to_cut() -> None:
    words = ["John ", "Smith ", "John ", "Smith "]
    old = "".join(words)
    runs = equal_runs(old, "<Smith> John <Smith> ")
    assert last_cut(old, list(accumulate(map(len, words))), runs, 3, None) == 0


def test_a_block_takes_back_what_is_ready_but_not_taken_and_says_what_was_taken() -> None:
    release = Release(bound=3)
    for end, text in enumerate(["aa", "bb", "cc", "dd"], 1):
        release.push(TextDelta(text), end)
    assert [event for event in release.ready if isinstance(event, TextDelta)] == [
        TextDelta("aa"),
        TextDelta("bb"),
        TextDelta("cc"),
    ]
    release.ready.popleft()
    release.ready.popleft()
    assert release.stop(1, None) == 2
    assert (list(release.ready), release.drained) == ([], True)
