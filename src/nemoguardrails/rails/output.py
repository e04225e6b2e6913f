"""The output rails of one turn, as the gate wants them, with their records."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..exceptions import RailFailedError
from ..logging.record import RailRecord, TurnRecord
from ..runtime.history import new_event
from ..streaming.events import Blocked
from ..streaming.gate import Policy
from ..streaming.verdict import Block, StreamRail, Verdict
from .rail import Judge, Judged, Rail, Setting

if TYPE_CHECKING:
    from ..config.rails import OutputRails

RECORDED_CHECKS = 50
"""Checks of one rail in one stream whose actions are recorded; later ones are only counted."""


class OutputStages:
    """The output rails of one turn.

    Args:
        setting: what the rails see; its variables may change between checks.
        note: is told each judgement, in the order in which they are made.
        streaming: rails judge windows, incremental ones each piece; otherwise all judge whole texts.
    """

    def __init__(
        self,
        rails: Sequence[Rail],
        judge: Judge,
        record: TurnRecord,
        *,
        setting: Setting,
        note: Callable[[Rail, Judged], None],
        streaming: bool,
    ) -> None:
        self._rails = rails
        self.judge = judge
        self._record = record
        self.setting = setting
        self.note = note
        self.raised: RailFailedError | None = None
        """A rail with `on_error: raise` failed."""
        self._streaming = streaming
        self._records: dict[str, RailRecord] = {}

    def stages(self) -> list[StreamRail]:
        """The rails for the gate, in the order of the configuration."""
        made = []
        for rail in self._rails:
            if self._streaming and rail.start is not None:
                self.opened(rail)
                made.append(StreamRail(rail.reference, "incremental", rail.rewrites, start=rail.start))
                continue
            way = rail.way if self._streaming and rail.way != "incremental" else "whole"
            if self._streaming and rail.way == "incremental":
                way = "window"
            check = _RailCheck(rail, self, once=way == "whole")
            made.append(StreamRail(rail.reference, way, rail.rewrites, check=check))
        return made

    def opened(self, rail: Rail) -> RailRecord:
        """The record of a rail that is about to judge."""
        record = self._records[rail.reference] = self._record.rail("output", rail.reference)
        return record

    def completed(self, blocked: Blocked, refusal: str, *, intent: str, exceptions: bool) -> Blocked:
        """A block with what an incremental rail leaves to its flow: the reply, or the exception event.

        Args:
            refusal: what is said, the bot message `intent`.
        """
        record = self._records.get(blocked.rail)
        if record is not None and not record.stop:
            if not blocked.failed and not exceptions:
                record.decisions.append(intent)
            record.stopped()
        if blocked.failed or blocked.reply is not None or blocked.exception is not None:
            return blocked
        if not exceptions:
            return replace(blocked, reply=refusal)
        message = f"Output not allowed. The output was blocked by the '{blocked.rail}' flow."
        return replace(blocked, exception=new_event("OutputRailException", message=message))

    def close(self) -> None:
        """Notes the end of the rails."""
        for record in self._records.values():
            if record.finished_at is None:
                record.finish()


def policy(config: OutputRails, *, streaming: bool) -> Policy:
    """How the gate treats the answer; without streaming nothing leaves before its end."""
    if not streaming or not config.streaming.enabled:
        return Policy(stream_first=False, parallel=config.parallel)
    options = config.streaming
    return Policy(
        chunk_size=options.chunk_size,
        context_size=options.context_size,
        stream_first=options.stream_first,
        max_exposed_tokens=options.max_exposed_tokens,
        max_concurrent_checks=options.max_concurrent_checks,
        parallel=config.parallel,
        hold_back=options.hold_back,
        unit=options.unit,
        max_window_chars=options.max_window_chars,
    )


class _RailCheck:
    """One rail as a `Check`: plays its flow on a text.

    Attributes:
        waits: false once it has judged a text without waiting, until it waits for the first time.
    """

    __slots__ = ("_count", "_has_waited", "_once", "_rail", "_record", "_stages", "waits")

    def __init__(self, rail: Rail, stages: OutputStages, *, once: bool) -> None:
        self._rail, self._stages, self._once = rail, stages, once
        self._record: RailRecord | None = None
        self._count = 0
        self.waits = True
        self._has_waited = False

    async def __call__(self, text: str) -> Verdict:
        self._count += 1
        opened = self._record = self._record or self._stages.opened(self._rail)
        record: RailRecord | None = opened
        if self._count > RECORDED_CHECKS:
            opened.info = {"checks": self._count, "recorded": RECORDED_CHECKS}
            record = None
        try:
            judged = await self._stages.judge.judge(
                self._rail, text, self._stages.setting, record, self._note_wait
            )
        except RailFailedError as error:
            self._stages.raised = error
            raise
        self.waits = self._has_waited
        self._stages.note(self._rail, judged)
        if record is None and isinstance(judged.verdict, Block):
            opened.stopped()
        if self._once:
            opened.finish()
        return judged.verdict

    def _note_wait(self) -> None:
        self.waits = self._has_waited = True
