"""What `generate_async` returns for each way of asking."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging

import pytest

from guarded import HI, app, inputs, output, response
from nemoguardrails.exceptions import InvalidRailsConfigurationError, InvalidStateError, LLMCallException
from nemoguardrails.rails.options import GenerationOptions, GenerationResponse
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse

REFUSES = """
define subflow no bombs
  if "bomb" in $user_message
    bot refuse to respond
    stop
"""


class TestShapes:
    async def test_a_prompt_gets_a_text(self):
        assert await app(None, None, "Hello!").generate_async(prompt="hi") == "Hello!"

    async def test_an_empty_prompt_gets_a_message(self):
        assert await app(None, None, "Hm?").generate_async(prompt="") == {
            "role": "assistant",
            "content": "Hm?",
        }

    async def test_messages_get_a_message(self):
        assert await app(None, None, "Hello!").generate_async(messages=HI) == {
            "role": "assistant",
            "content": "Hello!",
        }

    @pytest.mark.parametrize("options", [{}, {"log": {}}, GenerationOptions()])
    async def test_options_get_a_response(self, options):
        of_a_prompt = await app(None, None, "Hello!").generate_async(prompt="hi", options=options)
        of_messages = await app(None, None, "Hello!").generate_async(messages=HI, options=options)
        assert isinstance(of_a_prompt, GenerationResponse)
        assert of_a_prompt.response == "Hello!"
        assert isinstance(of_messages, GenerationResponse)
        assert of_messages.response == [{"role": "assistant", "content": "Hello!"}]
        assert of_messages.log is None
        assert of_messages.state is None

    async def test_plain_chat_loses_white_space_and_quotes_around_the_answer(self):
        assert await app(None, None, '  "Hello!"\n').generate_async(prompt="hi") == "Hello!"

    async def test_passthrough_leaves_the_answer_alone(self):
        made = app(None, "passthrough: true", ' "Hello!"\n')
        assert await made.generate_async(prompt="hi") == ' "Hello!"\n'

    async def test_reasoning_stands_before_the_answer_without_options(self):
        llm = FakeLLMModel(llm_responses=[LLMResponse("Yes.", reasoning="Let me see")] * 2)
        made = app(None, None, llm=llm)
        assert await made.generate_async(prompt="hi") == "<think>Let me see</think>\nYes."
        with_options = await made.generate_async(prompt="hi", options={})
        assert isinstance(with_options, GenerationResponse)
        assert (with_options.response, with_options.reasoning_content) == ("Yes.", "Let me see")

    async def test_the_callers_messages_are_not_changed(self):
        colang = 'define subflow shout\n  $user_message = "HI"\n'
        made = app(colang, inputs("shout", more="passthrough: true"), "ok")
        messages = [{"role": "context", "content": {"a": 1}}, {"role": "user", "content": "hi"}]
        await made.generate_async(messages=messages)
        assert messages == [{"role": "context", "content": {"a": 1}}, {"role": "user", "content": "hi"}]
        assert [message.content for message in made.llm.calls[0].prompt] == ["HI"]


class TestRefusals:
    async def test_an_input_rail_answers_instead_of_the_model(self):
        made = app(REFUSES, inputs("no bombs"), "never")
        assert await made.generate_async(prompt="a bomb") == "I'm sorry, I can't respond to that."
        assert made.llm.inference_count == 0

    async def test_an_output_rail_replaces_the_answer(self):
        colang = """
            define bot refuse to respond
              "No."

            define subflow no cats
              if "cat" in $bot_message
                bot refuse to respond
                stop
            """
        made = app(colang, output("no cats"), "A cat.", "A dog.")
        assert await made.generate_async(prompt="a") == "No."
        assert await made.generate_async(prompt="b") == "A dog."

    async def test_a_rail_that_stops_without_a_word_leaves_an_empty_answer(self):
        made = app("define subflow quiet\n  stop\n", inputs("quiet"))
        assert await made.generate_async(prompt="hi") == ""

    async def test_a_rail_that_speaks_and_goes_on_stands_before_the_answer(self):
        colang = """
            define subflow warn
              bot "Careful."

            define subflow warn again
              bot "Really."
            """
        made = app(colang, inputs("warn", "warn again"), "The answer.")
        assert await made.generate_async(prompt="hi") == "Careful.\nReally.\nThe answer."

    async def test_an_output_rail_that_speaks_and_goes_on_stands_before_the_answer(self):
        colang = """
            define subflow warn
              bot "Unchecked:"

            define subflow block
              if "bad" in $bot_message
                bot "No."
                stop
            """
        made = app(colang, output("warn", "block"), "fine", "bad")
        assert await made.generate_async(prompt="hi") == "Unchecked:\nfine"
        assert await made.generate_async(prompt="hi") == "Unchecked:\nNo."


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({}, "Either prompt or messages must be provided."),
            ({"prompt": "a", "messages": []}, "Only one of prompt or messages can be provided."),
            ({"messages": []}, "messages must not be empty: give at least one user message."),
            (
                {"messages": [{"role": "wizard", "content": "a"}]},
                "messages[0] has the unknown role 'wizard'; known are user, assistant, system, developer, "
                "context, event, tool, exception.",
            ),
            ({"messages": [*HI, {"role": "user"}]}, "messages[1] (role user) has no content."),
            ({"messages": ["hi"]}, "messages[0] must be a dict, got str."),
        ],
    )
    async def test_what_makes_no_sense_is_a_value_error(self, arguments, text):
        with pytest.raises(ValueError) as caught:
            await app(None, None, "never").generate_async(**arguments)
        assert str(caught.value) == text

    async def test_options_of_another_type(self):
        with pytest.raises(TypeError, match=r"^options must be a dict or GenerationOptions$"):
            await app(None, None, "never").generate_async(prompt="hi", options=["log"])  # type: ignore[arg-type]

    @pytest.mark.parametrize("state", [{"version": "2.x"}, {"state": "{}"}, {"a": 1}, {"events": "x"}])
    async def test_a_foreign_state(self, state):
        with pytest.raises(InvalidStateError, match=r"^Invalid Colang 1.0 state format"):
            await app(None, None, "never").generate_async(messages=HI, state=state)

    async def test_an_unknown_rail_in_the_options(self):
        made = app(REFUSES, inputs("no bombs"), "never")
        with pytest.raises(InvalidRailsConfigurationError, match=r"options\.rails\.input names `nobody`"):
            await response(made, rails={"input": ["nobody"]})
        assert made.llm.inference_count == 0


class TestModels:
    async def test_a_failing_model_raises(self):
        made = app(None, None, llm=FakeLLMModel(llm_exception=RuntimeError("boom")))
        with pytest.raises(LLMCallException) as caught:
            await made.generate_async(prompt="hi")
        assert isinstance(caught.value.inner_exception, RuntimeError)

    async def test_without_a_model_each_call_warns_once_and_raises(self, caplog):
        from nemoguardrails import LLMRails, RailsConfig

        made = LLMRails(RailsConfig.from_content(None, "models: []"))
        text = "No main LLM specified in the config and no LLM provided via constructor."
        for _ in range(2):
            caplog.clear()
            with caplog.at_level(logging.WARNING), pytest.raises(LLMCallException, match="No LLM provided"):
                await made.generate_async(prompt="hi")
            assert [record.message for record in caplog.records].count(text) == 1

    async def test_without_a_model_rails_alone_do_not_warn(self, caplog):
        from nemoguardrails import LLMRails, RailsConfig

        made = LLMRails(RailsConfig.from_content(REFUSES, inputs("no bombs")))
        with caplog.at_level(logging.WARNING):
            got = await made.generate_async(messages=HI, options={"rails": ["input"]})
        assert isinstance(got, GenerationResponse)
        assert got.response == [{"role": "assistant", "content": "hi"}]
        assert caplog.records == []

    async def test_update_llm_replaces_the_model(self):
        made = app(None, None, "old")
        made.update_llm(FakeLLMModel(["new"]))
        assert await made.generate_async(prompt="hi") == "new"

    async def test_a_function_answers_in_passthrough_mode(self):
        made = app(None, "passthrough: true", "never")

        async def answer(context, events):
            return f"you said {context['user_message']}", {"raw": len(events)}

        made.passthrough_fn = answer
        got = await response(made, output_vars=["passthrough_output"])
        assert got.response == [{"role": "assistant", "content": "you said hi"}]
        assert got.output_data == {"passthrough_output": {"raw": 2}}
        assert made.llm.inference_count == 0
