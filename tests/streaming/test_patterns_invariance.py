"""However a text is cut, a pattern check finds what one run over the whole text finds."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nemoguardrails.streaming.expressions import parse
from nemoguardrails.streaming.patterns import Pattern, PatternSet
from nemoguardrails.streaming.scan import PatternCheck
from nemoguardrails.streaming.verdict import Edit

EXAMPLES = 5000 if os.environ.get("SLUICE_NIGHTLY") else 150
SLOW = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

ALPHABET = "aabbc1 2@.-\n"
ATOMS = ["a", "b", "c", "1", "[ab]", "[^a]", r"\d", r"\w", ".", r"\s", "@", r"\.", "-"]
LOOKS = [r"\b", r"\B", "^", "$", "(?=b)", "(?!b)", "(?<=a)", "(?<!a)", r"(?!\b)", "(?=.*c)", r"(?<=ab)"]
QUANTIFIERS = ["", "", "", "", "+", "*", "?", "{2}", "{1,3}", "+?", "*?", "{2,}", "++"]


def _quantified(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(inner, st.sampled_from(QUANTIFIERS)).map("".join)


def _groups(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sequence = st.lists(st.one_of(_quantified(inner), st.sampled_from(LOOKS)), min_size=1, max_size=4).map(
        "".join
    )
    opening = st.sampled_from(["(?:", "(", "(?i:", "(?>"])
    return st.tuples(opening, st.lists(sequence, min_size=1, max_size=2).map("|".join)).map(
        lambda made: f"{made[0]}{made[1]})"
    )


EXPRESSIONS = st.tuples(
    st.sampled_from(["", "", "(?i)", "(?s)", "(?m)"]),
    st.recursive(st.sampled_from(ATOMS), _groups, max_leaves=6),
    st.recursive(st.sampled_from(ATOMS), _groups, max_leaves=4).flatmap(
        lambda inner: st.sampled_from(QUANTIFIERS).map(lambda quantifier: inner + quantifier)
    ),
    st.sampled_from(["", *LOOKS]),
).map("".join)
TEXTS = st.text(ALPHABET, max_size=24)
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def compiled(expressions: list[str], **options: int) -> PatternSet:
    try:
        return PatternSet([Pattern(f"p{i}", text, f"<{i}>", **options) for i, text in enumerate(expressions)])
    except ValueError:
        assume(False)
        raise


def cut(text: str, lengths: list[int]) -> list[str]:
    pieces = []
    at = index = 0
    while at < len(text):
        size = lengths[index % len(lengths)]
        pieces.append(text[at : at + size])
        at, index = at + size, index + 1
    return pieces


def run(check: PatternCheck, pieces: list[str]) -> tuple[list[Edit], tuple[int, str | None] | None]:
    """The edits and the block of one stream; what was decided never goes back."""
    edits: list[Edit] = []
    decided = taken = 0
    for step in [*pieces, None]:
        progress = check.finish() if step is None else check.feed(step)
        taken += len(step or "")
        assert decided <= progress.decided <= taken
        assert all(decided <= edit.start < edit.end <= progress.decided for edit in progress.edits)
        decided = progress.decided
        edits += progress.edits
        if progress.block is not None:
            assert not progress.block.failed
            assert progress.block.at is not None
            return edits, (progress.block.at, progress.block.reason)
    assert decided == taken
    return edits, None


def plain_search(expressions: list[str], text: str) -> list[Edit]:
    """What Python's `re` says: leftmost, then longest, then first."""
    rules = [re.compile(expression) for expression in expressions]
    found = []
    at = 0
    while at < len(text):
        ends = [
            (match.end(), -i)
            for i, rule in enumerate(rules)
            if (match := rule.match(text, at)) and match.end() > at
        ]
        if not ends:
            at += 1
            continue
        end, index = max(ends)
        found.append(Edit(at, end, f"<{-index}>"))
        at = end
    return found


@SLOW
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), TEXTS, CUTS)
def test_edits_are_those_of_a_plain_search_for_every_cut(
    expressions: list[str], text: str, lengths: list[int]
) -> None:
    patterns = compiled(expressions)
    expected = plain_search(expressions, text)
    for pieces in ([text], list(text), cut(text, lengths)):
        assert run(PatternCheck(patterns, mode="mask"), pieces) == (expected, None)


@SLOW
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), TEXTS, CUTS)
def test_the_block_is_that_of_a_plain_search_for_every_cut(
    expressions: list[str], text: str, lengths: list[int]
) -> None:
    patterns = compiled(expressions)
    first = next(iter(plain_search(expressions, text)), None)
    for pieces in ([text], list(text), cut(text, lengths)):
        _, block = run(PatternCheck(patterns, mode="block"), pieces)
        assert (block and block[0]) == (first and first.start)
        assert (block is None) == (first is None)


@SLOW
@given(st.lists(EXPRESSIONS, min_size=1, max_size=2), st.text("ab1 @", max_size=80), CUTS, st.integers(3, 8))
def test_candidates_past_the_longest_match_are_given_up_alike(
    expressions: list[str], text: str, lengths: list[int], longest: int
) -> None:
    assume(all(parse(expression).is_linear for expression in expressions))  # the others run under a clock
    patterns = compiled(expressions, max_match_length=longest)
    expected = run(PatternCheck(patterns, mode="mask"), [text])
    for pieces in (list(text), cut(text, lengths)):
        assert run(PatternCheck(patterns, mode="mask"), pieces) == expected
