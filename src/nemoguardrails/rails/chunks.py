"""The step before an answer: looks up what it may rely on, and has retrieval rails judge that."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..actions.dispatcher import ActionFailed, CallScope
from ..logging.record import RailRecord, TurnRecord
from ..runtime.generation import INTERNAL_ERROR
from ..runtime.retrieval import RETRIEVE
from ..streaming.verdict import Block, Rewrite
from .input import Refusal
from .rail import Rail, Setting, taken

if TYPE_CHECKING:
    from .assembly import Parts

_CHUNKS = "relevant_chunks"


class ChunkStage:
    """The step in one turn.

    Args:
        setting: what rails see of the turn, the same variables among it.
        variables: the context variables of the turn; changed in place.
    """

    def __init__(self, parts: Parts, setting: Setting, record: TurnRecord, variables: dict[str, Any]) -> None:
        self._parts = parts
        self._setting = setting
        self._record = record
        self._variables = variables

    async def run(self, rails: Sequence[Rail], entry: RailRecord | None) -> Refusal | None:
        """Looks up and judges; what ends the turn, if a rail or a failure does.

        Args:
            entry: where the looking up is recorded.
        """
        setting, variables = self._setting, self._variables
        scope = CallScope(variables, setting.events, keywords=setting.keywords, rail=entry)
        end = await self._parts.retrieval.run(scope)
        if isinstance(end, ActionFailed):
            reply = self._parts.generation.predefined(INTERNAL_ERROR)
            failure = f"Action {RETRIEVE} failed with status: failed"
            return Refusal("retrieval", Block(RETRIEVE, None, reply, None, failed=True, error=failure), True)
        for rail in rails:
            refusal = await self._judged(rail)
            if refusal is not None:
                return refusal
        return None

    async def _judged(self, rail: Rail) -> Refusal | None:
        variables = self._variables
        record = self._record.rail("retrieval", rail.reference)
        before = variables.get(_CHUNKS)
        try:
            judged = await self._parts.judge.judge(rail, before, self._setting, record, taken)
        finally:
            record.finish()
        variables.update(judged.changes)
        verdict = judged.verdict
        if isinstance(verdict, Block):
            return Refusal("retrieval", verdict, all(said.trusted for said in judged.ran.said))
        if isinstance(verdict, Rewrite) and variables.get(_CHUNKS) == before:
            # The verdict object of an action says so, and no flow assigned it.
            variables[_CHUNKS] = verdict.text
        return None
