"""A model that exists, wrapped into a class, registered, and named in a configuration."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest

from huggingface_toys import FakePipeline
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.integrations.langchain import helpers as newer
from nemoguardrails.integrations.langchain.providers import huggingface as newer_classes
from nemoguardrails.llm import helpers as older
from nemoguardrails.llm.providers import huggingface, register_llm_provider, registry
from nemoguardrails.llm.providers.huggingface import (
    AsyncTextIteratorStreamer,
    HuggingFacePipelineCompatible,
    get_llm_instance_wrapper,
)
from nemoguardrails.types import LLMModel
from scripted_model import WholeModel

YAML = """
models:
  - type: main
    engine: hf_pipeline_dolly
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def llm_over(pipe: FakePipeline, **model_kwargs: Any) -> HuggingFacePipelineCompatible:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    return HuggingFacePipelineCompatible(pipeline=pipe, model_kwargs={"streamer": streamer, **model_kwargs})


def test_every_documented_path_leads_to_the_same_things() -> None:
    assert older.get_llm_instance_wrapper is newer.get_llm_instance_wrapper is get_llm_instance_wrapper
    for name in newer_classes.__all__:
        assert getattr(newer_classes, name) is getattr(huggingface, name)
    for module in (huggingface, newer_classes):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            module.nothing  # noqa: B018 - the access is the test


async def test_an_engine_without_a_model_name_streams_token_by_token() -> None:
    pipe = FakePipeline("We open at ten.")
    wrapped = get_llm_instance_wrapper(llm_instance=llm_over(pipe), llm_type="hf_pipeline_dolly")
    register_llm_provider("hf_pipeline_dolly", wrapped)
    rails = LLMRails(RailsConfig.from_content(yaml_content=YAML))
    messages = [{"role": "user", "content": "When do you open?"}]
    chunks = [chunk async for chunk in rails.stream_async(messages=messages)]
    assert chunks == ["We ", "open ", "at ", "ten."]
    assert rails.llm.provider_name == "hf_pipeline_dolly"
    assert (await rails.generate_async(messages=messages))["content"] == "We open at ten."


async def test_parameters_of_the_configuration_count_in_its_calls_alone() -> None:
    pipe = FakePipeline()
    llm = llm_over(pipe, temperature=0.01, top_k=7)
    register_llm_provider("hf_pipeline_dolly", get_llm_instance_wrapper(llm, "hf_pipeline_dolly"))
    yaml = YAML + "    parameters: {temperature: 0.4, max_tokens: 2}\n"
    rails = LLMRails(RailsConfig.from_content(yaml_content=yaml))
    assert (await rails.generate_async("?")).split() == ["The", "capital"]
    await llm.generate_async("?")
    assert [(one["temperature"], one["top_k"], one.get("max_new_tokens")) for one in pipe.asked] == [
        (0.4, 7, 2),
        (0.01, 7, None),
    ]


def test_a_wrapper_shows_what_a_call_will_use() -> None:
    llm = llm_over(FakePipeline(), temperature=0.01)
    wrapped = get_llm_instance_wrapper(llm, "toy_type")
    plain, own = wrapped(), wrapped(model="named", temperature=0.7, streaming=True)
    assert isinstance(plain, LLMModel)
    assert (plain.model_name, plain.provider_name, plain.provider_url) == ("toy", "toy_type", None)
    assert (plain.temperature, plain.streaming, plain._llm_type) == (0.01, False, "toy_type")
    assert (own.model_name, own.temperature, own.streaming) == ("named", 0.7, True)
    assert own.model_kwargs["streamer"] is llm.model_kwargs["streamer"]
    own.temperature, own.streaming = 0.2, False
    assert (own.model_kwargs["temperature"], own.model_kwargs["streaming"]) == (0.2, False)
    assert llm.model_kwargs["temperature"] == 0.01
    assert own.pipeline is llm.pipeline
    assert repr(own) == "WrappedHuggingFacePipelineCompatible(HuggingFacePipelineCompatible('toy'))"


async def test_any_model_can_be_wrapped() -> None:
    class OnlyWhole:
        model_name = "only-whole"

        async def generate_async(self, prompt: Any, **kwargs: Any) -> str:
            return f"{prompt}!"

    assert get_llm_instance_wrapper(WholeModel("x"), "t")().temperature == 1.0
    model = get_llm_instance_wrapper(OnlyWhole(), "t")()
    assert [chunk.delta_content async for chunk in model.stream_async("hey")] == ["hey!"]
    assert model.model_name == "only-whole"


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"llm_instance must be a model with generate_async .*, got object"):
        get_llm_instance_wrapper(object(), "t")
