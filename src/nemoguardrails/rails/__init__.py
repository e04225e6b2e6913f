"""The pipeline: `LLMRails` and `RailsConfig`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

__all__ = ["LLMRails", "RailsConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .. import plugins

    home = ".llmrails:LLMRails" if name == "LLMRails" else ".llm.config:RailsConfig"
    return plugins.imported(f"{__name__}{home}")
