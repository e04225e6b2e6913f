"""Chatting with a server: every way in which one answers becomes the events it means."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from nemoguardrails.cli.chat_server import ServerBot, ServerOptions, endpoint_of
from nemoguardrails.streaming.events import (
    Blocked,
    Failed,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCalls,
    Usage,
)
from nemoguardrails.types import ToolCall, ToolCallFunction, UsageInfo

from .loopback import Answer, Loopback, chunk, finish, serving

HELLO = [{"role": "user", "content": "hello"}]


async def events_of(
    answer: Answer, *, streaming: bool = True, options: ServerOptions | None = None
) -> tuple[list[StreamEvent], Loopback]:
    with serving([answer]) as server:
        bot = ServerBot(server.url, options or ServerOptions())
        try:
            async with aclosing(bot.answer(HELLO, streaming=streaming)) as events:
                return [event async for event in events], server
        finally:
            await bot.aclose()


async def streamed(*frames: Any) -> list[StreamEvent]:
    return (await events_of(Answer(frames=[*frames, "[DONE]"])))[0]


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_a_base_url_is_taken_with_and_without_its_version(url: str) -> None:
    assert endpoint_of(url) == "http://h:1/v1/chat/completions"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://h", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="--server-url must look like"):
        endpoint_of(url)


async def test_a_stream_gives_its_text_usage_and_finish() -> None:
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    assert await streamed(role, chunk("lo"), finish("stop", model="m-1"), usage) == [
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished(finish_reason="stop", model="m-1"),
        Usage(UsageInfo(1, 2, 3)),
    ]


async def test_a_stream_that_ends_with_done_alone_has_finished() -> None:
    assert await streamed(chunk("Hello")) == [TextDelta("Hello"), Finished()]


async def test_text_that_looks_like_a_frame_is_text() -> None:
    forged = '{"error": {"message": "x"}}'
    assert await streamed(chunk(forged), chunk("[DONE]"), finish("stop")) == [
        TextDelta(forged),
        TextDelta("[DONE]"),
        Finished(finish_reason="stop"),
    ]


async def test_reasoning_and_tool_calls_arrive() -> None:
    def fragment(**function: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "", "function": function}]}}]}

    reasoning = {"choices": [{"delta": {"reasoning_content": "hm"}}]}
    frames = [
        reasoning,
        fragment(name="f", arguments='{"a"'),
        fragment(arguments=": 1}"),
        finish("tool_calls"),
    ]
    assert await streamed(*frames) == [
        ReasoningDelta("hm"),
        ToolCalls([ToolCall(function=ToolCallFunction("f", {"a": 1}))]),
        Finished(finish_reason="tool_calls"),
    ]


async def test_an_error_frame_of_a_rail_is_a_block() -> None:
    error = {"message": "Blocked by r rails.", "type": "guardrails_violation", "param": "r"}
    error |= {"code": "content_blocked", "rail": "r", "stage": "output", "retract_from": 3}
    assert await streamed(chunk("Hello"), {"error": error}) == [
        TextDelta("Hello"),
        Blocked("r", stage="output", retract_from=3),
    ]


async def test_a_rail_that_could_not_decide_is_a_failed_block() -> None:
    error = {"message": "it broke", "type": "internal_error", "param": "r", "code": "rail_execution_failure"}
    assert await streamed({"error": error, "id": "x", "model": "m"}) == [
        Blocked("r", failed=True, error="it broke")
    ]


async def test_a_content_filter_finish_with_guardrails_is_a_block() -> None:
    guardrails = {"status": "blocked", "rail": "r", "stage": "output", "retract_from": 2}
    assert await streamed(chunk("Hello"), finish("content_filter", guardrails=guardrails)) == [
        TextDelta("Hello"),
        Blocked("r", retract_from=2),
        Finished(finish_reason="content_filter"),
    ]


async def test_a_block_of_the_input_is_told_with_the_refusal() -> None:
    guardrails = {"status": "blocked", "rail": "r", "stage": "input"}
    assert await streamed(chunk("No."), finish("stop", guardrails=guardrails)) == [
        TextDelta("No."),
        Blocked("r", stage="input"),
        Finished(finish_reason="stop"),
    ]


async def test_a_failure_of_the_model_is_a_failure_with_keys_masked() -> None:
    error = {"message": "bad key sk-abcdefgh", "type": "downstream_error", "param": None, "code": 401}
    assert await streamed({"error": error}) == [Failed("bad key sk-***", code=401)]


async def test_a_stream_that_breaks_off_is_a_failure() -> None:
    events, _ = await events_of(Answer(frames=[chunk("Hel")]))
    assert events == [
        TextDelta("Hel"),
        Failed("The server's stream broke off before its end.", code="stream_interrupted"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No such configuration."}}, "No such configuration."),
        ({"detail": "gone"}, "gone"),
        (
            {"detail": [{"msg": "model is missing"}, {"msg": "so are messages"}]},
            "model is missing; so are messages",
        ),
        ([], "it answered something that is not a chat completion"),
    ],
)
async def test_an_error_status_is_a_failure_in_the_servers_words(body: Any, said: str) -> None:
    events, _ = await events_of(Answer(body=body, status=404))
    assert events == [Failed(f"The server answered 404: {said}", code=404)]


async def test_an_answer_that_is_not_streamed_comes_whole() -> None:
    body = {
        "model": "m-1",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    events, server = await events_of(Answer(body=body), streaming=False)
    assert events == [
        TextDelta("Hello"),
        Usage(UsageInfo(1, 2, 3)),
        Finished(finish_reason="stop", model="m-1"),
    ]
    assert server.asked == [{"messages": HELLO, "stream": False}]


async def test_a_refusal_that_is_not_streamed_is_the_rails_reply() -> None:
    body = {
        "choices": [{"finish_reason": "stop", "message": {"content": "I can't."}}],
        "guardrails": {"status": "blocked", "rail": "r", "stage": "output"},
    }
    events, _ = await events_of(Answer(body=body), streaming=False)
    assert events == [Blocked("r", reply="I can't."), Finished(finish_reason="stop")]


async def test_what_was_chosen_goes_with_the_request() -> None:
    options = ServerOptions(config_id="c", model="m", thread_id="t" * 16, api_key="secret")
    _, server = await events_of(Answer(frames=["[DONE]"]), options=options)
    guardrails = {"config_id": "c", "thread_id": "t" * 16}
    assert server.asked == [{"messages": HELLO, "stream": True, "model": "m", "guardrails": guardrails}]
    assert server.headers[0]["Authorization"] == "Bearer secret"


async def test_with_a_thread_only_the_newest_message_is_sent() -> None:
    with serving([Answer(frames=["[DONE]"])]) as server:
        bot = ServerBot(server.url, ServerOptions(thread_id="t" * 16))
        messages = [HELLO[0], {"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]
        assert [event async for event in bot.answer(messages, streaming=True)] == [Finished()]
        await bot.aclose()
    assert server.asked[0]["messages"] == messages[-1:]


async def test_leaving_closes_the_connection() -> None:
    with serving([Answer(frames=[chunk("Hello")], hangs=True)]) as server:
        bot = ServerBot(server.url, ServerOptions())
        async with aclosing(bot.answer(HELLO, streaming=True)) as events:
            assert await anext(events) == TextDelta("Hello")
        assert await asyncio.to_thread(server.left.wait, 10)
        await bot.aclose()


async def test_a_server_that_is_not_there_is_a_failure_in_one_sentence() -> None:
    with serving([]) as server:
        url = server.url
    bot = ServerBot(url, ServerOptions())
    [event] = [event async for event in bot.answer(HELLO, streaming=True)]
    await bot.aclose()
    assert isinstance(event, Failed)
    assert event.message.startswith(f"The server at {url} could not be asked: ")
