"""Local embeddings with the package `sentence-transformers` (PyTorch)."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from ... import plugins
from ...exceptions import ConfigurationError, MissingExtraError
from .base import EmbeddingModel


class SentenceTransformersModel(EmbeddingModel):
    """Vectors of `sentence_transformers.SentenceTransformer`, computed in worker threads.

    Args:
        model: a name, or a folder with the model's files.
        options: keyword arguments of `SentenceTransformer`; it takes a CUDA device where there is one.

    Raises:
        MissingExtraError: `sentence-transformers` is not installed.
        ConfigurationError: the model could not be loaded, or downloaded at its first use.
    """

    engine_name: ClassVar[str] = "SentenceTransformers"
    default_model: ClassVar[str | None] = "all-MiniLM-L6-v2"
    tells_queries_apart: ClassVar[bool] = True

    def __init__(self, model: str | None = None, **options: Any) -> None:
        try:
            package = plugins.imported("sentence_transformers")
        except ImportError as error:
            raise MissingExtraError("The embedding engine SentenceTransformers", "hf") from error
        name = model or self.default_model
        try:
            self._model = package.SentenceTransformer(name, **options)
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise ConfigurationError(
                f"embeddings, engine SentenceTransformers: {name!r} could not be loaded "
                f"({type(error).__name__}: {error}). Name a folder that holds it, or set `engine: hash`"
            ) from error

    def encode(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order."""
        return self._vectors("encode_document", documents)

    async def encode_queries_async(self, queries: list[str]) -> list[list[float]]:
        """As `encode_async`, for texts that are searched for."""
        return await asyncio.to_thread(self._vectors, "encode_query", queries)

    def _vectors(self, method: str, texts: list[str]) -> list[list[float]]:
        # Releases before 5 make no difference between the two.
        encode = getattr(self._model, method, self._model.encode)
        vectors: list[list[float]] = encode(texts, show_progress_bar=False).tolist()
        return vectors
