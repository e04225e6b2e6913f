"""The search `default`: exact, by cosine, over a matrix of unit vectors."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..exceptions import ConfigurationError
from .encoder import Encoder
from .index import CacheConfig, EmbeddingsIndex, IndexItem
from .providers.registry import ModelChoice, default_engine
from .single_flight import Batcher, SingleFlight

if TYPE_CHECKING:
    from numpy import float32, float64, int64
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[float32]

_DECIMALS = 5
"""Scores are equal to this many decimals: float32 vectors of equal texts may differ in the last bits."""

_SLACK = 1e-4
"""How far the cosine of an item may lie below that of the last result and still share its rounded score."""

_INLINE_NUMBERS = 1 << 20
"""Up to how many multiplications the event loop itself does them; that takes less than a millisecond."""

_BLAS_NUMBERS = 1 << 25
_ROWS_AT_ONCE = 4096


class ScoredItem(NamedTuple):
    """An item that was found, and its score: 1 for the same direction, 0.29 for a right angle, 0 opposite."""

    item: IndexItem
    score: float


class BasicEmbeddingsIndex(EmbeddingsIndex):
    """Finds the items whose vectors have the highest cosine with the query's.

    Everything is computed at first use, once, however many ask at the same time. Nothing blocks the event
    loop: models are loaded, and large matrices multiplied, in worker threads.

    Args:
        embedding_model: the model's name; else the engine's default.
        embedding_engine: who makes the vectors; else `FastEmbed` where it is installed, else `hash`.
        embedding_parameters: keyword arguments of the engine's model.
        cache_config: how computed vectors are kept.
        search_threshold: the lowest score where a search gives none of its own.
        use_batching: concurrent searches are encoded and multiplied together.
        max_batch_size: how many of them.
        max_batch_hold: how many seconds a search waits for others.
    """

    def __init__(
        self,
        embedding_model: str | None = None,
        embedding_engine: str | None = None,
        embedding_parameters: Mapping[str, Any] | None = None,
        *,
        cache_config: CacheConfig | None = None,
        search_threshold: float | None = None,
        use_batching: bool = False,
        max_batch_size: int = 10,
        max_batch_hold: float = 0.01,
    ) -> None:
        engine = embedding_engine or default_engine()
        self._encoder = Encoder(
            ModelChoice(engine, embedding_model, embedding_parameters or {}), cache_config
        )
        self._cache_config = cache_config
        self._search_threshold = search_threshold
        self._batcher: Batcher[str, _Compared] | None = (
            Batcher(self._compared, max_size=max_batch_size, max_hold_s=max_batch_hold)
            if use_batching
            else None
        )
        self._items: list[IndexItem] = []
        self._built: _Built | None = None
        self._flight = SingleFlight()

    @property
    def embedding_size(self) -> int:
        """How many numbers a vector has; 0 before `build`."""
        return 0 if self._built is None else int(self._built.matrix.shape[1])

    @property
    def cache_config(self) -> CacheConfig | None:
        """How computed vectors are kept."""
        return self._cache_config

    @property
    def choice(self) -> ModelChoice:
        """Which model makes the vectors."""
        return self._encoder.choice

    @property
    def items(self) -> list[IndexItem]:
        """The items in the order in which they were taken in."""
        return list(self._items)

    @property
    def vectors(self) -> Matrix | None:
        """The unit vectors of the items that are built, float32 `(n_items, dim)`; not to be changed."""
        return None if self._built is None else self._built.matrix

    async def add_item(self, item: IndexItem) -> None:
        """Takes one item in."""
        self._items.append(item)

    async def add_items(self, items: Sequence[IndexItem]) -> None:
        """Takes many items in; they are encoded together."""
        self._items.extend(items)

    def add_built(self, items: Sequence[IndexItem], vectors: Matrix) -> None:
        """Takes items in whose vectors are known from an earlier `vectors`; the index must be empty.

        Raises:
            ValueError: the index is not empty, or there is not one vector for each item.
        """
        if self._items:
            raise ValueError("Known vectors can be taken in by an empty index only")
        if vectors.ndim != 2 or len(vectors) != len(items):
            raise ValueError(f"Vectors of shape {vectors.shape} do not belong to {len(items)} items")
        self._items.extend(items)
        self._built = _Built(tuple(items), vectors)

    async def build(self) -> None:
        """Encodes what was taken in since the last time.

        Raises:
            ConfigurationError: the model cannot be made, or gives something else than vectors.
        """
        while self._has_pending():
            async with self._flight.turn():
                if self._has_pending():
                    self._built = await self._extended(self._built, tuple(self._items))

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        """The nearest items, the best first; equal scores in the order in which they were taken in.

        Args:
            max_results: how many at most.
            threshold: the lowest score; `None` for the index's own `search_threshold`.

        Raises:
            ConfigurationError: as `build`.
        """
        return [found.item for found in await self.search_scored(text, max_results, threshold)]

    async def search_scored(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[ScoredItem]:
        """As `search`, with the scores."""
        await self.build()
        if self._built is None or max_results < 1:
            return []
        compared = await (self._batcher.ask(text) if self._batcher is not None else self._compared_one(text))
        lowest = threshold if threshold is not None else self._search_threshold
        return _best(compared, max_results, lowest)

    def _has_pending(self) -> bool:
        return len(self._items) > (len(self._built.items) if self._built is not None else 0)

    async def _extended(self, built: _Built | None, items: tuple[IndexItem, ...]) -> _Built:
        known = 0 if built is None else len(built.items)
        matrix = await self._encoder.documents([item.text for item in items[known:]])
        if built is not None:
            self._check_size(int(matrix.shape[1]), built)
            matrix = await asyncio.to_thread(_joined, built.matrix, matrix)
        return _Built(items, matrix)

    async def _compared_one(self, text: str) -> _Compared:
        return (await self._compared([text]))[0]

    async def _compared(self, texts: list[str]) -> list[_Compared]:
        queries = await self._encoder.queries(texts)
        built = self._built
        assert built is not None, "searches begin with `build`"
        self._check_size(int(queries.shape[1]), built)
        if built.matrix.size * len(texts) <= _INLINE_NUMBERS:
            cosines = _product(queries, built.matrix)
        else:
            cosines = await asyncio.to_thread(_product, queries, built.matrix)
        return [_Compared(built, query, row) for query, row in zip(queries, cosines, strict=True)]

    def _check_size(self, size: int, built: _Built) -> None:
        if size != built.matrix.shape[1]:
            raise ConfigurationError(
                f"embeddings, engine {self.choice.engine}: the model gives vectors of {size} numbers, those "
                f"of the index have {built.matrix.shape[1]}; the model has changed, so clear the cache"
            )


@dataclass(frozen=True, slots=True)
class _Built:
    """Items and their unit vectors, row by row."""

    items: tuple[IndexItem, ...]
    matrix: Matrix


class _Compared(NamedTuple):
    """A query's vector, and its cosines with the vectors of an index."""

    built: _Built
    query: Matrix
    cosines: Matrix


def _joined(upper: Matrix, lower: Matrix) -> Matrix:
    import numpy as np

    return np.vstack((upper, lower))


def _product(queries: Matrix, matrix: Matrix) -> Matrix:
    """The cosines, `(n_queries, n_items)`. BLAS only from a size where it pays: its threads wait by spinning,
    and on a busy machine that made small products a hundred times slower.
    """
    import numpy as np

    if matrix.size * len(queries) >= _BLAS_NUMBERS:
        return queries @ matrix.T
    cosines: Matrix = np.einsum("qd,nd->qn", queries, matrix)
    return cosines


def _best(compared: _Compared, max_results: int, lowest: float | None) -> list[ScoredItem]:
    """The best results. The product of matrices finds candidates; their scores are computed exactly.

    The score's slope has no bound near 1, so the last bits of a float32 cosine would show in its third
    decimal, and a text would not reach the threshold 1 with itself.
    """
    import numpy as np

    built, query, cosines = compared
    last = max(len(cosines) - max_results, 0)
    candidates = np.flatnonzero(cosines >= np.partition(cosines, last)[last] - _SLACK)
    scores = np.round(_scores(built.matrix, candidates, query), _DECIMALS)
    order = np.argsort(-scores, kind="stable")[:max_results]
    found = [ScoredItem(built.items[candidates[place]], float(scores[place])) for place in order]
    limit = None if lowest is None else round(lowest, _DECIMALS)
    return [one for one in found if limit is None or one.score >= limit]


def _scores(matrix: Matrix, rows: NDArray[int64], query: Matrix) -> NDArray[float64]:
    """`1 - sqrt(2 - 2 cos) / 2`, from the distance of unit vectors, which is that root."""
    import numpy as np

    scores = np.empty(len(rows))
    wanted = query.astype(np.float64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = matrix[rows[start : start + _ROWS_AT_ONCE]].astype(np.float64)
        distances = np.linalg.norm(part - wanted, axis=1)
        if not wanted.any():
            distances[:] = np.sqrt(2)
        distances[~part.any(axis=1)] = np.sqrt(2)  # an empty text is at a right angle to everything
        scores[start : start + len(part)] = 1 - distances / 2
    return scores
