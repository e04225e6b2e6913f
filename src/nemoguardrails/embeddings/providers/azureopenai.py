"""Embeddings of a deployment on Azure OpenAI."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from ...exceptions import InvalidModelConfigurationError
from .http import Call
from .openai import OpenAIEmbeddingModel


class AzureOpenAIEmbeddingModel(OpenAIEmbeddingModel):
    """Vectors of a deployment, which is named in the place of the model.

    Args:
        azure_endpoint: the resource's address; else `AZURE_OPENAI_ENDPOINT`.
        api_version: the version of the interface; else `AZURE_OPENAI_API_VERSION`.

    Raises:
        InvalidModelConfigurationError: address, version, deployment or key are missing.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference
    """

    engine_name: ClassVar[str] = "AzureOpenAI"
    default_model: ClassVar[str | None] = None
    default_base_url: ClassVar[str] = ""
    key_variables: ClassVar[tuple[str, ...]] = ("AZURE_OPENAI_API_KEY",)
    known_sizes: ClassVar[Mapping[str, int]] = {"text-embedding-ada-002": 1536}

    def __init__(
        self,
        model: str | None = None,
        *,
        azure_endpoint: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        **options: Any,
    ) -> None:
        endpoint = azure_endpoint or base_url or os.environ.get("AZURE_OPENAI_ENDPOINT")
        version = api_version or os.environ.get("AZURE_OPENAI_API_VERSION")
        if not endpoint or not version:
            missing = "AZURE_OPENAI_API_VERSION" if endpoint else "AZURE_OPENAI_ENDPOINT"
            raise InvalidModelConfigurationError(
                f"embeddings, engine {self.engine_name}: set {missing} in the environment"
            )
        super().__init__(model, **options)
        self._base_url = endpoint.rstrip("/")
        self._version = version

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        path = (
            f"/openai/deployments/{quote(self.model, safe='')}/embeddings?api-version={quote(self._version)}"
        )
        return Call(path, {"input": list(texts), "encoding_format": "float", **self._options})

    def _key_headers(self, key: str) -> dict[str, str]:
        return {"api-key": key}
