"""What a stage of the pipe is: fed, asked for jobs, told verdicts; and what stands around it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from .checks import NOT_A_REWRITER, Checks, Job, described, failed
from .events import StreamEvent
from .verdict import Block, Progress, StreamRail, Verdict


class Owner(Protocol):
    """What a stage tells the pipe it stands in."""

    stirred: bool
    """Set by a stage that has a new job, or that has become saturated."""

    def cleared(self) -> None:
        """A judging stage has cleared more."""
        ...

    def frozen(self, limit: int) -> None:
        """A block is certain: no text behind `limit`, in source units, may go out before it."""
        ...

    def enough(self, stage: Stage) -> None:
        """A block is certain: the stage takes no more text, but has still to hear of text before it."""
        ...

    def blocked(self, stage: Stage, block: Block, at: int | None) -> None:
        """A rail blocked and all text before it has been decided by this stage.

        `at`: where the forbidden text starts, in characters of the stage's text, if it is known.
        """
        ...


class Next(Protocol):
    """What stands behind a stage: the next one, or the release."""

    def push(self, event: StreamEvent, end: int) -> None:
        """Takes the next event, which ends at `end` in source units."""
        ...

    def finish(self) -> None:
        """No more will come."""
        ...


class Stage(Next, Protocol):
    """A part of the pipe. It is fed, gives out jobs, is told their verdicts, and passes text on."""

    checks: Checks

    @property
    def cleared(self) -> int:
        """Up to where it has cleared the stream, in source units; without limit if it lets nothing out
        that is not cleared."""
        ...

    @property
    def saturated(self) -> bool:
        """More text would only wait here for a check to end."""
        ...

    def settle(self, job: Job, verdict: Verdict) -> None:
        """Takes the verdict on a job of this stage."""
        ...

    def drop(self) -> None:
        """Cancels the checks and takes no further text."""
        ...


class Feed:
    """The state of one incremental rail on one stream; an error in it is a block.

    `order` is its place among the rails of its stage, `decided` how many characters it has decided.
    """

    __slots__ = ("_stream", "decided", "order", "rail")

    def __init__(self, rail: StreamRail, order: int = 0) -> None:
        assert rail.start is not None
        self.rail = rail
        self.order = order
        self._stream = rail.start()
        self.decided = 0

    def feed(self, text: str) -> Progress:
        try:
            progress = self._stream.feed(text)
        except Exception as error:  # noqa: BLE001  # a rail's border: it fails closed
            return Progress(self.decided, block=failed(self.rail, described(error)))
        return self._checked(progress)

    def finish(self) -> Progress:
        try:
            progress = self._stream.finish()
        except Exception as error:  # noqa: BLE001  # a rail's border: it fails closed
            return Progress(self.decided, block=failed(self.rail, described(error)))
        return self._checked(progress)

    def _checked(self, progress: Progress) -> Progress:
        if progress.edits and not self.rail.rewrites:
            at = progress.edits[0].start
            return Progress(at, block=replace(failed(self.rail, NOT_A_REWRITER), at=at))
        if progress.decided > self.decided:
            self.decided = progress.decided
        return progress

    def forbidden_from(self, block: Block) -> int:
        """Where the text starts that a block forbids."""
        return self.decided if block.at is None else block.at
