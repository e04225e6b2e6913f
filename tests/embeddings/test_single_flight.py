"""Concurrent requests share one run, and survive each other's cancellation."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

from nemoguardrails.embeddings.single_flight import Batcher, SingleFlight


class Doubling:
    """Answers when it is let; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        self.begun.set()
        await self.let.wait()
        return [2 * number for number in numbers]


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_full_batch_is_not_held() -> None:
    work = Doubling()
    work.let.set()
    batcher = Batcher(work, max_size=3, max_hold_s=1e9)
    assert await asyncio.gather(*(batcher.ask(number) for number in range(6))) == [0, 2, 4, 6, 8, 10]
    assert work.batches == [[0, 1, 2], [3, 4, 5]]


async def test_a_batch_of_one_is_answered_after_its_time() -> None:
    work = Doubling()
    work.let.set()
    batcher = Batcher(work, max_size=3, max_hold_s=0.0)
    assert await batcher.ask(4) == 8
    assert await batcher.ask(5) == 10
    assert work.batches == [[4], [5]]


async def test_requests_that_come_while_a_batch_is_answered_form_the_next() -> None:
    work = Doubling()
    batcher = Batcher(work, max_size=2, max_hold_s=0.0)
    first = asyncio.ensure_future(batcher.ask(1))
    await work.begun.wait()
    second = asyncio.ensure_future(batcher.ask(2))
    work.let.set()
    assert await asyncio.gather(first, second) == [2, 4]
    assert work.batches == [[1], [2]]


@pytest.mark.parametrize("moment", ["held", "answered"])
async def test_when_the_first_leaves_the_next_takes_over(moment: str) -> None:
    work = Doubling()
    batcher = Batcher(work, max_size=3 if moment == "answered" else 9, max_hold_s=1e9)
    tasks = [asyncio.ensure_future(batcher.ask(number)) for number in range(3)]
    await _turns()
    tasks[0].cancel()
    work.let.set()
    assert await asyncio.gather(*tasks[1:]) == [2, 4]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert work.batches[-1] == [1, 2]


async def test_the_lead_passes_through_one_that_leaves_too() -> None:
    work = Doubling()
    batcher = Batcher(work, max_size=9, max_hold_s=1e9)
    tasks = [asyncio.ensure_future(batcher.ask(number)) for number in range(4)]
    await _turns()
    tasks[0].cancel()
    await asyncio.sleep(0)  # the second is told to lead, and has not run yet
    tasks[1].cancel()
    work.let.set()
    assert await asyncio.gather(*tasks[2:]) == [4, 6]
    assert work.batches == [[2, 3]]


async def test_a_follower_that_leaves_disturbs_nobody() -> None:
    work = Doubling()
    batcher = Batcher(work, max_size=3, max_hold_s=1e9)
    tasks = [asyncio.ensure_future(batcher.ask(number)) for number in range(3)]
    await work.begun.wait()
    tasks[1].cancel()
    work.let.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) != [0, 2, 4]
    assert (tasks[0].result(), tasks[1].cancelled(), tasks[2].result()) == (0, True, 4)


async def test_when_all_leave_the_next_request_begins_anew() -> None:
    work = Doubling()
    batcher = Batcher(work, max_size=9, max_hold_s=1e9)
    tasks = [asyncio.ensure_future(batcher.ask(number)) for number in range(2)]
    await _turns()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    late = asyncio.ensure_future(batcher.ask(7))
    others = [asyncio.ensure_future(batcher.ask(number)) for number in range(8)]
    work.let.set()
    assert await late == 14
    await asyncio.gather(*others)
    assert [len(batch) for batch in work.batches] == [9]


def test_one_object_serves_several_event_loops() -> None:
    flight, order = SingleFlight(), []

    async def contended(name: str) -> None:
        async def enter(number: int) -> None:
            async with flight.turn():
                order.append((name, number))
                await asyncio.sleep(0)
                order.append((name, number))

        await asyncio.gather(enter(1), enter(2))

    for name in ("first", "second"):
        asyncio.run(contended(name))
    assert order == [(name, number) for name in ("first", "second") for number in (1, 1, 2, 2)]
