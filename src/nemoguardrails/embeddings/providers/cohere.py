"""Cohere's embeddings, version 2 of its interface."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .http import Call, HTTPEmbeddingModel


class CohereEmbeddingModel(HTTPEmbeddingModel):
    """Vectors of Cohere's models, which tell queries from documents.

    Among the parameters `input_type` replaces `search_document`; texts searched for are always
    `search_query`, unless `input_type` is one that makes no such difference (`classification`, `clustering`).

    Source: https://docs.cohere.com/reference/embed
    """

    engine_name: ClassVar[str] = "cohere"
    default_model: ClassVar[str | None] = "embed-v4.0"
    default_base_url: ClassVar[str] = "https://api.cohere.com"
    tells_queries_apart: ClassVar[bool] = True
    key_variables: ClassVar[tuple[str, ...]] = ("COHERE_API_KEY", "CO_API_KEY")
    known_sizes: ClassVar[Mapping[str, int]] = {
        "embed-v4.0": 1536,
        "embed-english-v3.0": 1024,
        "embed-multilingual-v3.0": 1024,
        "embed-english-light-v3.0": 384,
        "embed-multilingual-light-v3.0": 384,
    }

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        options = dict(self._options)
        kind = options.pop("input_type", "search_document")
        if is_query and kind == "search_document":
            kind = "search_query"
        body = {"model": self.model, "texts": list(texts), "input_type": kind, "embedding_types": ["float"]}
        return Call("/v2/embed", {**body, **options})

    def _vectors(self, answer: Any) -> list[list[float]]:
        vectors: list[list[float]] = answer["embeddings"]["float"]
        return vectors
