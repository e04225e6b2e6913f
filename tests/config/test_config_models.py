"""`models`: names, keys, parameters of older days, and secrets that stay secret."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from nemoguardrails.config.models import Model, canonical_parameters
from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.config.secret_values import concealed, revealed
from nemoguardrails.config.services import EmbeddingSearchProvider
from nemoguardrails.exceptions import InvalidModelConfigurationError, InvalidRailsConfigurationError

KEY = "sk-very-secret-indeed"


def cause(caught: pytest.ExceptionInfo[ValidationError]) -> BaseException:
    return caught.value.errors()[0]["ctx"]["error"]


@pytest.mark.parametrize("parameters", [{"model": "m"}, {"model_name": "m"}])
def test_a_name_among_the_parameters_is_moved(parameters: dict[str, Any]) -> None:
    given = {**parameters, "temperature": 0.1}
    model = Model(type="main", engine="openai", parameters=given)
    assert model.model == "m"
    assert model.parameters == {"temperature": 0.1}
    assert given == {**parameters, "temperature": 0.1}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": ""},
        {"model": "  "},
        {"model": None},
        {"parameters": {"model": ""}},
        {"model": "a", "parameters": {"model": "a"}},
        {"model": "a", "parameters": {"model_name": "b"}},
        {"parameters": {"model": "a", "model_name": "b"}},
    ],
)
def test_a_name_in_no_or_two_places_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one place") as caught:
        Model(type="main", engine="openai", **fields)
    assert isinstance(cause(caught), InvalidModelConfigurationError)


def test_an_engine_registered_in_code_may_know_its_model_itself() -> None:
    assert Model(type="main", engine="hf_pipeline_dolly").model is None


def test_a_mode_is_chat_or_text() -> None:
    assert Model(type="main", engine="openai", model="m").mode == "chat"
    with pytest.raises(ValidationError, match="'chat' or 'text'"):
        Model(type="main", engine="openai", model="m", mode="voice")


def test_the_variable_of_a_key_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"type": "main", "engine": "openai", "model": "m", "api_key_env_var": "SLUICE_TEST_KEY"}
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("SLUICE_TEST_KEY", raising=False)
        else:
            monkeypatch.setenv("SLUICE_TEST_KEY", value)
        with pytest.raises(
            ValidationError, match="environment variable 'SLUICE_TEST_KEY' is not set"
        ) as caught:
            Model(**fields)
        assert isinstance(cause(caught), InvalidRailsConfigurationError)
    monkeypatch.setenv("SLUICE_TEST_KEY", KEY)
    assert KEY not in repr(Model(**fields)) + str(Model(**fields).model_dump())
    with pytest.raises(ValidationError, match=r"without `\$`"):
        Model(**{**fields, "api_key_env_var": "$SLUICE_TEST_KEY"})


@pytest.mark.parametrize(
    ("engine", "given", "made"),
    [
        ("openai", {"openai_api_key": "k"}, {"api_key": "k"}),
        ("openai", {"openai_api_base": "u"}, {"base_url": "u"}),
        ("nim", {"nvidia_base_url": "u"}, {"base_url": "u"}),
        ("other", {"my_vendor_endpoint": "u"}, {"base_url": "u"}),
        ("other", {"azure_endpoint": "u"}, {"base_url": "u"}),
        ("azure", {"azure_endpoint": "u"}, {"azure_endpoint": "u"}),
        ("azure_openai", {"azure_endpoint": "u"}, {"azure_endpoint": "u"}),
        ("openai", {"api_base": "u"}, {"base_url": "u"}),
        ("openai", {"request_timeout": 3}, {"timeout": 3}),
        ("openai", {"model_kwargs": {"top_p": 1, "verbose": True}}, {"top_p": 1}),
        ("openai", {"streaming": True, "verbose": True, "cache": {}, "callbacks": [], "tags": []}, {}),
        ("openai", {"disable_streaming": True, "metadata": {}, "name": "n"}, {}),
        ("openai", {"temperature": 0, "base_url": "u", "api_key": "k", "endpoint": "e"},
         {"temperature": 0, "base_url": "u", "api_key": "k", "endpoint": "e"}),
        ("openai", {"openai_api_base": "old", "base_url": "new"}, {"base_url": "new"}),
    ],
)  # fmt: skip
def test_parameters_of_langchain_days_are_translated(
    engine: str, given: dict[str, Any], made: dict[str, Any]
) -> None:
    result, remarks = canonical_parameters(engine, given)
    assert result == made
    assert {key for key, _ in remarks} == {
        key for key in [*given, *given.get("model_kwargs", {})] if key not in made and key != "top_p"
    }


def test_translated_parameters_are_remarked_and_the_written_ones_kept() -> None:
    config = RailsConfig.from_content(
        yaml_content="models: [{type: main, engine: openai, model: m, "
        "parameters: {openai_api_key: k, streaming: true}, reasoning_config: {start_token: '<r>'}}]"
    )
    assert {entry.code for entry in config.load_report} == {"legacy"}
    assert len(config.load_report) == 3
    model = config.models[0]
    assert set(model.parameters) == {"openai_api_key", "streaming"}
    assert model.client_parameters() == {"api_key": "k"}
    assert model.plain_parameters() == {"openai_api_key": "k", "streaming": True}
    assert model.reasoning_config is not None
    assert model.reasoning_config.start_token == "<r>"


def test_the_cache_has_its_defaults() -> None:
    model = Model(type="x", engine="openai", model="m", cache={"enabled": True})
    assert model.cache is not None
    assert (model.cache.maxsize, model.cache.ttl_seconds, model.cache.stats.enabled) == (50_000, None, False)


SECRETS = f"""
models:
  - type: main
    engine: openai
    model: m
    parameters:
      api_key: {KEY}
      default_headers: {{Authorization: Bearer {KEY}, X-Api-Key: {KEY}, X-Other: shown}}
      max_tokens: 3
      eos_token: "</s>"
core: {{embedding_search_provider: {{parameters: {{embedding_parameters: {{openai_api_key: {KEY}}}}}}}}}
knowledge_base: {{embedding_search_provider: {{cache: {{store_config: {{password: {KEY}}}}}}}}}
"""


def test_credentials_are_in_no_dump_print_or_copy() -> None:
    config = RailsConfig.from_content(yaml_content=SECRETS)
    joined = config + RailsConfig.from_content(yaml_content="custom_data: {a: 1}")
    for one in (config, config.model_copy(deep=True), joined):
        shown = repr(one) + str(one) + repr(one.model_dump()) + one.model_dump_json()
        assert KEY not in shown
        assert "shown" in shown
        assert "</s>" in shown
        assert json.loads(one.model_dump_json())["models"][0]["parameters"]["max_tokens"] == 3
        assert isinstance(one.models[0].parameters["api_key"], SecretStr)
        assert one.models[0].client_parameters()["default_headers"]["Authorization"] == f"Bearer {KEY}"
    search = config.core.embedding_search_provider
    assert search.plain_parameters() == {"embedding_parameters": {"openai_api_key": KEY}}
    cache = config.knowledge_base.embedding_search_provider.cache
    assert cache.plain_store_config() == {"password": KEY}


def test_credentials_are_in_no_error() -> None:
    with pytest.raises(ValueError) as caught:
        RailsConfig.from_content(
            yaml_content=f"models: [{{type: main, engine: [1], model: m, parameters: {{api_key: {KEY}}}}}]"
        )
    assert KEY not in str(caught.value)
    assert "models.0.engine" in str(caught.value)
    with pytest.raises(ValidationError) as direct:
        Model(type="main", engine="openai", model="m", parameters=[KEY])
    assert KEY not in str(direct.value)


def test_concealing_and_revealing_are_inverse_and_change_nothing() -> None:
    data = {"a": [{"token": "x", "n": None}], "hf_token": "y", "tokens": "z", "api-key": 3, "o": object}
    kept = repr(data)
    hidden = concealed(data)
    assert revealed(hidden) == data
    assert repr(data) == kept
    assert isinstance(hidden["a"][0]["token"], SecretStr)
    assert hidden["tokens"] == "z"
    assert concealed(hidden) == hidden


def test_the_text_none_is_null_in_parameters_of_a_search() -> None:
    provider = EmbeddingSearchProvider(parameters={"search_threshold": "None", "x": "none at all"})
    assert provider.parameters == {"search_threshold": None, "x": "none at all"}
