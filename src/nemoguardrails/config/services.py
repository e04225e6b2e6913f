"""Documents, embedding search, tracing and metrics sections."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from .schema import ConfigSection
from .secret_values import concealed, revealed


def _read_parameters(given: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = concealed(given)
    # YAML has no `None`; configurations copied from documentation mean null.
    return {key: None if value == "None" else value for key, value in read.items()}


class Document(ConfigSection):
    """A document of the knowledge base; `format` is "md"."""

    format: str
    content: str


class EmbeddingsCacheConfig(ConfigSection):
    """The cache of computed embeddings."""

    enabled: bool = False
    key_generator: str = "sha256"
    store: str = "filesystem"
    store_config: Annotated[dict[str, Any], AfterValidator(concealed)] = Field(default_factory=dict)

    def plain_store_config(self) -> dict[str, Any]:
        """A copy of `store_config` with credentials as plain text."""
        plain: dict[str, Any] = revealed(self.store_config)
        return plain


class EmbeddingSearchProvider(ConfigSection):
    """Who searches by similarity, and with what parameters; credentials in them are `SecretStr`."""

    name: str = "default"
    parameters: Annotated[dict[str, Any], AfterValidator(_read_parameters)] = Field(default_factory=dict)
    cache: EmbeddingsCacheConfig = Field(default_factory=EmbeddingsCacheConfig)

    def plain_parameters(self) -> dict[str, Any]:
        """A copy of `parameters` with credentials as plain text."""
        plain: dict[str, Any] = revealed(self.parameters)
        return plain


class KnowledgeBaseConfig(ConfigSection):
    """The knowledge base: its folder, relative to the configuration, and the search over it."""

    folder: str = "kb"
    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)


class CoreConfig(ConfigSection):
    """The search over user messages, bot messages and flows."""

    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)


class LogAdapterConfig(ConfigSection):
    """One tracing adapter; all keys but `name` are arguments of its constructor."""

    model_config = ConfigDict(extra="allow")

    name: str = "FileSystem"


class TracingConfig(ConfigSection):
    """Tracing: read and checked; this release does not trace yet."""

    enabled: bool = False
    adapters: list[LogAdapterConfig] = Field(default_factory=lambda: [LogAdapterConfig()])
    span_format: Literal["opentelemetry", "legacy"] = "opentelemetry"
    enable_content_capture: bool = False


class MetricsConfig(ConfigSection):
    """OpenTelemetry metrics."""

    enabled: bool = False
