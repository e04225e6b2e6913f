"""Rails that run side by side, on messages and on answers."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

import virtual_clock
from guarded import activated, app, evented, inputs, output, response, streamed
from nemoguardrails.streaming.events import Blocked

SORRY = "I'm sorry, I can't respond to that."
FLOWS = """
define subflow slow
  $ok = execute judge(rail="slow", seconds=3)
  if not $ok
    bot "slow refuses"
    stop

define subflow quick
  $ok = execute judge(rail="quick", seconds=1)
  if not $ok
    bot "quick refuses"
    stop

define subflow plain
  if "never" in "ever"
    stop

define subflow shout
  $user_message = "HI"
"""
PARALLEL = "    parallel: true\n"


class Judge:
    """Rails that take their time; those named refuse."""

    def __init__(self, *refusing: str) -> None:
        self.refusing = refusing
        self.began: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []

    async def __call__(self, rail, seconds, context):
        self.began.append(rail)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(rail)
            raise
        self.ended.append(rail)
        return rail not in self.refusing


def made_with(side, judge, *flows, replies=("Hello",)):
    yaml = (
        inputs(*flows, more=PARALLEL)
        if side == "input"
        else output(*flows).replace("    streaming:", f"{PARALLEL}    streaming:")
    )

    async def run(rail, seconds, context):
        return await judge(rail, seconds, context)

    return app(FLOWS, yaml, *replies, actions={"judge": run})


async def timed(work):
    loop = asyncio.get_running_loop()
    began = loop.time()
    return await work, loop.time() - began


class TestTime:
    @pytest.mark.parametrize("side", ["input", "output"])
    def test_they_overlap(self, side):
        judge = Judge()
        made = made_with(side, judge, "slow", "quick", "plain", replies=("Hello", "Hello"))
        assert virtual_clock.run(timed(made.generate_async(prompt="hi"))) == ("Hello", 3.0)
        assert judge.began == ["slow", "quick"]
        assert virtual_clock.run(timed(streamed(made))) == (["Hello"], 3.0)

    @pytest.mark.parametrize("side", ["input", "output"])
    def test_the_first_that_refuses_cancels_the_others(self, side):
        judge = Judge("quick", "slow")
        made = made_with(side, judge, "slow", "quick")
        assert virtual_clock.run(timed(made.generate_async(prompt="hi"))) == ("quick refuses", 1.0)
        assert (judge.ended, judge.cancelled) == (["quick"], ["slow"])

    def test_on_a_stream_too(self):
        judge = Judge("quick")
        made = made_with("output", judge, "slow", "quick", replies=("a b c",))
        events, took = virtual_clock.run(timed(evented(made)))
        assert (events, took) == ([Blocked("quick", reply="quick refuses")], 1.0)
        assert judge.cancelled == ["slow"]


class TestInput:
    def test_the_refusing_rail_alone_is_in_the_log(self):
        made = made_with("input", Judge("quick"), "slow", "quick")
        got = virtual_clock.run(response(made, log={"activated_rails": True}))
        assert activated(got) == [
            ("input", "quick", ["execute judge", "stop"], ["judge"], True),
        ]

    def test_rails_that_rewrite_run_first(self):
        judge = Judge()
        made = made_with("input", judge, "quick", "shout", "slow")
        got = virtual_clock.run(response(made, log={"activated_rails": True}))
        assert [rail[1] for rail in activated(got)] == ["shout", "quick", "slow", "generate user intent"]
        assert "HI" in str(made.llm.calls[0].prompt)

    async def test_rails_without_actions_are_bounded(self):
        made = app(FLOWS, inputs("plain", "plain $x=1", more=PARALLEL), "Hello")
        assert await made.generate_async(prompt="hi") == "Hello"

    async def test_changes_are_joined_in_configured_order(self):
        colang = """
            define subflow a
              $first = 1
              $both = "a"

            define subflow b
              $second = 2
              $both = "b"

            define subflow c
              $other = $first
            """
        made = app(colang, inputs("a", "b", "c", more=PARALLEL), "Hello")
        messages = [
            {"role": "context", "content": {"first": 0, "second": 0, "both": ""}},
            {"role": "user", "content": "hi"},
        ]
        options = {"output_vars": ["first", "second", "both", "other"]}
        got = await made.generate_async(messages=messages, options=options)
        assert got.output_data == {"first": 1, "second": 2, "both": "b", "other": 0}

    async def test_a_failing_rail_stops(self):
        async def judge(rail, seconds):
            raise ValueError("no")

        made = app(FLOWS, inputs("plain", "quick", more=PARALLEL), "never", actions={"judge": judge})
        assert await made.generate_async(prompt="hi") == "I'm sorry, an internal error has occurred."

    def test_leaving_cancels_them_all(self):
        judge = Judge()
        made = made_with("input", judge, "slow", "quick")

        async def play():
            task = asyncio.create_task(made.generate_async(prompt="hi"))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        virtual_clock.run(play())
        assert sorted(judge.cancelled) == ["quick", "slow"]


class TestOutput:
    async def test_whole_rails_do_not_undo_each_others_variables(self):
        colang = """
            define subflow a
              $first = 1

            define subflow b
              $ok = execute wait
              $second = 2
            """

        async def wait():
            await asyncio.sleep(0)
            return True

        yaml = output("a", "b").replace("    streaming:", f"{PARALLEL}    streaming:")
        made = app(colang, yaml, "Hello", actions={"wait": wait})
        messages = [
            {"role": "context", "content": {"first": 0, "second": 0}},
            {"role": "user", "content": "hi"},
        ]
        got = await made.generate_async(messages=messages, options={"output_vars": ["first", "second"]})
        assert got.output_data == {"first": 1, "second": 2}
