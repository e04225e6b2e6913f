"""The default search equals a search by hand, computes everything once, and never on the event loop."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.index import IndexItem
from nemoguardrails.embeddings.providers import EmbeddingModel, register_embedding_provider
from nemoguardrails.embeddings.providers.hashing import HashingModel
from nemoguardrails.exceptions import ConfigurationError

from .counting_model import fresh_engine

TEXTS = ["I lost my card", "the card was stolen", "what is the rate", "open an account", "I lost my card"]


async def index_of(*texts: str, engine: str = "hash", **options: Any) -> BasicEmbeddingsIndex:
    index = BasicEmbeddingsIndex(embedding_engine=engine, **options)
    await index.add_items([IndexItem(text, {"place": place}) for place, text in enumerate(texts)])
    return index


def by_hand(
    texts: list[str], query: str, max_results: int, threshold: float | None
) -> list[tuple[int, float]]:
    vectors = HashingModel().encode([*texts, query])
    scored = []
    for place, vector in enumerate(vectors[:-1]):
        cosine = math.fsum(one * other for one, other in zip(vector, vectors[-1], strict=True))
        score = 1 - math.sqrt(max(2 - 2 * cosine, 0)) / 2
        if threshold is None or score >= threshold:
            scored.append((place, score))
    return sorted(scored, key=lambda found: -found[1])[:max_results]


_WORDS = st.lists(
    st.sampled_from(["a", "card", "lost", "my", "rate", "account", "open", "1", "ß", "卡"]), max_size=4
).map(" ".join)


@given(
    st.lists(_WORDS, min_size=1, max_size=12),
    _WORDS,
    st.integers(1, 14),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_results_are_those_of_a_search_by_hand(
    texts: list[str], query: str, max_results: int, threshold: float | None
) -> None:
    async def scores() -> list[float]:
        index = await index_of(*texts)
        return [found.score for found in await index.search_scored(query, max_results, threshold)]

    expected = [score for _, score in by_hand(texts, query, max_results, None)]
    found = asyncio.run(scores())
    assert found == pytest.approx(
        expected[: len(found)], abs=2e-3
    )  # by hand the root blows up float32's error
    if threshold is None:
        assert len(found) == len(expected)
    else:
        assert all(score >= threshold - 1e-5 for score in found)
        assert all(score < threshold + 2e-3 for score in expected[len(found) :])


async def test_equal_scores_keep_the_order_in_which_items_were_taken_in() -> None:
    index = await index_of("same", "other", "same", "same")
    await index.build()
    await index.add_item(IndexItem("same", {"place": 4}))
    assert [item.meta["place"] for item in await index.search("same", 5)] == [0, 2, 3, 4, 1]
    assert [item.meta["place"] for item in await index.search("same", 2)] == [0, 2]
    many = await index_of(*(["same", "another"] * 300))
    assert [item.meta["place"] for item in await many.search("same", 600)] == [
        *range(0, 600, 2),
        *range(1, 600, 2),
    ]


async def test_a_text_reaches_the_threshold_one_with_itself() -> None:
    index = await index_of(*TEXTS)
    assert [item.text for item in await index.search(TEXTS[0], threshold=1.0)] == [TEXTS[0]] * 2
    assert await index.search("I lost my cart", threshold=1.0) == []


async def test_scores_of_opposite_right_angled_and_empty_texts() -> None:
    class Compass(EmbeddingModel):
        def __init__(self, **parameters: Any) -> None:
            pass

        def encode(self, documents: list[str]) -> list[list[float]]:
            return [{"N": [0, 2], "E": [3, 0], "S": [0, -1]}.get(text, [0, 0]) for text in documents]

    register_embedding_provider(Compass, "compass")
    index = await index_of("S", "", "E", "N", engine="compass")
    right_angle = round(1 - math.sqrt(2) / 2, 5)
    assert [(found.item.text, found.score) for found in await index.search_scored("N")] == [
        ("N", 1.0),
        ("", right_angle),
        ("E", right_angle),
        ("S", 0.0),
    ]
    assert {found.score for found in await index.search_scored("")} == {right_angle}


async def test_the_threshold_of_a_call_wins_over_that_of_the_index() -> None:
    index = await index_of(*TEXTS, search_threshold=0.99)
    assert len(await index.search(TEXTS[1])) == 1
    assert len(await index.search(TEXTS[1], threshold=0.0)) == 5
    assert len(await index.search(TEXTS[1], max_results=3, threshold=0.0)) == 3


@pytest.mark.parametrize("max_results", [0, -1])
async def test_no_results_are_asked_for_or_none_are_there(max_results: int) -> None:
    assert await (await index_of(*TEXTS)).search("card", max_results) == []
    assert await (await index_of()).search("card") == []


async def test_items_taken_in_later_are_found_and_only_they_are_encoded() -> None:
    engine = fresh_engine("search-later")
    index = await index_of("abc", engine="search-later")
    assert index.embedding_size == 0
    await index.build()
    await index.add_item(IndexItem("xyz"))
    assert [item.text for item in await index.search("zyx", 1)] == ["xyz"]
    assert engine.batches == [["abc"], ["xyz"], ["zyx"]]
    assert index.embedding_size == 26
    assert [item.text for item in index.items] == ["abc", "xyz"]


async def test_concurrent_first_searches_make_one_model_and_encode_the_items_once() -> None:
    engine = fresh_engine("search-once")
    index = await index_of("abc", "abc", "bcd", engine="search-once")
    await asyncio.gather(*(index.search(f"query {number}") for number in range(10)))
    assert engine.made == 1
    assert engine.batches[0] == ["abc", "bcd"]
    assert sum("abc" in batch for batch in engine.batches) == 1


async def test_nothing_is_loaded_or_encoded_on_the_event_loop() -> None:
    engine = fresh_engine("search-threads")
    await (await index_of("abc", engine="search-threads")).search("a")
    assert engine.made == 1
    assert threading.get_ident() not in engine.threads


async def test_large_sets_are_encoded_in_parts() -> None:
    engine = fresh_engine("search-parts")
    index = await index_of(*(f"text {number}" for number in range(600)), engine="search-parts")
    await index.build()
    assert [len(batch) for batch in engine.batches] == [256, 256, 88]


@pytest.mark.parametrize(("searches", "sizes"), [(20, [10, 10]), (3, [3]), (1, [1])])
async def test_concurrent_searches_are_encoded_together(searches: int, sizes: list[int]) -> None:
    name = f"search-batched-{searches}"
    engine = fresh_engine(name)
    index = await index_of("abc", "xyz", engine=name, use_batching=True, max_batch_size=10)
    await index.build()
    engine.batches.clear()
    found = await asyncio.gather(*(index.search("abc"[: 1 + n % 3] + str(n), 1) for n in range(searches)))
    assert {results[0].text for results in found} == {"abc"}
    assert [len(batch) for batch in engine.batches] == sizes


async def test_batched_and_single_searches_find_the_same() -> None:
    queries = [f"{text} {number}" for number, text in enumerate(TEXTS * 4)]
    single, batched = await index_of(*TEXTS), await index_of(*TEXTS, use_batching=True)
    expected = [await single.search_scored(query, 2) for query in queries]
    assert await asyncio.gather(*(batched.search_scored(query, 2) for query in queries)) == expected


@pytest.mark.parametrize("rows", [100, 9000])
async def test_small_and_large_products_agree(rows: int) -> None:
    vectors = np.random.default_rng(5).normal(size=(rows, 2048)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = BasicEmbeddingsIndex(embedding_engine="hash", use_batching=True, max_batch_size=2)
    index.add_built([IndexItem(str(row)) for row in range(rows)], vectors)
    (query,) = HashingModel().encode(["where is my card"])
    best = np.argsort(-(vectors @ np.array(query, np.float32)), kind="stable")[:3]
    both = await asyncio.gather(index.search("where is my card", 3), index.search("hello", 3))
    assert [int(item.text) for item in both[0]] == best.tolist()


async def test_known_vectors_must_fit_the_items_and_an_empty_index() -> None:
    index = await index_of(*TEXTS)
    await index.build()
    vectors = index.vectors
    assert vectors is not None
    with pytest.raises(ValueError, match="empty index"):
        index.add_built(index.items, vectors)
    with pytest.raises(ValueError, match="do not belong to 2 items"):
        (await index_of()).add_built(index.items[:2], vectors)
    copy = await index_of()
    copy.add_built(index.items, vectors)
    assert await copy.search("stolen") == await index.search("stolen")


class Fickle(EmbeddingModel):
    """Gives what the test wants."""

    answer: Any = None
    failures = 0

    def __init__(self, **parameters: Any) -> None:
        pass

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        if type(self).failures:
            type(self).failures -= 1
            raise OSError("out of order")
        return type(self).answer or [[1.0, 2.0] for _ in documents]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([[1.0]], "1 vectors of"),
        ([[1.0], [1.0, 2.0]], r"\[1, 2\] numbers"),
        ([[], []], r"of \[0\] numbers"),
        ([[math.nan], [1.0]], "not finite"),
    ],
)
async def test_answers_that_are_no_vectors_are_refused(answer: Any, fault: str) -> None:
    register_embedding_provider(type("Wrong", (Fickle,), {"answer": answer}), "wrong")
    with pytest.raises(ConfigurationError, match=fault):
        await (await index_of("a", "b", engine="wrong")).search("a")


async def test_a_build_that_failed_is_tried_again() -> None:
    register_embedding_provider(type("Failing", (Fickle,), {"failures": 1}), "failing")
    index = await index_of("a", "b", engine="failing")
    with pytest.raises(OSError, match="out of order"):
        await index.build()
    assert len(await index.search("a")) == 2


async def test_a_failure_reaches_every_search_of_the_batch() -> None:
    register_embedding_provider(failing := type("Failing2", (Fickle,), {}), "failing-2")
    index = await index_of("a", "b", engine="failing-2", use_batching=True)
    await index.build()
    failing.failures = 1
    outcomes = await asyncio.gather(*(index.search("a") for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3
    assert len(await index.search("a")) == 2


async def test_a_model_that_changes_its_size_is_reported() -> None:
    register_embedding_provider(growing := type("Growing", (Fickle,), {}), "growing")
    index = await index_of("a", engine="growing")
    await index.build()
    growing.answer = [[1.0, 2.0, 3.0]]
    with pytest.raises(ConfigurationError, match="vectors of 3 numbers, those of the index have 2"):
        await index.search("a")
