"""Checks of several windows overlap, and their verdicts come in order."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from typing import Protocol, TypeAlias

from ..exceptions import masked
from .verdict import ALLOW, Allow, Block, Rewrite, StreamRail, Verdict

NOT_A_REWRITER = (
    "it answered with another text, but a rail that rewrites must assign `$bot_message` in its flow"
)


class Observer(Protocol):
    """Is told what the gate does; must be quick and must not raise."""

    def window_checked(
        self, rail: str, text_len: int, started: float, finished: float, verdict: Verdict
    ) -> None:
        """A rail answered on a text of `text_len` characters; times in Unix seconds."""
        ...

    def progressed(self, read: int, released: int, cleared: int, held_chars: int) -> None:
        """Something moved.

        `read`, `released` (to the consumer) and `cleared` (by every rail) are positions of the
        stream in source units; `held_chars` counts the characters read and not released.
        """
        ...


class Job:
    """One text that some rails have to judge, and what became of it.

    Attributes:
        starts: position of the stream, in source units, where the text that is new in it starts.
        clears: position up to which the stream is cleared if the verdict is `Allow`.
        verdict: `None` until it is known.
        at: with a block of an incremental rail, where the forbidden text starts, in characters.
        dropped: its verdict is no longer wanted.
    """

    __slots__ = ("_deciding", "_left", "_outcomes", "at", "clears", "dropped", "rails", "starts", "tasks",
                 "text", "verdict")  # fmt: skip

    def __init__(self, rails: Sequence[StreamRail], text: str, starts: int, clears: int) -> None:
        self.rails = rails
        self.text = text
        self.starts = starts
        self.clears = clears
        self.verdict: Verdict | None = None
        self.at: int | None = None
        self.dropped = False
        self.tasks: list[asyncio.Task[None]] = []
        self._outcomes: list[Verdict] = [ALLOW] * len(rails)
        self._left = len(rails)
        self._deciding = False

    def drop(self) -> None:
        """Cancels what still runs for it; once, so as not to disturb it while it ends."""
        if self.dropped:
            return
        self.dropped = True
        for task in self.tasks:
            task.cancel()

    def note(self, index: int, verdict: Verdict, settle: Settle) -> None:
        """Takes the verdict of one of several rails that run side by side."""
        self._outcomes[index] = verdict
        self._left -= 1
        if self._deciding:
            return
        if verdict is not ALLOW:
            # Rails that finish in the same pass of the loop are heard too: then the order of the
            # configuration decides, and not that of the loop.
            self._deciding = True
            asyncio.get_running_loop().call_soon(self._decide, settle)
        elif not self._left:
            settle(self, ALLOW)

    def _decide(self, settle: Settle) -> None:
        if not self.dropped:
            verdict = next(verdict for verdict in self._outcomes if verdict is not ALLOW)
            if self._left:
                self.drop()
            settle(self, verdict)


Settle: TypeAlias = Callable[[Job, Verdict], None]


class Checks:
    """The jobs of one stage: started in order, and verdicts come out in order.

    At most `limit` jobs are started and not yet taken out.
    """

    __slots__ = ("_jobs", "_limit", "_started", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 1)
        self._started = 0
        self._jobs: deque[Job] = deque()
        self._waiting: deque[Job] = deque()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def saturated(self) -> bool:
        """Jobs wait for those before them to be taken out."""
        return bool(self._waiting)

    def add(self, job: Job) -> None:
        """Takes a job; one whose verdict is known only waits for those before it."""
        self._jobs.append(job)
        if job.verdict is None:
            self._waiting.append(job)

    def start(self) -> Iterator[Job]:
        """The jobs that have to start now."""
        while self._waiting and self._started < self._limit:
            self._started += 1
            yield self._waiting.popleft()

    def settle(self, job: Job, verdict: Verdict) -> None:
        """Notes a verdict; after a block, whatever follows is dropped."""
        job.verdict = verdict
        if isinstance(verdict, Block):
            while self._jobs and self._jobs[-1] is not job:
                self._jobs.pop().drop()
            self._waiting.clear()

    def decided(self) -> Iterator[Job]:
        """Takes out, in order, the jobs whose verdict has no undecided one before it."""
        while self._jobs and self._jobs[0].verdict is not None:
            # Only now its place is free: else one slow check would let the others pile up behind it.
            self._started -= 1
            yield self._jobs.popleft()

    def drop(self) -> None:
        """Cancels everything."""
        for job in self._jobs:
            job.drop()
        self._jobs.clear()
        self._waiting.clear()


def launch(job: Job, parallel: bool, settle: Settle, context: Context, observer: Observer | None) -> None:
    """Starts the tasks of a job; `settle` is called once with its verdict, unless it is dropped."""
    create = asyncio.get_running_loop().create_task
    if parallel and len(job.rails) > 1:
        quick = [at for at, rail in enumerate(job.rails) if not getattr(rail.check, "waits", True)]
        groups = [[at] for at in range(len(job.rails)) if at not in quick]
        for group in [quick, *groups] if quick else groups:
            job.tasks.append(create(_in_a_row(job, group, settle, observer), context=context.copy()))
    else:
        job.tasks.append(create(_one_by_one(job, settle, observer), context=context.copy()))


def failed(rail: StreamRail, error: str) -> Block:
    """The verdict on a text when the rail could not decide."""
    return Block(rail.name, failed=True, error=error)


def described(error: BaseException) -> str:
    """What went wrong, without secrets."""
    text = masked(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def _one_by_one(job: Job, settle: Settle, observer: Observer | None) -> None:
    verdict: Verdict = ALLOW
    for rail in job.rails:
        verdict = await _judged(job, rail, settle, observer)
        if verdict is not ALLOW:
            break
    settle(job, verdict)


async def _in_a_row(job: Job, group: Sequence[int], settle: Settle, observer: Observer | None) -> None:
    """Some of the rails that run side by side, in one task: those of them that never wait need no more."""
    for index in group:
        job.note(index, await _judged(job, job.rails[index], settle, observer), settle)


async def _judged(job: Job, rail: StreamRail, settle: Settle, observer: Observer | None) -> Verdict:
    """The verdict of one rail, `ALLOW` itself if it passes; never raises on behalf of the rail."""
    started = 0.0 if observer is None else time.time()
    check = rail.check
    assert check is not None
    try:
        answer = await check(job.text)
    except Exception as error:  # noqa: BLE001  # a rail's border: it fails closed
        verdict: Verdict = failed(rail, described(error))
    except BaseException as error:
        # Cancelled, but not by the gate: nobody may wait for this verdict for ever.
        if not job.dropped:
            job.drop()
            settle(job, failed(rail, described(error)))
        raise
    else:
        verdict = ALLOW if answer is ALLOW else _understood(rail, job.text, answer)
    if observer is not None:
        observer.window_checked(rail.name, len(job.text), started, time.time(), verdict)
    return verdict


def _understood(rail: StreamRail, text: str, answer: object) -> Verdict:
    if isinstance(answer, Allow):
        return ALLOW
    if isinstance(answer, Block):
        return answer
    if not isinstance(answer, Rewrite):
        return failed(rail, f"it answered {type(answer).__name__} instead of a verdict")
    if answer.text == text:
        return ALLOW
    return answer if rail.rewrites else failed(rail, NOT_A_REWRITER)
