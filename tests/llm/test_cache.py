"""Verdicts are kept by use, for a time, and asked for once."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.config.models import Model
from nemoguardrails.context import turn_record_var
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.llm.cache import CacheInterface, LFUCache, caches_of, verdict_key
from nemoguardrails.llm.judge import judged_call
from nemoguardrails.logging.record import TurnRecord
from nemoguardrails.types import ChatMessage, LLMResponse, UsageInfo
from scripted_model import WholeModel


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_least_used_value_goes_first_and_among_equals_the_oldest() -> None:
    cache: CacheInterface = LFUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.contains("a"), cache.contains("b"), cache.contains("c")) == (True, False, True)
    cache.get("c")
    cache.put("d", 4)
    assert (cache.contains("a"), cache.contains("d")) == (False, True)
    assert (cache.size(), cache.maxsize, cache.is_empty()) == (2, 2, False)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["get", "put", "expire"]), st.sampled_from("abcdef")), max_size=60),
)
def test_it_behaves_like_a_plain_list_of_uses(maxsize: int, steps: list[tuple[str, str]]) -> None:
    clock = Clock()
    cache = LFUCache(maxsize, ttl_seconds=5, clock=clock)
    model: dict[str, list[float]] = {}  # key -> uses, time of last use, expiry
    for at, (step, key) in enumerate(steps):
        model_key = model.get(key)
        if step == "expire":
            clock.now += 2
        elif step == "get":
            if model_key is not None and model_key[2] <= clock.now:
                del model[key]
                model_key = None
            assert (cache.get(key) is not None) == (model_key is not None)
            if model_key is not None:
                model_key[0] += 1
                model_key[1] = at
        elif model_key is not None:
            cache.put(key, at)
            model[key] = [model_key[0] + 1, at, clock.now + 5]
        else:
            if len(model) == maxsize:
                del model[min(model, key=lambda kept: model[kept][:2])]
            cache.put(key, at)
            model[key] = [1, at, clock.now + 5]
        assert cache.size() == len(model)


def test_a_value_is_good_for_its_time() -> None:
    clock = Clock()
    cache = LFUCache(2, ttl_seconds=10, clock=clock)
    cache.put("a", 1)
    clock.now = 9.9
    assert cache.get("a") == 1
    clock.now = 10
    assert cache.get("a", "gone") == "gone"
    assert cache.is_empty()


def test_uses_are_counted_and_logged_on_request(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    cache = LFUCache(1, track_stats=True, stats_logging_interval=60, clock=clock)
    cache.put("a", 1)
    cache.put("a", 2)
    cache.put("b", 3)
    cache.get("b")
    clock.now = 61
    with caplog.at_level(logging.INFO):
        cache.get("a")
    stats = {"hits": 1, "misses": 1, "evictions": 1, "puts": 2, "updates": 1}
    assert cache.get_stats() == {**stats, "hit_rate": 0.5, "current_size": 1, "maxsize": 1}
    assert "'hits': 1" in caplog.text
    cache.reset_stats()
    assert cache.get_stats()["hits"] == 0
    cache.clear()
    assert cache.is_empty()


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="maxsize=0"):
        LFUCache(0)


def test_a_configuration_says_which_models_have_a_cache() -> None:
    def model(kind: str, **cache: Any) -> Model:
        return Model.model_validate({"type": kind, "engine": "openai", "model": "m", "cache": cache or None})

    caches = caches_of(
        [model("main"), model("a", enabled=True, maxsize=7), model("a"), model("b", enabled=False)]
    )
    assert {kind: cache.maxsize for kind, cache in caches.items()} == {"a": 7}
    with pytest.raises(ValueError, match="maxsize=0"):
        caches_of([model("a", enabled=True, maxsize=0)])


async def test_equal_requests_share_one_computation() -> None:
    cache, computed, gate = LFUCache(2), list[int](), asyncio.Event()

    async def compute() -> str:
        computed.append(1)
        await gate.wait()
        return "v"

    waiting = [asyncio.ensure_future(cache.get_or_compute("k", compute)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == ["v"] * 3
    assert await cache.get_or_compute("k", compute) == "v"
    assert len(computed) == 1


async def test_an_error_is_shared_and_not_kept() -> None:
    cache, gate = LFUCache(2), asyncio.Event()

    async def fail() -> str:
        await gate.wait()
        raise ConnectionError("down")

    waiting = [asyncio.ensure_future(cache.get_or_compute("k", fail)) for _ in range(2)]
    await asyncio.sleep(0)
    gate.set()
    assert all(
        isinstance(got, ConnectionError) for got in await asyncio.gather(*waiting, return_exceptions=True)
    )
    assert cache.is_empty()
    assert await cache.get_or_compute("k", lambda: "fine") == "fine"


async def test_when_the_one_who_computes_leaves_another_takes_over() -> None:
    cache, begun = LFUCache(2), list[asyncio.Event]()

    async def compute() -> str:
        begun.append(asyncio.Event())
        await begun[-1].wait()
        return "v"

    first = asyncio.ensure_future(cache.get_or_compute("k", compute))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(cache.get_or_compute("k", compute))
    await asyncio.sleep(0)
    first.cancel()
    while len(begun) < 2:
        await asyncio.sleep(0)
    begun[1].set()
    assert await second == "v"
    assert first.cancelled()


async def test_what_may_not_be_kept_is_computed_again() -> None:
    cache = LFUCache(2)
    assert await cache.get_or_compute("k", lambda: "bad", keep=lambda value: False) == "bad"
    assert await cache.get_or_compute("k", lambda: None, default="none") == "none"
    assert cache.is_empty()


def test_keys_tell_texts_models_and_tasks_apart() -> None:
    keys = {
        verdict_key("a b", model="m", task="t"),
        verdict_key("a  b", model="m", task="t"),
        verdict_key("a b", model="n", task="t"),
        verdict_key("a b", model="m", task="u"),
        verdict_key([{"role": "user", "content": "a b"}], model="m", task="t"),
        verdict_key("\ud800", model="m", task="t"),
    }
    assert len(keys) == 6
    as_dict, as_message = {"content": "a", "role": "user"}, ChatMessage.from_user("a")
    assert verdict_key([as_dict], model="m", task="t") == verdict_key([as_message], model="m", task="t")


@pytest.fixture
def record() -> Iterator[TurnRecord]:
    made = TurnRecord()
    token = turn_record_var.set(made)
    yield made
    turn_record_var.reset(token)


async def test_a_hit_is_recorded_like_a_call(record: TurnRecord) -> None:
    model = WholeModel(LLMResponse("safe", usage=UsageInfo(5, 1, 6)))
    cache = LFUCache(9)

    async def ask(prompt: str) -> Any:
        return await judged_call(model, prompt, str.upper, task="check", cache=cache)

    assert [await ask("a"), await ask("a"), await ask("b")] == ["SAFE"] * 3
    assert len(model.asked) == 2
    first, hit, _ = record.llm_calls
    assert (first.from_cache, hit.from_cache) == (False, True)
    assert (hit.task, hit.prompt, hit.completion) == ("check", "a", "safe")
    assert (hit.total_tokens, hit.llm_model_name) == (6, "parrot")
    assert hit.id != first.id


async def test_failures_and_undecided_verdicts_are_not_kept(record: TurnRecord) -> None:
    model = WholeModel(ConnectionError("down"), "hm", "hm")
    cache = LFUCache(9)
    with pytest.raises(LLMCallException):
        await judged_call(model, "a", str, task="check", cache=cache)
    await judged_call(model, "a", str, task="check", cache=cache, keep=lambda read: False)
    assert cache.is_empty()
    assert await judged_call(model, "a", str, task="check") == "hm"
    assert len(record.llm_calls) == 3
