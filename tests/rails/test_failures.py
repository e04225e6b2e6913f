"""Rails that cannot decide: they raise, time out or find no model; and what `on_error` makes of it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging

import pytest

import virtual_clock
from guarded import HI, app, evented, inputs, output, response, streamed
from nemoguardrails.exceptions import LLMCallException, LLMClientError, RailFailedError
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.events import Blocked, Failed, Finished, TextDelta

INTERNAL = "I'm sorry, an internal error has occurred."
FLOW = "define subflow chk\n  $ok = execute judge\n"
DEFAULTS = "  config: {{defaults: {{{} }}}}\n"


async def broken():
    raise ValueError("no luck with sk-abcdefghijklmnopqrstuvwxyz123456")


def made_with(side, *replies, policy="", judge=broken, more="", flow=FLOW):
    defaults = DEFAULTS.format(policy) if policy else ""
    yaml = inputs("chk", more=defaults + more) if side == "input" else output("chk", more=defaults + more)
    return app(flow, yaml, *replies, actions={"judge": judge})


def internal_error(detail="Action judge failed with status: failed"):
    return {
        "message": f"Internal error in chk rail: {detail}",
        "type": "internal_error",
        "param": "chk",
        "code": "rail_execution_failure",
    }


class TestBlockingIsTheDefault:
    @pytest.mark.parametrize("policy", ["", "on_error: block"])
    async def test_an_input_rail(self, policy):
        made = made_with("input", "never", policy=policy)
        assert await made.generate_async(prompt="hi") == INTERNAL
        assert await streamed(made) == [INTERNAL]
        failed = Blocked(
            "chk",
            stage="input",
            reply=INTERNAL,
            failed=True,
            error="Action judge failed with status: failed",
        )
        assert await evented(made) == [failed, TextDelta(INTERNAL), Finished("stop")]
        assert made.llm.inference_count == 0

    @pytest.mark.parametrize("policy", ["", "on_error: block"])
    async def test_an_output_rail(self, policy):
        made = made_with("output", "secret", "secret", policy=policy)
        assert await made.generate_async(prompt="hi") == INTERNAL
        (error,) = await streamed(made)
        assert isinstance(error, StreamError)
        assert error.error == internal_error()

    async def test_the_sentence_is_the_authors_if_he_defines_it(self):
        flow = FLOW + '\ndefine bot inform internal error occurred\n  "Oops."\n'
        for side in ("input", "output"):
            assert await made_with(side, "a", flow=flow).generate_async(prompt="hi") == "Oops."

    async def test_what_was_said_before_stays(self):
        flow = 'define subflow chk\n  bot "Checking."\n  $ok = execute judge\n'
        assert await made_with("input", flow=flow).generate_async(prompt="hi") == f"Checking.\n{INTERNAL}"

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_an_expression_that_fails(self, side):
        made = app(
            "define subflow chk\n  if $nothing.there > 1\n    stop\n",
            inputs("chk") if side == "input" else output("chk"),
            "a",
        )
        assert await made.generate_async(prompt="hi") == INTERNAL

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_an_endless_flow(self, side):
        made = app(
            "define subflow chk\n  while True\n    $x = 1\n",
            inputs("chk") if side == "input" else output("chk"),
            "a",
        )
        assert await made.generate_async(prompt="hi") == INTERNAL

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_a_model_that_a_rail_asks(self, side):
        async def judge():
            raise LLMCallException(LLMClientError(429, "slow down"), detail="Error invoking LLM (model=m)")

        made = made_with(side, "a", "a", judge=judge)
        assert await made.generate_async(prompt="hi") == INTERNAL
        elements = await streamed(made)
        if side == "output":
            assert elements[0].error == internal_error("[429] slow down")
        else:
            assert elements == [INTERNAL]

    async def test_no_message_text_above_debug(self, caplog):
        with caplog.at_level(logging.INFO):
            await made_with("input").generate_async(prompt="my secret words")
        assert "my secret words" not in caplog.text
        assert "sk-abcdef" not in caplog.text
        assert "The input rail `chk` failed: Action judge failed with status: failed" in caplog.text

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_with_rails_exceptions(self, side):
        made = made_with(side, "a", "a", more="enable_rails_exceptions: true")
        got = await made.generate_async(messages=HI)
        assert got["role"] == "exception"
        assert {key: got["content"][key] for key in ("type", "message", "rail", "error_type")} == {
            "type": "RailFailureException",
            "message": "Action judge failed with status: failed",
            "rail": "chk",
            "error_type": "ValueError",
        }
        (error,) = await streamed(made)
        assert error.error == internal_error()


class TestPassing:
    async def test_an_input_rail(self):
        made = made_with("input", "Hello", "Hello", policy="on_error: pass")
        assert await made.generate_async(prompt="hi") == "Hello"
        assert await streamed(made) == ["Hello"]

    async def test_an_output_rail(self):
        made = made_with("output", "Hello", "Hello", policy="on_error: pass")
        assert await made.generate_async(prompt="hi") == "Hello"
        assert await streamed(made) == ["Hello"]

    async def test_what_the_rail_had_begun_to_change_is_forgotten(self):
        flow = 'define subflow chk\n  $user_message = "half"\n  $ok = execute judge\n'
        made = made_with("input", "Hello", policy="on_error: pass", flow=flow)
        got = await response(made, output_vars=["user_message"])
        assert got.output_data == {"user_message": "hi"}

    async def test_the_log_tells(self):
        made = made_with("input", "Hello", policy="on_error: pass")
        rail = (await response(made, log={"activated_rails": True})).log.activated_rails[0]
        assert (rail.stop, rail.additional_info) == (
            False,
            {"failed": "Action judge failed with status: failed"},
        )


class TestRaising:
    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_whole(self, side):
        made = made_with(side, "a", policy="on_error: raise")
        with pytest.raises(
            RailFailedError, match=f"The {side} rail `chk` failed: Action judge failed"
        ) as caught:
            await made.generate_async(prompt="hi")
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_streamed(self, side):
        made = made_with(side, "a", policy="on_error: raise")
        (event,) = await evented(made)
        assert isinstance(event, Failed)
        assert isinstance(event.error, RailFailedError)
        assert event.type == "generation_error"


class TestTimeOuts:
    @pytest.mark.parametrize("side", ["input", "output"])
    def test_a_rail_that_hangs_blocks(self, side):
        cancelled = []

        async def judge():
            try:
                await asyncio.sleep(1000)
            finally:
                cancelled.append(True)

        async def play():
            made = made_with(side, "a", "a", policy="timeout: 2", judge=judge)
            began = asyncio.get_running_loop().time()
            whole = await made.generate_async(prompt="hi")
            took = asyncio.get_running_loop().time() - began
            return whole, took, await streamed(made)

        whole, took, elements = virtual_clock.run(play())
        assert (whole, took) == (INTERNAL, 2.0)
        assert cancelled == [True, True]
        if side == "input":
            assert elements == [INTERNAL]
        else:
            assert elements[0].error == internal_error("No verdict within 2 s")

    def test_thirty_seconds_are_the_default(self):
        async def judge():
            await asyncio.sleep(29.9)
            return True

        async def play():
            return await made_with("input", "Hello", judge=judge).generate_async(prompt="hi")

        assert virtual_clock.run(play()) == "Hello"

    def test_cancelling_is_not_timing_out(self):
        async def judge():
            await asyncio.sleep(1000)

        async def play():
            made = made_with("input", "never", policy="timeout: 2000", judge=judge)
            task = asyncio.create_task(made.generate_async(prompt="hi"))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        virtual_clock.run(play())


class TestMissingActions:
    async def test_the_name_of_a_missing_action_stays_inside(self):
        made = app("define subflow chk\n  execute nobody\n", inputs("chk"), "never")
        assert await made.generate_async(prompt="hi") == INTERNAL
