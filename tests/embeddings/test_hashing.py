"""The embedded engine: the same vectors everywhere, near for shared words and spellings."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.embeddings.providers.hashing import HashingModel, words
from nemoguardrails.exceptions import ConfigurationError

PINNED = [0.0, -0.351182, 0.438977, -0.125617, -0.079016, 0.351182, 0.614568, -0.401156]


def cosine(one: str, other: str) -> float:
    left, right = HashingModel().encode([one, other])
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


@given(st.text(st.characters(codec=None), max_size=60))
def test_every_text_has_a_vector_of_length_one_and_only_blank_ones_have_none(text: str) -> None:
    (vector,) = HashingModel().encode([text])
    length = math.sqrt(math.fsum(number * number for number in vector))
    assert len(vector) == 2048
    assert length == pytest.approx(1.0 if words(text) else 0.0, abs=1e-5)
    assert bool(words(text)) or not text.strip()


def test_case_width_and_apostrophes_do_not_matter() -> None:
    assert cosine("I CAN'T log in", "i cant log in") == pytest.approx(1, abs=1e-6)
    assert cosine("ＡＢＣ card", "abc card") == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("reset my password", "resetting passwords", "reset the clock"),
        ("where is my package", "wher is my pakage", "where is my brother"),
        ("the card is blocked", "my card got blocked", "the sky is blue"),
        ("我的卡丢了", "卡丢了", "今天天气好"),
        ("Zahlung stornieren", "stornierte Zahlungen", "Adresse ändern"),
    ],
)
def test_shared_words_and_spellings_are_near(text: str, near: str, far: str) -> None:
    assert cosine(text, near) > cosine(text, far) + 0.05


def test_vectors_do_not_change_between_releases() -> None:
    """Kept vectors and thresholds depend on them: if this must fail, raise the formats of the caches."""
    (vector,) = HashingModel(dimensions=8).encode(["Hello world"])
    assert vector == pytest.approx(PINNED, abs=1e-6)


def test_words() -> None:
    assert words("Don't e-mail me, 3 times!") == ["dont", "e", "mail", "me", "3", "times"]
    assert words("東京タワー") == list("東京タワー")
    assert words("?!") == ["?!"]
    assert words(" \n") == []
    assert words("x" * 100) == ["x" * 64]


def test_the_size_can_be_chosen() -> None:
    assert (
        HashingModel(dimensions=64).embedding_size == len(HashingModel(dimensions=64).encode(["a"])[0]) == 64
    )
    with pytest.raises(ConfigurationError, match="1 or more, not 0"):
        HashingModel(dimensions=0)
