"""The Redis store, against a real server where one is installed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nemoguardrails.config.services import EmbeddingsCacheConfig
from nemoguardrails.embeddings.cache import CacheStore, RedisCacheStore, store_of
from nemoguardrails.exceptions import MissingExtraError

_SERVER = shutil.which("redis-server")
needs_server = pytest.mark.skipif(_SERVER is None, reason="redis-server is not installed")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    pytest.importorskip("redis", reason="the package redis is not installed")
    assert _SERVER is not None
    number = _free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [_SERVER, "--bind", "127.0.0.1", "--port", str(number), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert any("eady to accept connections" in line for line in server.stdout)
        yield number
        server.terminate()
        server.stdout.read()


@pytest.fixture
def client(port: int) -> Iterator[Any]:
    import redis

    with redis.Redis(port=port) as opened:
        opened.flushall()
        yield opened


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _store(port: int, **more: Any) -> CacheStore:
    options = {"host": "127.0.0.1", "port": port, **more}
    return store_of(EmbeddingsCacheConfig(enabled=True, store="redis", store_config=options))


@needs_server
def test_vectors_are_kept_as_bytes_under_keys_of_our_own(port: int, client: Any) -> None:
    store = _store(port)
    store.set_many({"one": [1.0, 0.5], "two": [2.0]})
    assert {key: list(vector) for key, vector in store.get_many(["two", "three", "one"]).items()} == {
        "two": [2.0],
        "one": [1.0, 0.5],
    }
    assert list(store.get("one") or ()) == [1.0, 0.5]
    assert client.get("sluice:embeddings:two") == b"\x00\x00\x00\x40"
    assert store.get_many([]) == {}
    store.set("three", [3.0])
    assert client.ttl("sluice:embeddings:three") == -1
    store.close()  # type: ignore[attr-defined]  # only this store has connections


@needs_server
def test_clear_removes_our_keys_alone(port: int, client: Any) -> None:
    client.mset({"users": "own", "sluice:embeddingsX": "own", "a*b:1": "other", "axb:2": "own"})
    for prefix in ("sluice:embeddings:", "a*b:"):
        store = _store(port, prefix=prefix)
        store.set_many({str(number): [1.0] for number in range(1500)})
        store.clear()
        store.close()  # type: ignore[attr-defined]  # as above
    assert set(client.keys()) == {b"users", b"sluice:embeddingsX", b"axb:2"}


@needs_server
def test_what_is_no_vector_counts_as_missing_and_a_lifetime_can_be_set(port: int, client: Any) -> None:
    client.set("sluice:embeddings:odd", b"abc")
    store = _store(port, ttl_s=60)
    assert store.get("odd") is None
    store.set("one", [1.0])
    assert 0 < client.ttl("sluice:embeddings:one") <= 60
    store.close()  # type: ignore[attr-defined]  # as above


def test_a_server_that_is_away_costs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis", reason="the package redis is not installed")
    store = RedisCacheStore(host="127.0.0.1", port=_free_port())
    store.set("one", [1.0])
    assert store.get("one") is None
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    store.close()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"\[redis\]"):
        _store(1)
