"""The embedded engine `hash`: words, pairs of words and character n-grams, hashed into a vector.

It needs no download. It finds texts that share words, parts of words or spellings, and knows no synonyms;
`docs/embeddings.md` says what that costs.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...exceptions import ConfigurationError
from .base import EmbeddingModel

if TYPE_CHECKING:
    from numpy import float32, float64, int64
    from numpy.typing import NDArray

DIMENSIONS = 2048
_FREQUENT_WEIGHT = 0.4
_PAIR_WEIGHT = 0.3
_GRAM_SIZES = (3, 4)
_GRAMS_WEIGHT = 2.0
_MAX_WORD_CHARS = 64
_IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_WORD = re.compile(rf"{_IDEOGRAPH}|(?:(?!{_IDEOGRAPH})[^\W_])+(?:['’](?:(?!{_IDEOGRAPH})[^\W_])+)*")
_APOSTROPHES = str.maketrans("", "", "'’")
_FREQUENT_WORDS = """
a about all also am an and any are as at be been being but by can could did do does doing dont down for
from get got had has have having he her here him his how i id if im in into is it its ive just let may me
might must my need no nor not of on or our out over please shall she should so some that the their them
then there these they this those to too up us very want was we were what when where which who whom whose
why will with would you your
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())


class HashingModel(EmbeddingModel):
    """Vectors of length 1 (0 for an empty text) whose product grows with the words and spellings shared.

    Args:
        model: has no meaning, as there is only one.
        dimensions: how many numbers a vector has; fewer let more features fall together.
    """

    engine_name: ClassVar[str] = "hash"
    default_model: ClassVar[str | None] = "ngrams"

    def __init__(self, model: str | None = None, *, dimensions: int = DIMENSIONS) -> None:
        if dimensions < 1:
            raise ConfigurationError(f"engine hash: `dimensions` must be 1 or more, not {dimensions}")
        self._size = dimensions

    def encode(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order."""
        return [self._vector(document).tolist() for document in documents]

    def _vector(self, text: str) -> NDArray[float32]:
        import numpy as np

        dimensions = self.embedding_size
        features = [_scaled(feature, dimensions, weight) for feature, weight in _weights(text)]
        if not features:
            return np.zeros(dimensions, np.float32)
        places = np.concatenate([feature.places for feature in features])
        values = np.concatenate([feature.values for feature in features])
        vector = np.bincount(places, weights=values, minlength=dimensions)
        length = float(np.linalg.norm(vector))
        return (vector / length if length else vector).astype(np.float32)


class _Features(NamedTuple):
    """Places in a vector and what is added there; a place may come twice."""

    places: NDArray[int64]
    values: NDArray[float64]


def words(text: str) -> list[str]:
    """The words of a text without case and apostrophes; ideographs one by one; else the whole text."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = [word.translate(_APOSTROPHES)[:_MAX_WORD_CHARS] for word in _WORD.findall(folded)]
    stripped = folded.strip()
    return found or ([stripped[:_MAX_WORD_CHARS]] if stripped else [])


def _weights(text: str) -> list[tuple[str, float]]:
    """The words and pairs of neighbouring words with their weights; a repetition adds its logarithm."""
    found = words(text)
    if not found:
        return []
    weight = {word: _FREQUENT_WEIGHT if word in _FREQUENT else 1.0 for word in found}
    weight[""] = _FREQUENT_WEIGHT
    single = [(word, weight[word] * _damped(count)) for word, count in Counter(found).items()]
    pairs = [
        (f"{one} {two}", _PAIR_WEIGHT * math.sqrt(weight[one] * weight[two]) * _damped(count))
        for (one, two), count in Counter(pairwise(["", *found, ""])).items()
    ]
    return [*single, *pairs]


def _damped(count: int) -> float:
    return 1 + math.log(count)


def _scaled(feature: str, dimensions: int, weight: float) -> _Features:
    places, values = _features(feature, dimensions)
    return _Features(places, values * weight)


@lru_cache(maxsize=32_768)
def _features(feature: str, dimensions: int) -> _Features:
    """A pair has one place; a word has one, and more for its character n-grams, which weigh more together."""
    import numpy as np

    marked = f"<{feature}>"
    grams = [] if " " in feature else _grams(marked)
    codes = [_mixed(zlib.crc32(name.encode("utf-8", "surrogatepass"))) for name in (marked, *grams)]
    share = _GRAMS_WEIGHT / math.sqrt(len(grams)) if grams else 0.0
    signs = [1.0 if code & 1 else -1.0 for code in codes]
    values = [sign * (share if index else 1.0) for index, sign in enumerate(signs)]
    return _Features(np.array([(code >> 1) % dimensions for code in codes]), np.array(values))


def _grams(marked: str) -> list[str]:
    sizes = (size for size in _GRAM_SIZES if size < len(marked))
    return [marked[start : start + size] for size in sizes for start in range(len(marked) - size + 1)]


def _mixed(code: int) -> int:
    """A checksum is linear; mixing makes the bits independent (the finaliser of MurmurHash3).

    Source: https://github.com/aappleby/smhasher/wiki/MurmurHash3
    """
    code = ((code ^ (code >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    code = ((code ^ (code >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return code ^ (code >> 16)
