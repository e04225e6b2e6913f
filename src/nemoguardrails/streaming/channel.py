"""A bounded hand-over between two tasks: a source is read ahead of whoever consumes it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic, TypeVar

Item = TypeVar("Item")

CLOSE_GRACE_S = 0.01
"""How long closing waits for a source that does not end when it is cancelled."""

_log = logging.getLogger(__name__)
_detached: set[asyncio.Task[None]] = set()


class ReadAhead(Generic[Item]):
    """Reads a source in a task of its own, from now on; iterating gives its items, its end or its error.

    Has to be iterated to its end or closed. The task runs in a copy of the current context.

    Args:
        source: is closed with this object.
        limit: items that may wait for the consumer before the source has to.
    """

    def __init__(self, source: AsyncGenerator[Item, None], *, limit: int = 64) -> None:
        self._limit = max(limit, 1)
        self._items: deque[Item] = deque()
        self._over = self._closed = False
        self._error: BaseException | None = None
        self._moved = asyncio.Event()
        """An item came, or there will be none any more."""
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._read(source))
        self._task.add_done_callback(self._ended)

    def __aiter__(self) -> ReadAhead[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._items:
            if self._over:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._moved.clear()
            await self._moved.wait()
        item = self._items.popleft()
        self._room.set()
        return item

    async def aclose(self) -> None:
        """Closes the source, without waiting for one that does not mind; what was read is dropped."""
        self._items.clear()
        self._error, self._closed = None, True
        if self._task.done():
            return
        self._task.cancel()
        _, stuck = await asyncio.wait({self._task}, timeout=CLOSE_GRACE_S)
        for task in stuck:
            _log.warning("%s ignores that its stream was closed", task.get_coro())
            _detached.add(task)
            task.add_done_callback(_detached.discard)

    async def _read(self, source: AsyncGenerator[Item, None]) -> None:
        async with aclosing(source):
            async for item in source:
                self._items.append(item)
                self._moved.set()
                while len(self._items) >= self._limit:
                    self._room.clear()
                    await self._room.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._over = True
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._error = None if self._closed else error
        self._moved.set()
