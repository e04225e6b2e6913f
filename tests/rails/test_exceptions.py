"""`enable_rails_exceptions`: the answer is an event instead of a text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from guarded import HI, app, evented, inputs, output, response, streamed
from nemoguardrails.rails.options import GenerationResponse
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.events import Blocked, Finished

RAISES = """
define subflow chk
  create event {name}(message="Not {side}.")
  stop
"""
COUNTING = """
define subflow one
  create event FirstException(message="first")

define subflow two
  create event SecondException(message="second")
  stop
"""


def made_with(side, *replies):
    name = "InputRailException" if side == "input" else "OutputRailException"
    more = "enable_rails_exceptions: true"
    yaml = inputs("chk", more=more) if side == "input" else output("chk", more=more)
    return app(RAISES.format(name=name, side=side), yaml, *replies)


@pytest.mark.parametrize("side", ["input", "output"])
class TestWhole:
    async def test_a_prompt_gets_the_event(self, side):
        got = await made_with(side, "a").generate_async(prompt="hi")
        assert isinstance(got, dict)
        assert set(got) == {"type", "uid", "event_created_at", "source_uid", "message"}
        assert got["type"] == ("InputRailException" if side == "input" else "OutputRailException")
        assert (got["source_uid"], got["message"]) == ("NeMoGuardrails", f"Not {side}.")

    async def test_messages_get_a_message_of_the_role_exception(self, side):
        got = await made_with(side, "a").generate_async(messages=HI)
        assert got["role"] == "exception"
        assert got["content"]["message"] == f"Not {side}."

    async def test_options_get_a_response(self, side):
        made = made_with(side, "a", "a")
        got = await response(made, log={"activated_rails": True})
        assert got.response[0]["role"] == "exception"
        rail = got.log.activated_rails[-1]
        assert (rail.type, rail.decisions, rail.stop) == (side, ["stop"], True)
        of_a_prompt = await made.generate_async(prompt="hi", options={})
        assert isinstance(of_a_prompt, GenerationResponse)
        assert of_a_prompt.response[0]["content"]["message"] == f"Not {side}."


@pytest.mark.parametrize("side", ["input", "output"])
class TestStreamed:
    async def test_one_error_element_with_the_events_message(self, side):
        (error,) = await streamed(made_with(side, "a"))
        assert isinstance(error, StreamError)
        assert error.error == {
            "message": f"Not {side}.",
            "type": "guardrails_violation",
            "param": "chk",
            "code": "content_blocked",
        }

    async def test_typed_events(self, side):
        got = await evented(made_with(side, "a"))
        blocked = got[0]
        assert isinstance(blocked, Blocked)
        assert (blocked.stage, blocked.rail, blocked.reply) == (side, "chk", None)
        assert blocked.exception["message"] == f"Not {side}."
        assert got[1:] == ([Finished("stop")] if side == "input" else [])

    async def test_the_result_is_the_exception(self, side):
        stream = made_with(side, "a").stream_async(messages=HI, options={})
        async for _ in stream:
            pass
        assert (await stream.result).response[0]["role"] == "exception"


class TestFlows:
    async def test_an_exception_event_ends_the_turn_also_without_stop(self):
        got = await app(COUNTING, inputs("one", "two"), "never").generate_async(messages=HI)
        assert got["content"]["type"] == "FirstException"

    async def test_library_rails_follow_the_switch(self):
        more = """  config:
    regex_detection: {input: {patterns: [bomb]}, output: {patterns: [bomb]}}
enable_rails_exceptions: true
"""
        made = app(None, inputs("regex check input", more=more), "never")
        got = await made.generate_async(messages=[{"role": "user", "content": "a bomb"}])
        assert got["content"]["type"] == "InputRailException"
        made = app(None, output("regex check output", more=more), "a bomb", "a bomb")
        whole = await made.generate_async(messages=HI)
        assert whole["content"]["type"] == "OutputRailException"
        text, error = await streamed(made)
        assert (text, error.error["code"]) == ("a ", "content_blocked")

    async def test_without_the_switch_they_refuse_in_words(self):
        more = "  config:\n    regex_detection: {output: {patterns: [bomb]}}\n"
        made = app(None, output("regex check output", more=more), "a bomb", "a bomb")
        assert await made.generate_async(prompt="hi") == "I'm sorry, I can't respond to that."
        text, error = await streamed(made)
        assert (text, error.error["message"]) == ("a ", "Blocked by regex check output rails.")
