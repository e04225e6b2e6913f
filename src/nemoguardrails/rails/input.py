"""The input rails of one turn: they judge the user's message, may rewrite it, and may end the turn."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..logging.record import TurnRecord
from ..runtime.runner import Said
from ..streaming.events import RailStage
from ..streaming.side_by_side import side_by_side
from ..streaming.verdict import Block, Rewrite
from .rail import Judge, Judged, Rail, Setting, taken


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rail ended the turn before there was an answer."""

    stage: RailStage
    block: Block
    trusted: bool
    """What the rail says is predefined, with nothing filled in."""


@dataclass(slots=True)
class InputResult:
    """What the input rails did."""

    said: list[Said] = field(default_factory=list)
    """Messages of rails that let the turn go on."""
    refusal: Refusal | None = None
    rewritten: bool = False
    """The message is not the one that came."""


class InputStage:
    """Runs input rails on the variable `user_message`.

    Args:
        variables: the context variables of the turn; changed as the rails say.
        setting: what the rails see of the turn, the same variables among it.
        together: rails that do not rewrite run side by side, after those that do.
    """

    def __init__(
        self,
        rails: Sequence[Rail],
        judge: Judge,
        record: TurnRecord,
        *,
        variables: dict[str, Any],
        setting: Setting,
        together: bool,
    ) -> None:
        self._rails = rails
        self._judge = judge
        self._record = record
        self._variables = variables
        self._setting = setting
        self._together = together
        self._result = InputResult()

    async def run(self) -> InputResult:
        """Judges the message."""
        first = [rail for rail in self._rails if rail.rewrites or not self._together]
        for rail in first:
            self._apply(await self._judged(rail))
            if self._result.refusal is not None:
                return self._result
        if len(first) < len(self._rails):
            await self._all_at_once([rail for rail in self._rails if rail not in first])
        return self._result

    async def _all_at_once(self, rails: Sequence[Rail]) -> None:
        """The first that blocks cancels the others, which leave no trace."""
        earlier = len(self._record.rails)
        judged = await side_by_side([self._judged(rail) for rail in rails], _blocks)
        blocking = next((one for one in judged if one is not None and _blocks(one)), None)
        if blocking is None:
            for one in filter(None, judged):
                self._apply(one)
            return
        cancelled = {rail.reference for rail, one in zip(rails, judged, strict=True) if one is None}
        records = self._record.rails
        records[earlier:] = [
            record for record in records[earlier:] if record.type != "input" or record.name not in cancelled
        ]
        self._apply(blocking)

    async def _judged(self, rail: Rail) -> Judged:
        record = self._record.rail("input", rail.reference)
        try:
            message = self._variables["user_message"]
            return await self._judge.judge(rail, message, self._setting, record, taken)
        finally:
            record.finish()

    def _apply(self, judged: Judged) -> None:
        message, result = self._variables["user_message"], self._result
        self._variables.update(judged.changes)
        verdict, said = judged.verdict, judged.ran.said
        if isinstance(verdict, Block):
            result.refusal = Refusal("input", verdict, all(one.trusted for one in said))
            return
        result.said.extend(said)
        if isinstance(verdict, Rewrite):
            result.rewritten = True
            if self._variables["user_message"] == message:
                # The verdict object of an action says so, and no flow assigned it.
                self._variables["user_message"] = verdict.text


def _blocks(judged: Judged) -> bool:
    return isinstance(judged.verdict, Block)
