"""The options of a call: which rails run, what comes back besides the answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from guarded import HI, app, inputs, response, streamed
from nemoguardrails.exceptions import InvalidRailsConfigurationError
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, UsageInfo

RAILS = """
define subflow one
  $seen = execute see(rail="one")

define subflow two
  $seen = execute see(rail="two")

define subflow three
  $seen = execute see(rail="three")
"""
YAML = """
rails:
  input: {flows: [one, two]}
  output:
    flows: [two, three]
    streaming: {enabled: true, chunk_size: 4, context_size: 2, stream_first: false}
"""


def watched(*replies, yaml=YAML, colang=RAILS):
    """An application whose rails note that they ran."""
    ran: list[str] = []

    async def see(rail, context):
        side = "input" if context.get("triggered_input_rail") else "output"
        ran.append(f"{side} {rail}")
        return True

    return app(colang, yaml, *replies, actions={"see": see}), ran


class TestWhichRailsRun:
    @pytest.mark.parametrize(
        ("rails", "ran"),
        [
            ({}, ["input one", "input two", "output two", "output three"]),
            ({"input": False}, ["output two", "output three"]),
            ({"output": False}, ["input one", "input two"]),
            ({"input": ["two"], "output": ["three"]}, ["input two", "output three"]),
            ({"input": [], "output": ["three", "two"]}, ["output two", "output three"]),
            (["input", "dialog"], ["input one", "input two"]),
            (["dialog", "output"], ["output two", "output three"]),
        ],
    )
    async def test_streamed_and_not(self, rails, ran):
        made, whole = watched("Hello")
        got = await response(made, rails=rails)
        assert got.response == [{"role": "assistant", "content": "Hello"}]
        assert whole == ran
        made, windows = watched("Hello")
        assert await streamed(made, options={"rails": rails}) == ["Hello"]
        assert windows == ran

    async def test_input_alone_gives_the_message_back(self):
        colang = 'define subflow one\n  $user_message = "[masked]"\n\ndefine subflow two\n  pass\n'
        made = app(colang, inputs("one", "two"))
        got = await response(made, rails=["input"])
        assert got.response == [{"role": "assistant", "content": "[masked]"}]
        assert await streamed(made, options={"rails": ["input"]}) == ["[masked]"]

    async def test_without_dialog_and_a_given_answer_output_rails_do_not_judge_the_users_text(self):
        made, ran = watched()
        got = await response(made, rails=["input", "output"])
        assert got.response == [{"role": "assistant", "content": "hi"}]
        assert ran == ["input one", "input two"]

    async def test_a_given_answer_is_judged(self):
        made, ran = watched()
        messages = [*HI, {"role": "assistant", "content": "an answer"}]
        options = {"rails": {"dialog": False, "input": False}}
        got = await made.generate_async(messages=messages, options=options)
        assert got.response == [{"role": "assistant", "content": "an answer"}]
        assert ran == ["output two", "output three"]
        assert await streamed(made, None, messages=messages, options=options) == ["an answer"]

    async def test_an_unknown_name_is_an_error_streamed_too(self):
        made, _ = watched("never")
        (error,) = await streamed(made, options={"rails": {"output": ["four"]}})
        assert error.error["message"] == (
            "options.rails.output names `four`, not among the configured: `two`, `three`."
        )
        with pytest.raises(InvalidRailsConfigurationError):
            await response(made, rails={"output": ["four"]})

    async def test_rails_with_parameters_are_named_by_reference_or_flow(self):
        colang = "define subflow check\n  $seen = execute see(rail=$level)\n"
        yaml = inputs("check $level=low", "check $level=high")
        made, ran = watched("a", "b", yaml=yaml, colang=colang)
        await response(made, rails={"input": ["check $level=high"]})
        await response(made, rails={"input": ["check"]})
        assert ran == ["input high", "input low", "input high"]

    async def test_flows_see_the_options_as_plain_data(self):
        colang = """
            define subflow one
              if $generation_options and $generation_options.llm_params.temperature == 0.5
                bot "warm"
                stop
            """
        made = app(colang, inputs("one"), "plain")
        assert (await response(made, llm_params={"temperature": 0.5})).response[0]["content"] == "warm"
        assert await made.generate_async(prompt="hi") == "plain"


class TestWhatComesBack:
    async def test_llm_params_reach_the_answering_call_alone(self):
        made = app(None, None, "a", "b")
        await response(made, llm_params={"temperature": 0.7, "stop": ["x"]})
        await made.generate_async(messages=HI)
        assert [(call.params, call.stop) for call in made.llm.calls] == [
            ({"temperature": 0.7}, ["x"]),
            ({}, ["User:"]),
        ]

    async def test_llm_params_of_a_stream(self):
        made = app(None, None, "a")
        await streamed(made, options={"llm_params": {"temperature": 0.7}})
        assert made.llm.calls[0].params == {"temperature": 0.7}

    async def test_variables(self):
        colang = 'define subflow one\n  $mood = "good"\n  $_secret = 1\n'
        made = app(colang, inputs("one"), "a", "b")
        messages = [{"role": "context", "content": {"name": "Ann"}}, *HI]
        some = await made.generate_async(messages=messages, options={"output_vars": ["mood", "nothing"]})
        assert some.output_data == {"mood": "good", "nothing": None}
        everything = (await made.generate_async(messages=messages, options={"output_vars": True})).output_data
        assert {name: everything[name] for name in ("mood", "name", "user_message", "last_bot_message")} == {
            "mood": "good",
            "name": "Ann",
            "user_message": "hi",
            "last_bot_message": "b",
        }
        assert everything["triggered_input_rail"] is None
        assert everything["last_user_message"] == "hi"
        assert not {"_secret", "i", "input_flows", "output_flows"} & set(everything)

    async def test_the_raw_answer(self):
        raw = LLMResponse(
            ' "Hi"',
            request_id="r1",
            usage=UsageInfo(3, 1, 4),
            provider_metadata={"response_headers": {"a": "b"}},
        )
        got = await response(app(None, None, llm=FakeLLMModel(llm_responses=[raw])), llm_output=True)
        assert got.response == [{"role": "assistant", "content": "Hi"}]
        assert got.llm_output == {
            "content": ' "Hi"',
            "model": "fake",
            "finish_reason": "stop",
            "request_id": "r1",
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
            "provider_metadata": None,
        }
        assert got.usage == {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}

    async def test_provider_metadata(self):
        llm = FakeLLMModel(llm_responses=[LLMResponse("Hi", provider_metadata={"region": "x"})])
        got = await response(app(None, None, llm=llm))
        assert got.llm_metadata == {"region": "x"}

    async def test_everything_is_json(self):
        colang = "define subflow one\n  $found = execute look\n"

        async def look():
            from nemoguardrails.actions.rail_outcome import RailOutcome

            return RailOutcome.allow(reason="fine")

        made = app(colang, inputs("one"), "a", actions={"look": look})
        options = {
            "output_vars": True,
            "llm_output": True,
            "log": {
                "activated_rails": True,
                "llm_calls": True,
                "internal_events": True,
                "colang_history": True,
            },
        }
        got = await made.generate_async(messages=HI, options=options, state={})
        dumped = json.loads(got.model_dump_json())
        assert dumped["output_data"]["found"]["reason"] == "fine"
        assert dumped["response"] == [{"role": "assistant", "content": "a"}]
