"""What happened in one turn, as data: an append-only list of steps with their times."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from .explain import LLMCallInfo

RailType: TypeAlias = Literal[
    "input", "output", "dialog", "generation", "retrieval", "tool_input", "tool_output"
]
Topic: TypeAlias = Literal[
    "rail",
    "rail finished",
    "action",
    "action finished",
    "model call",
    "model call finished",
    "turn finished",
]
Listener: TypeAlias = Callable[[Topic, object], None]
"""Is told of each step as it happens, with the record of the step; must be quick and must not raise."""


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


running_action: ContextVar[ActionRecord | None] = ContextVar("running_action", default=None)
"""The record of the action at work in this task; set by `actions/dispatcher.py` alone."""


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
    events: list[dict[str, Any]] | None = None
    """What it said and the events that it made, if there are any."""
    listener: Listener | None = field(default=None, repr=False, compare=False)

    def stopped(self) -> None:
        """Marks the rail as the one that ended the turn."""
        self.stop = True
        if "stop" not in self.decisions:
            self.decisions.append("stop")

    def finish(self) -> None:
        """Notes the time of its end."""
        self.finished_at = time.time()
        if self.listener is not None:
            self.listener("rail finished", self)


@dataclass(slots=True)
class TurnRecord:
    """Everything that happened in one turn, in order of its beginning."""

    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    rails: list[RailRecord] = field(default_factory=list)
    llm_calls: list[LLMCallInfo] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Events of the turn, for `log.internal_events`."""
    listener: Listener | None = field(default=None, repr=False, compare=False)

    def rail(self, type: RailType, name: str) -> RailRecord:
        """Opens the record of a rail."""
        opened = RailRecord(type, name, time.time(), listener=self.listener)
        self.rails.append(opened)
        if self.listener is not None:
            self.listener("rail", opened)
        return opened

    def model_calling(self, call: LLMCallInfo) -> None:
        """Adds a model call that begins, also to the action that makes it."""
        self.llm_calls.append(call)
        action = running_action.get()
        if action is not None:
            action.llm_calls.append(call)
        if self.listener is not None:
            self.listener("model call", call)

    def model_called(self, call: LLMCallInfo) -> None:
        """Notes that a model call has ended; its record is complete."""
        if self.listener is not None:
            self.listener("model call finished", call)

    def finish(self) -> None:
        """Notes the time of its end."""
        self.finished_at = time.time()
        if self.listener is not None:
            self.listener("turn finished", self)
