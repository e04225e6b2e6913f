"""OpenAI's embeddings, and every server that speaks its `POST /embeddings`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .http import Call, HTTPEmbeddingModel


class OpenAIEmbeddingModel(HTTPEmbeddingModel):
    """Vectors of OpenAI's models; `dimensions` and `user` may stand among the parameters.

    Source: https://platform.openai.com/docs/api-reference/embeddings
    """

    engine_name: ClassVar[str] = "openai"
    default_model: ClassVar[str | None] = "text-embedding-3-small"
    default_base_url: ClassVar[str] = "https://api.openai.com/v1"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    known_sizes: ClassVar[Mapping[str, int]] = {
        "text-embedding-ada-002": 1536,
        "text-embedding-3-small": 1536,
        "text-embedding-3-large": 3072,
    }

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        body = {"model": self.model, "input": list(texts), "encoding_format": "float", **self._options}
        return Call("/embeddings", body)

    def _vectors(self, answer: Any) -> list[list[float]]:
        items = answer["data"]
        return [item["embedding"] for item in sorted(items, key=lambda item: int(item["index"]))]
