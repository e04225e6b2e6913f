"""Texts to unit vectors: through the cache, in parts, and off the event loop."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..exceptions import ConfigurationError
from .cache import CacheStore, Vector, VectorCache, key_generator_named, store_of
from .index import CacheConfig
from .providers.base import EmbeddingModel
from .providers.registry import ModelChoice, shared_model
from .single_flight import SingleFlight

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[float32]

PART = 256
"""How many texts the model gets at once: after each part the work can be cancelled, and is kept."""


class Encoder:
    """Makes vectors of length 1 (0 for a text in which the model sees nothing), as float32 `(n_texts, dim)`.

    Args:
        choice: which model; it is made at first use.
        cache_config: how vectors are kept; `None` for not at all.
    """

    def __init__(self, choice: ModelChoice, cache_config: CacheConfig | None = None) -> None:
        self.choice = choice
        self._cache_config = cache_config if cache_config is not None and cache_config.enabled else None
        self._store: CacheStore | None = None
        self._model: EmbeddingModel | None = None
        self._flight = SingleFlight()

    async def documents(self, texts: Sequence[str]) -> Matrix:
        """The vectors of texts that will be searched.

        Raises:
            ConfigurationError: the model cannot be made, or its answer is no list of vectors.
        """
        model = await self._ready()
        return await self._encoded(texts, model.encode_async, "document")

    async def queries(self, texts: Sequence[str]) -> Matrix:
        """The vectors of texts that are searched for.

        Raises:
            ConfigurationError: as `documents`.
        """
        model = await self._ready()
        kind = "query" if model.tells_queries_apart else "document"
        return await self._encoded(texts, model.encode_queries_async, kind)

    async def _ready(self) -> EmbeddingModel:
        if self._model is None:
            async with self._flight.turn():
                if self._model is None:
                    self._model = await asyncio.to_thread(self._made)
        return self._model

    def _made(self) -> EmbeddingModel:
        if self._cache_config is not None and self._store is None:
            self._store = store_of(self._cache_config)
        return shared_model(self.choice)

    async def _encoded(self, texts: Sequence[str], encode: _Encode, kind: str) -> Matrix:
        distinct = list(dict.fromkeys(texts))
        cache = self._cache(kind)
        vectors = {} if cache is None else await asyncio.to_thread(cache.find, distinct)
        missing = [text for text in distinct if text not in vectors]
        vectors.update(await self._computed(missing, encode, cache))
        if len({len(vector) for vector in vectors.values()}) > 1:  # the model has changed under its old name
            vectors = await self._computed(distinct, encode, cache)
        return await asyncio.to_thread(_unit_rows, [vectors[text] for text in texts])

    async def _computed(
        self, texts: list[str], encode: _Encode, cache: VectorCache | None
    ) -> dict[str, Vector]:
        vectors: dict[str, Vector] = {}
        for start in range(0, len(texts), PART):
            part = texts[start : start + PART]
            computed = dict(zip(part, self._checked(await encode(part), len(part)), strict=True))
            if cache is not None:
                await asyncio.to_thread(cache.keep, computed)
            vectors.update(computed)
        return vectors

    def _cache(self, kind: str) -> VectorCache | None:
        if self._cache_config is None or self._store is None:
            return None
        keys = key_generator_named(self._cache_config.key_generator)
        return VectorCache(f"{self.choice.identity()}\n{kind}", keys, self._store)

    def _checked(self, answer: Sequence[Vector], count: int) -> Sequence[Vector]:
        sizes = {len(vector) for vector in answer}
        if len(answer) != count or len(sizes) > 1 or 0 in sizes:
            raise ConfigurationError(
                f"embeddings, engine {self.choice.engine}: the model gave {len(answer)} vectors of "
                f"{sorted(sizes)} numbers for {count} texts; one vector of the same size for each is needed"
            )
        return answer


_Encode: TypeAlias = "Callable[[list[str]], Awaitable[list[list[float]]]]"


def _unit_rows(vectors: Sequence[Vector]) -> Matrix:
    import numpy as np

    rows = np.array(vectors, dtype=np.float32).reshape(len(vectors), -1 if vectors else 0)
    if not np.isfinite(rows).all():
        raise ConfigurationError("embeddings: the model gave vectors with numbers that are not finite")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 0, lengths, 1)
    return rows
