"""Engines and searches are found by name, made once, and explained when they cannot be made."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from nemoguardrails import plugins
from nemoguardrails.config.services import EmbeddingsCacheConfig, EmbeddingSearchProvider
from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.index import EmbeddingsIndex, IndexItem, nearest
from nemoguardrails.embeddings.providers import (
    EmbeddingModel,
    embedding_engine_names,
    register_embedding_provider,
)
from nemoguardrails.embeddings.providers.azureopenai import AzureOpenAIEmbeddingModel
from nemoguardrails.embeddings.providers.fastembed import FastEmbedModel
from nemoguardrails.embeddings.providers.hashing import HashingModel
from nemoguardrails.embeddings.providers.nim import NIMEmbeddingModel
from nemoguardrails.embeddings.providers.registry import (
    ModelChoice,
    default_engine,
    provider_class,
    shared_model,
)
from nemoguardrails.embeddings.providers.sentence_transformers import SentenceTransformersModel
from nemoguardrails.embeddings.registry import EmbeddingDefaults, SearchProviders
from nemoguardrails.exceptions import ConfigurationError, InvalidModelConfigurationError

from .counting_model import fresh_engine


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("FastEmbed", FastEmbedModel),
        ("fastembed", FastEmbedModel),
        ("SentenceTransformers", SentenceTransformersModel),
        ("sentence_transformers", SentenceTransformersModel),
        ("sentence-transformers", SentenceTransformersModel),
        ("azure", AzureOpenAIEmbeddingModel),
        ("azure_openai", AzureOpenAIEmbeddingModel),
        ("nvidia_ai_endpoints", NIMEmbeddingModel),
        ("HASH", HashingModel),
    ],
)
def test_names_are_compared_without_case_and_separators(spelling: str, expected: type[Any]) -> None:
    assert provider_class(spelling) is expected


def test_unknown_engines_list_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'word2vec' is unknown; use one of .*cohere.*FastEmbed.*openai"
    ):
        provider_class("word2vec")
    assert {"FastEmbed", "hash", "nim", "google"} <= set(embedding_engine_names())


def test_a_registered_class_is_used_and_the_latest_counts() -> None:
    fresh_engine("Twice_Named")
    second = fresh_engine("twice-named")
    assert provider_class("TWICE NAMED") is second
    assert "twice-named" in embedding_engine_names()


def test_a_provider_needs_a_name_and_a_method() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        register_embedding_provider(type("Nameless", (EmbeddingModel,), {"encode": lambda self, texts: []}))
    for base in (EmbeddingModel, object):
        with pytest.raises(ValueError, match="`encode` or `encode_async`"):
            register_embedding_provider(type("Empty", (base,), {}), "empty")


async def test_a_class_that_is_no_embedding_model_is_adapted() -> None:
    class Plain:
        engine_name = "plain"

        def __init__(self, name: str) -> None:
            self.name = name

        async def encode_async(self, texts: list[str]) -> list[list[float]]:
            return [[float(len(text))] for text in texts]

    register_embedding_provider(Plain)
    model = shared_model(ModelChoice("plain", "some"))
    assert await model.encode_async(["abc"]) == await model.encode_queries_async(["abc"]) == [[3.0]]


def test_a_synchronous_use_of_an_asynchronous_model() -> None:
    class Late(EmbeddingModel):
        engine_name = "late"

        async def encode_async(self, documents: list[str]) -> list[list[float]]:
            return [[1.0, 2.0] for _ in documents]

    assert Late().encode(["a"]) == [[1.0, 2.0]]
    assert Late().embedding_size == 2


def test_a_model_may_set_its_size_itself() -> None:
    class Sized(EmbeddingModel):
        def __init__(self) -> None:
            self.embedding_size = 7

    assert Sized().embedding_size == 7


def test_entry_points_bring_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: {"far_off": object()})
    monkeypatch.setattr(plugins, "load", lambda group, name: HashingModel if name == "far_off" else None)
    assert provider_class("FarOff") is HashingModel
    assert "far_off" in embedding_engine_names()


def test_equal_choices_share_a_model_also_when_threads_ask_at_once() -> None:
    engine = fresh_engine("shared")
    choices = [ModelChoice("shared", "m", {"size": 1})] * 8 + [ModelChoice("Shared", "m", {"size": 1})] * 8
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(shared_model, choices))
    assert engine.made == 1
    assert len(set(map(id, models))) == 1
    others = [shared_model(choice) for choice in (ModelChoice("shared", "n"), ModelChoice("shared", "m"))]
    assert len({id(model) for model in (*others, models[0])}) == 3


def test_models_that_nobody_holds_are_let_go() -> None:
    engine = fresh_engine("let-go")
    for _ in range(2):
        shared_model(ModelChoice("let-go"))
    assert engine.made == 2


def test_credentials_reach_the_model_as_plain_text_and_no_identity() -> None:
    class Keyed(EmbeddingModel):
        def __init__(self, model: str, api_key: str) -> None:
            self.key = api_key

        def encode(self, documents: list[str]) -> list[list[float]]:
            return [[1.0] for _ in documents]

    register_embedding_provider(Keyed, "keyed")
    choice = ModelChoice("keyed", "m", {"api_key": SecretStr("secret")})
    model = shared_model(choice)
    assert isinstance(model, Keyed)
    assert model.key == "secret"
    assert "secret" not in choice.identity() + repr(choice)


def test_a_class_that_does_not_take_the_parameters_is_named() -> None:
    with pytest.raises(InvalidModelConfigurationError, match=r"HashingModel .* parameters colour"):
        shared_model(ModelChoice("hash", None, {"colour": "red"}))


def choice_of(section: EmbeddingSearchProvider, defaults: EmbeddingDefaults | None = None) -> ModelChoice:
    index = SearchProviders(defaults).search_index(section)
    assert isinstance(index, BasicEmbeddingsIndex)
    return index.choice


def section(**parameters: Any) -> EmbeddingSearchProvider:
    return EmbeddingSearchProvider(parameters=parameters)


def test_the_embeddings_model_fills_what_a_section_leaves_open() -> None:
    defaults = EmbeddingDefaults("openai", "big", {"api_key": "x", "dimensions": 2})
    assert choice_of(section(), defaults) == ModelChoice("openai", "big", defaults.parameters)
    assert choice_of(section(embedding_model="small"), defaults).model == "small"
    same = choice_of(section(embedding_engine="OpenAI", embedding_parameters={"dimensions": 3}), defaults)
    assert same == ModelChoice("openai", "big", {"api_key": "x", "dimensions": 3})
    assert choice_of(section(embedding_engine="hash"), defaults) == ModelChoice("hash")


def test_without_fastembed_the_default_is_hash_and_a_wish_for_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert default_engine() == "hash"
    assert choice_of(section()).engine == "hash"
    assert choice_of(section(embedding_engine="FastEmbed")).engine == "FastEmbed"
    assert choice_of(section(), EmbeddingDefaults("FastEmbed", "m")) == ModelChoice("FastEmbed", "m")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert default_engine() == "FastEmbed"


async def test_the_parameters_of_a_section_reach_the_default_search() -> None:
    cache = EmbeddingsCacheConfig(enabled=True, store="in_memory")
    given = EmbeddingSearchProvider(
        parameters={
            "embedding_engine": "hash",
            "search_threshold": "None",
            "use_batching": True,
            "max_batch_size": 3,
        },
        cache=cache,
    )
    index = SearchProviders().search_index(given)
    assert index.cache_config is given.cache
    await index.add_item(IndexItem("hello"))
    assert [item.text for item in await index.search("hello", threshold=1)] == ["hello"]
    with pytest.raises(ConfigurationError, match=r"'default' .* \(colour, embedding_engine"):
        SearchProviders().search_index(section(colour="red"))


class Shelf(EmbeddingsIndex):
    """A user's search."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.items: list[IndexItem] = []

    async def add_items(self, items: list[IndexItem]) -> None:
        self.items += items

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        return [item for item in self.items if text in item.text][:max_results]


async def test_a_registered_search_gets_the_parameters_and_may_have_either_adding_method() -> None:
    providers = SearchProviders()
    providers.register("shelf", Shelf)
    index = providers.search_provider("shelf", {"size": 4})
    assert isinstance(index, Shelf)
    assert index.size == 4
    await index.add_item(IndexItem("a book"))
    await index.build()
    assert await nearest(index, "book", 2, 0.5) == [IndexItem("a book")]
    assert (index.embedding_size, index.cache_config) == (0, None)
    with pytest.raises(ConfigurationError, match=r"'shelf' could not be made from `parameters` \(weight\)"):
        providers.search_provider("shelf", {"weight": 1})
    with pytest.raises(
        ConfigurationError, match=r"unknown embedding search provider 'shelves': use one of default, sh"
    ):
        providers.search_provider("shelves")


async def test_an_index_without_the_methods_says_which_are_missing() -> None:
    class Bare(EmbeddingsIndex):
        pass

    with pytest.raises(NotImplementedError, match=r"Bare must have `add_item` or `add_items`"):
        await Bare().add_item(IndexItem("a"))
    with pytest.raises(NotImplementedError, match="Bare must have `search`"):
        await Bare().search("a")


async def test_a_threshold_is_given_by_place_or_by_name() -> None:
    class ByPlace(Shelf):
        async def search(self, query: str, count: int, lowest: float | None) -> list[Any]:  # type: ignore[override]  # so written
            return [query, count, lowest]

    class ByName(Shelf):
        async def search(self, text: str, max_results: int = 1, **more: Any) -> list[Any]:
            return [text, max_results, more]

    assert await nearest(ByPlace(), "a", 2, 0.5) == ["a", 2, 0.5]
    assert await nearest(ByName(), "a", 2, 0.5) == ["a", 2, {"threshold": 0.5}]


async def test_a_search_without_threshold_cannot_keep_one() -> None:
    class Blind(Shelf):
        async def search(self, text: str, max_results: int) -> list[IndexItem]:  # type: ignore[override]  # so written
            return self.items[:max_results]

    index = Blind()
    await index.add_items([IndexItem("a"), IndexItem("b")])
    assert await nearest(index, "x", 1) == [IndexItem("a")]
    with pytest.raises(TypeError, match=r"Blind.search takes no `threshold`, but 0.5"):
        await nearest(index, "x", 1, 0.5)


def test_importing_the_embeddings_loads_nothing_heavy() -> None:
    code = (
        "import sys; import nemoguardrails.embeddings.registry, nemoguardrails.embeddings.basic;"
        "import nemoguardrails.embeddings.providers.openai, nemoguardrails.embeddings.providers.fastembed;"
        "print([name for name in ('numpy', 'aiohttp', 'yaml', 'pydantic') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
