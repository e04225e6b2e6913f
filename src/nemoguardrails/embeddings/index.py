"""What a search over texts offers: items go in, the nearest ones come out."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any, Protocol

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NAME = Parameter.VAR_KEYWORD


class CacheConfig(Protocol):
    """The `cache` section of a search; `config.services.EmbeddingsCacheConfig` is one."""

    @property
    def enabled(self) -> bool:
        """Whether computed vectors are kept."""
        ...

    @property
    def key_generator(self) -> str:
        """The `name` of a `KeyGenerator`."""
        ...

    @property
    def store(self) -> str:
        """The `name` of a `CacheStore`."""
        ...

    def plain_store_config(self) -> dict[str, Any]:
        """Keyword arguments of the store, credentials as plain text."""
        ...


@dataclass
class IndexItem:
    """A text that can be found, and what belongs to it."""

    text: str
    meta: dict[str, Any] = field(default_factory=dict)


class EmbeddingsIndex:
    """A search by similarity; the base of search providers that users write.

    Subclasses are made with the section's `parameters` as keyword arguments. They must have `search` and
    one of `add_item` and `add_items`.
    """

    @property
    def embedding_size(self) -> int:
        """How many numbers a vector has; 0 where the search does not work with vectors."""
        return 0

    @property
    def cache_config(self) -> CacheConfig | None:
        """How computed vectors are kept; `None` where they are not."""
        return None

    async def add_item(self, item: IndexItem) -> None:
        """Takes one item in; it is found after the next `build`."""
        if type(self).add_items is EmbeddingsIndex.add_items:
            raise NotImplementedError(f"{type(self).__qualname__} must have `add_item` or `add_items`")
        await self.add_items([item])

    async def add_items(self, items: list[IndexItem]) -> None:
        """Takes many items in; they are found after the next `build`."""
        for item in items:
            await self.add_item(item)

    async def build(self) -> None:
        """Makes everything taken in so far searchable."""

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        """The items nearest to a text, the best first.

        Args:
            max_results: how many at most.
            threshold: the lowest score of an item; `None` for no limit of the call's own.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must have `search`")


async def nearest(
    index: EmbeddingsIndex, text: str, max_results: int, threshold: float | None = None
) -> Sequence[IndexItem]:
    """The answer of any index, also of one whose `search` takes no threshold.

    Raises:
        TypeError: a threshold is given to such an index.
    """
    parameters = signature(index.search).parameters.values()
    if sum(parameter.kind in _BY_PLACE for parameter in parameters) > 2:
        return await index.search(text, max_results, threshold)
    if any(parameter.name == "threshold" or parameter.kind is _ANY_NAME for parameter in parameters):
        return await index.search(text, max_results, threshold=threshold)
    if threshold is not None:
        raise TypeError(
            f"{type(index).__qualname__}.search takes no `threshold`, but {threshold} is configured"
        )
    return await index.search(text, max_results)
