"""Work that many may ask for and one does: a lock in each event loop, and batches of concurrent requests."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class SingleFlight:
    """A lock for each event loop: an object that is used in several may not keep one `asyncio.Lock`.

    Loops of different threads do not wait for each other, so what is done under it must bear being done
    twice.
    """

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def turn(self) -> asyncio.Lock:
        """The lock of the running loop, for `async with`."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


class Batcher(Generic[_Asked, _Answer]):
    """Gathers concurrent requests and answers them together.

    The first request of a batch waits for others and then does the work for all, in its own task. If it is
    cancelled, the next one takes over.

    Args:
        answer: answers a batch, in its order.
        max_size: a batch of this size is not held any longer.
        max_hold_s: how many seconds a batch waits to become full.
    """

    def __init__(
        self,
        answer: Callable[[list[_Asked]], Awaitable[Sequence[_Answer]]],
        *,
        max_size: int,
        max_hold_s: float,
    ) -> None:
        self._answer = answer
        self._max_size = max_size
        self._max_hold_s = max_hold_s
        self._open: WeakKeyDictionary[AbstractEventLoop, _Batch[_Asked, _Answer]] = WeakKeyDictionary()

    async def ask(self, asked: _Asked) -> _Answer:
        """The answer to one request.

        Raises:
            Exception: what `answer` raised for the batch.
        """
        batch, request = self._joined(asked)
        is_first = batch.leader is request
        try:
            if not is_first and (answered := await request.future) is not None:
                return answered.value
            if is_first:
                await self._held(batch)
            return await self._led(batch, request)
        except asyncio.CancelledError:
            self._left(batch, request)
            raise

    def _joined(self, asked: _Asked) -> tuple[_Batch[_Asked, _Answer], _Request[_Asked, _Answer]]:
        loop = asyncio.get_running_loop()
        request = _Request[_Asked, _Answer](asked, loop.create_future())
        batch = self._open.get(loop)
        if batch is None:
            batch = self._open[loop] = _Batch(request)
        batch.requests.append(request)
        if len(batch.requests) >= self._max_size:
            self._close(batch)
        return batch, request

    async def _held(self, batch: _Batch[_Asked, _Answer]) -> None:
        try:
            async with asyncio.timeout(self._max_hold_s):
                await batch.is_closed.wait()
        except TimeoutError:
            self._close(batch)

    async def _led(self, batch: _Batch[_Asked, _Answer], own: _Request[_Asked, _Answer]) -> _Answer:
        """Answers the whole batch; returns the leader's own answer."""
        requests = list(batch.requests)
        try:
            answers = await self._answer([request.asked for request in requests])
        except Exception as error:
            for request in requests:
                if request is not own and not request.future.done():
                    request.future.set_exception(error)
            raise
        for request, answer in zip(requests, answers, strict=True):
            if request is not own and not request.future.done():
                request.future.set_result(_Answered(answer))
        return answers[requests.index(own)]

    def _left(self, batch: _Batch[_Asked, _Answer], own: _Request[_Asked, _Answer]) -> None:
        """Takes a cancelled request out; if it led the batch, the next one is told to lead."""
        batch.requests.remove(own)
        if own.future.done() and not own.future.cancelled():
            own.future.exception()  # it is nobody's any more, and not worth a warning
        if batch.leader is not own:
            return
        self._close(batch)
        for request in batch.requests:
            if not request.future.done():
                batch.leader = request
                request.future.set_result(None)
                return

    def _close(self, batch: _Batch[_Asked, _Answer]) -> None:
        """Lets nobody else join."""
        batch.is_closed.set()
        loop = asyncio.get_running_loop()
        if self._open.get(loop) is batch:
            del self._open[loop]


@dataclass(frozen=True, slots=True)
class _Answered(Generic[_Answer]):
    value: _Answer


@dataclass(eq=False, slots=True)
class _Request(Generic[_Asked, _Answer]):
    """A request; its future holds `None` when it shall lead the batch from now on."""

    asked: _Asked
    future: Future[_Answered[_Answer] | None]


@dataclass(eq=False, slots=True)
class _Batch(Generic[_Asked, _Answer]):
    leader: _Request[_Asked, _Answer]
    requests: list[_Request[_Asked, _Answer]] = field(default_factory=list)
    is_closed: asyncio.Event = field(default_factory=asyncio.Event)
