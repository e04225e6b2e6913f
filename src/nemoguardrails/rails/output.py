"""The output rails of one turn, as the gate wants them, with their records."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import RailFailedError
from ..logging.record import RailRecord, TurnRecord
from ..runtime.history import new_event
from ..streaming.events import Blocked
from ..streaming.gate import Policy
from ..streaming.verdict import StreamRail, Verdict
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
        self._checks: list[_RailCheck] = []

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
            self._checks.append(check)
            made.append(StreamRail(rail.reference, way, rail.rewrites, check=check))
        return made

    @property
    def have_tasks(self) -> bool:
        """Whether a rail may wait, so that the gate reads the source and judges in tasks of its own."""
        return bool(self._checks)

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
            if not blocked.failed and not exceptions and blocked.reply is None:
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
        for check in self._checks:
            check.close()
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

    def __call__(self, text: str) -> Coroutine[Any, Any, Verdict]:
        """The verdict on `text`."""
        record = self._record
        if record is None:
            record = self._record = self._stages.opened(self._rail)
        self._count += 1
        if self._count > RECORDED_CHECKS:
            record = None
        stages = self._stages
        return stages.judge.judge(self._rail, text, stages.setting, record, self._judged, self._note_wait)

    def _judged(self, judged: Judged) -> Verdict:
        self.waits = self._has_waited
        stages, opened, verdict = self._stages, self._record, judged.verdict
        if judged.raised is not None:
            stages.raised = judged.raised
        stages.note(self._rail, judged)
        if self._once and opened is not None:
            opened.finish()
        return verdict

    def close(self) -> None:
        """Notes how often the rail judged, where not every check was recorded."""
        if self._record is not None and self._count > RECORDED_CHECKS:
            self._record.info = {
                **(self._record.info or {}),
                "checks": self._count,
                "recorded": RECORDED_CHECKS,
            }

    def _note_wait(self) -> None:
        self.waits = self._has_waited = True
