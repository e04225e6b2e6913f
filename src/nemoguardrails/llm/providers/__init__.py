"""Providers of models: registering them and listing their names."""

# SPDX-License-Identifier: Apache-2.0

from .registry import (
    get_chat_provider_names,
    get_community_chat_provider_names,
    get_llm_provider_names,
    get_provider_names,
    register_chat_provider,
    register_llm_provider,
    register_provider,
)

__all__ = [
    "get_chat_provider_names",
    "get_community_chat_provider_names",
    "get_llm_provider_names",
    "get_provider_names",
    "register_chat_provider",
    "register_llm_provider",
    "register_provider",
]
