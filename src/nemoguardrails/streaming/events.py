"""The typed events of a guarded stream, from the source to the renderer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ..types import FinishReason, ToolCall, UsageInfo

RailStage: TypeAlias = Literal["input", "output", "retrieval", "dialog", "tool_input", "tool_output"]


@dataclass(slots=True)
class TextDelta:
    """Text, never empty. Before the gate one delta is one token; after it, what was let through."""

    text: str
    kind: Literal["text"] = field(default="text", init=False, repr=False)


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning; not part of the text."""

    text: str
    kind: Literal["reasoning"] = field(default="reasoning", init=False, repr=False)


@dataclass(slots=True)
class ToolCallDelta:
    """A fragment of a tool call as it streams; `arguments` is a piece of JSON text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    kind: Literal["tool_call_delta"] = field(default="tool_call_delta", init=False, repr=False)


@dataclass(slots=True)
class ToolCalls:
    """The complete tool calls of the answer; comes once, after their fragments."""

    calls: list[ToolCall]
    kind: Literal["tool_calls"] = field(default="tool_calls", init=False, repr=False)


@dataclass(slots=True)
class Usage:
    """Token counts of the answer."""

    usage: UsageInfo
    kind: Literal["usage"] = field(default="usage", init=False, repr=False)


@dataclass(slots=True)
class Blocked:
    """A rail blocked. With `stage` "output" nothing but the end of the stream follows.

    With any other `stage` the reply of the rail's flow follows as ordinary text; then `Finished`, for
    `stage` "tool_output" perhaps after the refused calls.
    """

    rail: str
    """The flow reference as configured."""
    reason: str | None = None
    """Why, where the rail says so."""
    stage: RailStage = "output"
    retract_from: int | None = None
    """Offset, in characters of the text already handed out, from which it was never cleared;
    `None` where nothing was handed out that was not cleared."""
    reply: str | None = None
    """What the rail's flow says instead; `None` where it says nothing."""
    exception: dict[str, Any] | None = None
    """The exception event of the rail, with `enable_rails_exceptions`."""
    failed: bool = False
    """The rail could not decide (it raised, timed out or answered nonsense)."""
    error: str | None = None
    """With `failed`: what went wrong, without secrets."""
    kind: Literal["blocked"] = field(default="blocked", init=False, repr=False)


@dataclass(slots=True)
class Failed:
    """The source or the turn failed; the stream ends. Never followed by `Finished`."""

    message: str
    type: str = "generation_error"
    code: str | int = "generation_failed"
    param: str | None = None
    error: BaseException | None = field(default=None, compare=False)
    """The exception behind it, for callers in the same process."""
    kind: Literal["failed"] = field(default="failed", init=False, repr=False)


@dataclass(slots=True)
class Finished:
    """The answer ended. Unknown fields are `None`."""

    finish_reason: FinishReason | None = None
    model: str | None = None
    request_id: str | None = None
    provider_metadata: dict[str, Any] | None = None
    kind: Literal["finished"] = field(default="finished", init=False, repr=False)


StreamEvent: TypeAlias = (
    TextDelta | ReasoningDelta | ToolCallDelta | ToolCalls | Usage | Blocked | Failed | Finished
)
