"""The stages and the release as one machine that waits for nothing."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias, TypeGuard

from .checks import Job, Observer
from .events import Blocked, Failed, Finished, StreamEvent, TextDelta
from .judging import JudgingStage
from .release import Release
from .rewriting import IncrementalRewriter, WindowRewriter
from .stage import Next, Owner, Stage
from .verdict import Block, StreamRail, Verdict
from .windows import Policy, measure

Terminal: TypeAlias = Finished | Blocked | Failed


class Pipeline:
    """The stages and the release: is told what happened, knows what may go out; waits for nothing."""

    def __init__(self, rails: Sequence[StreamRail], policy: Policy, observer: Observer | None = None) -> None:
        # Where no rail judges, the stages let out only what is decided, and nothing is ever exposed.
        judged = not all(rail.rewrites for rail in rails)
        self._exposes = judged and policy.stream_first
        self.release = Release(policy.exposure_bound if judged else None)
        self._stages = _build(rails, policy, self, self.release)
        self._judges = [stage for stage in self._stages if isinstance(stage, JudgingStage)]
        self._first = self._stages[0]
        self._measure = measure(policy.unit)
        self._observer = observer
        self._read = 0
        self._read_chars = 0
        self._dead = 0
        """How many stages, from the first, have nothing to say any more."""
        self.wants_more = True
        self.stirred = False
        self.terminal: Terminal = Finished()

    @property
    def done(self) -> bool:
        """Only what is ready, and then `terminal`, has to go out."""
        live = self._stages[self._dead :]
        return self.release.closed and self.release.drained and not any(stage.checks for stage in live)

    @property
    def saturated(self) -> bool:
        """More text would only wait for checks to end."""
        return any(stage.saturated for stage in self._stages[self._dead :])

    def push(self, event: StreamEvent) -> None:
        """Takes the next event of the source."""
        if type(event) is TextDelta:
            if not event.text:
                return
            self._read += 1 if self._measure is None else self._measure(event.text)
            self._first.push(event, self._read)
        elif isinstance(event, Finished):
            self.terminal = event
        elif ends(event):
            self.finish(event)
        else:
            self._first.push(event, self._read)
        if self._observer is not None:
            self._read_chars += len(event.text) if isinstance(event, TextDelta) else 0
            self._observe(self._observer)

    def finish(self, terminal: Terminal | None = None) -> None:
        """The source ended; with `terminal` unless a rail still blocks."""
        if not self.wants_more:
            return
        self.wants_more = False
        if terminal is not None:
            self.terminal = terminal
        self._first.finish()

    def start(self) -> Iterator[tuple[Stage, Job]]:
        """The jobs that have to start now, with the stage that wants to know their verdict."""
        self.stirred = False
        for stage in self._stages[self._dead :]:
            for job in stage.checks.start():
                yield stage, job

    def settle(self, stage: Stage, job: Job, verdict: Verdict) -> None:
        """Takes a verdict, whenever it comes."""
        if self._stages.index(stage) >= self._dead:
            stage.settle(job, verdict)
        if self._observer is not None:
            self._observe(self._observer)

    def drop(self) -> None:
        """Cancels every check; nothing more is wanted."""
        self.wants_more = False
        self._bury(len(self._stages))

    def cleared(self) -> None:
        """See `stage.Owner`."""
        if self._exposes:
            first, *others = self._judges
            self.release.clear(
                min(first.cleared, *(other.cleared for other in others)) if others else first.cleared
            )

    def frozen(self, limit: int) -> None:
        """See `stage.Owner`."""
        if self._exposes:
            self.release.freeze(limit)

    def enough(self, stage: Stage) -> None:
        """See `stage.Owner`."""
        self.wants_more = False
        if not self._exposes:
            self._bury(self._stages.index(stage))

    def blocked(self, stage: Stage, block: Block, at: int | None) -> None:
        """See `stage.Owner`.

        Where text is exposed, every moment counts and the stream ends at once. Else the text before
        the block still goes its way through the stages behind, whose block would come first.
        """
        index = self._stages.index(stage)
        if index < self._dead:
            return  # what it let out last was blocked farther back, which is earlier in the text
        self.wants_more = False
        self.terminal = event = _event(block)
        behind: Next = self.release if index + 1 == len(self._stages) else self._stages[index + 1]
        if self._exposes:
            cleared = min(judge.cleared for judge in self._judges)
            self.drop()
            event.retract_from = self.release.stop(cleared, at if behind is self.release else None)
            self.release.finish()
            return
        self._bury(index + 1)
        behind.finish()

    def _bury(self, count: int) -> None:
        self._dead = max(self._dead, count)
        for stage in self._stages[:count]:
            stage.drop()

    def _observe(self, observer: Observer) -> None:
        release, read = self.release, self._read
        cleared = min((stage.cleared for stage in self._judges), default=release.released)
        observer.progressed(read, release.released, min(cleared, read), self._read_chars - release.chars)


def ends(event: StreamEvent) -> TypeGuard[Blocked | Failed]:
    """Whether an event of a source is its last."""
    return isinstance(event, Failed) or (isinstance(event, Blocked) and event.stage == "output")


def _build(rails: Sequence[StreamRail], policy: Policy, owner: Owner, release: Release) -> list[Stage]:
    """The stages for rails in their order, each linked to the one behind it."""
    groups: list[list[StreamRail]] = []
    for rewrites, found in groupby(rails, key=lambda rail: rail.rewrites):
        adjacent = list(found)
        groups += [[rail] for rail in adjacent] if rewrites else [adjacent]
    stages: list[Stage] = []
    behind: Next = release
    for group in reversed(groups):
        stage: Stage
        if not group[0].rewrites:
            stage = JudgingStage(group, policy, owner, behind)
        elif group[0].way == "incremental":
            stage = IncrementalRewriter(group[0], owner, behind)
        else:
            stage = WindowRewriter(group[0], policy, owner, behind)
        stages.insert(0, stage)
        behind = stage
    return stages


def _event(block: Block) -> Blocked:
    return Blocked(
        block.rail,
        reason=block.reason,
        reply=block.reply,
        exception=block.exception,
        failed=block.failed,
        error=block.error,
    )
