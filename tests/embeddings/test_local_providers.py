"""The engines that compute with packages of others, played by stand-ins, as these need a download."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.index import IndexItem
from nemoguardrails.embeddings.providers.registry import ModelChoice, shared_model
from nemoguardrails.exceptions import ConfigurationError, MissingExtraError


class Embedder:
    """Has the methods of both packages; remembers the threads in which it worked."""

    threads: set[int]
    calls: list[str]

    def __init__(self, name: str, **options: Any) -> None:
        if name == "far":
            raise ValueError("Could not load model from any source")
        self.name, self.options = name, options
        type(self).threads, type(self).calls = set(), []

    def passage_embed(self, texts: list[str]) -> Iterator[Any]:
        return self._lazily("passages", texts)

    def query_embed(self, texts: list[str]) -> Iterator[Any]:
        return self._lazily("queries", texts)

    def encode(self, texts: list[str], show_progress_bar: bool) -> Any:
        return np.stack(list(self._lazily("passages", texts)))

    def encode_query(self, texts: list[str], show_progress_bar: bool) -> Any:
        return np.stack(list(self._lazily("queries", texts)))

    def _lazily(self, kind: str, texts: list[str]) -> Iterator[Any]:
        type(self).calls.append(kind)
        for text in texts:
            type(self).threads.add(threading.get_ident())
            yield np.array([len(text), 1], np.float32)


@pytest.fixture(params=["FastEmbed", "SentenceTransformers"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    package, name = {
        "FastEmbed": ("fastembed", "TextEmbedding"),
        "SentenceTransformers": ("sentence_transformers", "SentenceTransformer"),
    }[request.param]
    module = ModuleType(package)
    setattr(module, name, Embedder)
    monkeypatch.setitem(sys.modules, package, module)
    return str(request.param)


async def test_lazy_results_are_made_in_worker_threads_and_queries_told_apart(engine: str) -> None:
    index = BasicEmbeddingsIndex("some", engine, {"cache_dir": "there"})
    await index.add_items([IndexItem("a"), IndexItem("aaaa")])
    assert [item.text for item in await index.search("bbb", 1)] == ["aaaa"]
    assert Embedder.calls == ["passages", "queries"]
    assert threading.get_ident() not in Embedder.threads


def test_the_default_model_is_minilm(engine: str) -> None:
    model: Any = shared_model(ModelChoice(engine))
    expected = {
        "FastEmbed": "sentence-transformers/all-MiniLM-L6-v2",
        "SentenceTransformers": "all-MiniLM-L6-v2",
    }
    assert model._model.name == expected[engine]
    if engine == "FastEmbed":
        assert model.embedding_size == 384


def test_a_model_that_cannot_be_loaded_points_to_the_download(engine: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"engine {engine}: 'far' could not be loaded .*engine: hash"
    ):
        shared_model(ModelChoice(engine, "far"))


@pytest.mark.parametrize(("engine", "extra"), [("FastEmbed", "embeddings"), ("SentenceTransformers", "hf")])
def test_a_missing_package_names_its_extra(engine: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=rf"{engine} .*sluice-guardrails\[{extra}\]"):
        shared_model(ModelChoice(engine, "m"))
