"""From a section of the configuration to a model: engines, keys, Azure, registered providers, frameworks."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from loopback import Reply, delta, serving, sse
from nemoguardrails.config.models import Model
from nemoguardrails.exceptions import InvalidModelConfigurationError
from nemoguardrails.llm import frameworks
from nemoguardrails.llm.frameworks import (
    get_default_framework,
    get_framework,
    register_framework,
    set_default_framework,
)
from nemoguardrails.llm.models import ModelInitializationError, build_model, init_llm_model
from nemoguardrails.llm.providers import (
    get_chat_provider_names,
    get_community_chat_provider_names,
    get_llm_provider_names,
    get_provider_names,
    register_chat_provider,
    register_llm_provider,
    register_provider,
    registry,
)
from nemoguardrails.llm.providers.connections import close_all
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAITextModel
from nemoguardrails.llm.providers.presets import PRESETS
from nemoguardrails.types import LLMFramework, LLMModel, LLMResponse, LLMResponseChunk

KEY = "unusual-key-4711"
ANSWER = Reply([sse(delta("ok"), delta(finish="stop"))])
REGISTER = (register_provider, register_chat_provider, register_llm_provider)


@pytest.fixture(autouse=True)
async def _own_registries(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(frameworks, "_frameworks", dict(frameworks._frameworks))
    monkeypatch.setattr(frameworks, "_chosen", [])
    monkeypatch.delenv(frameworks.FRAMEWORK_VARIABLE, raising=False)
    for preset in PRESETS.values():
        monkeypatch.delenv(preset.key_variable or "-", raising=False)
    yield
    await close_all()


def section(engine: str = "openai", **fields: Any) -> Model:
    fields.setdefault("model", "m")
    return Model.model_validate({"type": "main", "engine": engine, **fields})


async def text_of(model: LLMModel, prompt: str = "x", **options: Any) -> str:
    stream = model.stream_async(prompt, **options)
    async with aclosing(stream) as chunks:  # type: ignore[type-var]
        return "".join([chunk.delta_content or "" async for chunk in chunks])


class TestBuiltIn:
    @pytest.mark.parametrize(
        ("engine", "url", "variable"),
        [
            ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
            ("nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
            ("nvidia_ai_endpoints", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
            ("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
            ("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
            ("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
            ("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
            ("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
            ("mistralai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
            ("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
            ("perplexity", "https://api.perplexity.ai", "PPLX_API_KEY"),
        ],
    )
    def test_an_engine_has_its_address_and_its_key(
        self, engine: str, url: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, KEY)
        model = build_model(section(engine))
        assert isinstance(model, OpenAIChatModel)
        assert (model.model_name, model.provider_name, model.provider_url) == ("m", engine, url)
        assert model.client._headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(model)

    def test_ollama_is_here_and_needs_no_key(self) -> None:
        model = build_model(section("ollama"))
        assert model.provider_url == "http://localhost:11434/v1"
        assert isinstance(model, OpenAIChatModel)
        assert "Authorization" not in model.client._headers

    @pytest.mark.parametrize("engine", ["vllm", "vllm_openai", "llamacpp", "tgi", "sglang", "trt_llm"])
    def test_an_own_server_needs_its_address(self, engine: str) -> None:
        with pytest.raises(
            InvalidModelConfigurationError, match=rf"{engine}.*`parameters.base_url` is missing"
        ):
            build_model(section(engine))
        model = build_model(section(engine, parameters={"base_url": "http://localhost:8000/v1/"}))
        assert (model.provider_name, model.provider_url) == (engine, "http://localhost:8000/v1")

    def test_any_engine_with_an_address_is_served(self) -> None:
        model = build_model(section("my_server", parameters={"my_server_api_base": "http://localhost:1/v1"}))
        assert (model.provider_name, model.provider_url) == ("my_server", "http://localhost:1/v1")

    def test_mode_text_is_honoured_for_the_main_model_too(self) -> None:
        assert type(build_model(section(mode="text"))) is OpenAITextModel

    async def test_parameters_are_parted_sent_and_never_changed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_KEY", KEY)
        async with serving(ANSWER) as server:
            parameters = {
                "openai_api_base": server.url,
                "timeout": 30,
                "max_retries": 0,
                "default_headers": {"X-Team": "a"},
                "default_query": {"tier": 1},
                "temperature": 0.2,
                "model_kwargs": {"seed": 7},
                "streaming": True,
            }
            model = section(parameters=copy.deepcopy(parameters), api_key_env_var="MY_KEY")
            before = model.model_dump()
            assert await text_of(build_model(model)) == "ok"
            assert model.model_dump() == before
        seen = server.requests[0]
        assert seen.path == "/v1/chat/completions?tier=1"
        assert (seen.headers["authorization"], seen.headers["x-team"]) == (f"Bearer {KEY}", "a")
        body = seen.json()
        assert (body["temperature"], body["seed"]) == (0.2, 7)
        assert set(body) == {"model", "messages", "temperature", "seed", "stream", "stream_options"}
        assert KEY not in json.dumps(before, default=str)

    @pytest.mark.parametrize(
        ("parameters", "key"),
        [
            ({"timeout": 0}, "timeout"),
            ({"max_retries": -1}, "max_retries"),
            ({"default_headers": "x"}, "default_headers"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, parameters: dict[str, Any], key: str) -> None:
        with pytest.raises(InvalidModelConfigurationError, match=f"engine 'openai': `parameters.{key}`"):
            build_model(section(parameters=parameters))

    @pytest.mark.parametrize(
        ("engine", "hint"),
        [
            ("opnai", "'openai'"),
            ("openroutr", "'openrouter'"),
            ("anthropic", "LangChain"),
            ("zzz", "no provider"),
        ],
    )
    def test_an_unknown_engine_gets_help(self, engine: str, hint: str) -> None:
        with pytest.raises(InvalidModelConfigurationError) as caught:
            build_model(section(engine))
        text = str(caught.value)
        assert repr(engine) in text
        assert hint in text
        assert all(way in text for way in ("base_url", "register_provider", "entry point"))


class TestAzure:
    FULL: ClassVar = {
        "azure_endpoint": "https://a.example/",
        "azure_deployment": "my/dep é",
        "api_version": "2024-06-01",
    }

    @pytest.mark.parametrize("engine", ["azure", "azure_openai"])
    def test_the_address_is_that_of_the_deployment(
        self, engine: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        model = build_model(section(engine, parameters=self.FULL))
        assert isinstance(model, OpenAIChatModel)
        request = model.client._request("chat", {}, model._endpoint)
        assert str(request.url) == (
            "https://a.example/openai/deployments/my%2Fdep%20%C3%A9/chat/completions?api-version=2024-06-01"
        )
        assert request.headers["api-key"] == KEY
        assert "Authorization" not in request.headers
        assert KEY not in repr(request) + repr(model)

    @pytest.mark.parametrize("missing", ["azure_endpoint", "azure_deployment", "api_version"])
    def test_each_part_is_needed(self, missing: str) -> None:
        parameters = {key: value for key, value in self.FULL.items() if key != missing}
        with pytest.raises(ValueError, match=missing):
            build_model(section("azure", parameters=parameters))

    @pytest.mark.parametrize(
        "more",
        [
            {"base_url": "https://b.example"},
            {"default_query": {"api-version": "1999"}},
            {"default_headers": {"Api-Key": "other"}},
        ],
    )
    def test_contradictions_are_refused(self, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        with pytest.raises(ValueError, match="azure") as caught:
            build_model(section("azure", parameters={**self.FULL, **more}))
        assert KEY not in str(caught.value)

    def test_what_says_the_same_twice_is_fine(self) -> None:
        parameters = {**self.FULL, "default_query": {"api-version": "2024-06-01"}}
        assert build_model(section("azure", parameters=parameters)).model_name == "m"


class Streaming:
    """A whole model; only its constructor is narrow."""

    provider_name = "own"
    provider_url = None

    def __init__(self, model: str, suffix: str = "") -> None:
        self.model_name = model
        self.suffix = suffix

    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> LLMResponse:
        return LLMResponse(f"{prompt}{self.suffix}")

    async def stream_async(
        self, prompt: Any, *, stop: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        for letter in (await self.generate_async(prompt)).content:
            yield LLMResponseChunk(delta_content=letter)


class Whole:
    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> str:
        return f"{prompt}!"


class Nameless:
    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> LLMResponse:
        return LLMResponse(f"{prompt}!")


async def answering(prompt: Any, *, stop: Any = None, suffix: str = "!") -> str:
    return f"{prompt}{suffix}"


async def yielding(prompt: Any, **kwargs: Any) -> AsyncIterator[str]:
    for piece in (prompt, "!"):
        yield piece


class TestRegistered:
    @pytest.mark.parametrize("register", REGISTER)
    @pytest.mark.parametrize("provider", [Streaming, Whole, Nameless, answering, yielding])
    async def test_each_kind_can_be_registered_by_each_function(self, register: Any, provider: Any) -> None:
        register("mine", provider)
        parameters = {"suffix": "!"} if provider is Streaming else {}
        model = build_model(section("mine", model="m", parameters=parameters))
        assert isinstance(model, LLMModel)
        assert await text_of(model, "Hi") == "Hi!"
        assert (await model.generate_async("Hi")).content == "Hi!"
        assert model.model_name in ("m", "unknown")

    async def test_a_model_without_a_name_in_the_configuration_is_fine(self) -> None:
        register_provider("mine", Nameless)
        model = build_model(Model.model_validate({"type": "main", "engine": "mine"}))
        assert await text_of(model, "Hi") == "Hi!"

    async def test_an_object_is_used_as_it_is(self) -> None:
        ready = Streaming("own-name")
        register_provider("mine", ready)
        assert build_model(section("mine")) is ready

    async def test_parameters_reach_a_function_and_calls_override_them(self) -> None:
        register_provider("mine", answering)
        model = build_model(section("mine", parameters={"suffix": "?"}))
        assert await text_of(model, "a") == "a?"
        assert await text_of(model, "a", suffix=".") == "a."

    async def test_leaving_closes_the_users_generator(self) -> None:
        closed = []

        async def endless(prompt: Any, **kwargs: Any) -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
            finally:
                closed.append(True)

        register_provider("mine", endless)
        stream = build_model(section("mine")).stream_async("a")
        assert (await anext(stream)).delta_content == "x"
        await stream.aclose()  # type: ignore[attr-defined]
        assert closed == [True]

    def test_a_registration_wins_over_a_built_in_engine(self) -> None:
        register_provider("openai", Streaming)
        assert isinstance(build_model(section("openai")), Streaming)

    def test_a_key_from_the_environment_is_an_argument(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Keyed(Streaming):
            def __init__(self, model: str, api_key: str) -> None:
                super().__init__(model)
                self.api_key = api_key

        monkeypatch.setenv("MY_KEY", KEY)
        register_provider("mine", Keyed)
        model = build_model(section("mine", api_key_env_var="MY_KEY"))
        assert isinstance(model, Keyed)
        assert model.api_key == KEY

    def test_arguments_a_class_does_not_take_are_named(self) -> None:
        register_provider("mine", Streaming)
        with pytest.raises(InvalidModelConfigurationError, match=r"'mine'.*Streaming.*temperature"):
            build_model(section("mine", parameters={"temperature": 0}))

    @pytest.mark.parametrize("register", REGISTER)
    @pytest.mark.parametrize("wrong", [object, 7, lambda prompt: prompt, "name"])
    def test_what_is_no_provider_is_refused(self, register: Any, wrong: Any) -> None:
        with pytest.raises(TypeError, match="generate_async"):
            register("mine", wrong)

    def test_langchain_classes_are_told_so(self) -> None:
        chat = type("Chat", (), {"__module__": "langchain_core.language_models"})
        text = type("Text", (), {"__module__": "langchain_community.llms"})
        with pytest.raises(TypeError, match="_acall"):
            register_llm_provider("mine", text)
        register_chat_provider("mine", chat)
        with pytest.raises(InvalidModelConfigurationError, match="LangChain class"):
            build_model(section("mine"))

    def test_names_are_listed_by_kind(self) -> None:
        register_chat_provider("my_chat", Streaming)
        register_llm_provider("my_text", Streaming)
        register_provider("my_any", Streaming)
        names = get_provider_names()
        assert names == sorted(names)
        assert {"openai", "azure", "scripted", "my_chat", "my_text", "my_any"} <= set(names)
        assert "my_text" not in get_chat_provider_names()
        assert "my_chat" not in get_llm_provider_names()
        assert {"my_any", "openai"} <= set(get_chat_provider_names()) & set(get_llm_provider_names())
        assert get_community_chat_provider_names() == []

    def test_an_installed_package_may_bring_a_provider(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.plugins, "entry_points", lambda group: {"theirs": group})
        monkeypatch.setattr(
            registry.plugins, "load", lambda group, name: Streaming if name == "theirs" else None
        )
        assert "theirs" in get_provider_names()
        assert isinstance(build_model(section("theirs")), Streaming)


class OtherFramework:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def create_model(self, model_name: str, provider_name: str, model_kwargs: Any = None) -> LLMModel:
        self.asked.append((model_name, provider_name, model_kwargs))
        return Streaming(model_name)

    def register_provider(self, name: str, cls: Any) -> None: ...

    def get_provider_names(self) -> list[str]:
        return []

    async def reset(self) -> None: ...


class TestFrameworks:
    def test_the_default_one_is_ours(self) -> None:
        assert get_default_framework() == "default"
        ours = get_framework("default")
        assert isinstance(ours, LLMFramework)
        ours.register_provider("mine", Streaming)
        assert "mine" in ours.get_provider_names()
        assert isinstance(ours.create_model("m", "mine", {}), Streaming)
        assert type(ours.create_model("m", "openai", {"mode": "text"})) is OpenAITextModel

    def test_another_one_builds_the_models_once_it_is_chosen(self) -> None:
        other = OtherFramework()
        register_framework("other", other)
        set_default_framework("other")
        build_model(section("any", parameters={"seed": 1}, mode="text"))
        assert other.asked == [("m", "any", {"seed": 1, "mode": "text"})]

    def test_the_environment_may_choose(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(frameworks.FRAMEWORK_VARIABLE, "langchain")
        with pytest.raises(
            InvalidModelConfigurationError, match=r"'langchain'.*NEMOGUARDRAILS_LLM_FRAMEWORK"
        ):
            build_model(section())

    def test_mistakes_are_told(self) -> None:
        with pytest.raises(KeyError, match="nowhere"):
            get_framework("nowhere")
        with pytest.raises(KeyError, match="nowhere"):
            set_default_framework("nowhere")
        with pytest.raises(ValueError, match="default"):
            register_framework("default", OtherFramework())
        with pytest.raises(TypeError, match="create_model"):
            register_framework("half", object())

    async def test_a_reset_closes_the_connections(self) -> None:
        async with serving(ANSWER) as server:
            await text_of(build_model(section(parameters={"base_url": server.url})))
            await get_framework("default").reset()
            await server.client_left()


class TestInitLlmModel:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("m", "openai", {"seed": 1}, "text"),
            ("m", "openai", "text", {"seed": 1}),
        ],
    )
    def test_both_orders_are_understood(self, arguments: tuple[Any, ...]) -> None:
        model = init_llm_model(*arguments)
        assert isinstance(model, OpenAITextModel)
        assert model._defaults == {"seed": 1}

    def test_names_of_arguments_are_understood(self) -> None:
        model = init_llm_model(model_name="m", provider_name="openai", mode="chat", kwargs={})
        assert type(model) is OpenAIChatModel

    def test_a_failure_says_what_and_why(self) -> None:
        with pytest.raises(ModelInitializationError, match=r"'m' of 'zzz'.*base_url"):
            init_llm_model("m", "zzz", {})
