"""Face for users: `RailsConfig` and the model of every section of a configuration."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from ...config.models import CacheStatsConfig, Model, ModelCacheConfig, ReasoningModelConfig
from ...config.prompts import Instruction, MessageTemplate, TaskPrompt
from ...config.rails import (
    ActionRails,
    DialogRails,
    InputRails,
    OutputRails,
    OutputRailsStreamingConfig,
    Rails,
    RetrievalRails,
    SingleCallConfig,
    ToolInputRails,
    ToolOutputRails,
    UserMessagesConfig,
)
from ...config.rails_config import ColangSource, RailsConfig
from ...config.references import FlowReference, parse_reference
from ...config.report import LoadReport, ReportEntry
from ...config.sections import RailDefaults, RailSections, RailSettings, settings_class
from ...config.services import (
    CoreConfig,
    Document,
    EmbeddingsCacheConfig,
    EmbeddingSearchProvider,
    KnowledgeBaseConfig,
    LogAdapterConfig,
    MetricsConfig,
    TracingConfig,
)

__all__ = [
    "ActionRails",
    "CacheStatsConfig",
    "ColangSource",
    "CoreConfig",
    "DialogRails",
    "Document",
    "EmbeddingSearchProvider",
    "EmbeddingsCacheConfig",
    "FlowReference",
    "InputRails",
    "Instruction",
    "KnowledgeBaseConfig",
    "LoadReport",
    "LogAdapterConfig",
    "MessageTemplate",
    "MetricsConfig",
    "Model",
    "ModelCacheConfig",
    "OutputRails",
    "OutputRailsStreamingConfig",
    "RailDefaults",
    "RailSections",
    "RailSettings",
    "Rails",
    "RailsConfig",
    "ReasoningModelConfig",
    "ReportEntry",
    "RetrievalRails",
    "SingleCallConfig",
    "TaskPrompt",
    "ToolInputRails",
    "ToolOutputRails",
    "TracingConfig",
    "UserMessagesConfig",
    "parse_reference",
]


def __getattr__(name: str) -> Any:  # Any: the class of a rail's settings, known to the rail alone
    """The settings class of a rail of the library, such as `RegexDetection`; its module is imported now."""
    found = None if name.startswith("_") else settings_class(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
