"""Reads what an OpenAI-compatible guardrails server answers into the typed events of a stream; no I/O."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from ..exceptions import masked
from ..streaming.events import (
    Blocked,
    Failed,
    Finished,
    RailStage,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCalls,
    Usage,
)
from ..types import FinishReason, ToolCall, ToolCallFunction, UsageInfo

_DONE = "[DONE]"


class FrameReader:
    """Reads the frames of one stream, in order.

    Text is only ever a string inside `delta.content`: what a model writes is never taken for a frame.

    Attributes:
        ended: the stream said that it was over; an end without it is an interruption.
    """

    def __init__(self) -> None:
        self.ended = False
        self._finished = False
        self._calls: dict[int, dict[str, str]] = {}

    def read(self, data: str) -> Iterator[StreamEvent]:
        """The events of one frame's data."""
        if self.ended:
            return
        if data.strip() == _DONE:
            self.ended = True
            if not self._finished:
                yield from self._finish(None, None)
            return
        frame = _object(data)
        error = frame.get("error")
        if error is not None:
            self.ended = True
            yield _event_of_error(error if isinstance(error, dict) else {"message": str(error)})
            return
        yield from self._read_chunk(frame)

    def _read_chunk(self, frame: Mapping[str, Any]) -> Iterator[StreamEvent]:
        choices = frame.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            delta = choice.get("delta")
            if isinstance(delta, dict):
                yield from self._read_delta(delta)
            blocked = block_of(frame.get("guardrails"))
            if blocked is not None:
                yield blocked
            if choice.get("finish_reason"):
                yield from self._finish(choice["finish_reason"], frame.get("model"))
        if isinstance(frame.get("usage"), dict):
            yield Usage(_usage(frame["usage"]))

    def _read_delta(self, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        reasoning, content, calls = (delta.get(key) for key in ("reasoning_content", "content", "tool_calls"))
        if isinstance(reasoning, str) and reasoning:
            yield ReasoningDelta(reasoning)
        if isinstance(content, str) and content:
            yield TextDelta(content)
        for fragment in calls if isinstance(calls, list) else ():
            if isinstance(fragment, dict):
                self._gather(fragment)

    def _gather(self, fragment: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(
            int(fragment.get("index") or 0), {"id": "", "name": "", "arguments": ""}
        )
        function = fragment.get("function") or {}
        call["id"] += fragment.get("id") or ""
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""

    def _finish(self, reason: object, model: object) -> Iterator[StreamEvent]:
        self._finished = True
        if self._calls:
            calls = [_call(self._calls[index]) for index in sorted(self._calls)]
            yield ToolCalls(calls)
        yield _finish_of(reason, model)


def events_of_answer(body: Mapping[str, Any]) -> Iterator[StreamEvent]:
    """The events of an answer that was not streamed."""
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    message = choice.get("message") if choice is not None else None
    if choice is None or not isinstance(message, dict):
        yield Failed("The server answered something that is not a chat completion.")
        return
    blocked = block_of(body.get("guardrails"))
    content = message.get("content")
    if blocked is not None and blocked.stage == "output" and choice.get("finish_reason") != "content_filter":
        blocked.reply, content = content, None  # a complete refusal instead of the answer
    if isinstance(content, str) and content:
        yield TextDelta(content)
    if blocked is not None:
        yield blocked
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        functions = [call.get("function") or {} for call in calls if isinstance(call, dict)]
        yield ToolCalls([_call(function) for function in functions])
    if isinstance(body.get("usage"), dict):
        yield Usage(_usage(body["usage"]))
    yield _finish_of(choice.get("finish_reason"), body.get("model"))


def block_of(guardrails: object) -> Blocked | None:
    """The block that a `guardrails` object reports, if it does."""
    if not isinstance(guardrails, dict) or guardrails.get("status") != "blocked":
        return None
    return Blocked(
        rail=str(guardrails.get("rail") or "of the server"),
        reason=_text_or_none(guardrails.get("reason")),
        stage=_stage(guardrails.get("stage")),
        retract_from=_offset(guardrails.get("retract_from")),
    )


def message_of_error(body: object) -> str | None:
    """What an error's body says, in any of the shapes that servers use; `None` if it says nothing."""
    if not isinstance(body, dict):
        return None
    error = body.get("error", body.get("detail"))
    if isinstance(error, dict):
        error = error.get("message")
    if isinstance(error, list):
        error = "; ".join(str(one.get("msg")) for one in error if isinstance(one, dict))
    return str(error) if error else None


def _event_of_error(error: Mapping[str, Any]) -> Blocked | Failed:
    message = masked(str(error.get("message") or "The server ended the stream with an error."))
    code = error.get("code")
    failed = code == "rail_execution_failure"
    if not failed and error.get("type") != "guardrails_violation":
        return Failed(message, code=code if isinstance(code, str | int) else "generation_failed")
    return Blocked(
        rail=str(error.get("rail") or error.get("param") or "of the server"),
        reason=_text_or_none(error.get("reason")),
        stage=_stage(error.get("stage")),
        retract_from=_offset(error.get("retract_from")),
        failed=failed,
        error=message if failed else None,
    )


def _finish_of(reason: object, model: object) -> Finished:
    known: dict[object, FinishReason] = {name: name for name in get_args(FinishReason)}
    found = None if reason is None else known.get(reason, "other")
    return Finished(finish_reason=found, model=_text_or_none(model))


def _stage(given: object) -> RailStage:
    known: dict[object, RailStage] = {name: name for name in get_args(RailStage)}
    return known.get(given, "output")


def _call(call: Mapping[str, Any]) -> ToolCall:
    arguments = _object(str(call.get("arguments") or "{}"))
    function = ToolCallFunction(str(call.get("name") or ""), arguments)
    return ToolCall(id=str(call.get("id") or ""), function=function)


def _usage(usage: Mapping[str, Any]) -> UsageInfo:
    prompt, completion, total = (
        usage.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    return UsageInfo(_count(prompt), _count(completion), _count(total))


def _count(given: object) -> int:
    return given if isinstance(given, int) else 0


def _offset(given: object) -> int | None:
    return given if isinstance(given, int) and given >= 0 else None


def _text_or_none(given: object) -> str | None:
    return given if isinstance(given, str) and given else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
