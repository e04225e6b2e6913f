"""Vectors are kept by engine, model and text, in every store, and a broken store costs nothing but time."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nemoguardrails.config.services import EmbeddingsCacheConfig
from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.cache import (
    CacheStore,
    FilesystemCacheStore,
    InMemoryCacheStore,
    KeyGenerator,
    Vector,
    key_generator_named,
    store_of,
)
from nemoguardrails.embeddings.index import IndexItem
from nemoguardrails.exceptions import ConfigurationError

from .counting_model import fresh_engine


def cached(store: str = "filesystem", **more: Any) -> EmbeddingsCacheConfig:
    return EmbeddingsCacheConfig(enabled=True, store=store, **more)


async def search(
    engine: str, config: EmbeddingsCacheConfig, query: str = "query", **more: Any
) -> list[IndexItem]:
    index = BasicEmbeddingsIndex(embedding_engine=engine, cache_config=config, **more)
    await index.add_items([IndexItem("abc"), IndexItem("xyz")])
    return await index.search(query)


@pytest.fixture(params=["in_memory", "filesystem"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CacheStore:
    return InMemoryCacheStore() if request.param == "in_memory" else FilesystemCacheStore(tmp_path)


def test_a_store_keeps_finds_and_forgets(store: CacheStore) -> None:
    store.set("one", [1.0, 0.5])
    store.set_many({"two": [2.0], "one": [1.5, 0.25]})
    assert {key: list(vector) for key, vector in store.get_many(["two", "none", "one"]).items()} == {
        "two": [2.0],
        "one": [1.5, 0.25],
    }
    assert list(store.get("two") or ()) == [2.0]
    store.clear()
    assert store.get("one") is None


def test_a_store_takes_more_keys_than_one_statement(store: CacheStore) -> None:
    store.set_many({str(number): [float(number)] for number in range(1234)})
    assert len(store.get_many([str(number) for number in range(2000)])) == 1234


def test_several_threads_write_one_file(tmp_path: Path) -> None:
    def write(first: int) -> None:
        own = FilesystemCacheStore(tmp_path)
        for number in range(first, first + 20):
            own.set(str(number), [float(number)])

    threads = [threading.Thread(target=write, args=(20 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(FilesystemCacheStore(tmp_path).get_many([str(number) for number in range(80)])) == 80


@pytest.mark.parametrize(
    "content", [b"no database, but long enough to look like one" * 50, b"SQLite format 3\x00" * 99]
)
def test_a_damaged_file_is_begun_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "embeddings.sqlite3").write_bytes(content)
    damaged = FilesystemCacheStore(tmp_path)
    assert damaged.get("one") is None
    assert "begun anew" in caplog.text
    damaged.set("one", [1.0])
    assert list(damaged.get("one") or ()) == [1.0]


async def test_a_folder_that_cannot_be_used_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    fresh_engine("cache-unwritable")
    config = cached(store_config={"cache_dir": str(tmp_path / "file")})
    assert len(await search("cache-unwritable", config)) == 2
    assert "not kept" in caplog.text


async def test_a_text_is_computed_once_for_all_indexes(tmp_path: Path) -> None:
    engine = fresh_engine("cache-once")
    config = cached(store_config={"cache_dir": str(tmp_path)})
    first = await search("cache-once", config)
    assert await search("cache-once", config) == first
    assert engine.batches == [["abc", "xyz"], ["query"]]


async def test_nothing_is_kept_unless_it_is_enabled(tmp_path: Path) -> None:
    engine = fresh_engine("cache-off")
    config = EmbeddingsCacheConfig(store_config={"cache_dir": str(tmp_path)})
    await search("cache-off", config)
    await search("cache-off", config)
    assert len(engine.batches) == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed", [{"embedding_model": "other"}, {"embedding_parameters": {"dimensions": 3}}]
)
async def test_models_and_parameters_do_not_share_vectors(tmp_path: Path, changed: dict[str, Any]) -> None:
    engine = fresh_engine("cache-models")
    config = cached(store_config={"cache_dir": str(tmp_path)})
    await search("cache-models", config)
    await search("cache-models", config, **changed)
    assert len(engine.batches) == 4


async def test_engines_do_not_share_vectors(tmp_path: Path) -> None:
    config = cached(store_config={"cache_dir": str(tmp_path)})
    one, other = fresh_engine("cache-one"), fresh_engine("cache-other")
    await search("cache-one", config)
    await search("cache-other", config)
    assert one.batches == other.batches == [["abc", "xyz"], ["query"]]


async def test_documents_and_queries_do_not_share_vectors_where_the_model_tells_them_apart(
    tmp_path: Path,
) -> None:
    config = cached(store_config={"cache_dir": str(tmp_path)})
    telling, plain = fresh_engine("cache-telling"), fresh_engine("cache-plain")
    telling.tells_queries_apart = True
    for engine in ("cache-telling", "cache-plain"):
        await search(engine, config, query="abc")
    assert telling.batches == [["abc", "xyz"], ["abc"]]
    assert plain.batches == [["abc", "xyz"]]


async def test_kept_vectors_of_another_size_are_computed_anew(tmp_path: Path) -> None:
    engine = fresh_engine("cache-sizes")
    config = cached(store_config={"cache_dir": str(tmp_path)})
    await search("cache-sizes", config)
    file = FilesystemCacheStore(tmp_path)
    index = BasicEmbeddingsIndex(embedding_engine="cache-sizes", cache_config=config)
    await index.add_items([IndexItem("abc"), IndexItem("new")])
    for text in ("abc", "query"):
        identity = f"{index.choice.identity()}\ndocument\n{text}"
        file.set(key_generator_named("sha256").generate_key(identity), [1.0, 2.0])
    await index.build()
    assert engine.batches[2:] == [["new"], ["abc", "new"]]
    assert index.embedding_size == 26


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
        ("md5", "5d41402abc4b2a76b9719d911017c592"),
        ("hash", "a7b6eda801e5347d"),
    ],
)
def test_keys_are_the_same_in_every_process(name: str, key: str) -> None:
    assert key_generator_named(name).generate_key("hello") == key
    assert len(key_generator_named(name).generate_key("\ud800")) == len(key)


def test_the_short_key_does_not_depend_on_the_seed_of_python() -> None:
    code = (
        "from nemoguardrails.embeddings.cache import HashKeyGenerator;"
        "print(HashKeyGenerator().generate_key('hello'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "a7b6eda801e5347d"


class LoudKeys(KeyGenerator):
    name = "loud"

    def generate_key(self, text: str) -> str:
        return text.upper()


class ListStore(CacheStore):
    name = "list"
    kept: ClassVar[list[tuple[str, Vector]]] = []

    def __init__(self, shelf: str) -> None:
        self._shelf = shelf

    def get(self, key: str) -> Vector | None:
        return dict(self.kept).get(f"{self._shelf}/{key}")

    def set(self, key: str, value: Vector) -> None:
        self.kept.append((f"{self._shelf}/{key}", value))

    def clear(self) -> None:
        self.kept.clear()


async def test_key_generators_and_stores_of_the_users_own_are_found_by_name() -> None:
    engine = fresh_engine("cache-own")
    config = cached("list", key_generator="loud", store_config={"shelf": "top"})
    await search("cache-own", config)
    await search("cache-own", config)
    assert len(engine.batches) == 2
    assert next(key.rsplit("\n", 1) for key, _ in ListStore.kept)[1] == "ABC"
    assert all(key.startswith("top/") for key, _ in ListStore.kept)


async def test_unknown_names_and_arguments_say_what_to_do() -> None:
    fresh_engine("cache-wrong")
    with pytest.raises(ConfigurationError, match=r"cache.store: shelf.*filesystem, in_memory"):
        await search("cache-wrong", cached("shelf"))
    with pytest.raises(ConfigurationError, match=r"cache.key_generator: crc.*hash, .*md5, sha256"):
        await search("cache-wrong", cached("in_memory", key_generator="crc"))
    with pytest.raises(ConfigurationError, match=r"store_config` \(colour\)"):
        store_of(cached(store_config={"colour": "red"}))
