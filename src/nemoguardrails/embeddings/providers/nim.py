"""Embeddings of NVIDIA NIM, hosted or self-hosted."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from .http import Call
from .openai import OpenAIEmbeddingModel


class NIMEmbeddingModel(OpenAIEmbeddingModel):
    """Vectors of NIM's retrieval models, which tell queries from passages.

    Source: https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html
    """

    engine_name: ClassVar[str] = "nim"
    default_model: ClassVar[str | None] = "nvidia/nv-embedqa-e5-v5"
    default_base_url: ClassVar[str] = "https://integrate.api.nvidia.com/v1"
    tells_queries_apart: ClassVar[bool] = True
    key_variables: ClassVar[tuple[str, ...]] = ("NVIDIA_API_KEY",)
    known_sizes: ClassVar[Mapping[str, int]] = {"nvidia/nv-embedqa-e5-v5": 1024}

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        path, body = super()._request(texts, is_query=is_query)
        return Call(path, {"input_type": "query" if is_query else "passage", "truncate": "END", **body})
