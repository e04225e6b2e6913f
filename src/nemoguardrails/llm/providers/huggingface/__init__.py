"""Pipelines of Hugging Face's `transformers` as models that stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING

from .pipeline import HuggingFacePipelineCompatible
from .wrapper import get_llm_instance_wrapper

if TYPE_CHECKING:
    from .streamer import AsyncTextIteratorStreamer

__all__ = ["AsyncTextIteratorStreamer", "HuggingFacePipelineCompatible", "get_llm_instance_wrapper"]


def __getattr__(name: str) -> object:
    # The streamer's base class comes from transformers, which is imported when the streamer is asked for.
    if name == "AsyncTextIteratorStreamer":
        from .streamer import AsyncTextIteratorStreamer

        return AsyncTextIteratorStreamer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
