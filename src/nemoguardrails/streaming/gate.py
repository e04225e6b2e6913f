"""The gate: source, stages and release as one stream of events; the only place of the room that waits."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextvars import copy_context
from functools import partial

from ..exceptions import masked
from .checks import Job, Observer, Settle, launch
from .events import Failed, Finished, StreamEvent, TextDelta
from .pipeline import Pipeline, Terminal, ends
from .stage import Stage
from .verdict import Block, StreamRail, Verdict
from .windows import Policy

__all__ = ["CLOSE_GRACE_S", "Observer", "Policy", "gate"]

CLOSE_GRACE_S = 0.01
"""How long a closing stream waits for a source or a check that does not end when it is cancelled."""

_log = logging.getLogger(__name__)
_detached: set[asyncio.Task[None]] = set()


def gate(
    source: AsyncIterator[StreamEvent],
    rails: Sequence[StreamRail],
    policy: Policy,
    *,
    observer: Observer | None = None,
) -> AsyncGenerator[StreamEvent, None]:
    """The events of `source` as far as the rails let them through.

    Yields events in the order of the source, then exactly one of `Finished` (the source's, or an
    empty one), `Blocked` and `Failed`; before `Blocked` is yielded, the source is closed and no check
    runs any more. An error that the source raises becomes `Failed`, after what was read before it has
    been judged.

    Args:
        source: each `TextDelta` is one token. The gate closes it, if it is a generator.
        rails: in their order; those that only judge and stand together look at the same text.
        observer: is told of checks and progress.

    The generator has to be iterated to its end or closed; closing it cancels what runs for it.
    """
    source = aiter(source)
    if not rails:
        return _plain(source)
    pipeline = Pipeline(rails, policy, observer)
    if all(rail.way == "incremental" for rail in rails):
        return _inline(source, pipeline)
    return _Pumped(source, pipeline, policy, observer).events()


class _Pumped:
    """Reads the source in one task, checks in others, and hands out in the consumer's."""

    def __init__(
        self,
        source: AsyncIterator[StreamEvent],
        pipeline: Pipeline,
        policy: Policy,
        observer: Observer | None,
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._policy = policy
        self._observer = observer
        self._capacity = max(policy.buffer_tokens, 1)
        self._clogged = False
        self._live: set[Job] = set()
        """Jobs with tasks that may still run."""
        self._wake: asyncio.Future[None] | None = None
        """The consumer waits for it."""
        self._room: asyncio.Future[None] | None = None
        """The pump waits for it."""
        self._pump: asyncio.Task[None] | None = None
        self._stopping = False
        self._crash: Exception | None = None

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        pipeline, ready = self._pipeline, self._pipeline.release.ready
        loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._pump = loop.create_task(self._read())
        half = self._capacity // 2
        try:
            while True:
                while ready:
                    if self._room is not None and len(ready) <= half:
                        self._resume()
                    yield ready.popleft()
                if self._crash is not None or pipeline.done:
                    break
                self._resume()
                self._wake = loop.create_future()
                await self._wake
        finally:
            await self._close()
        if self._crash is not None:
            raise self._crash
        yield pipeline.terminal

    async def _read(self) -> None:
        """The pump: moves the source into the pipeline, no faster than it is wanted."""
        pipeline, ready, push = self._pipeline, self._pipeline.release.ready, self._pipeline.push
        advance = self._source.__anext__
        exhausted = False
        try:
            while pipeline.wants_more:
                try:
                    event = await advance()
                except StopAsyncIteration:
                    exhausted = True
                    pipeline.finish()
                    break
                except Exception as error:  # noqa: BLE001  # the turn's border: it becomes `Failed`
                    exhausted = True
                    pipeline.finish(_failure(error))
                    break
                push(event)
                if pipeline.stirred:
                    self._launch()
                if self._wake is not None and ready:
                    self._rouse()
                while (len(ready) >= self._capacity or self._clogged) and pipeline.wants_more:
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
            self._stir()
        except asyncio.CancelledError as error:
            self._cancelled(error)
            raise
        except Exception as error:  # noqa: BLE001  # raised again in the consumer's task
            self._crashed(error)
        finally:
            if not exhausted:
                self._stopping = True
                await _close(self._source)

    def _cancelled(self, error: asyncio.CancelledError) -> None:
        # Wanted by nobody here: the source was cancelled from elsewhere, and the consumer must know.
        if self._pipeline.wants_more:
            self._pipeline.finish(_failure(error))
            self._stir()

    def _launch(self) -> None:
        for stage, job in self._pipeline.start():
            self._live.add(job)
            settle: Settle = partial(self._settle, stage)
            launch(job, self._policy.parallel, settle, self._context, self._observer)
        self._clogged = self._pipeline.saturated

    def _settle(self, stage: Stage, job: Job, verdict: Verdict) -> None:
        if not isinstance(verdict, Block):
            self._live.discard(job)
        try:
            self._pipeline.settle(stage, job, verdict)
            self._stir()
        except Exception as error:  # noqa: BLE001  # raised again in the consumer's task
            self._crashed(error)

    def _stir(self) -> None:
        """Sets going whatever can go on."""
        pipeline = self._pipeline
        if pipeline.stirred or self._clogged:
            self._launch()
        if not pipeline.wants_more:
            self._stop_reading()
        elif not self._clogged and len(pipeline.release.ready) < self._capacity:
            self._resume()
        if pipeline.release.ready or pipeline.done:
            self._rouse()

    def _crashed(self, error: Exception) -> None:
        self._crash = error
        self._rouse()

    def _rouse(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    def _resume(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _stop_reading(self) -> None:
        pump = self._pump
        if pump is not None and pump is not asyncio.current_task() and not self._stopping:
            self._stopping = True
            pump.cancel()

    async def _close(self) -> None:
        """Cancels what runs and waits until it has ended."""
        pump = self._pump
        self._pipeline.drop()
        tasks: set[asyncio.Task[None]] = set()
        for job in self._live:
            job.drop()
            tasks.update(task for task in job.tasks if not task.done())
        if pump is not None and not pump.done():
            self._stop_reading()
            tasks.add(pump)
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=CLOSE_GRACE_S)
            _detach(stuck)


async def _plain(source: AsyncIterator[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    advance = source.__anext__
    terminal: Terminal | None = None
    exhausted = False
    try:
        while True:
            try:
                event = await advance()
            except StopAsyncIteration:
                exhausted = True
                break
            except Exception as error:  # noqa: BLE001  # the turn's border: it becomes `Failed`
                exhausted, terminal = True, _failure(error)
                break
            if type(event) is TextDelta:
                yield event
            elif isinstance(event, Finished):
                terminal = event
            elif ends(event):
                terminal = event
                break
            else:
                yield event
    finally:
        if not exhausted:
            await _close(source)
    yield terminal or Finished()


async def _inline(
    source: AsyncIterator[StreamEvent], pipeline: Pipeline
) -> AsyncGenerator[StreamEvent, None]:
    """No rail waits, so neither does the gate: everything happens in the consumer's task."""
    advance = source.__anext__
    ready, push = pipeline.release.ready, pipeline.push
    exhausted = False
    try:
        while pipeline.wants_more:
            try:
                event = await advance()
            except StopAsyncIteration:
                exhausted = True
                pipeline.finish()
            except Exception as error:  # noqa: BLE001  # the turn's border: it becomes `Failed`
                exhausted = True
                pipeline.finish(_failure(error))
            else:
                push(event)
            while ready:
                yield ready.popleft()
    finally:
        if not exhausted:
            await _close(source)
    yield pipeline.terminal


def _failure(error: BaseException) -> Failed:
    return Failed(masked(str(error)) or type(error).__name__, error=error)


async def _close(source: AsyncIterator[StreamEvent]) -> None:
    """Closes a source that was left before its end; waits a moment at most."""
    aclose = getattr(source, "aclose", None)
    if aclose is None:
        return
    try:
        async with asyncio.timeout(CLOSE_GRACE_S):
            await aclose()
    except Exception:  # noqa: BLE001  # foreign code, and the stream has already ended
        _log.debug("closing the source of a stream failed", exc_info=True)


def _detach(tasks: set[asyncio.Task[None]]) -> None:
    """Lets go of tasks that do not end when they are cancelled; keeps them from being collected."""
    for task in tasks:
        _log.warning("%s ignores that its stream was closed", task.get_coro())
        _detached.add(task)
        task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _detached.discard(task)
    if not task.cancelled():
        task.exception()
