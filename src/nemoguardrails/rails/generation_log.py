"""The record of a turn as the `GenerationLog` that callers read."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..logging.explain import LLMCallInfo
from ..logging.record import ActionRecord, RailRecord, TurnRecord
from .options import ActivatedRail, ExecutedAction, GenerationLog, GenerationStats, LogOptions

_PHASES: tuple[Literal["input", "dialog", "generation", "output"], ...] = (
    "input",
    "dialog",
    "generation",
    "output",
)
_LASTING = ("dialog", "generation")
"""Entries of these types last until the next entry begins."""


def generation_log(
    record: TurnRecord, wanted: LogOptions, *, colang_history: str | None = None
) -> GenerationLog | None:
    """What the log options ask for; `None` if they ask for nothing."""
    if not (wanted.activated_rails or wanted.llm_calls or wanted.internal_events or wanted.colang_history):
        return None
    log = GenerationLog()
    if wanted.activated_rails or wanted.llm_calls:
        log.stats = stats(record)
    if wanted.activated_rails:
        log.activated_rails = activated_rails(record)
    if wanted.llm_calls:
        log.llm_calls = list(record.llm_calls)
    if wanted.internal_events:
        log.internal_events = list(record.events)
    if wanted.colang_history:
        log.colang_history = colang_history or ""
    return log


def activated_rails(record: TurnRecord) -> list[ActivatedRail]:
    """The rails and steps of a turn, in order.

    What a retrieval rail did is listed with the step that generated from the chunks, or with the
    latest step before it; it has an entry of its own only if it ended the turn.
    """
    entries = _entries(record.rails)
    ends = [entry.rail.started_at for entry in entries[1:]] + [record.finished_at or time.time()]
    return [_activated(entry, end) for entry, end in zip(entries, ends, strict=True)]


def stats(record: TurnRecord) -> GenerationStats:
    """The figures of a turn; rails that ran side by side count once."""
    rails = activated_rails(record)
    made = GenerationStats(total_duration=(record.finished_at or time.time()) - record.started_at)
    for phase in _PHASES:
        spans = [(r.started_at or 0.0, r.finished_at or 0.0) for r in rails if r.type == phase]
        if spans:
            setattr(made, f"{phase}_rails_duration", _covered(spans))
    made.llm_calls_count = len(record.llm_calls)
    made.llm_calls_duration = sum(call.duration or 0 for call in record.llm_calls)
    made.llm_calls_total_prompt_tokens = sum(call.prompt_tokens or 0 for call in record.llm_calls)
    made.llm_calls_total_completion_tokens = sum(call.completion_tokens or 0 for call in record.llm_calls)
    made.llm_calls_total_tokens = sum(call.total_tokens or 0 for call in record.llm_calls)
    return made


@dataclass(slots=True)
class _Entry:
    """A rail, with the retrieval rails that are listed under it."""

    rail: RailRecord
    before: list[RailRecord] = field(default_factory=list)
    after: list[RailRecord] = field(default_factory=list)

    def parts(self) -> list[RailRecord]:
        return [*self.before, self.rail, *self.after]


def _entries(rails: Sequence[RailRecord]) -> list[_Entry]:
    entries: list[_Entry] = []
    waiting: list[RailRecord] = []
    for rail in rails:
        if rail.type == "retrieval" and not rail.stop:
            waiting.append(rail)
            continue
        entries.append(_Entry(rail))
        if rail.type == "generation":
            entries[-1].before, waiting = waiting, []
    if waiting and entries:
        entries[-1].after = waiting
    return entries


def _activated(entry: _Entry, next_start: float) -> ActivatedRail:
    rail, parts = entry.rail, entry.parts()
    finished_at = rail.finished_at
    if finished_at is None:
        finished_at = max(rail.started_at, next_start)
    elif rail.type in _LASTING:
        finished_at = max(finished_at, next_start)
    actions = [_executed(action, finished_at) for part in parts for action in part.actions]
    return ActivatedRail(
        type="generation" if _is_plain_generation(rail) else rail.type,
        name=rail.name,
        decisions=[decision for part in parts for decision in part.decisions],
        executed_actions=actions,
        stop=rail.stop,
        additional_info=rail.info,
        started_at=rail.started_at,
        finished_at=finished_at,
        duration=finished_at - rail.started_at,
    )


def _is_plain_generation(rail: RailRecord) -> bool:
    """The step that looks for an intent makes the answer itself where no dialog is defined."""
    if rail.type != "dialog" or rail.name != "generate user intent" or len(rail.actions) != 1:
        return False
    calls: list[LLMCallInfo] = rail.actions[0].llm_calls
    return len(calls) == 1 and calls[0].task == "general"


def _executed(action: ActionRecord, rail_end: float) -> ExecutedAction:
    finished_at = rail_end if action.finished_at is None else action.finished_at
    return ExecutedAction(
        action_name=action.name,
        action_params=action.params,
        return_value=action.return_value,
        failure=action.failure,
        llm_calls=action.llm_calls,
        started_at=action.started_at,
        finished_at=finished_at,
        duration=finished_at - action.started_at,
    )


def _covered(spans: list[tuple[float, float]]) -> float:
    """The length of the union of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
