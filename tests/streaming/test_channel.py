"""Reading ahead of a consumer, and calls that run side by side."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

import virtual_clock
from nemoguardrails.streaming.channel import ReadAhead
from nemoguardrails.streaming.side_by_side import side_by_side


class Source:
    def __init__(self, *items, minds=True):
        self.items, self.minds, self.read, self.closed = items, minds, 0, False

    async def __call__(self):
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                self.read += 1
                yield item
        finally:
            self.closed = True
            while not self.minds:
                try:
                    await asyncio.sleep(1)
                    self.minds = True
                except asyncio.CancelledError:
                    pass


class TestReadAhead:
    async def test_it_gives_all_items_in_order(self):
        source = Source(*range(200))
        ahead = ReadAhead(source(), limit=3)
        assert [item async for item in ahead] == list(range(200))
        assert source.closed
        assert [item async for item in ahead] == []

    async def test_it_reads_before_it_is_asked_up_to_its_limit(self):
        source = Source(*range(200))
        ahead = ReadAhead(source(), limit=5)
        for _ in range(10):
            await asyncio.sleep(0)
        assert source.read == 5
        assert await anext(ahead) == 0
        for _ in range(10):
            await asyncio.sleep(0)
        assert source.read == 6
        await ahead.aclose()

    async def test_an_error_comes_after_the_items_before_it(self):
        ahead = ReadAhead(Source(1, 2, KeyError("x"))())
        assert [await anext(ahead), await anext(ahead)] == [1, 2]
        with pytest.raises(KeyError, match="x"):
            await anext(ahead)
        assert [item async for item in ahead] == []

    async def test_a_source_that_is_cancelled_from_elsewhere_is_no_endless_wait(self):
        ahead = ReadAhead(Source(1, asyncio.CancelledError())())
        assert await anext(ahead) == 1
        with pytest.raises(asyncio.CancelledError):
            await anext(ahead)

    async def test_closing_closes_the_source_and_forgets_what_was_read(self):
        source = Source(*range(200))
        ahead = ReadAhead(source(), limit=5)
        await anext(ahead)
        await ahead.aclose()
        assert source.closed
        assert [item async for item in ahead] == []
        await ahead.aclose()
        assert [item async for item in ahead] == []

    async def test_an_error_that_nobody_waits_for_is_silent(self):
        ahead = ReadAhead(Source(KeyError("x"))())
        for _ in range(3):
            await asyncio.sleep(0)
        await ahead.aclose()

    def test_a_source_that_does_not_mind_being_closed_is_left_alone(self, caplog):
        async def play():
            ahead = ReadAhead(Source(*range(9), minds=False)(), limit=2)
            await anext(ahead)
            began = asyncio.get_running_loop().time()
            await ahead.aclose()
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(5)
            return took

        assert virtual_clock.run(play()) == pytest.approx(0.01)
        assert "ignores that its stream was closed" in caplog.text


class TestSideBySide:
    def test_all_results_in_order(self):
        async def call(value, seconds):
            await asyncio.sleep(seconds)
            return value

        async def play():
            got = await side_by_side([call(1, 3), call(2, 1)], lambda value: value == 9)
            return got, asyncio.get_running_loop().time()

        assert virtual_clock.run(play()) == ([1, 2], 3.0)

    def test_the_first_that_decides_cancels_the_rest(self):
        ended = []

        async def call(value, seconds):
            try:
                await asyncio.sleep(seconds)
                return value
            finally:
                ended.append(value)

        async def play():
            got = await side_by_side([call(1, 3), call(2, 1), call(3, 0.5)], lambda value: value == 2)
            return got, asyncio.get_running_loop().time()

        assert virtual_clock.run(play()) == ([None, 2, 3], 1.0)
        assert ended == [3, 2, 1]

    def test_an_error_cancels_the_rest(self):
        ended = []

        async def fails():
            raise KeyError("x")

        async def waits():
            try:
                await asyncio.sleep(100)
            finally:
                ended.append(True)

        async def play():
            with pytest.raises(KeyError):
                await side_by_side([waits(), fails()], bool)

        virtual_clock.run(play())
        assert ended == [True]

    async def test_nothing_to_do(self):
        assert await side_by_side([], bool) == []
