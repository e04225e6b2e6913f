"""Text is normalised piece by piece as it is as a whole, with the way back to every offset."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.streaming.normal import Normalizer
from nemoguardrails.streaming.patterns import Pattern, PatternSet
from nemoguardrails.streaming.scan import PatternCheck
from nemoguardrails.streaming.splice import spliced
from nemoguardrails.streaming.verdict import Edit

ODD = [
    *"aeo1 <=@e",
    "\u0301",
    "\u0323",
    "\u200b",
    "\u2060",
    "\ufb01",
    "\uff21",
    "\u00e9",
    "\u212b",
    "\uac00",
    "\u11a8",
]
ODD += [
    "\u1100",
    "\u1161",
    "\u3042",
    "\u3099",
    "\U0001f600",
    "\ufe0f",
    "\u0f77",
    "\u1e9b",
    "\u00bd",
    "\u0345",
]
TEXTS = st.one_of(st.text(st.sampled_from(ODD), max_size=16), st.text(max_size=12))
CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=8)


def pieces_of(text: str, lengths: list[int]) -> list[str]:
    made = []
    at = index = 0
    while at < len(text):
        made.append(text[at : at + lengths[index % len(lengths)]])
        at, index = at + len(made[-1]), index + 1
    return made


def normal(pieces: list[str]) -> tuple[str, Normalizer]:
    normalizer = Normalizer()
    return "".join([*map(normalizer.feed, pieces), normalizer.finish()]), normalizer


@given(TEXTS, CUTS)
def test_pieces_give_what_the_whole_gives(text: str, lengths: list[int]) -> None:
    whole, of_whole = normal([text])
    cut, of_cut = normal(pieces_of(text, lengths))
    assert cut == whole
    for at in range(len(whole) + 1):
        assert of_cut.start_of(at) == of_whole.start_of(at)
        if at:
            assert of_cut.end_of(at) == of_whole.end_of(at)


@given(TEXTS)
def test_the_result_is_the_normal_form_without_zero_width_characters(text: str) -> None:
    plain = "".join(char for char in text if char not in "\u200b\u2060\ufe0f\u034f\ufeff\u00ad")
    whole, _ = normal([plain])
    if not any(unicodedata.category(char) == "Cf" for char in plain):
        assert unicodedata.normalize("NFKC", whole) == unicodedata.normalize("NFKC", plain)


@given(TEXTS)
def test_offsets_lead_back_to_the_text_they_came_from(text: str) -> None:
    whole, normalizer = normal([text])
    for at in range(len(whole)):
        start, end = normalizer.start_of(at), normalizer.end_of(at + 1)
        assert 0 <= start < end <= len(text)
        assert whole[at] in normal([text[start:end]])[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\uff53\uff45\uff43\uff52\uff45\uff54", [Edit(0, 6, "*")]),
        ("a s\u200be\u200bcret.", [Edit(2, 10, "*")]),
        ("\ufb01le secret", [Edit(4, 10, "*")]),
        ("se\u0301cret secret", [Edit(8, 14, "*")]),
    ],
)
def test_disguised_words_are_found_with_their_original_place(text: str, expected: list[Edit]) -> None:
    patterns = PatternSet([Pattern("p", "secret", "*")])
    for pieces in ([text], list(text)):
        check = PatternCheck(patterns, mode="mask", normalize=True)
        edits = [edit for piece in pieces for edit in check.feed(piece).edits]
        assert [*edits, *check.finish().edits] == expected


def test_a_composed_letter_is_found_however_it_is_written_and_cut() -> None:
    patterns = PatternSet([Pattern("p", "caf\u00e9", "*"), Pattern("q", "\u00e9t\u00e9", "*")])
    for text in ("un cafe\u0301 en e\u0301te\u0301", "un caf\u00e9 en \u00e9t\u00e9"):
        for pieces in ([text], list(text)):
            check = PatternCheck(patterns, mode="mask", normalize=True)
            edits = [edit for piece in pieces for edit in check.feed(piece).edits]
            assert len([*edits, *check.finish().edits]) == 2


@given(TEXTS, CUTS, st.sampled_from([r"\w+@", "[^a-z]e", "\u00e9", "1", "e(?!\u00e9)", "fi", r"(?<!\w)a"]))
def test_a_check_on_normal_text_does_not_depend_on_the_cut(
    text: str, lengths: list[int], expression: str
) -> None:
    patterns = PatternSet([Pattern("p", expression, "*")])
    whole = spliced(PatternCheck(patterns, mode="mask", normalize=True), text)
    for pieces in (list(text), pieces_of(text, lengths)):
        check = PatternCheck(patterns, mode="mask", normalize=True)
        decided, found = [], []
        for piece in pieces:
            decided.append(check.feed(piece).decided)
            found += check.found
        assert check.finish().decided == len(text)
        assert decided == sorted(decided)
        assert (*found, *check.found) == whole.found


def test_letters_that_no_pattern_begins_with_are_not_held_for_a_mark() -> None:
    check = PatternCheck(PatternSet([Pattern("p", r"\d+x")]), normalize=True)
    assert check.feed("hello").decided == 5
    assert check.feed(" world").decided == 11
