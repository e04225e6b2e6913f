"""The whole of one guarded answer, gathered from the events of a turn."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, assert_never

from ..streaming.events import Blocked, Failed, Finished, StreamEvent
from ..types import ToolCall, UsageInfo


@dataclass(slots=True)
class Answer:
    """The whole of one guarded answer."""

    pieces: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    usage: UsageInfo | None = None
    finished: Finished | None = None
    blocked: Blocked | None = None
    failed: Failed | None = None

    def add(self, event: StreamEvent) -> None:
        """Takes the next event."""
        match event.kind:
            case "text":
                self.pieces.append(event.text)
            case "reasoning":
                self.reasoning.append(event.text)
            case "tool_call_delta":
                pass  # the complete calls follow
            case "tool_calls":
                self.tool_calls = event.calls
            case "usage":
                self.usage = event.usage
            case "finished":
                self.finished = event
            case "blocked":
                self.blocked = event
            case "failed":
                self.failed = event
            case _:
                assert_never(event)

    @property
    def text(self) -> str:
        """What the user sees: the answer, or what the blocking rail says instead."""
        if self.blocked is not None and self.blocked.stage == "output":
            return self.blocked.reply or ""
        return "".join(self.pieces)

    @property
    def exception(self) -> dict[str, Any] | None:
        """The exception event that is the answer, with `enable_rails_exceptions`."""
        return self.blocked.exception if self.blocked is not None else None


async def fold(events: AsyncIterator[StreamEvent]) -> Answer:
    """The whole answer."""
    answer = Answer()
    async for event in events:
        answer.add(event)
    return answer
