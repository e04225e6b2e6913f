"""Connections of the client: used again, closed at once, never left over; and keys, which nothing shows."""


# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import gc
import logging
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loopback import Reply, delta, eventwise, serving, sse
from nemoguardrails.exceptions import (
    LLMAuthenticationError,
    LLMClientError,
    LLMServerError,
)
from nemoguardrails.llm.providers import connections
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient
from nemoguardrails.types import LLMResponseChunk
from openai_calls import ANSWER, KEY, STORY, chat_model, chunks_of, json_reply


@pytest.fixture(autouse=True)
async def _no_connection_is_left() -> AsyncIterator[None]:
    yield
    await connections.close_all()


def text_of(chunks: list[LLMResponseChunk]) -> str:
    return "".join(chunk.delta_content or "" for chunk in chunks)


class Waits:
    """Stands for the clock of retries: notes the delays, waits for none."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class TestConnections:
    async def test_a_connection_is_used_again_after_each_kind_of_end(self) -> None:
        late_end = Reply(eventwise(STORY))
        error = json_reply({"error": {"message": "no"}}, 400)
        async with serving(Reply([STORY]), late_end, error, json_reply(ANSWER), Reply([STORY])) as server:
            model = chat_model(server)
            await chunks_of(model)
            await chunks_of(model)
            with pytest.raises(LLMClientError):
                await chunks_of(model)
            await model.generate_async("x")
            await chunks_of(chat_model(server))
        assert server.connections == 1

    async def test_a_body_that_never_ends_does_not_hold_the_stream(self) -> None:
        async with serving(Reply([STORY], ending="hold")) as server:
            assert text_of(await chunks_of(chat_model(server))) == "Once upon a time."
            await server.client_left()

    async def test_leaving_closes_the_connection_at_once(self) -> None:
        """The one test that looks at a clock: the server must see it within 50 ms."""
        delays = []
        for _ in range(3):
            async with serving(Reply([sse(delta("a"), done=False)], ending="hold")) as server:
                stream = chat_model(server).stream_async("x")
                assert (await anext(stream)).delta_content == "a"
                begun = time.monotonic()
                await stream.aclose()
                delays.append(await server.client_left() - begun)
            if delays[-1] < 0.05:
                return
        pytest.fail(f"the server saw the end after {delays} s")

    async def test_a_cancelled_reader_closes_the_connection(self) -> None:
        async with serving(Reply([sse(delta("a"), done=False)], ending="hold")) as server:
            task = asyncio.create_task(chunks_of(chat_model(server)))
            while not server.sent_packets:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.client_left()

    async def test_a_request_that_is_cancelled_before_its_answer_closes_the_connection(self) -> None:
        never = asyncio.Event()

        def choose(_: Any) -> Reply:
            return Reply([STORY], gates={0: never})

        async with serving(choose=choose) as server:
            task = asyncio.create_task(chat_model(server).generate_async("x"))
            while not server.requests:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.client_left()

    async def test_a_slow_reader_slows_the_server(self) -> None:
        body = [sse(delta("x" * 4000), done=False)] * 5000
        async with serving(Reply(body, ending="hold")) as server:
            stream = chat_model(server).stream_async("x")
            await anext(stream)
            for _ in range(200):
                await asyncio.sleep(0)
            assert server.sent_packets < 5000
            await stream.aclose()

    async def test_nothing_is_sent_before_the_first_chunk_is_asked_for(self) -> None:
        async with serving(Reply([STORY])) as server:
            await chat_model(server).stream_async("x").aclose()
        assert server.connections == 0

    async def test_closing_one_model_leaves_the_others_connections(self) -> None:
        async with serving(Reply([STORY])) as server:
            one, other = chat_model(server), chat_model(server)
            await chunks_of(one)
            await chunks_of(other)
            await one.aclose()
            await chunks_of(other)
            assert server.connections == 1
            await other.aclose()
            await server.client_left()
            await chunks_of(one)
            assert server.connections == 2

    def test_loops_that_end_close_their_connections_without_a_word(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def use(model: list[OpenAIChatModel]) -> float:
            async with serving(Reply([STORY])) as server:
                model.append(chat_model(server))
                return len(await chunks_of(model[0]))

        model: list[OpenAIChatModel] = []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert asyncio.run(use(model)) == asyncio.run(use(model[:0])) == 5
            gc.collect()
        assert not connections._pools
        assert not caplog.records

    async def test_a_stream_that_is_dropped_closes_its_connection(self) -> None:
        async with serving(Reply([sse(delta("a"), done=False)], ending="hold")) as server:
            stream = chat_model(server).stream_async("x")
            await anext(stream)
            del stream
            gc.collect()
            await server.client_left()


class TestSecrets:
    async def test_no_text_shows_a_key(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        echo = {"error": {"message": f"Incorrect API key: {KEY}", "param": KEY}, "headers": [f"Bearer {KEY}"]}
        replies = (
            json_reply(echo, 401, **{"set-cookie": KEY}),
            Reply([sse({"error": {"message": f"bad {KEY}", "code": 401}})]),
            Reply([f"data: {KEY}\n\n".encode()]),
            json_reply(echo, 503),
        )
        async with serving(*replies) as server:
            model = chat_model(server, api_key=KEY, max_retries=1, sleep=Waits())
            shown = [repr(model), str(model), repr(model.client), repr(model._endpoint.base_url)]
            for _ in replies:
                with pytest.raises(LLMClientError) as caught:
                    await chunks_of(model)
                error = caught.value
                shown += [
                    str(error),
                    repr(error),
                    repr(error.body),
                    str(error.response_headers),
                    str(error.param),
                ]
        assert len(server.requests) > 3
        assert KEY not in "\n".join([*shown, caplog.text])
        assert isinstance(error, LLMServerError)

    async def test_a_key_in_a_header_of_its_own_is_hidden_too(self) -> None:
        async with serving(json_reply({"error": {"message": f"bad {KEY}"}}, 403)) as server:
            with pytest.raises(LLMAuthenticationError) as caught:
                await chunks_of(chat_model(server, custom_headers={"Api-Key": KEY}))
        assert KEY not in str(caught.value)
        assert "***" in str(caught.value)

    @pytest.mark.parametrize("url", ["http://example.com/v1", "http://192.168.0.7:8000/v1"])
    def test_a_key_on_an_open_line_is_warned_of(self, url: str) -> None:
        with pytest.warns(UserWarning, match="unencrypted"):
            OpenAICompatibleClient(url, KEY)

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com/v1",
            "http://localhost:1/v1",
            "http://127.0.0.1/v1",
            "http://[::1]/v1",
            "http://box.local/v1",
        ],
    )
    def test_a_key_that_stays_here_or_is_encrypted_is_fine(self, url: str) -> None:
        assert OpenAICompatibleClient(url, KEY).base_url == url

    def test_an_open_line_without_a_key_is_fine(self) -> None:
        assert OpenAICompatibleClient("http://example.com/v1/").base_url == "http://example.com/v1"

    def test_a_password_in_the_address_is_not_shown(self) -> None:
        client = OpenAICompatibleClient("https://user:hunter2@example.com/v1")
        assert "hunter2" not in client.base_url + repr(client)

    async def test_proxies_of_the_environment_are_not_used_unasked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with serving(Reply([STORY])) as proxy, serving(Reply([STORY])) as server:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            await chunks_of(chat_model(server))
            assert not proxy.requests
            await chunks_of(chat_model(server, trust_env=True))
            assert proxy.requests
