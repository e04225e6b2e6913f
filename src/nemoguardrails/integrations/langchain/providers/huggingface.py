"""A face: the newer path to the Hugging Face classes."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING

from ....llm.providers import huggingface
from ....llm.providers.huggingface import HuggingFacePipelineCompatible

if TYPE_CHECKING:
    from ....llm.providers.huggingface import AsyncTextIteratorStreamer

__all__ = ["AsyncTextIteratorStreamer", "HuggingFacePipelineCompatible"]


def __getattr__(name: str) -> object:
    # The streamer imports transformers, so it is fetched when it is asked for.
    if name == "AsyncTextIteratorStreamer":
        return huggingface.AsyncTextIteratorStreamer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
