"""The client on a real connection: requests, answers, packets, closing, limits, retries, secrets."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loopback import Reply, bytewise, delta, eventwise, serving, sse, whole
from nemoguardrails.exceptions import (
    LLMClientError,
    LLMConnectionError,
    LLMRateLimitError,
    LLMResponseValidationError,
    LLMServerError,
    LLMStreamInterruptedError,
    LLMTimeoutError,
)
from nemoguardrails.llm.providers import connections
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient, OpenAITextModel
from nemoguardrails.types import ChatMessage, LLMResponseChunk, ToolCall, ToolCallFunction, UsageInfo
from openai_calls import ANSWER, KEY, STORY, chat_model, chunks_of, json_reply


@pytest.fixture(autouse=True)
async def _no_connection_is_left() -> AsyncIterator[None]:
    yield
    await connections.close_all()


async def collect(model: OpenAIChatModel, chunks: list[LLMResponseChunk]) -> None:
    async for chunk in model.stream_async("x"):
        chunks.append(chunk)


def text_of(chunks: list[LLMResponseChunk]) -> str:
    return "".join(chunk.delta_content or "" for chunk in chunks)


class Waits:
    """Stands for the clock of retries: notes the delays, waits for none."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class TestRequests:
    async def test_a_stream_is_asked_for_as_the_protocol_says(self) -> None:
        async with serving(Reply([STORY])) as server:
            model = OpenAIChatModel(
                OpenAICompatibleClient(server.url + "/", KEY, custom_query={"v": "2"}),
                "test-model",
                temperature=0.5,
            )
            await chunks_of(model, stop=["END"], temperature=0.1, top_p=None)
        seen = server.requests[0]
        assert (seen.method, seen.path) == ("POST", "/v1/chat/completions?v=2")
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.json() == {
            "model": "test-model",
            "messages": [{"role": "user", "content": "Tell me a story."}],
            "temperature": 0.1,
            "stop": ["END"],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def test_messages_go_out_with_tool_arguments_as_text(self) -> None:
        call = ToolCall("c1", "function", ToolCallFunction("sum", {"a": "é"}))
        prompt = [
            ChatMessage.from_system("Be kind.", provider_metadata={"inner": 1}),
            ChatMessage.from_assistant(None, tool_calls=[call]),
            ChatMessage.from_tool("3", "c1"),
        ]
        async with serving(json_reply(ANSWER)) as server:
            await chat_model(server).generate_async(prompt, stream=True)
        body = server.requests[0].json()
        assert "stream" not in body
        function = {"name": "sum", "arguments": '{"a": "é"}'}
        assert body["messages"] == [
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
            {"role": "tool", "content": "3", "tool_call_id": "c1"},
        ]

    async def test_custom_headers_replace_ours_whatever_the_case(self) -> None:
        async with serving(Reply([STORY])) as server:
            await chunks_of(
                chat_model(server, api_key=KEY, custom_headers={"AUTHORIZATION": "Basic x", "X-A": "1"})
            )
        assert server.requests[0].headers["authorization"] == "Basic x"
        assert server.requests[0].headers["x-a"] == "1"

    async def test_without_a_key_there_is_no_authorization(self) -> None:
        async with serving(Reply([STORY])) as server:
            await chunks_of(chat_model(server))
        assert "authorization" not in server.requests[0].headers

    async def test_usage_is_not_asked_for_if_the_configuration_says_so(self) -> None:
        async with serving(Reply([STORY])) as server:
            client = OpenAICompatibleClient(server.url)
            await chunks_of(OpenAIChatModel(client, "m", include_usage_in_stream=False))
        assert "stream_options" not in server.requests[0].json()
        assert "include_usage_in_stream" not in server.requests[0].json()

    @pytest.mark.parametrize("model", ["o1", "o3-mini", "gpt-5", "gpt-5.1", "openai/gpt-6-pro"])
    async def test_reasoning_models_get_the_parameters_they_know(self, model: str) -> None:
        async with serving(json_reply(ANSWER)) as server:
            client = OpenAICompatibleClient(server.url)
            await OpenAIChatModel(client, model, temperature=0).generate_async("x", stop=["a"], max_tokens=9)
        assert server.requests[0].json() == {
            "model": model,
            "messages": [{"role": "user", "content": "x"}],
            "max_completion_tokens": 9,
        }

    @pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "gpt-oss-120b", "o1x"])
    async def test_other_models_keep_theirs(self, model: str) -> None:
        async with serving(json_reply(ANSWER)) as server:
            await OpenAIChatModel(OpenAICompatibleClient(server.url), model).generate_async(
                "x", temperature=0
            )
        assert server.requests[0].json()["temperature"] == 0

    async def test_text_mode_uses_the_other_address(self) -> None:
        events = [{"choices": [{"index": 0, "text": text}]} for text in ("to", " be")]
        async with serving(Reply([sse(*events)]), json_reply({"choices": [{"text": "or not"}]})) as server:
            model = OpenAITextModel(OpenAICompatibleClient(server.url), "m")
            assert text_of(await chunks_of(model)) == "to be"
            turns = [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Yes?")]
            assert (await model.generate_async(turns)).content == "or not"
        assert [request.path for request in server.requests] == ["/v1/completions"] * 2
        assert server.requests[0].json()["prompt"] == "Tell me a story."
        assert server.requests[1].json()["prompt"] == "User: Hi\nAssistant: Yes?\nAssistant:"


class TestAnswers:
    async def test_a_whole_answer_is_read(self) -> None:
        async with serving(json_reply(ANSWER, **{"x-request-id": "r", "set-cookie": "a=b"})) as server:
            found = await chat_model(server).generate_async("Hi")
        assert (found.content, found.model, found.finish_reason) == ("Hello.", "test-model-0613", "stop")
        assert (found.request_id, found.usage) == ("chatcmpl-2", UsageInfo(3, 2, 5))
        assert found.provider_metadata is not None
        assert found.provider_metadata["system_fingerprint"] == "fp"
        assert found.provider_metadata["response_headers"]["x-request-id"] == "r"
        assert "set-cookie" not in found.provider_metadata["response_headers"]

    @pytest.mark.parametrize("cut", [whole, eventwise, bytewise])
    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    async def test_a_stream_is_the_same_in_any_packets(self, cut: Any, line_end: str) -> None:
        body = b": hello\n\n" + STORY.replace(b"upon ", "upön 😀 ".encode())
        async with serving(Reply(cut(body.replace(b"\n", line_end.encode())))) as server:
            chunks = await chunks_of(chat_model(server))
        assert [chunk.delta_content for chunk in chunks] == ["Once ", "upön 😀 ", "a time.", None, None]
        assert chunks[3].finish_reason == "stop"
        assert chunks[4].usage == UsageInfo(5, 3, 8)

    async def test_chunks_carry_no_http_headers(self) -> None:
        async with serving(Reply([STORY], headers={"x-secret": "inner"})) as server:
            assert "x-secret" not in repr(await chunks_of(chat_model(server)))

    async def test_a_compressed_stream_is_read(self) -> None:
        packed = gzip.compress(STORY)
        reply = Reply([packed[:20], packed[20:]], headers={"content-encoding": "gzip"})
        async with serving(reply) as server:
            assert text_of(await chunks_of(chat_model(server))) == "Once upon a time."

    async def test_the_end_mark_may_be_missing_after_a_finish(self) -> None:
        async with serving(Reply([sse(delta("a"), delta(finish="stop"), done=False)])) as server:
            assert text_of(await chunks_of(chat_model(server))) == "a"

    async def test_the_last_event_may_lack_its_empty_line(self) -> None:
        async with serving(Reply([STORY.rstrip()])) as server:
            assert (await chunks_of(chat_model(server)))[-1].usage == UsageInfo(5, 3, 8)

    async def test_a_server_that_does_not_stream_gives_one_chunk(self) -> None:
        async with serving(json_reply(ANSWER)) as server:
            chunks = await chunks_of(chat_model(server))
        assert [(chunk.delta_content, chunk.finish_reason) for chunk in chunks] == [("Hello.", "stop")]

    async def test_what_came_before_a_failure_is_delivered(self) -> None:
        body = sse(delta("a"), delta("b"), {"error": {"message": "overloaded", "code": 503}}, done=False)
        async with serving(Reply([body])) as server:
            chunks: list[LLMResponseChunk] = []
            with pytest.raises(LLMServerError, match="overloaded"):
                await collect(chat_model(server), chunks)
        assert text_of(chunks) == "ab"

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (Reply([sse(delta("a"), done=False)]), LLMStreamInterruptedError),
            (Reply([sse(delta("a"), done=False)], ending="cut"), LLMStreamInterruptedError),
            (Reply([sse(delta("a")) [:-30]]), LLMStreamInterruptedError),
            (Reply([b"no event at all"]), LLMStreamInterruptedError),
            (Reply([]), LLMStreamInterruptedError),
            (Reply([b'data: {"choices"\n\n']), LLMResponseValidationError),
            (Reply([b"<html><body>Welcome</body></html>"]), LLMResponseValidationError),
            (Reply([b'{"ok": true}']), LLMResponseValidationError),
            (Reply([b'{"error": {"message": "no", "code": 429}}']), LLMRateLimitError),
            (Reply([], ending="cut"), LLMConnectionError),
        ],
    )  # fmt: skip
    async def test_a_stream_that_is_none_or_breaks_off_is_an_error(
        self, reply: Reply, error: type[LLMClientError]
    ) -> None:
        async with serving(reply) as server:
            with pytest.raises(LLMClientError) as caught:
                await chunks_of(chat_model(server))
        assert type(caught.value) is error

    async def test_a_character_that_is_cut_in_two_is_an_interruption(self) -> None:
        body = sse(delta("schön"), done=False)
        cut = json.dumps(delta("schön"), ensure_ascii=False).encode()
        async with serving(Reply([body, b"data: " + cut[: cut.index("ö".encode()) + 1]])) as server:
            with pytest.raises(LLMStreamInterruptedError):
                await chunks_of(chat_model(server))

    @pytest.mark.parametrize(
        "body", [b"[]", b"{}", b'{"choices": []}', b"<p>hi</p>", b"", b'{"choices": [{}]}']
    )
    async def test_a_whole_answer_that_cannot_be_read_is_an_error(self, body: bytes) -> None:
        async with serving(Reply([body], chunked=False)) as server:
            with pytest.raises(LLMResponseValidationError):
                await chat_model(server).generate_async("x")

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"<html><style>p {}</style><h1>502</h1>\n<p>Bad  gateway</p></html>", "502 Bad gateway"),
            (b'{"error": "model not loaded"}', "model not loaded"),
            (b'{"detail": [{"msg": "field required"}]}', '[{"msg": "field required"}]'),
            (b"", "The server answered with status 502 and no text"),
            (b"x" * 100_000, "x" * 1000 + "... (truncated)"),
        ],
    )
    async def test_an_http_error_speaks_plainly_and_briefly(self, body: bytes, text: str) -> None:
        async with serving(Reply([body], status=502)) as server:
            with pytest.raises(LLMServerError) as caught:
                await chunks_of(chat_model(server))
        assert caught.value.error_message == text
        assert caught.value.status_code == 502
        assert len(str(caught.value.body)) < 1100

    async def test_a_redirect_is_not_followed(self) -> None:
        async with serving(Reply([], status=307, headers={"location": "/elsewhere"})) as server:
            with pytest.raises(LLMClientError, match="307"):
                await chunks_of(chat_model(server, api_key=KEY))
        assert len(server.requests) == 1

    async def test_nobody_there_is_a_connection_error(self) -> None:
        async with serving(Reply()) as server:
            pass
        with pytest.raises(LLMConnectionError) as caught:
            await chunks_of(chat_model(server))
        assert caught.value.status_code == 0


class TestLimits:
    async def test_a_first_token_that_does_not_come_ends_the_request(self) -> None:
        comments = Reply([b": working\n\n"] * 3, ending="hold")
        async with serving(comments) as server:
            with pytest.raises(LLMTimeoutError, match=r"nothing came for 0.05 s") as caught:
                await chunks_of(chat_model(server, first_token_timeout=0.05))
            await server.client_left()
        assert caught.value.status_code == 0

    async def test_an_answer_that_does_not_begin_ends_the_request(self) -> None:
        async with _silent_server() as url:
            model = OpenAIChatModel(OpenAICompatibleClient(url, first_token_timeout=0.05, max_retries=0), "m")
            with pytest.raises(LLMTimeoutError, match=r"nothing came for 0.05 s"):
                await chunks_of(model)

    async def test_a_stream_that_falls_silent_is_ended(self) -> None:
        async with serving(Reply([sse(delta("a"), done=False), b": ping\n\n"], ending="hold")) as server:
            stream = chat_model(server, idle_timeout=0.05).stream_async("x")
            assert (await anext(stream)).delta_content == "a"
            with pytest.raises(LLMTimeoutError, match=r"nothing came for 0.05 s"):
                await anext(stream)
            await server.client_left()

    async def test_the_whole_answer_has_a_limit_too(self) -> None:
        async with serving(Reply([sse(delta("a"), done=False)], ending="hold")) as server:
            model = chat_model(server, timeout=0.05)
            with pytest.raises(LLMTimeoutError, match="whole answer"):
                await chunks_of(model)
            with pytest.raises(LLMTimeoutError, match=r"no answer within 0\.05 s"):
                await model.generate_async("x")

    async def test_a_slow_reader_is_no_slow_server(self) -> None:
        go_on = asyncio.Event()
        packets = [sse(delta("a"), done=False), sse(delta("b"), delta(finish="stop"))]
        async with serving(Reply(packets, gates={1: go_on})) as server:
            stream = chat_model(server, idle_timeout=0.05, timeout=0.1).stream_async("x")
            await anext(stream)
            await asyncio.sleep(0.2)
            go_on.set()
            assert (await anext(stream)).delta_content == "b"
            assert [chunk.finish_reason async for chunk in stream] == ["stop"]


class TestRetries:
    async def test_a_busy_server_is_asked_again(self) -> None:
        waits = Waits()
        busy = json_reply({"error": {"message": "busy"}}, 503)
        async with serving(busy, busy, Reply([STORY])) as server:
            model = chat_model(server, max_retries=2, sleep=waits, jitter=lambda low, high: high)
            assert text_of(await chunks_of(model)) == "Once upon a time."
        assert waits.seconds == [0.5, 1.0]
        assert len(server.requests) == 3

    async def test_a_whole_answer_is_asked_for_again_too(self) -> None:
        async with serving(Reply([], status=500), Reply([b"{"], ending="cut"), json_reply(ANSWER)) as server:
            model = chat_model(server, max_retries=2, sleep=Waits())
            assert (await model.generate_async("x")).content == "Hello."

    @pytest.mark.parametrize(
        ("status", "headers", "requests"),
        [
            (408, {}, 3), (409, {}, 3), (429, {}, 3), (500, {}, 3), (502, {}, 3), (503, {}, 3), (504, {}, 3),
            (400, {}, 1), (401, {}, 1), (404, {}, 1), (501, {}, 1),
            (400, {"x-should-retry": "true"}, 3), (503, {"x-should-retry": "false"}, 1),
        ],
    )  # fmt: skip
    async def test_the_status_decides_unless_the_server_does(
        self, status: int, headers: dict[str, str], requests: int
    ) -> None:
        async with serving(Reply([], status=status, headers=headers)) as server:
            with pytest.raises(LLMClientError) as caught:
                await chunks_of(chat_model(server, max_retries=2, sleep=Waits()))
        assert caught.value.status_code == status
        assert len(server.requests) == requests
        assert caught.value.retryable is (requests > 1)

    @pytest.mark.parametrize(
        ("headers", "waited"),
        [
            ({"retry-after": "3"}, [3.0]),
            ({"retry-after-ms": "1500", "retry-after": "9"}, [1.5]),
            ({"retry-after": "11"}, []),
            ({"retry-after": "nonsense"}, [0.5]),
            ({"retry-after": "-3"}, [0.0]),
        ],
    )
    async def test_the_server_says_how_long_to_wait_within_the_budget(
        self, headers: dict[str, str], waited: list[float]
    ) -> None:
        waits = Waits()
        limited = json_reply({"error": {"message": "slow down"}}, 429, **headers)
        async with serving(limited) as server:
            model = chat_model(server, max_retries=1, sleep=waits, jitter=lambda low, high: high)
            with pytest.raises(LLMRateLimitError) as caught:
                await chunks_of(model)
        assert waits.seconds == waited
        if headers == {"retry-after": "11"}:
            assert caught.value.retry_after_seconds == 11

    async def test_all_waits_together_keep_to_the_budget(self) -> None:
        waits = Waits()
        async with serving(Reply([], status=429, headers={"retry-after": "4"})) as server:
            with pytest.raises(LLMRateLimitError):
                await chunks_of(chat_model(server, max_retries=9, retry_budget=10, sleep=waits))
        assert waits.seconds == [4.0, 4.0]

    async def test_a_stream_that_fails_before_its_first_chunk_is_asked_for_again(self) -> None:
        early = Reply([sse({"error": {"type": "overloaded_error", "message": "busy"}}, done=False)])
        async with serving(early, Reply([], ending="cut"), Reply([STORY])) as server:
            model = chat_model(server, max_retries=2, sleep=Waits())
            assert text_of(await chunks_of(model)) == "Once upon a time."

    async def test_a_stream_that_has_begun_is_never_begun_again(self) -> None:
        late = Reply(
            [sse(delta("a"), {"error": {"type": "overloaded_error", "message": "busy"}}, done=False)]
        )
        async with serving(late) as server:
            with pytest.raises(LLMServerError):
                await chunks_of(chat_model(server, max_retries=2, sleep=Waits()))
        assert len(server.requests) == 1


class _silent_server:
    """Takes connections and says nothing."""

    async def __aenter__(self) -> str:
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(
            lambda _, writer: self._writers.append(writer), "127.0.0.1", 0
        )
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._server.close()
        await self._server.wait_closed()
