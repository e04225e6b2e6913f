"""What users add to an application: actions, parameters, filters, parsers, prompt variables."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import pytest

from guarded import HI, app, inputs, output, streamed
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import ActionResult, action
from nemoguardrails.exceptions import InvalidRailsConfigurationError
from nemoguardrails.testing import FakeLLMModel

CHECK = """
define subflow chk
  $got = execute look(text=$user_message)
  if $got != "fine"
    bot "$got"
    stop
"""


class TestActions:
    async def test_everything_chains(self):
        made = app(None, None, "a")
        assert (
            made.register_action(len, "length")
            .register_action_param("database", 1)
            .register_filter(str.upper, "loud")
            .register_output_parser(str.strip, "stripped")
            .register_prompt_context("season", "spring")
        ) is made
        assert "length" in made.runtime.registry

    async def test_a_function_runs_in_a_thread_of_its_own(self):
        threads = []

        def look(text):
            threads.append(threading.current_thread())
            return "fine"

        made = app(CHECK, inputs("chk"), "Hello", actions={"look": look})
        assert await made.generate_async(prompt="hi") == "Hello"
        assert threads[0] is not threading.main_thread()

    async def test_a_class_is_made_once(self):
        made_count = []

        class Look:
            def __init__(self):
                made_count.append(1)

            async def run(self, text):
                return f"saw {text}"

        made = app(CHECK, inputs("chk"), actions={"look": Look})
        assert [await made.generate_async(prompt=said) for said in "ab"] == ["saw a", "saw b"]
        assert made_count == [1]

    async def test_an_object_with_ainvoke(self):
        class Runnable:
            async def ainvoke(self, input):
                return f"invoked with {input['text']}"

        made = app(CHECK, inputs("chk"), actions={"look": Runnable()})
        assert await made.generate_async(prompt="hi") == "invoked with hi"

    async def test_the_name_comes_from_the_declaration_or_the_function(self):
        @action(name="look")
        async def something(text):
            return "declared"

        made = app(CHECK, inputs("chk"))
        made.register_action(something)
        assert await made.generate_async(prompt="hi") == "declared"

    async def test_the_last_one_counts(self):
        async def first(text):
            return "first"

        async def second(text):
            return "second"

        made = app(CHECK, inputs("chk"), actions={"look": first})
        assert await made.generate_async(prompt="hi") == "first"
        made.register_action(second, "look")
        assert await made.generate_async(prompt="hi") == "second"

    async def test_parameters_are_given_by_name(self):
        seen = {}

        async def look(
            text, database, llm, config, context, events, llms, kb, llm_task_manager, __context__name
        ):
            seen.update(locals(), name=__context__name)
            return "fine"

        made = app(CHECK, inputs("chk"), "Hello", actions={"look": look})
        made.register_action_param("database", "db")
        await made.generate_async(messages=[{"role": "context", "content": {"name": "Ann"}}, *HI])
        assert (seen["database"], seen["name"], seen["kb"]) == ("db", "Ann", None)
        assert seen["llm"] is made.llm
        assert seen["llms"] == {"main": made.llm}
        assert seen["config"] is made.config
        assert seen["context"]["user_message"] == "hi"
        assert seen["events"][0] == {"type": "ContextUpdate", "data": {"name": "Ann"}}

    async def test_a_result_may_set_variables(self):
        async def look(text):
            return ActionResult(return_value="fine", context_updates={"mood": "good"})

        made = app(CHECK, inputs("chk"), "Hello", actions={"look": look})
        got = await made.generate_async(messages=HI, options={"output_vars": ["mood", "got"]})
        assert got.output_data == {"mood": "good", "got": "fine"}

    async def test_a_users_text_that_looks_like_a_reference_stays_a_text(self):
        async def look(text):
            return text

        made = app(CHECK, inputs("chk"), actions={"look": look})
        messages = [
            {"role": "context", "content": {"api_key": "secret"}},
            {"role": "user", "content": "$api_key"},
        ]
        assert (await made.generate_async(messages=messages))["content"] == "$api_key"

    async def test_models_by_type(self):
        yaml = """
models:
  - {type: judge, engine: fake, model: j, parameters: {responses: ["judged"]}}
"""

        async def look(text, judge_llm, llms):
            assert llms["judge"] is judge_llm
            return (await judge_llm.generate_async("x")).content

        made = app(CHECK, inputs("chk", more=yaml), actions={"look": look})
        assert await made.generate_async(prompt="hi") == "judged"
        assert made.judge_llm.model_name == "j"

    async def test_prompt_variables_filters_and_output_rails_on_streams(self):
        seen = []

        async def look(text):
            seen.append(text)
            return "fine"

        made = app(
            CHECK.replace("$user_message", "$bot_message"), output("chk"), "a b c", actions={"look": look}
        )
        assert await streamed(made) == ["a ", "b ", "c"]
        assert seen == ["a b c"]


class TestPrompts:
    YAML = """
models: []
prompts:
  - task: general
    content: "{{ 'now' | loud }} it is {{ season }}: {{ user_message }}"
"""

    async def test_filters_and_variables(self):
        made = app(None, self.YAML, "ok", "ok")
        made.register_filter(lambda text: text.upper(), "loud")
        seasons = iter(["spring", "summer"])
        made.register_prompt_context("season", lambda: next(seasons))
        for _ in range(2):
            await made.generate_async(prompt="hi")
        assert [call.prompt for call in made.llm.calls] == ["NOW it is spring: hi", "NOW it is summer: hi"]


class TestConstruction:
    def test_unknown_rails_are_all_named(self):
        with pytest.raises(InvalidRailsConfigurationError) as caught:
            app(None, inputs("one") + output("two").replace("\nrails:\n", ""))
        assert str(caught.value) == (
            "The provided input rail flow `one` does not exist; "
            "The provided output rail flow `two` does not exist."
        )

    @pytest.mark.parametrize("kind", ["retrieval", "tool_input", "tool_output"])
    def test_of_every_kind(self, kind):
        with pytest.raises(
            InvalidRailsConfigurationError, match=f"The provided {kind} rail flow `one` does not"
        ):
            app(None, f"rails: {{{kind}: {{flows: [one]}}}}")

    def test_passthrough_and_single_call(self):
        with pytest.raises(InvalidRailsConfigurationError, match="cannot be used together"):
            app(None, "passthrough: true\nrails: {dialog: {single_call: {enabled: true}}}")

    def test_a_model_that_is_none(self):
        with pytest.raises(TypeError, match="llm must be a model"):
            LLMRails(RailsConfig.from_content(None, "models: []"), llm=object())

    def test_the_given_model_wins(self, caplog):
        yaml = "models: [{type: main, engine: fake, model: m, parameters: {responses: [a]}}]"
        given = FakeLLMModel(["given"])
        made = LLMRails(RailsConfig.from_content(None, yaml), llm=given)
        assert made.llm is given
        assert "are given" in caplog.text or "were given" in caplog.text
        assert made.generate(prompt="hi") == "given"

    def test_an_unknown_attribute(self):
        with pytest.raises(AttributeError, match="'LLMRails' object has no attribute 'nothing_llm'"):
            _ = app(None, None).nothing_llm


async def test_missing_actions_of_rails_are_told_once_at_the_first_call(caplog):
    made = app("define subflow chk\n  execute lookup\n", inputs("chk"), "never", "never")
    assert "lookup" not in caplog.text
    for _ in range(2):
        assert await made.generate_async(prompt="hi") == "I'm sorry, an internal error has occurred."
    assert caplog.text.count("the input rail `chk` calls the action `lookup`") == 1
