"""Local embeddings with the package `fastembed` (ONNX, no PyTorch)."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any, ClassVar

from ... import plugins
from ...exceptions import ConfigurationError, MissingExtraError
from .base import EmbeddingModel

_MINILM = "all-MiniLM-L6-v2"


class FastEmbedModel(EmbeddingModel):
    """Vectors of `fastembed.TextEmbedding`, computed in worker threads.

    Args:
        model: a model that fastembed knows; `all-MiniLM-L6-v2` means that of `sentence-transformers/`.
        options: keyword arguments of `TextEmbedding`, such as `cache_dir`.

    Raises:
        MissingExtraError: `fastembed` is not installed.
        ConfigurationError: the model could not be loaded, or downloaded at its first use.
    """

    engine_name: ClassVar[str] = "FastEmbed"
    default_model: ClassVar[str | None] = _MINILM
    tells_queries_apart: ClassVar[bool] = True

    def __init__(self, model: str | None = None, **options: Any) -> None:
        try:
            fastembed = plugins.imported("fastembed")
        except ImportError as error:
            raise MissingExtraError("The embedding engine FastEmbed", "embeddings") from error
        name = model or _MINILM
        full = f"sentence-transformers/{name}" if name == _MINILM else name
        try:
            self._model = fastembed.TextEmbedding(full, **options)
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise ConfigurationError(
                f"embeddings, engine FastEmbed: {full!r} could not be loaded "
                f"({type(error).__name__}: {error}). Its files are downloaded at first use; put them into "
                "`cache_dir`, or set `engine: hash`"
            ) from error
        self._size = 384 if name == _MINILM else None

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the package can be found; it is not imported."""
        return importlib.util.find_spec("fastembed") is not None

    def encode(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order."""
        # The package answers with a lazy generator: the work is done here, in the caller's thread.
        return [vector.tolist() for vector in self._model.passage_embed(documents)]

    async def encode_queries_async(self, queries: list[str]) -> list[list[float]]:
        """As `encode_async`, for texts that are searched for."""
        return await asyncio.to_thread(
            lambda: [vector.tolist() for vector in self._model.query_embed(queries)]
        )
