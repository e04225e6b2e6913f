"""Keeps computed vectors: key generators, and stores in memory, in a file and in Redis."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from .. import plugins
from ..exceptions import ConfigurationError, MissingExtraError
from .index import CacheConfig

Vector: TypeAlias = Sequence[float]

_SQL_VARIABLES = 500
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL)"
_Answer = TypeVar("_Answer")
_Named = TypeVar("_Named", bound="KeyGenerator | CacheStore")
_log = logging.getLogger(__name__)


class KeyGenerator:
    """Makes keys of texts. A subclass is chosen by its `name`: `cache.key_generator` in a configuration."""

    name: str

    def generate_key(self, text: str) -> str:
        """The key of a text; the same in every process. The text begins with engine and model."""
        raise NotImplementedError(f"{type(self).__qualname__} must have `generate_key`")


class SHA256KeyGenerator(KeyGenerator):
    """SHA-256, the default."""

    name = "sha256"

    def generate_key(self, text: str) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(_bytes(text)).hexdigest()


class MD5KeyGenerator(KeyGenerator):
    """MD5."""

    name = "md5"

    def generate_key(self, text: str) -> str:
        """32 hexadecimal digits."""
        return hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest()


class HashKeyGenerator(KeyGenerator):
    """A short hash; unlike Python's own it is the same in every process."""

    name = "hash"

    def generate_key(self, text: str) -> str:
        """16 hexadecimal digits."""
        return hashlib.blake2b(_bytes(text), digest_size=8).hexdigest()


class CacheStore:
    """Keeps vectors under keys. A subclass is chosen by its `name`: `cache.store` in a configuration.

    It is made with `store_config` as keyword arguments and called in worker threads. `get`, `set` and
    `clear` are enough; the other two save round trips.
    """

    name: str

    def get(self, key: str) -> Vector | None:
        """The vector under a key."""
        raise NotImplementedError(f"{type(self).__qualname__} must have `get`")

    def set(self, key: str, value: Vector) -> None:
        """Keeps a vector."""
        raise NotImplementedError(f"{type(self).__qualname__} must have `set`")

    def clear(self) -> None:
        """Forgets what this cache kept, and nothing else."""
        raise NotImplementedError(f"{type(self).__qualname__} must have `clear`")

    def get_many(self, keys: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are kept, by key."""
        found = ((key, self.get(key)) for key in keys)
        return {key: vector for key, vector in found if vector is not None}

    def set_many(self, vectors: Mapping[str, Vector]) -> None:
        """Keeps several vectors."""
        for key, vector in vectors.items():
            self.set(key, vector)


class InMemoryCacheStore(CacheStore):
    """Keeps vectors as long as the index lives."""

    name = "in_memory"

    def __init__(self) -> None:
        self._kept: dict[str, Vector] = {}

    def get(self, key: str) -> Vector | None:
        """The vector under a key."""
        return self._kept.get(key)

    def set(self, key: str, value: Vector) -> None:
        """Keeps a vector."""
        self._kept[key] = value

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()


class FilesystemCacheStore(CacheStore):
    """Keeps vectors in one SQLite file, which several processes may share.

    A damaged file is begun anew. A folder that cannot be written costs a warning, and nothing is kept.

    Args:
        cache_dir: the folder; made if need be.
    """

    name = "filesystem"

    def __init__(self, cache_dir: str | Path = ".cache/embeddings") -> None:
        self._path = Path(cache_dir) / "embeddings.sqlite3"
        self._lock = threading.Lock()

    def get(self, key: str) -> Vector | None:
        """The vector under a key."""
        return self.get_many([key]).get(key)

    def set(self, key: str, value: Vector) -> None:
        """Keeps a vector."""
        self.set_many({key: value})

    def get_many(self, keys: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are kept, by key; one transaction."""

        def read(database: sqlite3.Connection) -> list[tuple[str, bytes]]:
            rows: list[tuple[str, bytes]] = []
            for part in _parts(keys, _SQL_VARIABLES):
                marks = ",".join("?" * len(part))
                rows += database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
            return rows

        return _all_unpacked(self._done(read) or ())

    def set_many(self, vectors: Mapping[str, Vector]) -> None:
        """Keeps several vectors, all or none; one transaction."""
        rows = [(key, _packed(vector)) for key, vector in vectors.items()]
        self._done(
            lambda database: database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        )

    def clear(self) -> None:
        """Forgets every vector in the file."""
        self._done(lambda database: database.execute("DELETE FROM vectors"))

    def _done(self, action: Callable[[sqlite3.Connection], _Answer]) -> _Answer | None:
        """What the action answers; `None` where the file could not be used."""
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self._path, timeout=30)) as database, database:
                    database.execute(_TABLE)
                    return action(database)
            except (OSError, sqlite3.OperationalError) as error:
                _log.warning("Embeddings are not kept: %s cannot be used (%s)", self._path, error)
            except sqlite3.DatabaseError as error:
                _log.warning("The cache of embeddings %s is damaged (%s); begun anew", self._path, error)
                self._path.unlink(missing_ok=True)
            return None


class RedisCacheStore(CacheStore):
    """Keeps vectors in Redis, under keys with a prefix of their own.

    While the server cannot be reached nothing is found or kept, and a warning is logged.

    Args:
        host, port, db: where Redis is.
        prefix: what every key begins with; `clear` removes these keys alone.
        ttl_s: after how many seconds Redis may forget a vector; `None` for never.
        options: further arguments of `redis.Redis`, such as `password` or `ssl`.
    """

    name = "redis"

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        *,
        prefix: str = "sluice:embeddings:",
        ttl_s: int | None = None,
        **options: Any,
    ) -> None:
        try:
            redis = plugins.imported("redis")
        except ImportError as error:
            raise MissingExtraError("cache.store `redis`", "redis") from error
        self._failure: type[Exception] = redis.exceptions.RedisError
        # A cache must not cost more than it saves: one more attempt at once, and no waiting beyond seconds.
        retry = plugins.imported("redis.retry:Retry")(plugins.imported("redis.backoff:NoBackoff")(), 1)
        limits = {"retry": retry, "socket_connect_timeout": 2.0, "socket_timeout": 5.0}
        self._client = redis.Redis(host=host, port=port, db=db, **{**limits, **options})
        self._is_reported = False
        self._prefix = prefix
        self._ttl_s = ttl_s

    def get(self, key: str) -> Vector | None:
        """The vector under a key."""
        return self.get_many([key]).get(key)

    def set(self, key: str, value: Vector) -> None:
        """Keeps a vector."""
        self.set_many({key: value})

    def get_many(self, keys: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are kept, by key; one round trip."""
        try:
            values = self._client.mget([self._prefix + key for key in keys]) if keys else []
        except self._failure as error:
            self._unreachable(error)
            return {}
        return _all_unpacked(zip(keys, values, strict=True))

    def set_many(self, vectors: Mapping[str, Vector]) -> None:
        """Keeps several vectors; one round trip."""
        try:
            with self._client.pipeline(transaction=False) as batch:
                for key, vector in vectors.items():
                    batch.set(self._prefix + key, _packed(vector), ex=self._ttl_s)
                batch.execute()
        except self._failure as error:
            self._unreachable(error)

    def clear(self) -> None:
        """Removes the keys with our prefix.

        Raises:
            redis.RedisError: the server cannot be reached.
        """
        for part in _parts(self._client.scan_iter(match=_literal(self._prefix) + "*", count=1000), 1000):
            self._client.delete(*part)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _unreachable(self, error: Exception) -> None:
        level = logging.DEBUG if self._is_reported else logging.WARNING
        self._is_reported = True
        _log.log(level, "Embeddings are not kept: Redis cannot be used (%s)", error)


class VectorCache:
    """The vectors of one model in a store; called in worker threads.

    Args:
        identity: what tells the model from others; it is a part of every key.
    """

    def __init__(self, identity: str, key_generator: KeyGenerator, store: CacheStore) -> None:
        self._identity = identity
        self._key_generator = key_generator
        self._store = store

    def find(self, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are known, by text."""
        keys = {text: self._key(text) for text in texts}
        kept = self._store.get_many(list(keys.values()))
        return {text: kept[key] for text, key in keys.items() if key in kept}

    def keep(self, vectors: Mapping[str, Vector]) -> None:
        """Keeps vectors by text."""
        self._store.set_many({self._key(text): vector for text, vector in vectors.items()})

    def _key(self, text: str) -> str:
        return self._key_generator.generate_key(f"{self._identity}\n{text}")


def key_generator_named(name: str) -> KeyGenerator:
    """A key generator by its `name`, the user's own included.

    Raises:
        ConfigurationError: there is none of that name.
    """
    return _named(KeyGenerator, name, "cache.key_generator")()


def store_of(config: CacheConfig) -> CacheStore:
    """The store that a configuration asks for.

    Raises:
        ConfigurationError: there is no store of that name, or it does not take its `store_config`.
        MissingExtraError: its package is not installed.
    """
    found, arguments = _named(CacheStore, config.store, "cache.store"), config.plain_store_config()
    try:
        return found(**arguments)
    except TypeError as error:
        raise ConfigurationError(
            f"cache.store {config.store!r} could not be made from `cache.store_config` "
            f"({', '.join(sorted(arguments)) or 'empty'}): {error}"
        ) from error


def _named(base: type[_Named], name: str, key: str) -> type[_Named]:
    known = {getattr(found, "name", None): found for found in _descendants(base)}
    if name not in known:
        names = ", ".join(sorted(str(found) for found in known if found))
        raise ConfigurationError(
            f"`{key}: {name}` is unknown; use one of {names}, or import your own subclass of {base.__name__}"
        )
    return known[name]


def _descendants(base: type[Any]) -> Iterator[type[Any]]:
    for child in base.__subclasses__():
        yield child
        yield from _descendants(child)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _packed(vector: Vector) -> bytes:
    return array("f", vector).tobytes()


def _all_unpacked(found: Iterable[tuple[str, bytes | None]]) -> dict[str, Vector]:
    """The vectors among what a store held; what cannot be one counts as missing."""
    return {key: array("f", packed) for key, packed in found if packed and len(packed) % 4 == 0}


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    part: list[Any] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _literal(prefix: str) -> str:
    """A prefix as a pattern of Redis that matches only itself."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^-" else letter for letter in prefix)
