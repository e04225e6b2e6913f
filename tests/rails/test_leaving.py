"""Callers that leave early, and calls that are cancelled: the model is closed and nothing runs on."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import gc

import pytest

import virtual_clock
from guarded import HI, app, inputs, output
from loopback import Reply, delta, eventwise, serving, sse
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.types import LLMResponse, LLMResponseChunk

YAML = """
models:
  - type: main
    engine: openai
    model: gpt-4o
    parameters: {{base_url: "{url}", api_key: test}}
{more}
"""
PASSES = "define subflow fine\n  pass\n"
RAILS = """
rails:
  output:
    flows: [fine]
    streaming: {enabled: true, chunk_size: 2, context_size: 1, stream_first: false}
"""


class Endless:
    """A model that never ends; knows how much it sent and whether it was closed."""

    model_name, provider_name, provider_url = "endless", "test", None

    def __init__(self, *, pace_s=0.01, minds=True):
        self.pace_s, self.minds, self.sent, self.closed = pace_s, minds, 0, False
        self.asked = 0

    async def generate_async(self, prompt, *, stop=None, **kwargs):
        self.asked += 1
        try:
            await asyncio.sleep(10_000)
        finally:
            self.closed = True
        return LLMResponse("late")

    async def stream_async(self, prompt, *, stop=None, **kwargs):
        self.asked += 1
        try:
            while True:
                await asyncio.sleep(self.pace_s)
                self.sent += 1
                yield LLMResponseChunk(delta_content=f"{self.sent} ")
        finally:
            self.closed = True


def guarded(model):
    return app(PASSES, output("fine").replace("chunk_size: 4, context_size: 2", "chunk_size: 1"), llm=model)


@pytest.mark.parametrize("make", [lambda model: app(None, None, llm=model), guarded], ids=["plain", "rails"])
class TestAStream:
    def test_closing_closes_the_model_at_once(self, make):
        async def play():
            model = Endless()
            stream = make(model).stream_async(prompt="hi")
            got = []
            async for chunk in stream:
                got.append(chunk)
                if len(got) == 3:
                    break
            before, clock = model.sent, asyncio.get_running_loop().time()
            await stream.aclose()
            assert asyncio.get_running_loop().time() == clock
            assert model.sent - before <= 1
            return got, model.closed

        assert virtual_clock.run(play()) == (["1 ", "2 ", "3 "], True)

    def test_cancelling_the_reader_closes_the_model(self, make):
        async def play():
            model = Endless()

            async def read():
                async for _ in make(model).stream_async(prompt="hi"):
                    pass

            task = asyncio.create_task(read())
            await asyncio.sleep(0.055)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return model.sent, model.closed

        assert virtual_clock.run(play()) == (5, True)

    def test_leaving_without_closing_stops_the_model_when_the_iterator_is_collected(self, make):
        async def play():
            model = Endless()
            async for _ in make(model).stream_async(prompt="hi"):
                break
            gc.collect()
            for _ in range(10):
                await asyncio.sleep(0)
            assert model.closed
            sent = model.sent
            await asyncio.sleep(1)
            return model.sent - sent

        assert virtual_clock.run(play()) == 0

    def test_never_iterated_it_asks_nobody(self, make):
        async def play():
            model = Endless()
            stream = make(model).stream_async(prompt="hi")
            await asyncio.sleep(1)
            await stream.aclose()
            assert [chunk async for chunk in stream] == []
            return model.asked

        assert virtual_clock.run(play()) == 0

    def test_a_slow_reader_slows_the_model(self, make):
        async def play():
            model = Endless(pace_s=0)
            stream = make(model).stream_async(prompt="hi")
            for _ in range(3):
                await anext(stream)
                await asyncio.sleep(10)
            sent = model.sent
            await stream.aclose()
            return sent

        assert virtual_clock.run(play()) <= 3 + 64 + 2


class TestAnAnswer:
    def test_cancelling_closes_the_model(self):
        async def play():
            model = Endless()
            made = guarded(model)
            task = asyncio.create_task(made.generate_async(prompt="hi"))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return model.closed, made.explain().colang_history

        assert virtual_clock.run(play()) == (True, 'user "hi"')

    async def test_the_request_to_the_model_is_aborted(self):
        waits = asyncio.Event()
        async with serving(Reply([b"{"], gates={1: waits})) as server:
            made = LLMRails(RailsConfig.from_content(None, YAML.format(url=server.url, more="")))
            task = asyncio.create_task(made.generate_async(prompt="hi"))
            while server.sent_packets == 0:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.client_left()
            await made.aclose()

    @pytest.mark.parametrize("more", ["", RAILS])
    async def test_a_stream_that_is_left_aborts_its_request(self, more):
        events = eventwise(sse(*[delta(f"{n} ") for n in range(40)], delta(finish="stop")))
        reply = Reply(events, headers={"Content-Type": "text/event-stream"}, gates={10: asyncio.Event()})
        async with serving(reply) as server:
            made = LLMRails(RailsConfig.from_content(PASSES, YAML.format(url=server.url, more=more)))
            stream = made.stream_async(prompt="hi")
            assert await anext(stream) == "0 "
            await stream.aclose()
            await server.client_left()
            assert server.sent_packets <= 10
            await made.aclose()


class TestBlocks:
    def test_a_blocked_input_never_reaches_the_model(self):
        async def play():
            model = Endless()
            made = app("define subflow no\n  bot refuse to respond\n  stop\n", inputs("no"), llm=model)
            await made.generate_async(messages=HI)
            return model.asked

        assert virtual_clock.run(play()) == 0

    def test_a_blocked_answer_ends_the_stream_while_the_model_would_go_on(self):
        async def play():
            model = Endless()
            colang = 'define subflow chk\n  if "3" in $bot_message\n    bot refuse to respond\n    stop\n'
            made = app(
                colang, output("chk").replace("chunk_size: 4, context_size: 2", "chunk_size: 1"), llm=model
            )
            got = [str(chunk) async for chunk in made.stream_async(prompt="hi")]
            return got[:2], len(got), model.sent, model.closed

        # A token that ends in a blank waits for the next, since it may be the last of the answer.
        assert virtual_clock.run(play()) == (["1 ", "2 "], 3, 4, True)
