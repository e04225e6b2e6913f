"""Renders the events of a stream as the strings or dicts of `stream_async`; decides nothing."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from ..exceptions import masked
from ..types import UsageInfo
from .events import (
    Blocked,
    Failed,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCalls,
    Usage,
)

ErrorKind: TypeAlias = Literal["blocked", "failed"]
Events: TypeAlias = AsyncGenerator[StreamEvent, None]

_MAX_MESSAGE_CHARS = 400
_URL = re.compile(r"https?://[^\s'\"<>)\]}]+")


class StreamError(str):
    """The last text element of a stream that a rail blocked or that failed: a JSON text.

    Model text is never of this type, so `isinstance` tells an error from text that looks like one.

    Attributes:
        error: the object under `"error"` of the JSON text: `message`, `type`, `param`, `code`.
        kind: "blocked" by a rail, or "failed" because the model or the turn did.
        retract_from: offset, in characters of the text elements before it, from which that text was
            never cleared; `None` if all of it was.
        reason: why the rail blocked, where it says so.
    """

    error: dict[str, Any]
    kind: ErrorKind
    retract_from: int | None
    reason: str | None

    def __new__(
        cls,
        error: dict[str, Any],
        kind: ErrorKind,
        *,
        retract_from: int | None = None,
        reason: str | None = None,
    ) -> StreamError:
        """The element for an error object."""
        made = super().__new__(cls, json.dumps({"error": error}))
        made.error = error
        made.kind = kind
        made.retract_from = retract_from
        made.reason = reason
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[dict[str, Any], ErrorKind], dict[str, Any]]:
        """What a copy or a pickle is made from."""
        return (self.error, self.kind), {"retract_from": self.retract_from, "reason": self.reason}


def stream_error(event: Blocked | Failed) -> StreamError:
    """The error element for an event that ends a stream."""
    if isinstance(event, Failed):
        error = _error(presentable(event.message), event.type, event.param, event.code)
        return StreamError(error, "failed")
    if event.failed:
        message = presentable(f"Internal error in {event.rail} rail: {event.error or 'it could not decide'}")
        error = _error(message, "internal_error", event.rail, "rail_execution_failure")
    else:
        message = f"Blocked by {event.rail} rails."
        if event.exception is not None:
            message = str(event.exception.get("message") or message)
        error = _error(message, "guardrails_violation", event.rail, "content_blocked")
    return StreamError(error, "blocked", retract_from=event.retract_from, reason=event.reason)


def shown(event: Blocked) -> bool:
    """Whether a block is an element of its own; else the reply that follows it as text is the answer."""
    return event.stage == "output" or event.exception is not None


async def text_chunks(events: Events) -> AsyncGenerator[str, None]:
    """Yields each piece of text as a string; a block or a failure as one `StreamError`, the last."""
    async with aclosing(events):
        async for event in events:
            if type(event) is TextDelta:
                yield event.text
            elif isinstance(event, Failed) or (isinstance(event, Blocked) and shown(event)):
                yield stream_error(event)


async def dict_chunks(
    events: Events, *, reasoning: bool = False, tool_calls: bool = False
) -> AsyncGenerator[dict[str, Any], None]:
    """Yields a dict with the key `"text"` for each piece of text, and one with `"metadata"` at the end.

    The last element's text is empty; its `"metadata"` has `response_metadata` and `usage_metadata`,
    which are `None` where the provider told nothing, and `provider_metadata` and `usage` where it did.
    A block or a failure is an element with `"error"`, the last but one.

    Args:
        reasoning: elements `{"text": "", "reasoning": ...}` for the model's reasoning.
        tool_calls: complete tool calls as a list of dicts under `"tool_calls"` of the last element.
    """
    closing = _Closing()
    async with aclosing(events):
        async for event in events:
            if type(event) is TextDelta:
                yield {"text": event.text}
            elif isinstance(event, ReasoningDelta):
                if reasoning and event.text:
                    yield {"text": "", "reasoning": event.text}
            elif isinstance(event, Failed) or (isinstance(event, Blocked) and shown(event)):
                error = stream_error(event)
                yield {"text": str(error), "error": error.error}
            else:
                closing.take(event)
    yield closing.element(tool_calls=tool_calls)


class _Closing:
    """Gathers what the last element of a stream of dicts tells."""

    def __init__(self) -> None:
        self._finished: Finished | None = None
        self._usage: dict[str, int] | None = None
        self._calls: list[dict[str, Any]] = []

    def take(self, event: StreamEvent) -> None:
        match event:
            case Finished():
                self._finished = event
            case Usage():
                self._usage = usage_dict(event.usage)
            case ToolCalls():
                self._calls += [call.to_dict() for call in event.calls]
            case TextDelta() | ReasoningDelta() | ToolCallDelta() | Blocked() | Failed():
                pass

    def element(self, *, tool_calls: bool) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "response_metadata": response_metadata(self._finished),
            "usage_metadata": self._usage,
        }
        if self._finished is not None and self._finished.provider_metadata:
            metadata["provider_metadata"] = self._finished.provider_metadata
        if self._usage is not None:
            metadata["usage"] = self._usage
        element: dict[str, Any] = {"text": "", "metadata": metadata}
        if tool_calls and self._calls:
            element["tool_calls"] = self._calls
        return element


def usage_dict(usage: UsageInfo) -> dict[str, int]:
    """Token counts as a plain dict, without those the provider did not give."""
    return {key: count for key, count in asdict(usage).items() if count is not None}


def response_metadata(finished: Finished | None) -> dict[str, str] | None:
    """How and by whom the answer ended; `None` if nothing of it is known."""
    if finished is None:
        return None
    known = {"finish_reason": finished.finish_reason, "model_name": finished.model}
    return {key: value for key, value in known.items() if value is not None} or None


def _error(message: str, error_type: str, param: str | None, code: str | int) -> dict[str, Any]:
    return {"message": message, "type": error_type, "param": param, "code": code}


def presentable(message: str) -> str:
    """An error's text without keys and addresses, cut to a bearable length."""
    text = _URL.sub("[redacted-url]", masked(message))
    if len(text) > _MAX_MESSAGE_CHARS:
        text = text[:_MAX_MESSAGE_CHARS] + "... (truncated)"
    return text
