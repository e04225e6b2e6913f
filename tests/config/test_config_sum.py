"""`a + b`, defaults, and the default texts."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from nemoguardrails.config.defaults import default_instructions, default_sample
from nemoguardrails.config.rails_config import RailsConfig


def of(text: str = "", colang: str | None = None) -> RailsConfig:
    return RailsConfig.from_content(colang, text)


MAIN = "models: [{type: main, engine: openai, model: m}]\n"


def test_only_what_was_set_on_the_right_wins() -> None:
    left = of(
        "lowest_temperature: 0.5\n"
        "rails: {input: {parallel: true}, output: {streaming: {enabled: true, chunk_size: 9}}}\n"
        "knowledge_base: {embedding_search_provider: {name: mine}}\ntracing: {adapters: [{name: A}]}"
    )
    right = of("rails: {output: {streaming: {chunk_size: 200}}}\ntracing: {enabled: true}")
    both = left + right
    assert both.lowest_temperature == 0.5
    assert both.rails.input.parallel is True
    assert both.rails.output.streaming.enabled is True
    assert both.rails.output.streaming.chunk_size == 200
    assert both.knowledge_base.embedding_search_provider.name == "mine"
    assert both.tracing.enabled
    assert [adapter.name for adapter in both.tracing.adapters] == ["A"]


def test_what_was_assigned_in_code_counts_as_set() -> None:
    left, right = of("rails: {input: {flows: [a]}}"), of()
    right.rails.input.flows.append("b")
    right.rails.output.streaming.enabled = True
    both = left + right
    assert both.rails.input.flows == ["a", "b"]
    assert both.rails.output.streaming.enabled is True


def test_lists_keep_the_order_of_the_left_and_append_what_is_new() -> None:
    left = of(MAIN + "rails: {output: {flows: [a, b]}}\nprompts: [{task: t, content: l}]\nimport_paths: []")
    right = of(MAIN + "rails: {output: {flows: [c, b]}}\nprompts: [{task: t, content: r}]")
    both = left + right
    assert both.rails.output.flows == ["a", "b", "c"]
    assert [prompt.content for prompt in both.prompts or []] == ["l", "r"]
    assert len(both.models) == 1


def test_texts_of_the_right_win() -> None:
    left = of(
        "bot_messages: {m: [l]}\nsample_conversation: l\ncustom_data: {a: 1, b: {c: 1}}",
        'define bot x\n  "l"\n',
    )
    right = of(
        "bot_messages: {m: [r]}\ncustom_data: {b: {d: 2}}", 'define bot x\n  "r"\ndefine flow f\n  bot x\n'
    )
    both = left + right
    assert both.bot_messages == {"m": ["r"], "x": ["r"]}
    assert both.sample_conversation == "l"
    assert both.custom_data == {"a": 1, "b": {"c": 1, "d": 2}}
    assert [flow["id"] for flow in both.flows] == ["f"]
    assert both.program.bot_messages["x"].texts == ("r",)


def test_default_texts_are_no_setting() -> None:
    own = of("instructions: [{type: general, content: mine}]\nsample_conversation: s")
    for both in (own + of(), of() + own):
        assert [one.content for one in both.instructions or []] == ["mine"]
        assert both.sample_conversation == "s"
    assert len((of() + of()).instructions or []) == 1


@pytest.mark.parametrize(
    ("left", "right", "gist"),
    [
        (MAIN, "models: [{type: main, engine: nim, model: m}]", "same engine for the same model type"),
        (MAIN, "models: [{type: main, engine: openai, model: other}]", "same model"),
        ("actions_server_url: http://a", "actions_server_url: http://b", "same `actions_server_url`"),
    ],
)
def test_what_cannot_be_joined_is_refused(left: str, right: str, gist: str) -> None:
    with pytest.raises(ValueError, match=gist):
        of(left) + of(right)


def test_one_actions_server_is_enough() -> None:
    assert (of("actions_server_url: http://a") + of()).actions_server_url == "http://a"
    assert (of() + of("actions_server_url: http://a")).actions_server_url == "http://a"


def test_paths_are_joined_and_reports_too(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yml").write_text(f"unknown_{name}: 1")
    left, right = (RailsConfig.from_path(str(tmp_path / name)) for name in "ab")
    both = left + right
    assert both.config_path == f"{left.config_path},{right.config_path}"
    assert (left + of()).config_path == left.config_path
    assert (of() + of()).config_path is None
    assert {entry.key for entry in both.load_report} == {"unknown_a", "unknown_b"}


def test_joining_changes_neither_side() -> None:
    left, right = of(MAIN + "custom_data: {a: {b: 1}}"), of("custom_data: {a: {c: 2}}")
    before = (left.model_dump(), right.model_dump())
    both = left + right
    both.custom_data["a"]["b"] = 5
    assert (left.model_dump(), right.model_dump()) == before


@pytest.mark.parametrize("version", ["1.0", "2.x"])
def test_default_texts_fit_the_version(version: str) -> None:
    config = RailsConfig(models=[], colang_version=version)
    assert config.instructions is not None
    assert config.instructions[0].type == "general"
    assert config.instructions[0].content == default_instructions(version)
    assert config.sample_conversation == default_sample(version)
    turns = [
        line for line in default_sample(version).splitlines() if line.startswith(('user "', "user action:"))
    ]
    assert 5 <= len(turns) <= 6


def test_models_are_required_in_code_and_empty_from_files() -> None:
    with pytest.raises(ValueError, match="models"):
        RailsConfig()
    assert of().models == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompting_mode", "standard"),
        ("lowest_temperature", 0.001),
        ("enable_multi_step_generation", False),
        ("passthrough", None),
        ("enable_rails_exceptions", False),
        ("raw_llm_call_action", "raw llm call"),
        ("event_source_uid", "NeMoGuardrails-Colang-2.x"),
        ("prompts", None),
        ("docs", None),
        ("prompts_defaults", False),
        ("actions_server_token_env_var", None),
    ],
)
def test_top_level_defaults(key: str, value: object) -> None:
    assert getattr(RailsConfig(models=[]), key) == value


def test_defaults_of_sections() -> None:
    config = RailsConfig(models=[])
    assert config.rails.actions.instant_actions is None
    assert config.rails.dialog.single_call.model_dump() == {
        "enabled": False,
        "fallback_to_multiple_calls": True,
    }
    assert config.core.embedding_search_provider.name == "default"
    assert config.core.embedding_search_provider.cache.model_dump() == {
        "enabled": False,
        "key_generator": "sha256",
        "store": "filesystem",
        "store_config": {},
    }
    assert [adapter.name for adapter in config.tracing.adapters] == ["FileSystem"]
    assert config.tracing.span_format == "opentelemetry"
    assert not config.metrics.enabled
