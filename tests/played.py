"""Plays one library flow in a test: its actions run for real, what it says and emits is noted."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from nemoguardrails.colang.interpreter import Execute, Say
from nemoguardrails.colang.load import library_program
from nemoguardrails.config.rails_config import RailsConfig


@dataclass
class Outcome:
    """What a flow did: bot messages by intent, event types, whether it stopped, the variables after it."""

    said: list[str | None] = field(default_factory=list)
    emitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False
    context: dict[str, Any] = field(default_factory=dict)


def played(actions: ModuleType, flow: str, config: RailsConfig, **variables: Any) -> Outcome:
    """Plays the flow beside an `actions.py` on some context variables."""
    program = library_program(Path(str(actions.__file__)).with_name("flows.v1.co"))
    outcome = Outcome(context={"config": config, **variables})
    play = program.player().play(flow, outcome.context)
    answer: Any = None
    while True:
        try:
            command = play.send(answer)
        except StopIteration as end:
            outcome.stopped = end.value.stopped
            return outcome
        answer = None
        if isinstance(command, Execute):
            answer = _executed(getattr(actions, command.action), command.params, config)
        elif isinstance(command, Say):
            outcome.said.append(command.intent)
        else:
            outcome.emitted.append(command.event)


def _executed(action: Callable[..., Any], params: dict[str, Any], config: RailsConfig) -> Any:
    wanted = inspect.signature(action).parameters
    return action(**params, **({"config": config} if "config" in wanted else {}))
