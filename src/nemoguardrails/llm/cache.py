"""Keeps the verdicts of rail models: least frequently used out, one call for equal requests."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..types import ChatMessage

if TYPE_CHECKING:
    from ..config.models import Model

logger = logging.getLogger(__name__)

Stats: TypeAlias = "dict[str, int | float]"


class CacheInterface(Protocol):
    """What a cache of verdicts must offer; keys are texts, values are the caller's own."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value kept under a key."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Keeps a value, and drops another one where the cache is full."""
        ...

    def size(self) -> int:
        """How many values are kept."""
        ...

    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        ...

    def clear(self) -> None:
        """Drops everything."""
        ...

    def contains(self, key: str) -> bool:
        """Whether a value is kept under a key; doesn't count as a use."""
        ...

    @property
    def maxsize(self) -> int:
        """The most values that are kept."""
        ...

    def get_stats(self) -> Stats:
        """Counts of hits, misses and the rest."""
        ...

    def reset_stats(self) -> None:
        """Sets the counts to zero."""
        ...

    async def get_or_compute(self, key: str, compute: Callable[[], Any], default: Any = None) -> Any:
        """The kept value, or else the computed one, which is then kept."""
        ...


@dataclass(slots=True)
class _Counts:
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    puts: int = 0
    updates: int = 0


@dataclass(slots=True)
class _Entry:
    value: Any
    uses: int
    expires_at: float


class _LeaderLeft(Exception):
    """The one who computed a shared value was cancelled; somebody else must do it."""


class LFUCache:
    """A cache in memory that drops the least frequently used value, the least recently used among equals.

    May be used from several threads and event loops.

    Args:
        maxsize: the most values that are kept, at least 1.
        track_stats: count hits, misses and the rest.
        stats_logging_interval: seconds between two log lines with the counts; `None`: never.
        ttl_seconds: how long a value is good; `None`: for ever.
        clock: the time in seconds.

    Raises:
        ValueError: `maxsize` is below 1.
    """

    def __init__(
        self,
        maxsize: int = 50_000,
        track_stats: bool = False,
        stats_logging_interval: float | None = None,
        *,
        ttl_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if maxsize < 1:
            raise ValueError(f"A cache needs room for at least one value: maxsize={maxsize}")
        self._maxsize, self._ttl, self._clock = maxsize, ttl_seconds, clock
        self._track, self._interval, self._logged_at = track_stats, stats_logging_interval, clock()
        self._entries: dict[str, _Entry] = {}
        self._by_uses: dict[int, OrderedDict[str, None]] = {}
        self._fewest_uses = 0
        self._counts = _Counts()
        self._lock = threading.Lock()
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Future[Any]] = {}

    @property
    def maxsize(self) -> int:
        """The most values that are kept."""
        return self._maxsize

    def get(self, key: str, default: Any = None) -> Any:
        """The value kept under a key, or `default`; counts as a use."""
        with self._lock:
            entry = self._fresh(key)
            if entry is None:
                self._counts.misses += 1
                found = default
            else:
                self._counts.hits += 1
                self._used(key, entry)
                found = entry.value
            self._log_when_due()
            return found

    def put(self, key: str, value: Any) -> None:
        """Keeps a value; where the cache is full, the least used one goes."""
        with self._lock:
            expires_at = float("inf") if self._ttl is None else self._clock() + self._ttl
            entry = self._entries.get(key)
            if entry is not None:
                entry.value, entry.expires_at = value, expires_at
                self._counts.updates += 1
                self._used(key, entry)
                return
            if len(self._entries) >= self._maxsize:
                self._evict()
            self._entries[key] = _Entry(value, 1, expires_at)
            self._by_uses.setdefault(1, OrderedDict())[key] = None
            self._fewest_uses = 1
            self._counts.puts += 1

    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Any],
        default: Any = None,
        *,
        keep: Callable[[Any], bool] = lambda value: True,
    ) -> Any:
        """The kept value, or else the computed one, which is then kept.

        Concurrent calls for one key share one computation, and its error. Where the one who
        computes is cancelled, another one computes anew.

        Args:
            compute: gives the value or an awaitable of it; what it raises is raised here.
            default: returned in place of a computed `None`, which is not kept.
            keep: whether a computed value may be kept.
        """
        under_way_as = (asyncio.get_running_loop(), key)
        while True:
            found = self.get(key, self)
            if found is not self:
                return found
            running = self._under_way.get(under_way_as)
            if running is None:
                break
            try:
                return await asyncio.shield(running)
            except _LeaderLeft:
                continue
        value = await self._computed(under_way_as, compute, keep)
        return default if value is None else value

    def size(self) -> int:
        """How many values are kept."""
        return len(self._entries)

    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not self._entries

    def contains(self, key: str) -> bool:
        """Whether a value is kept under a key; doesn't count as a use."""
        with self._lock:
            return self._fresh(key) is not None

    def clear(self) -> None:
        """Drops all values; the counts stay."""
        with self._lock:
            self._entries.clear()
            self._by_uses.clear()

    def get_stats(self) -> Stats:
        """`hits`, `misses`, `evictions`, `puts`, `updates`, `hit_rate`, `current_size`, `maxsize`."""
        counts = self._counts if self._track else _Counts()
        asked = counts.hits + counts.misses
        stats: Stats = {field.name: getattr(counts, field.name) for field in fields(counts)}
        stats["hit_rate"] = counts.hits / asked if asked else 0.0
        return {**stats, "current_size": len(self._entries), "maxsize": self._maxsize}

    def reset_stats(self) -> None:
        """Sets the counts to zero."""
        self._counts = _Counts()

    async def _computed(
        self,
        under_way_as: tuple[asyncio.AbstractEventLoop, str],
        compute: Callable[[], Any],
        keep: Callable[[Any], bool],
    ) -> Any:
        loop, key = under_way_as
        future: asyncio.Future[Any] = loop.create_future()
        self._under_way[under_way_as] = future
        try:
            value = compute()
            if inspect.isawaitable(value):
                value = await value
            if value is not None and keep(value):
                self.put(key, value)
            future.set_result(value)
            return value
        except Exception as error:
            future.set_exception(error)
            raise
        finally:
            del self._under_way[under_way_as]
            if not future.done():
                future.set_exception(_LeaderLeft())
            future.exception()  # marks it as seen, also where nobody waits for it

    def _fresh(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at <= self._clock():
            self._dropped(key)
            return None
        return entry

    def _used(self, key: str, entry: _Entry) -> None:
        self._unlisted(key, entry.uses)
        if entry.uses == self._fewest_uses and entry.uses not in self._by_uses:
            self._fewest_uses += 1
        entry.uses += 1
        self._by_uses.setdefault(entry.uses, OrderedDict())[key] = None

    def _evict(self) -> None:
        if self._fewest_uses not in self._by_uses:
            self._fewest_uses = min(self._by_uses)
        self._dropped(next(iter(self._by_uses[self._fewest_uses])))
        self._counts.evictions += 1

    def _dropped(self, key: str) -> None:
        self._unlisted(key, self._entries.pop(key).uses)

    def _unlisted(self, key: str, uses: int) -> None:
        same = self._by_uses[uses]
        del same[key]
        if not same:
            del self._by_uses[uses]

    def _log_when_due(self) -> None:
        if not self._track or self._interval is None or self._clock() - self._logged_at < self._interval:
            return
        self._logged_at = self._clock()
        logger.info("Verdict cache: %s", self.get_stats())


def caches_of(models: Iterable[Model]) -> dict[str, LFUCache]:
    """The caches that a configuration asks for, by type of model; of two models of a type the first counts.

    Raises:
        ValueError: a cache has no room.
    """
    made: dict[str, LFUCache | None] = {}
    for model in models:
        if model.type not in made:
            made[model.type] = _cache_of(model)
    return {kind: cache for kind, cache in made.items() if cache is not None}


def _cache_of(model: Model) -> LFUCache | None:
    wanted = model.cache
    if wanted is None or not wanted.enabled:
        return None
    stats = wanted.stats
    return LFUCache(wanted.maxsize, stats.enabled, stats.log_interval, ttl_seconds=wanted.ttl_seconds)


def verdict_key(prompt: str | Sequence[ChatMessage | Mapping[str, Any]], *, model: str, task: str) -> str:
    """The key of a verdict: a digest of the exact prompt, the model and the task, none of them folded."""
    messages = (
        prompt
        if isinstance(prompt, str)
        else [m.to_dict() if isinstance(m, ChatMessage) else m for m in prompt]
    )
    whole = json.dumps([model, task, messages], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
