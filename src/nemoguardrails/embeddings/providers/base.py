"""What turns texts into vectors; the base of embedding providers."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar


class EmbeddingModel:
    """A model that makes vectors of texts; the base of providers that users write.

    A subclass is made as `cls(embedding_model, **embedding_parameters)`, in a worker thread, when it is first
    used. It must have `encode` or `encode_async`.

    Attributes:
        engine_name: the name in configurations, unless it is registered under another one.
        default_model: the model where the configuration names none.
        tells_queries_apart: whether the vector of a text depends on its being searched for.
    """

    engine_name: ClassVar[str] = ""
    default_model: ClassVar[str | None] = None
    tells_queries_apart: ClassVar[bool] = False
    _size: int | None = None

    @property
    def embedding_size(self) -> int:
        """How many numbers a vector has; a size that is not known costs one call of the model.

        Raises:
            RuntimeError: that call would be needed inside a running event loop.
        """
        if self._size is None:
            self._size = len(self.encode(["size"])[0])
        return self._size

    @embedding_size.setter
    def embedding_size(self, size: int) -> None:
        self._size = size

    def encode(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order. Blocks.

        Raises:
            RuntimeError: the model is asynchronous, and an event loop is running: await `encode_async`.
        """
        if type(self).encode_async is EmbeddingModel.encode_async:
            raise NotImplementedError(f"{type(self).__qualname__} must have `encode` or `encode_async`")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.encode_async(documents))
        raise RuntimeError(f"{type(self).__qualname__}.encode blocks the event loop; await encode_async")

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order; `encode` runs in a worker thread."""
        return await asyncio.to_thread(self.encode, documents)

    async def encode_queries_async(self, queries: list[str]) -> list[list[float]]:
        """As `encode_async`, for texts that are searched for, where the model tells them from documents."""
        return await self.encode_async(queries)

    @classmethod
    def identity(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters on which the vectors depend: all but keys, limits and folders."""
        return {name: value for name, value in sorted(parameters.items()) if name not in _NO_PART_OF_VECTORS}


_NO_PART_OF_VECTORS = frozenset(
    {"api_key", "api_key_env_var", "batch_size", "cache_dir", "cache_folder", "default_headers", "device"}
    | {"local_files_only", "max_retries", "parallel", "providers", "threads", "timeout", "token"}
)
