"""Unknown and misspelt keys: errors where protection would be lost, remarks elsewhere."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.config.schema import near_miss


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("rails: {inputt: {flows: []}}", "rails.inputt", "input"),
        ("rails: {ouptut: {flows: []}}", "rails.ouptut", "output"),
        ("rails: {input: {flow: []}}", "rails.input.flow", "flows"),
        ("rails: {input: {Flows: []}}", "rails.input.Flows", "flows"),
        ("rails: {output: {paralel: true}}", "rails.output.paralel", "parallel"),
        ("rails: {output: {streaming: {chunksize: 3}}}", "rails.output.streaming.chunksize", "chunk_size"),
        ("rails: {output: {streaming: {chunk-size: 3}}}", "rails.output.streaming.chunk-size", "chunk_size"),
        (
            "rails: {output: {streaming: {stream_frist: no}}}",
            "rails.output.streaming.stream_frist",
            "stream_first",
        ),
        ("rails: {dialog: {single_cal: {}}}", "rails.dialog.single_cal", "single_call"),
        ("rails: {tool-input: {}}", "rails.tool-input", "tool_input"),
        (
            "rails: {dialog: {user_messages: {embedings_only: true}}}",
            "rails.dialog.user_messages.embedings_only",
            "embeddings_only",
        ),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_a_misspelt_key_of_rails_is_an_error_that_names_the_right_one(
    text: str, key: str, meant: str, strict: bool
) -> None:
    with pytest.raises(ValueError) as caught:
        RailsConfig.from_content(yaml_content=text, strict=strict)
    assert f"the YAML content: unknown key {key}; did you mean `{meant}`?" in str(caught.value)


def test_a_misspelt_key_is_an_error_for_configurations_made_in_code_too() -> None:
    with pytest.raises(ValueError, match=r"rails\.input\.flow .did you mean `flows`"):
        RailsConfig(models=[], rails={"input": {"flow": ["x"]}})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("something: 1", "something"),
        ("rails: {entirely_else: 1}", "rails.entirely_else"),
        ("knowledge_base: {fodler: x}", "knowledge_base.fodler"),
        ("models: [{type: a, engine: openai, model: m, colour: red}]", "models.0.colour"),
        ("tracing: {level: 3}", "tracing.level"),
        ("prompts: [{task: t, content: c, parser: p}]", "prompts.0.parser"),
    ],
)
def test_other_unknown_keys_are_reported_and_with_strict_refused(text: str, key: str) -> None:
    config = RailsConfig.from_content(yaml_content=text)
    found = [(entry.code, entry.severity, entry.file, entry.key) for entry in config.load_report]
    assert found == [("unknown-key", "warning", "the YAML content", key)]
    with pytest.raises(ValueError, match=f"unknown key {key}"):
        RailsConfig.from_content(yaml_content=text, strict=True)


def test_unknown_top_level_keys_are_kept_as_custom_data() -> None:
    config = RailsConfig.from_content(yaml_content="mine: {a: 1}\ncustom_data: {b: 2}\nrail: {}")
    assert config.custom_data == {"mine": {"a": 1}, "rail": {}, "b": 2}
    assert any("did you mean `rails`" in entry.message for entry in config.load_report)


def test_keys_that_are_kept_for_others_are_no_remark() -> None:
    config = RailsConfig.from_content(
        yaml_content="rails: {output: {streaming: {for_my_own_use: 1}}}\n"
        "tracing: {adapters: [{name: Mine, whatever: 1}]}\n"
        "models: [{type: a, engine: openai, model: m, parameters: {any_thing: 1}}]\ncustom_data: {x: 1}",
        strict=True,
    )
    assert list(config.load_report) == []
    assert config.rails.output.streaming.model_extra == {"for_my_own_use": 1}
    assert config.tracing.adapters[0].model_extra == {"whatever": 1}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("inputt", "input"),
        ("inpt", "input"),
        ("niput", "input"),
        ("ipnutt", "input"),
        ("outside", None),
        ("f6", "f5"),
        ("g6", None),
        ("xx", None),
        ("", None),
    ],
)
def test_a_near_miss_is_one_or_two_typing_errors_away(word: str, meant: str | None) -> None:
    assert near_miss(word, ["input", "output", "f5"]) == meant


def test_the_report_reads_as_text() -> None:
    entry = RailsConfig.from_content(yaml_content="mine: 1").load_report[0]
    assert str(entry).startswith("warning: the YAML content, mine: an unknown key")


def test_warnings_reach_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    RailsConfig.from_content(yaml_content="mine: 1\nstreaming: true")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "mine" in caplog.text
