"""Prompts are rendered from templates and shortened by whole turns, and answers are parsed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.exceptions import ConfigurationError
from nemoguardrails.llm.taskmanager import LLMTaskManager, PromptTooLongError
from nemoguardrails.llm.types import Task

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 50_000}}
PARTS = [{"type": "text", "text": "what is this?"}, IMAGE]


def manager(*prompts: dict[str, Any], **settings: Any) -> LLMTaskManager:
    given = [{"task": "generate_x", **prompt} for prompt in prompts]
    instructions = [{"type": "general", "content": "Be kind."}, {"type": "general", "content": "second"}]
    return LLMTaskManager(
        RailsConfig.model_validate(
            {
                "models": [],
                "prompts": given,
                "instructions": instructions,
                "sample_conversation": "SAMPLE",
                **settings,
            }
        )
    )


def turns(count: int, text: str = "message {}") -> list[dict[str, Any]]:
    """A conversation of so many turns; the last one awaits its answer."""
    events: list[dict[str, Any]] = []
    for number in range(count):
        said = text.format(number)
        events.append({"type": "UtteranceUserActionFinished", "final_transcript": said})
        events.append({"type": "UserMessage", "text": said})
        if number < count - 1:
            events.append({"type": "StartUtteranceBotAction", "script": f"answer {number}"})
    return events


def test_the_general_prompt_holds_instructions_and_conversation() -> None:
    assert manager().render_task_prompt(Task.GENERAL, {}, turns(2)) == [
        {"type": "system", "content": "Be kind."},
        {"type": "user", "content": "message 0"},
        {"type": "assistant", "content": "answer 0"},
        {"type": "user", "content": "message 1"},
    ]


def test_retrieved_text_reaches_the_general_prompt_of_every_style() -> None:
    text = {"models": [{"type": "main", "engine": "openai", "model": "davinci", "mode": "text"}]}
    for settings in ({}, text):
        rendered = manager(**settings).render_task_prompt("general", {"relevant_chunks": "CHUNK"}, turns(1))
        assert "CHUNK" in str(rendered)
        assert "CHUNK" not in str(manager(**settings).render_task_prompt("general", {}, turns(1)))


def test_a_completion_prompt_ends_where_the_assistant_speaks() -> None:
    models = [{"type": "main", "engine": "openai", "model": "davinci", "mode": "text"}]
    rendered = manager(models=models).render_task_prompt("general", {}, turns(1))
    assert isinstance(rendered, str)
    assert rendered.endswith("User: message 0\nAssistant:")


def test_the_dialog_prompts_show_the_conversation_as_colang() -> None:
    events = [*turns(1), {"type": "UserIntent", "intent": "ask"}, {"type": "BotIntent", "intent": "answer"}]
    made = manager()
    variables = {
        "examples": "EXAMPLES",
        "potential_user_intents": "ask, greet",
        "instructions": "Find it.",
        "var_name": "it",
    }
    for task in (
        "generate_user_intent",
        "generate_bot_message",
        "generate_intent_steps_message",
        "generate_value",
    ):
        rendered = str(made.render_task_prompt(task, variables, events))
        assert 'user "message 0"\\n  ask\\nbot answer' in rendered
        assert "EXAMPLES" in rendered
    assert "user ask\\nbot answer" in str(made.render_task_prompt("generate_next_steps", variables, events))


def test_a_text_prompt_can_be_forced_into_a_message() -> None:
    made = manager({"content": "Say {{ word }}{{ unknown }}."})
    assert made.render_task_prompt("generate_x", {"word": "hi"}) == "Say hi."
    forced = made.render_task_prompt("generate_x", {"word": "hi"}, force_string_to_message=True)
    assert forced == [{"type": "user", "content": "Say hi."}]


def test_blank_messages_are_left_out_and_lists_are_spliced_in() -> None:
    made = manager(
        {
            "messages": [
                {"type": "system", "content": "{% if rule %}{{ rule }}{% endif %} "},
                "{{ history | to_chat_messages }}",
                {"type": "user", "content": "{{ sample_conversation_two_turns }}"},
            ]
        }
    )
    assert made.render_task_prompt("generate_x", {}, turns(1)) == [
        {"type": "user", "content": "message 0"},
        {"type": "user", "content": "SAMPLE"},
    ]


def test_a_list_template_must_give_a_list() -> None:
    for template in ("{{ sample_conversation }}", "some text"):
        with pytest.raises(ConfigurationError, match=r"generate_x.*list of messages"):
            manager({"messages": [template]}).render_task_prompt("generate_x", {}, [])


def test_a_broken_template_names_its_task() -> None:
    with pytest.raises(ConfigurationError, match=r"generate_x.*line 1"):
        manager({"content": "{% if %}"}).render_task_prompt("generate_x")


def test_registered_values_override_the_context_and_instructions_cannot_be_set_by_it() -> None:
    made = manager({"content": "{{ a }}{{ b }} {{ general_instructions }}"})
    calls: list[int] = []
    made.register_prompt_context("a", lambda: calls.append(1) or len(calls))
    made.register_prompt_context("unused", lambda: calls.append(99))
    context = {"a": "x", "b": "y", "general_instructions": "Be evil."}
    assert made.render_task_prompt("generate_x", context) == "1y Be kind."
    assert made.render_task_prompt("generate_x", context) == "2y Be kind."
    assert made.prompt_context.keys() == {"a", "unused"}


def test_filters_may_be_registered_at_any_time() -> None:
    made = manager({"content": "{{ a | colang_twice }}{{ 'x' | upper }}"})
    with pytest.raises(ConfigurationError, match="colang_twice"):
        made.render_task_prompt("generate_x", {"a": "b"})
    made.register_filter(lambda value: value * 2, "colang_twice")
    assert made.render_task_prompt("generate_x", {"a": "b"}) == "bbX"


def test_parsers_are_those_of_the_prompt_or_forced() -> None:
    made = manager({"content": "x", "output_parser": "user_intent", "stop": ["\n"], "max_tokens": 7})
    assert made.parse_task_output("generate_x", "User intent: greet") == "greet"
    assert made.parse_task_output("generate_x", "safe", forced_output_parser="is_content_safe") == [True]
    assert made.parse_task_output("generate_x", " as it is ", forced_output_parser="unknown") == " as it is "
    assert made.has_output_parser("generate_x")
    assert not made.has_output_parser("general")
    assert (made.get_stop_tokens("generate_x"), made.get_max_tokens("generate_x")) == (["\n"], 7)
    assert (made.get_stop_tokens("general"), made.get_max_tokens("general")) == (None, None)
    made.register_output_parser(len, "length")
    assert made.parse_task_output("generate_x", "abc", forced_output_parser="length") == 3
    assert "length" not in manager().output_parsers


@pytest.mark.parametrize("template", ["{{ user_input }}", "{{ user_input or '' }}"])
def test_a_template_that_is_one_variable_passes_parts_on(template: str) -> None:
    made = manager({"messages": [{"type": "user", "content": template}]})
    assert made.render_task_prompt("generate_x", {"user_input": PARTS}) == [
        {"type": "user", "content": PARTS}
    ]
    assert made.render_task_prompt("generate_x", {"user_input": "hi"}) == [{"type": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "template", ["Judge: {{ user_input }}\nNow!", "{# c #}Judge: {{ user_input }}\nNow!"]
)
def test_parts_within_a_text_stay_parts(template: str) -> None:
    content = [{"type": "text", "text": "Judge: "}, *PARTS, {"type": "text", "text": "\nNow!"}]
    for prompt in ({"content": template}, {"messages": [{"type": "user", "content": template}]}):
        made = manager(prompt)
        assert made.render_task_prompt("generate_x", {"user_input": PARTS}) == [
            {"type": "user", "content": content}
        ]


def test_an_image_does_not_count_by_its_data() -> None:
    made = manager({"content": "{{ user_input }}", "max_length": 60})
    assert made.render_task_prompt("generate_x", {"user_input": PARTS})


def test_a_long_conversation_loses_its_oldest_turns_in_few_renderings() -> None:
    renderings: list[int] = []

    def counted(events: list[Any]) -> list[Any]:
        renderings.append(len(events))
        return [{"type": "user", "content": e["text"]} for e in events if e["type"] == "UserMessage"]

    made = manager({"messages": ["{{ history | counted }}"], "max_length": 1_200})
    made.register_filter(counted, "counted")
    rendered = made.render_task_prompt("generate_x", {}, turns(1_000, "message {:03}"))
    assert [message["content"] for message in rendered] == [f"message {n:03}" for n in range(891, 1_000)]
    assert len(renderings) <= 12
    assert sum(renderings) <= 3 * 2_999


@pytest.mark.parametrize("fits", range(1, 6))
def test_exactly_the_turns_that_fit_are_kept(fits: int) -> None:
    events = [{"type": "UserMessage", "text": "x" * 10} for _ in range(5)]
    made = manager({"content": "{{ history | user_assistant_sequence }}", "max_length": 17 * fits})
    rendered = made.render_task_prompt("generate_x", {}, events)
    assert len(rendered.splitlines()) == fits


@pytest.mark.parametrize("count", [3, 500])
def test_what_stands_before_the_first_turn_can_go_too(count: int) -> None:
    greeting = [{"type": "StartUtteranceBotAction", "script": "w" * 50}] * count
    made = manager({"content": "{{ history | user_assistant_sequence }}", "max_length": 20})
    assert made.render_task_prompt("generate_x", {}, [*greeting, *turns(1)]) == "User: message 0"
    with pytest.raises(PromptTooLongError):
        made.render_task_prompt("generate_x", {}, greeting)


def test_a_long_conversation_that_fits_is_whole() -> None:
    made = manager({"messages": ["{{ history | to_chat_messages }}"], "max_length": None})
    everything = made.render_task_prompt("generate_x", {}, turns(700))
    made = manager({"messages": ["{{ history | to_chat_messages }}"], "max_length": 100_000})
    assert made.render_task_prompt("generate_x", {}, turns(700)) == everything
    assert len(everything) == 1_399


def test_system_messages_outlive_the_turns_around_them() -> None:
    events = [{"type": "SystemMessage", "content": "keep me"}, *turns(50)]
    made = manager({"messages": ["{{ history | to_chat_messages }}"], "max_length": 100})
    rendered = made.render_task_prompt("generate_x", {}, events)
    assert rendered[0] == {"type": "system", "content": "keep me"}
    assert rendered[-1] == {"type": "user", "content": "message 49"}
    assert len(rendered) < 20


def test_the_newest_user_message_is_never_dropped() -> None:
    made = manager({"content": "{{ history | user_assistant_sequence }}", "max_length": 20})
    with pytest.raises(PromptTooLongError, match="exceeds max length of 20 characters even without history"):
        made.render_task_prompt("generate_x", {}, turns(3, "a message that is too long {}"))


def test_what_a_rail_judges_is_never_shortened() -> None:
    made = manager(
        {"task": "my_check", "content": "{{ user_input }} {{ history | colang }}", "max_length": 100}
    )
    assert "x" * 50 in made.render_task_prompt("my_check", {"user_input": "x" * 50}, turns(30))
    with pytest.raises(PromptTooLongError, match="my_check"):
        made.render_task_prompt("my_check", {"user_input": "x" * 101}, turns(30))


def test_a_misspelt_variable_in_a_rails_prompt_is_an_error() -> None:
    made = manager({"task": "my_check", "content": "Block {{ user_imput }}?"})
    with pytest.raises(ConfigurationError, match=r"my_check.*user_imput"):
        made.render_task_prompt("my_check", {"user_input": "x"})
