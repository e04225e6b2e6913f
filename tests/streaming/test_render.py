"""Events become the strings and dicts that callers of `stream_async` know."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import AsyncGenerator, Sequence

import pytest

from nemoguardrails.streaming.events import (
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
from nemoguardrails.streaming.render import StreamError, dict_chunks, stream_error, text_chunks
from nemoguardrails.types import ToolCall, ToolCallFunction, UsageInfo


async def stream(events: Sequence[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    for event in events:
        yield event


async def strings(*events: StreamEvent) -> list[str]:
    return [chunk async for chunk in text_chunks(stream(events))]


ANSWER: list[StreamEvent] = [
    ReasoningDelta("hm"),
    TextDelta("Hello"),
    TextDelta(" world"),
    ToolCallDelta(0, "c1", "look", "{}"),
    ToolCalls([ToolCall("c1", function=ToolCallFunction("look", {"at": 1}))]),
    Usage(UsageInfo(5, 2, 7)),
    Finished("stop", "gpt-4o"),
]


async def test_strings_are_the_text_alone() -> None:
    assert await strings(*ANSWER) == ["Hello", " world"]


async def test_a_block_is_one_string_of_compact_json() -> None:
    text, error = await strings(TextDelta("ok"), Blocked("chk $lvl=mm", reason="rude", retract_from=1))
    assert type(text) is str
    assert error == (
        '{"error": {"message": "Blocked by chk $lvl=mm rails.", "type": "guardrails_violation", '
        '"param": "chk $lvl=mm", "code": "content_blocked"}}'
    )
    assert isinstance(error, StreamError)
    assert (error.kind, error.retract_from, error.reason) == ("blocked", 1, "rude")
    assert json.loads(error) == {"error": error.error}


async def test_a_rail_that_failed_is_an_internal_error() -> None:
    [error] = await strings(Blocked("check", failed=True, error="ValueError: see https://host/x?key=1 now"))
    assert json.loads(error)["error"] == {
        "message": "Internal error in check rail: ValueError: see [redacted-url] now",
        "type": "internal_error",
        "param": "check",
        "code": "rail_execution_failure",
    }


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (Failed("boom"), ("boom", "generation_error", "generation_failed")),
        (Failed("slow down", "downstream_error", 429), ("slow down", "downstream_error", 429)),
        (Failed("bad sk-abcdefgh"), ("bad sk-***", "generation_error", "generation_failed")),
        (Failed("x" * 500), ("x" * 400 + "... (truncated)", "generation_error", "generation_failed")),
    ],
    ids=["plain", "status", "key", "long"],
)
async def test_a_failure_is_one_string_without_secrets(
    failed: Failed, expected: tuple[str, str, str | int]
) -> None:
    [error] = await strings(failed)
    message, kind, code = expected
    assert json.loads(error) == {"error": {"message": message, "type": kind, "param": None, "code": code}}
    assert isinstance(error, StreamError)
    assert error.kind == "failed"


async def test_an_input_block_shows_as_its_reply_or_as_its_exception() -> None:
    reply = TextDelta("I can't.")
    assert await strings(Blocked("check input", stage="input"), reply, Finished()) == ["I can't."]
    exception = {"type": "InputRailException", "message": "Input not allowed."}
    [error] = await strings(Blocked("check input", stage="input", exception=exception), Finished())
    assert json.loads(error)["error"]["message"] == "Input not allowed."
    assert json.loads(error)["error"]["param"] == "check input"


async def test_dicts_end_with_metadata_and_only_they_do() -> None:
    assert [chunk async for chunk in dict_chunks(stream(ANSWER))] == [
        {"text": "Hello"},
        {"text": " world"},
        {
            "text": "",
            "metadata": {
                "response_metadata": {"finish_reason": "stop", "model_name": "gpt-4o"},
                "usage_metadata": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
                "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
            },
        },
    ]


async def test_metadata_is_none_where_the_provider_told_nothing() -> None:
    nothing = {"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}}
    assert [chunk async for chunk in dict_chunks(stream([Finished()]))] == [nothing]
    told = Finished(provider_metadata={"id": "x"})
    [closing] = [chunk async for chunk in dict_chunks(stream([told]))]
    assert closing["metadata"]["provider_metadata"] == {"id": "x"}


async def test_a_dict_stream_has_the_error_as_text_and_as_object_before_its_metadata() -> None:
    chunks = [chunk async for chunk in dict_chunks(stream([TextDelta("a"), Failed("boom")]))]
    error = stream_error(Failed("boom"))
    assert chunks[:2] == [{"text": "a"}, {"text": str(error), "error": error.error}]
    assert chunks[2]["metadata"] == {"response_metadata": None, "usage_metadata": None}


async def test_reasoning_and_tool_calls_come_when_asked_for() -> None:
    chunks = [chunk async for chunk in dict_chunks(stream(ANSWER), reasoning=True, tool_calls=True)]
    assert chunks[0] == {"text": "", "reasoning": "hm"}
    function = {"name": "look", "arguments": {"at": 1}}
    assert chunks[-1]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]


@pytest.mark.parametrize("render", [text_chunks, dict_chunks])
async def test_leaving_a_rendered_stream_closes_the_events(render: type) -> None:
    closed = False

    async def endless() -> AsyncGenerator[StreamEvent, None]:
        nonlocal closed
        try:
            while True:
                yield TextDelta("x")
        finally:
            closed = True

    chunks = render(endless())
    await anext(chunks)
    await chunks.aclose()
    assert closed


def test_an_error_element_can_be_copied_and_pickled() -> None:
    error = stream_error(Blocked("check", reason="rude", retract_from=3))
    for made in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert made == error
        assert vars(made) == vars(error)
