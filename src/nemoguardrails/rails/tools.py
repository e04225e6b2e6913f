"""The tool rails of one turn: they judge the results that a caller brings, and the calls of a model."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal

from ..logging.record import TurnRecord
from ..streaming.channel import ReadAhead
from ..streaming.events import Finished, StreamEvent, TextDelta, ToolCallDelta, ToolCalls
from ..streaming.verdict import Block
from ..types import tool_call_from_dict
from .input import Refusal
from .rail import Judge, Rail, Setting, taken

Refuse = Callable[[Refusal, bool], AsyncGenerator[StreamEvent, None]]
"""The events with which refused calls are answered; told whether text came before them."""


class ToolRails:
    """Runs tool rails.

    Args:
        variables: the context variables of the turn; changed as the rails say.
        setting: what the rails see of the turn, the same variables among it.
    """

    def __init__(
        self, judge: Judge, record: TurnRecord, *, variables: dict[str, Any], setting: Setting
    ) -> None:
        self._judge = judge
        self._record = record
        self._variables = variables
        self._setting = setting

    async def judge_results(
        self, rails: Sequence[Rail], messages: Sequence[dict[str, Any]]
    ) -> Refusal | None:
        """Runs the rails on each message of the role `tool`, whose content they may replace in place."""
        variables = self._variables
        results = [message for message in messages if message["role"] == "tool"]
        variables["tool_messages"] = [_as_seen(message) for message in results]
        for message in results:
            seen = _as_seen(message)
            variables["tool_message"] = seen["content"]
            variables["tool_name"], variables["tool_call_id"] = seen["name"], seen["tool_call_id"]
            blocked = await self._judged("tool_input", rails)
            if blocked is not None:
                return blocked
            message["content"] = variables["tool_message"]
        return None

    async def guarded_calls(
        self,
        events: AsyncGenerator[StreamEvent, None] | ReadAhead[StreamEvent],
        rails: Sequence[Rail],
        refuse: Refuse,
        *,
        keep_refused: bool,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The events of an answer; its tool calls come whole, once the rails let them through.

        Args:
            keep_refused: refused calls follow all the same.
        """
        refused = spoke = False
        async with aclosing(events):
            async for event in events:
                spoke = spoke or type(event) is TextDelta
                if type(event) is ToolCallDelta:
                    continue
                if isinstance(event, ToolCalls):
                    self._variables["tool_calls"] = [call.to_dict() for call in event.calls]
                    blocked = await self._judged("tool_output", rails)
                    if blocked is not None:
                        async for answer in refuse(blocked, spoke):
                            yield answer
                        refused = not keep_refused
                    else:
                        event.calls = [tool_call_from_dict(call) for call in self._variables["tool_calls"]]
                    if refused or not event.calls:
                        continue
                elif isinstance(event, Finished) and refused and event.finish_reason == "tool_calls":
                    event.finish_reason = "stop"
                yield event

    async def _judged(
        self, kind: Literal["tool_input", "tool_output"], rails: Sequence[Rail]
    ) -> Refusal | None:
        for rail in rails:
            record = self._record.rail(kind, rail.reference)
            try:
                judged = await self._judge.judge(rail, None, self._setting, record, taken)
            finally:
                record.finish()
            self._variables.update(judged.changes)
            if isinstance(judged.verdict, Block):
                return Refusal(kind, judged.verdict, all(said.trusted for said in judged.ran.said))
        return None


def _as_seen(message: dict[str, Any]) -> dict[str, Any]:
    """A tool's result as flows see it."""
    return {
        "content": message.get("content"),
        "name": message.get("name") or "unknown",
        "tool_call_id": message.get("tool_call_id") or "",
    }
