"""Context variables of the running call, for users' actions to read; set by `rails/turn.py` alone."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .logging.explain import ExplainInfo, LLMCallInfo
    from .logging.record import TurnRecord

streaming_handler_var: ContextVar[Any] = ContextVar("streaming_handler", default=None)
"""The handler that `generate_async(streaming_handler=)` was given."""

explain_info_var: ContextVar[ExplainInfo | None] = ContextVar("explain_info", default=None)
"""What `explain()` will return for the running call."""

llm_call_info_var: ContextVar[LLMCallInfo | None] = ContextVar("llm_call_info", default=None)
"""An action sets it to name the task of its next model call."""

generation_options_var: ContextVar[Any] = ContextVar("generation_options", default=None)
"""The options of the running call."""

llm_stats_var: ContextVar[Any] = ContextVar("llm_stats", default=None)
raw_llm_request: ContextVar[Any] = ContextVar("raw_llm_request", default=None)
"""The messages of the caller, unaltered."""

reasoning_trace_var: ContextVar[str | None] = ContextVar("reasoning_trace", default=None)
tool_calls_var: ContextVar[list[dict[str, Any]] | None] = ContextVar("tool_calls", default=None)
llm_response_metadata_var: ContextVar[dict[str, Any] | None] = ContextVar(
    "llm_response_metadata", default=None
)

turn_record_var: ContextVar[TurnRecord | None] = ContextVar("turn_record", default=None)
"""The record of the running turn: model calls and actions append to it."""
