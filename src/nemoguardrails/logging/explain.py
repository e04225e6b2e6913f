"""What a call did with its models: `LLMCallInfo`, and `ExplainInfo` for `explain()`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field


class LLMCallSummary(BaseModel):
    """The figures of one model call; times in seconds, `started_at` and `finished_at` in Unix time."""

    model_config = ConfigDict(defer_build=True)

    task: str | None = None
    duration: float | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    started_at: float | None = 0
    finished_at: float | None = 0


class LLMCallInfo(LLMCallSummary):
    """One model call: its figures, prompt and completion."""

    id: str = Field(default_factory=lambda: str(uuid4()))
    request_id: str | None = None
    prompt: str | None = None
    completion: str | None = None
    raw_response: dict[str, Any] | None = None
    llm_model_name: str = "unknown"
    llm_provider_name: str = "unknown"
    from_cache: bool = False


class ExplainInfo(BaseModel):
    """The model calls of the latest request, in order, and its history as Colang text."""

    model_config = ConfigDict(defer_build=True)

    llm_calls: list[LLMCallInfo] = Field(default_factory=list)
    colang_history: str | None = None

    def print_llm_calls_summary(self) -> None:
        """Prints one line per model call with its time and tokens."""
        if not self.llm_calls:
            print("No LLM calls were made.")
            return
        duration = sum(call.duration or 0 for call in self.llm_calls)
        tokens = sum(call.total_tokens or 0 for call in self.llm_calls)

        def used(count: int) -> str:
            return f"and used {count} tokens." if tokens else "."

        print(f"Summary: {len(self.llm_calls)} LLM call(s) took {duration:.2f} seconds {used(tokens)}\n")
        for number, call in enumerate(self.llm_calls, 1):
            took = f"took {call.duration or 0:.2f} seconds"
            print(f"{number}. Task `{call.task}` {took} {used(call.total_tokens or 0)}")
        print()

    def print_colang_history(self) -> None:
        """Prints the history of the request as Colang text."""
        print(self.colang_history or "No Colang history.")
