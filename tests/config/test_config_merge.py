"""Several files of one configuration: what joins, what wins, and what the report says."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.config.merge import RawFile, join
from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.config.report import LoadReport

Load = Callable[[dict[str, str]], RailsConfig]


def conflicts(config: RailsConfig) -> list[tuple[str | None, str | None]]:
    return [(entry.file, entry.key) for entry in config.load_report if entry.code == "conflict"]


def test_rails_of_two_files_add_up(load: Load) -> None:
    config = load(
        {
            "config.yml": "rails: {input: {flows: [a, b]}}",
            "x.yml": "rails: {input: {parallel: true, flows: [b, c]}, output: {flows: [o]}}",
        }
    )
    assert config.rails.input.flows == ["a", "b", "c"]
    assert config.rails.input.parallel is True
    assert config.rails.output.flows == ["o"]
    assert conflicts(config) == []


@pytest.mark.parametrize("root", ["config.yml", "config.yaml"])
@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("lowest_temperature", "0.1", "0.2"),
        ("sample_conversation", "one", "two"),
        ("prompting_mode", "one", "two"),
        ("passthrough", "true", "false"),
        ("event_source_uid", "one", "two"),
        ("enable_rails_exceptions", "true", "false"),
    ],
)
def test_the_root_file_wins_else_the_later_one(
    load: Load, root: str, key: str, first: str, second: str
) -> None:
    config = load({root: f"{key}: {first}", "z.yml": f"{key}: {second}"})
    assert str(getattr(config, key)).lower() == first
    assert [(str(file).rsplit("/", 1)[1], where) for file, where in conflicts(config)] == [(root, key)]
    assert "z.yml" in config.load_report[0].message
    config = load({root: "{}", "z.yml": f"{key}: {second}", "y.yml": f"{key}: {first}"})
    assert str(getattr(config, key)).lower() == second
    assert conflicts(config)[0][0] is not None
    assert conflicts(config)[0][0].endswith("z.yml")


def test_equal_values_are_no_conflict(load: Load) -> None:
    config = load({"config.yml": 'colang_version: "1.0"', "b.yml": "colang_version: 1.0"})
    assert list(config.load_report) == []


def test_lists_are_concatenated_in_visit_order(load: Load) -> None:
    config = load(
        {
            "config.yml": "models: [{type: a, engine: e, model: a}]\ninstructions: [{type: x, content: c}]",
            "a.yml": "models: [{type: b, engine: e, model: b}]\ninstructions: [{type: y, content: a}]",
            "b.yml": "docs: [{format: md, content: b}]\nflows: [{id: f, elements: []}]",
            "c.yml": "docs: [{format: md, content: c}]\nflows: [{id: g, elements: []}]",
        }
    )
    assert [model.type for model in config.models] == ["a", "b"]
    assert [one.content for one in config.instructions or []] == ["c", "a"]
    assert [one.content for one in config.docs or []] == ["b", "c"]
    assert [flow["id"] for flow in config.flows] == ["f", "g"]


def test_prompts_stand_by_rising_rank_since_the_last_one_is_used(load: Load) -> None:
    prompt = "prompts: [{task: t, content: %s}]"
    config = load(
        {
            "config.yml": f"{prompt % 'root'}\nimport_paths: [../shared]",
            "a.yml": prompt % "a",
            "b.yml": prompt % "b",
            "../shared/s.yml": prompt % "imported",
        }
    )
    assert [one.content for one in config.prompts or []] == ["imported", "a", "b", "root"]


def test_messages_merge_by_name(load: Load) -> None:
    config = load(
        {
            "config.yml": "bot_messages: {a: [root], b: [root]}",
            "x.yml": "bot_messages: {b: [x], c: [x]}\nuser_messages: {u: [x]}",
        }
    )
    assert config.bot_messages == {"a": ["root"], "b": ["root"], "c": ["x"]}
    assert config.user_messages == {"u": ["x"]}
    assert len(conflicts(config)) == 1


def test_the_first_actions_server_stays(load: Load) -> None:
    config = load({"a.yml": "actions_server_url: http://a", "b.yml": "actions_server_url: http://b"})
    assert config.actions_server_url == "http://a"


def test_deep_maps_merge(load: Load) -> None:
    config = load(
        {
            "config.yml": "knowledge_base: {folder: docs}\ncustom_data: {a: {x: 1}}",
            "x.yml": "knowledge_base: {embedding_search_provider: {name: p}}\ncustom_data: {a: {y: 2}}\n"
            "tracing: {enabled: true}",
        }
    )
    assert config.knowledge_base.folder == "docs"
    assert config.knowledge_base.embedding_search_provider.name == "p"
    assert config.custom_data == {"a": {"x": 1, "y": 2}}
    assert config.tracing.enabled


def test_two_models_of_one_type_are_reported(load: Load) -> None:
    entry = "models: [{type: main, engine: openai, model: %s}]"
    config = load({"config.yml": entry % "a", "b.yml": entry % "b"})
    assert [model.model for model in config.models] == ["a", "b"]
    assert [one.code for one in config.load_report] == ["repeated-model"]


_leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.lists(st.sampled_from("abc"), max_size=3)
_keys = st.sampled_from(["rails", "flows", "custom_data", "models", "prompts", "import_paths", "x"])
_raw = st.dictionaries(_keys, st.recursive(_leaves, lambda inner: st.dictionaries(_keys, inner, max_size=3)))


@given(st.lists(_raw, max_size=4))
def test_joining_never_changes_what_it_was_given_and_loses_no_key(raws: list[dict[str, Any]]) -> None:
    before = repr(raws)
    files = [RawFile(str(position), raw) for position, raw in enumerate(raws)]
    joined = join(files, LoadReport())
    assert repr(raws) == before
    assert joined.values.keys() == {key for raw in raws for key in raw}


@given(_raw)
def test_joining_a_file_with_an_empty_one_gives_the_file(raw: dict[str, Any]) -> None:
    report = LoadReport()
    for files in ([RawFile("a", raw), RawFile("b", {})], [RawFile("b", {}), RawFile("a", raw)]):
        assert join(files, report).values == raw
    assert report == []


@given(_raw, _raw)
def test_a_file_of_higher_rank_wins_wherever_it_stands(one: dict[str, Any], other: dict[str, Any]) -> None:
    high, low = RawFile("high", one, (1, 0)), RawFile("low", other, (0, 0))
    first, second = join([high, low], LoadReport()).values, join([low, high], LoadReport()).values
    for keys, value in _single_values(one):
        assert _at(first, keys) == value
        assert _at(second, keys) == value


def _single_values(raw: Any, keys: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(raw, dict):
        return [found for key, value in raw.items() for found in _single_values(value, (*keys, key))]
    return [] if raw is None or isinstance(raw, list) else [(keys, raw)]


def _at(raw: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        raw = raw[key]
    return raw
