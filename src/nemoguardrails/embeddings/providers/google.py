"""Google's embeddings over the Gemini interface."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .http import Call, HTTPEmbeddingModel


class GoogleEmbeddingModel(HTTPEmbeddingModel):
    """Vectors of Gemini's models, which tell queries from documents.

    Among the parameters may stand `output_dimensionality`, and `task_type` to use one for all texts.

    Source: https://ai.google.dev/api/embeddings
    """

    engine_name: ClassVar[str] = "google"
    default_model: ClassVar[str | None] = "gemini-embedding-001"
    default_base_url: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    tells_queries_apart: ClassVar[bool] = True
    key_variables: ClassVar[tuple[str, ...]] = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    known_sizes: ClassVar[Mapping[str, int]] = {"gemini-embedding-001": 3072}

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        name = self.model if "/" in self.model else f"models/{self.model}"
        task = "RETRIEVAL_QUERY" if is_query else "RETRIEVAL_DOCUMENT"
        shared: dict[str, Any] = {"model": name, "taskType": self._options.get("task_type", task)}
        if "output_dimensionality" in self._options:
            shared["outputDimensionality"] = self._options["output_dimensionality"]
        requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]
        return Call(f"/{name}:batchEmbedContents", {"requests": requests})

    def _vectors(self, answer: Any) -> list[list[float]]:
        return [item["values"] for item in answer["embeddings"]]

    def _key_headers(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}
