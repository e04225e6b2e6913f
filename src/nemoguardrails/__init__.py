"""Sluice: guardrails for LLM applications, made for streams. Importing it does no work."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config.rails_config import RailsConfig
    from .llm.frameworks import get_default_framework, register_framework, set_default_framework
    from .llm.providers.registry import register_provider
    from .rails.llmrails import LLMRails
    from .types import (
        ChatMessage,
        FinishReason,
        LLMFramework,
        LLMModel,
        LLMResponse,
        LLMResponseChunk,
        Role,
        ToolCall,
        ToolCallFunction,
        UsageInfo,
    )

    Guardrails = LLMRails

__version__ = "0.1.0"
__all__ = [
    "ChatMessage",
    "FinishReason",
    "Guardrails",
    "LLMFramework",
    "LLMModel",
    "LLMRails",
    "LLMResponse",
    "LLMResponseChunk",
    "RailsConfig",
    "Role",
    "ToolCall",
    "ToolCallFunction",
    "UsageInfo",
    "get_default_framework",
    "register_framework",
    "register_provider",
    "set_default_framework",
]

_HOMES = {
    "Guardrails": "rails.llmrails:LLMRails",
    "LLMRails": "rails.llmrails:LLMRails",
    "RailsConfig": "config.rails_config:RailsConfig",
    "get_default_framework": "llm.frameworks:get_default_framework",
    "register_framework": "llm.frameworks:register_framework",
    "register_provider": "llm.providers.registry:register_provider",
    "set_default_framework": "llm.frameworks:set_default_framework",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .plugins import imported

    found = imported(f"{__name__}.{_HOMES.get(name, f'types:{name}')}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
