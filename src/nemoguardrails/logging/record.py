"""What happened in one turn, as data: an append-only list of steps with their times."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from .explain import LLMCallInfo

RailType: TypeAlias = Literal[
    "input", "output", "dialog", "generation", "retrieval", "tool_input", "tool_output"
]


@dataclass(slots=True)
class ActionRecord:
    """One action that ran; times in Unix seconds."""

    name: str
    params: dict[str, Any]
    started_at: float
    finished_at: float | None = None
    return_value: Any = None
    failure: str | None = None
    llm_calls: list[LLMCallInfo] = field(default_factory=list)


@dataclass(slots=True)
class RailRecord:
    """One rail, or one step of the dialog, at work; times in Unix seconds."""

    type: RailType
    name: str
    started_at: float
    finished_at: float | None = None
    decisions: list[str] = field(default_factory=list)
    actions: list[ActionRecord] = field(default_factory=list)
    stop: bool = False
    info: dict[str, Any] | None = None

    def stopped(self) -> None:
        """Marks the rail as the one that ended the turn."""
        self.stop = True
        if "stop" not in self.decisions:
            self.decisions.append("stop")


@dataclass(slots=True)
class TurnRecord:
    """Everything that happened in one turn, in order of its beginning."""

    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    rails: list[RailRecord] = field(default_factory=list)
    llm_calls: list[LLMCallInfo] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Events of the turn, for `log.internal_events`."""

    def rail(self, type: RailType, name: str) -> RailRecord:
        """Opens the record of a rail."""
        opened = RailRecord(type, name, time.time())
        self.rails.append(opened)
        return opened
