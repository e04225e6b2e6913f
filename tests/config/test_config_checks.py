"""Checks across sections: models that rails name, prompts that they need, bounds that can be kept."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.exceptions import InvalidRailsConfigurationError

MODELS = "models: [{type: main, engine: openai, model: m}, {type: guard, engine: openai, model: g}]\n"


def load(side: str, flow: str, prompts: str = "", more: str = "") -> RailsConfig:
    return RailsConfig.from_content(
        yaml_content=f"{MODELS}rails: {{{side}: {{flows: ['{flow}']}}}}\nprompts: [{prompts}]\n{more}"
    )


def prompt(task: str, content: str = "{{ user_input }} {{ bot_response }}") -> str:
    return f'{{task: "{task}", content: "{content}"}}'


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_rail_with_an_undefined_model_is_refused(side: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(side, "my rail $model=missing")
    assert f"{side} flow 'my rail' references model type 'missing' that is not defined" in str(caught.value)
    assert "main, guard" in str(caught.value)
    assert isinstance(caught.value.errors()[0]["ctx"]["error"], InvalidRailsConfigurationError)
    assert load(side, "my rail $model=guard").rails


NEEDED = [
    ("input", "self check input", "self_check_input"),
    ("input", "self check input $variant=v", "self_check_input $variant=v"),
    ("output", "self check output", "self_check_output"),
    ("output", "self check output $variant=v", "self_check_output $variant=v"),
    ("output", "self check facts", "self_check_facts"),
    ("output", "self check hallucination", "self_check_hallucination"),
    ("output", "hallucination warning", "self_check_hallucination"),
    ("input", "llama guard check input", "llama_guard_check_input"),
    ("output", "llama guard check output", "llama_guard_check_output"),
    ("output", "patronus lynx check output hallucination", "patronus_lynx_check_output_hallucination"),
    ("input", "content safety check input $model=guard", "content_safety_check_input $model=guard"),
    ("output", "content safety check output $model=guard", "content_safety_check_output $model=guard"),
    ("input", "topic safety check input $model=guard", "topic_safety_check_input $model=guard"),
    ("input", "content safety check input", "content_safety_check_input $model=None"),
]
ALL = "{{ user_input }}{{ bot_response }}{{ evidence }}{{ response }}{{ statement }}{{ paragraph }}"


@pytest.mark.parametrize(("side", "flow", "task"), NEEDED)
def test_a_rail_without_its_prompt_is_refused(side: str, flow: str, task: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(side, flow)
    assert f"missing a `{task}` prompt template" in str(caught.value)
    assert flow in str(caught.value)
    if "None" not in task:
        assert load(side, flow, prompt(task, ALL)).prompts


@pytest.mark.parametrize(
    "flow", ["self check input", "self check output", "self check facts", "self check hallucination"]
)
def test_built_in_prompts_stand_in_when_asked_for(flow: str) -> None:
    assert load("output", flow, more="prompts_defaults: true").prompts_defaults
    with pytest.raises(ValidationError, match="prompts_defaults: true"):
        load("output", flow)


def test_built_in_prompts_are_there_for_some_rails_only() -> None:
    with pytest.raises(ValidationError, match="llama_guard_check_input"):
        load("input", "llama guard check input", more="prompts_defaults: true")


def test_a_prompt_without_argument_serves_every_model() -> None:
    assert load(
        "input", "content safety check input $model=guard", prompt("content_safety_check_input")
    ).prompts


def test_the_spelling_of_a_prompts_argument_does_not_matter() -> None:
    task = "content_safety_check_input  $model='guard'"
    assert load("input", 'content safety check input $model="guard"', prompt(task)).prompts


def test_a_variant_named_as_the_bare_task_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=r"self_check_input \$variant=strict"):
        load("input", "self check input $variant=strict", prompt("strict"))


@pytest.mark.parametrize(
    ("side", "flow", "task", "needs"),
    [
        ("input", "self check input", "self_check_input", ["user_input"]),
        ("output", "self check output", "self_check_output", ["bot_response"]),
        ("output", "self check facts", "self_check_facts", ["evidence", "response"]),
        ("output", "llama guard check output", "llama_guard_check_output", ["bot_response"]),
        (
            "input",
            "content safety check input $model=guard",
            "content_safety_check_input $model=guard",
            ["user_input"],
        ),
        (
            "output",
            "content safety check output $model=guard",
            "content_safety_check_output $model=guard",
            ["bot_response"],
        ),
    ],
)
def test_a_judge_must_see_what_it_judges(side: str, flow: str, task: str, needs: list[str]) -> None:
    seeing = "".join(f"{{{{ {name} }}}}" for name in needs)
    assert list(load(side, flow, prompt(task, seeing + "{{ history }}")).load_report)[1:] == []
    for name in needs:
        blind = "".join(f"{{{{ {other} }}}}" for other in needs if other != name) + "{{ history }}"
        with pytest.raises(ValidationError, match=f"does not use .*`{name}`"):
            load(side, flow, prompt(task, blind))


def test_the_response_to_be_checked_has_two_names() -> None:
    for name in ("response", "bot_response"):
        assert load(
            "output", "self check facts", prompt("self_check_facts", f"{{{{ evidence }}}} {{{{ {name} }}}}")
        )


def test_variables_count_wherever_the_template_uses_them() -> None:
    text = "{% if user_input | length > 3 %}long{% endif %}"
    assert load("input", "self check input", prompt("self_check_input", text)).prompts
    messages = "{task: self_check_input, messages: [{type: system, content: x}, '{{ user_input }}']}"
    assert load("input", "self check input", messages).prompts


def test_a_blind_prompt_of_a_rail_that_is_not_used_is_only_reported() -> None:
    config = RailsConfig.from_content(yaml_content=f"prompts: [{prompt('self_check_input', 'static')}]")
    assert [(entry.code, entry.severity) for entry in config.load_report] == [
        ("default-parser", "info"),
        ("blind-prompt", "warning"),
    ]


def test_a_misspelt_variable_in_a_rails_prompt_is_reported() -> None:
    config = load("input", "self check input", prompt("self_check_input", "{{ user_input }} {{ polcy }}"))
    assert [entry.code for entry in config.load_report] == ["default-parser", "unknown-variable"]
    assert "`polcy`" in config.load_report[1].message


def test_a_broken_template_of_a_rail_is_an_error() -> None:
    with pytest.raises(ValidationError, match="not valid Jinja2, line 1"):
        load("input", "self check input", prompt("self_check_input", "{{ user_input"))


def test_output_parsers_are_known_or_reported() -> None:
    entry = '{task: t, content: c, output_parser: "%s"}'
    assert (
        list(RailsConfig.from_content(yaml_content=f"prompts: [{entry % 'is_content_safe'}]").load_report)
        == []
    )
    mine = RailsConfig.from_content(yaml_content=f"prompts: [{entry % 'my_own_parser'}]")
    assert [one.code for one in mine.load_report] == ["unknown-parser"]
    with pytest.raises(ValidationError, match="did you mean 'is_content_safe'"):
        RailsConfig.from_content(yaml_content=f"prompts: [{entry % 'is_content_save'}]")


@pytest.mark.parametrize(
    "fields", ["task: t", "task: t, content: a, messages: ['b']", "task: t, content: ''"]
)
def test_a_prompt_has_either_content_or_messages(fields: str) -> None:
    with pytest.raises(ValidationError, match="either `content` or `messages`") as caught:
        RailsConfig.from_content(yaml_content=f"prompts: [{{{fields}}}]")
    assert isinstance(caught.value.errors()[0]["ctx"]["error"], InvalidRailsConfigurationError)


@pytest.mark.parametrize("fields", ["max_length: 0", "max_tokens: 0"])
def test_limits_of_a_prompt_are_positive(fields: str) -> None:
    with pytest.raises(ValidationError, match=fields.split(":")[0]):
        RailsConfig.from_content(yaml_content=f"prompts: [{{task: t, content: c, {fields}}}]")


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        RailsConfig.from_content(yaml_content="rails: {input: {flows: [self check input, 'x $model=y']}}")
    assert "self_check_input" in str(caught.value)
    assert "'y'" in str(caught.value)


def streaming(settings: str) -> RailsConfig:
    return RailsConfig.from_content(
        yaml_content=f"rails: {{output: {{flows: [my rail], streaming: {{enabled: true, {settings}}}}}}}"
    )


def test_streaming_has_the_defaults_of_the_contract() -> None:
    made = streaming("").rails.output.streaming
    assert (made.chunk_size, made.context_size, made.stream_first) == (200, 50, True)
    assert (made.max_exposed_tokens, made.max_concurrent_checks, made.hold_back) == (None, 4, 0)
    assert (made.unit, made.max_window_chars) == ("chunk", 8000)


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        ("chunk_size: 20", 20),
        ("chunk_size: 0", 1),
        ("max_exposed_tokens: 7", 7),
        ("max_exposed_tokens: 0", 0),
        ("stream_first: false", 0),
        ("stream_first: false, max_exposed_tokens: 7", 0),
    ],
)
def test_the_exposure_bound(settings: str, bound: int) -> None:
    assert streaming(settings).rails.output.streaming.exposure_bound == bound


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ("chunk_size: -1", "chunk_size"),
        ("context_size: -1", "context_size"),
        ("max_exposed_tokens: -1", "max_exposed_tokens"),
        ("max_concurrent_checks: 0", "max_concurrent_checks"),
        ("hold_back: -1", "hold_back"),
        ("max_window_chars: 0", "max_window_chars"),
        ("unit: line", "unit"),
    ],
)
def test_an_impossible_setting_is_refused_by_its_key(settings: str, key: str) -> None:
    with pytest.raises(ValidationError, match=rf"rails\.output\.streaming\.{key}"):
        streaming(settings)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ("hold_back: 3", "stream_first"),
        ("hold_back: 3, stream_first: true, max_exposed_tokens: 1", "stream_first"),
        ("hold_back: 51, stream_first: false", "context_size"),
        ("hold_back: 3, stream_first: false, context_size: 2", "context_size"),
    ],
)
def test_a_bound_that_cannot_be_kept_names_rail_and_keys(settings: str, key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        streaming(settings)
    assert "rails.output.streaming.hold_back" in str(caught.value)
    assert f"rails.output.streaming.{key}" in str(caught.value)
    assert "my rail" in str(caught.value)


def test_a_bound_that_can_be_kept_is_accepted() -> None:
    assert streaming("hold_back: 3, stream_first: false").rails.output.streaming.hold_back == 3
    assert streaming("hold_back: 3, max_exposed_tokens: 0").rails.output.streaming.exposure_bound == 0
    assert streaming("context_size: 400").rails.output.streaming.context_size == 400


def test_the_threshold_of_intents_is_a_share() -> None:
    key = "embeddings_only_similarity_threshold"
    with pytest.raises(ValidationError, match=key):
        RailsConfig.from_content(yaml_content=f"rails: {{dialog: {{user_messages: {{{key}: 1.5}}}}}}")


def test_a_folder_of_prompts_may_hold_what_the_configuration_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTS_DIR", "prompts")
    config = load("input", "self check input")
    assert [entry.code for entry in config.load_report] == ["prompt-elsewhere"]


def jailbreak(flow: str, settings: str) -> RailsConfig:
    return RailsConfig.from_content(
        yaml_content=f"rails: {{input: {{flows: [{flow}]}}, config: {{jailbreak_detection: {{{settings}}}}}}}"
    )


def test_jailbreak_detection_needs_both_parts_of_its_address() -> None:
    address = "nim_base_url: 'http://localhost/v1', nim_server_endpoint: "
    with pytest.raises(ValidationError, match="must both be configured"):
        jailbreak("jailbreak detection model", f"{address}''")
    assert jailbreak("jailbreak detection model", f"{address}classify").rails


def test_jailbreak_settings_without_flow_and_flow_without_address_are_remarked() -> None:
    unused = jailbreak("other", "server_endpoint: 'http://localhost'")
    assert "unused-settings" in [entry.code for entry in unused.load_report]
    local = RailsConfig.from_content(yaml_content="rails: {input: {flows: [jailbreak detection heuristics]}}")
    assert [entry.code for entry in local.load_report] == ["local-jailbreak-detection"]
