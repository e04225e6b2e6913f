"""`rails.input.speculative_generation`: the answer is made beside the input rails, and waits for them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

import virtual_clock
from guarded import activated, app, evented, inputs, response
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.streaming.events import Blocked, Failed, Finished, TextDelta
from nemoguardrails.types import LLMResponse, LLMResponseChunk

SORRY = "I'm sorry, I can't respond to that."
MORE = "    speculative_generation: true\n"
FLOWS = """
define subflow judge
  $ok = execute judge
  if not $ok
    bot refuse to respond
    stop

define subflow mask
  $user_message = execute mask(text=$user_message)
"""


class Model:
    """Answers word by word, one each second by default, and notes when it was asked what."""

    model_name, provider_name, provider_url = "timed", "test", None

    def __init__(self, *words, fails=False, pace=1):
        self.words, self.fails, self.pace = words or ("a ", "b ", "c"), fails, pace
        self.asked = []
        self.closed = []
        self.sent = 0

    def _note(self, prompt):
        loop = asyncio.get_running_loop()
        text = prompt if isinstance(prompt, str) else prompt[-1].content
        self.asked.append((loop.time(), text.strip().splitlines()[-2 if text.endswith("Assistant:") else -1]))

    async def generate_async(self, prompt, *, stop=None, **kwargs):
        self._note(prompt)
        await asyncio.sleep(len(self.words))
        if self.fails:
            raise RuntimeError("boom")
        return LLMResponse("".join(self.words))

    async def stream_async(self, prompt, *, stop=None, **kwargs):
        self._note(prompt)
        try:
            for word in self.words:
                await asyncio.sleep(self.pace)
                self.sent += 1
                yield LLMResponseChunk(delta_content=word)
            if self.fails:
                raise RuntimeError("boom")
        finally:
            self.closed.append(asyncio.get_running_loop().time())


def made_with(model, *flows, takes=2.5, passes=True, more=MORE, yaml=""):
    async def judge():
        await asyncio.sleep(takes)
        return passes

    async def mask(text):
        await asyncio.sleep(takes)
        return text.replace("Ann", "***")

    return app(
        FLOWS,
        inputs(*flows, more=more + "passthrough: true\n" + yaml),
        llm=model,
        actions={"judge": judge, "mask": mask},
    )


async def timed(events):
    loop = asyncio.get_running_loop()
    began = loop.time()
    return [(loop.time() - began, event) async for event in events]


class TestItPasses:
    def test_whole_the_times_overlap(self):
        async def play():
            model = Model()
            answer = await made_with(model, "judge").generate_async(prompt="hi")
            return answer, asyncio.get_running_loop().time(), len(model.asked)

        assert virtual_clock.run(play()) == ("a b c", 3.0, 1)

    def test_streamed_nothing_leaves_before_the_verdict(self):
        got = virtual_clock.run(timed(made_with(Model(), "judge").stream_async(prompt="hi")))
        assert got == [(2.5, "a "), (2.5, "b "), (3.0, "c")]

    def test_switched_off_they_follow_each_other(self):
        got = virtual_clock.run(timed(made_with(Model(), "judge", more="").stream_async(prompt="hi")))
        assert got == [(3.5, "a "), (4.5, "b "), (5.5, "c")]

    def test_a_slow_verdict_stops_a_long_answer_at_a_bound(self):
        async def play():
            model = Model(*["x"] * 500, pace=0.1)
            stream = made_with(model, "judge", takes=20).stream_async(prompt="hi")
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(19)
            sent = model.sent
            await task
            await stream.aclose()
            return sent

        assert virtual_clock.run(play()) == 64

    def test_the_log_has_the_input_first(self):
        got = virtual_clock.run(response(made_with(Model(), "judge"), log={"activated_rails": True}))
        assert [rail[:2] for rail in activated(got)] == [
            ("input", "judge"),
            ("generation", "generate user intent"),
        ]
        assert got.log.activated_rails[1].additional_info is None

    def test_the_prompt_has_the_message(self):
        async def play():
            async def judge():
                return True

            model = Model()
            made = app(FLOWS, inputs("judge", more=MORE), llm=model, actions={"judge": judge})
            await made.generate_async(prompt="my words")
            return model.asked

        ((_, line),) = virtual_clock.run(play())
        assert "my words" in line


class TestItBlocks:
    def test_streamed(self):
        async def play():
            model = Model()
            got = await timed(made_with(model, "judge", passes=False).stream_events_async(prompt="hi"))
            return got, model.closed

        got, closed = virtual_clock.run(play())
        assert got == [
            (2.5, Blocked("judge", stage="input", reply=SORRY)),
            (2.5, TextDelta(SORRY)),
            (2.5, Finished("stop")),
        ]
        assert closed == [2.5]

    def test_whole(self):
        async def play():
            got = await response(made_with(Model(), "judge", passes=False), log={"activated_rails": True})
            return got, asyncio.get_running_loop().time()

        got, time = virtual_clock.run(play())
        assert (got.response[0]["content"], time) == (SORRY, 2.5)
        assert [(rail.name, rail.stop, rail.additional_info) for rail in got.log.activated_rails] == [
            ("judge", True, None),
            ("generate user intent", False, {"speculative": "discarded"}),
        ]

    def test_a_model_that_failed_meanwhile_is_forgotten(self):
        made = made_with(Model(fails=True), "judge", takes=5, passes=False)
        assert virtual_clock.run(made.generate_async(prompt="hi")) == SORRY

    def test_a_rail_that_raises_closes_the_model(self):
        async def play():
            model = Model()
            more = MORE + "  config: {defaults: {on_error: raise, timeout: 1.5}}\n"
            got = await evented(made_with(model, "judge", more=more))
            return got, model.closed

        got, closed = virtual_clock.run(play())
        assert [type(event) for event in got] == [Failed]
        assert closed == [1.5]


class TestARewrite:
    def test_the_answer_to_the_raw_message_is_discarded(self):
        async def play():
            model = Model()
            got = await timed(made_with(model, "mask").stream_async(prompt="I am Ann"))
            return got, model.asked, model.closed

        got, asked, closed = virtual_clock.run(play())
        assert got == [(3.5, "a "), (4.5, "b "), (5.5, "c")]
        assert asked == [(0.0, "I am Ann"), (2.5, "I am ***")]
        assert closed == [2.5, 5.5]

    def test_a_rail_that_leaves_the_message_as_it_is_keeps_it(self):
        async def play():
            model = Model()
            return await made_with(model, "mask").generate_async(prompt="I am Bob"), len(model.asked)

        assert virtual_clock.run(play()) == ("a b c", 1)


class TestEnds:
    def test_a_failing_model_is_told_after_the_verdict(self):
        got = virtual_clock.run(
            timed(made_with(Model("a", fails=True), "judge").stream_events_async(prompt="hi"))
        )
        assert [(time, type(event)) for time, event in got] == [(2.5, TextDelta), (2.5, Failed)]

        async def play():
            with pytest.raises(LLMCallException, match="boom"):
                await made_with(Model("a", fails=True), "judge").generate_async(prompt="hi")

        virtual_clock.run(play())

    def test_leaving_before_the_verdict_closes_the_model(self):
        async def play():
            model = Model()
            task = asyncio.ensure_future(anext(made_with(model, "judge").stream_async(prompt="hi")))
            await asyncio.sleep(1.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return model.closed

        assert virtual_clock.run(play()) == [1.5]

    def test_where_no_model_is_asked_nothing_is_speculated(self):
        async def play():
            model = Model()
            made = made_with(model, "judge")
            await response(made, rails=["input"])
            messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
            await made.generate_async(messages=messages, options={"rails": {"dialog": False}})
            return model.asked

        assert virtual_clock.run(play()) == []
