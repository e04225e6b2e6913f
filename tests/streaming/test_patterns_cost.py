"""A pattern check looks at each character about once and keeps only what is open."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re

import pytest

from nemoguardrails.library.sensitive_data_detection.recognizers import OWN
from nemoguardrails.streaming.patterns import Pattern, PatternSet
from nemoguardrails.streaming.scan import PatternCheck
from recordings import STREAMS, not_here

PROSE = (
    "The harbour was quiet that morning, and nobody on the quay seemed to notice the small boat that came in"
    " with the tide. Its captain, a woman of perhaps sixty, tied it up herself and walked slowly towards the"
    " office at the end of the pier. She had left the islands before dawn; the wind had been kind, she said,"
    " but the engine had coughed twice, and that was two times too many. They gave her tea"
    " and 3 forms to fill in."
)
USERS = [
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"(?i)project\s+bluebird",
    r"password\s*[:=]\s*\S+",
    r"[\w.]+@corp\.example",
]


@pytest.fixture(scope="module")
def personal() -> PatternSet:
    return PatternSet([pattern for patterns in OWN.values() for pattern in patterns], 0.2)


@pytest.fixture(scope="module")
def users() -> PatternSet:
    return PatternSet([Pattern(text, text) for text in USERS])


def tokens(text: str) -> list[str]:
    return re.findall(r" ?\w+|[^\w ]+| +", text)


def held_and_scanned(check: PatternCheck, pieces: list[str]) -> tuple[float, float]:
    """Mean held-back text after a piece, and looks per character."""
    taken = held = 0
    for piece in pieces:
        taken += len(piece)
        held += taken - check.feed(piece).decided
    check.finish()
    return held / len(pieces), check.scanned / taken


@pytest.mark.parametrize("normalize", [False, True])
def test_prose_is_looked_at_once_and_hardly_held(
    personal: PatternSet, users: PatternSet, normalize: bool
) -> None:
    for patterns in (personal, users):
        held, scanned = held_and_scanned(
            PatternCheck(patterns, mode="mask", normalize=normalize), tokens(PROSE) * 4
        )
        assert held < 5
        assert scanned <= 1.2


@not_here
def test_recorded_answers_are_looked_at_once(personal: PatternSet, users: PatternSet) -> None:
    texts = [
        json.loads(path.read_text())["expected"].get("text") for path in sorted(STREAMS.glob("*/*.json"))
    ]
    for patterns in (personal, users):
        scanned = characters = 0
        for text in filter(None, texts):
            check = PatternCheck(patterns, mode="mask")
            for piece in tokens(text):
                check.feed(piece)
            check.finish()
            scanned, characters = scanned + check.scanned, characters + len(text)
        assert characters > 50_000
        assert scanned / characters <= 1.2


def test_a_message_of_100_000_tokens_costs_the_same_per_token_and_keeps_little(users: PatternSet) -> None:
    check = PatternCheck(users)
    pieces = tokens(PROSE)
    kept = 0
    for index in range(100_000):
        check.feed(pieces[index % len(pieces)])
        kept = max(kept, len(check._scanner._buffer))
    taken = sum(map(len, pieces)) * (100_000 / len(pieces))
    assert check.scanned / taken <= 1.2
    assert kept < 1024


HOSTILE = {
    "digits": "1234567890",
    "addresses": "a@",
    "names": "a.b-",
    "spaced digits": "1 2 3-4 ",
    "addresses of version 6": "a:b::",
    "links": "http://a.b/",
    "tokens": "eyJ",
    "keys": "-----BEGIN PRIVATE KEY-----",
    "rules": "-----=====",
    "mails without end": "a@b.c.",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_costs_in_proportion_to_its_length(personal: PatternSet, unit: str) -> None:
    costs = []
    for size in (4_000, 16_000):
        check = PatternCheck(personal, mode="mask")
        text = (unit * size)[:size]
        for at in range(0, size, 7):
            check.feed(text[at : at + 7])
        check.finish()
        assert len(check._scanner._buffer) < 10_000
        costs.append(check.scanned / size)
    assert costs[1] < max(2 * costs[0], 4)
    assert costs[1] < 40


@pytest.mark.parametrize("expression", [r"\d{5,}x", r"(?:a|b)+@", r"[a-z]+\s*=\s*[a-z]+;", ".*secret"])
def test_long_candidates_of_users_patterns_cost_a_bounded_number_of_looks(expression: str) -> None:
    patterns = PatternSet([Pattern("p", expression)])
    for unit in ("1", "ab", "a=", "x "):
        check = PatternCheck(patterns, time_limit_s=10)
        text = (unit * 4_000)[:4_000]
        for at in range(0, 4_000, 5):
            check.feed(text[at : at + 5])
        assert check.finish().block is None
        assert check.scanned / 4_000 < 2 * 272
        assert len(check._scanner._buffer) < 2_048


def test_more_patterns_do_not_mean_more_looks() -> None:
    words = [f"{first}{second}zebra{number}" for first in "bcdfg" for second in "lr" for number in range(20)]
    few, many = (PatternSet([Pattern(word, word) for word in words[:count]]) for count in (2, len(words)))
    looks = []
    for patterns in (few, many):
        check = PatternCheck(patterns)
        for piece in tokens(PROSE):
            check.feed(piece)
        looks.append(check.scanned)
    assert looks[1] <= 1.05 * looks[0]
