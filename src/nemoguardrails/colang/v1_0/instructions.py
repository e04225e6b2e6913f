"""The few instructions that flows are lowered to; positions are indexes into a flow's list of them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..interpreter import Place

if TYPE_CHECKING:
    from ..expressions import Arguments, Evaluate
    from .nodes import FlowMeta


@dataclass(frozen=True, slots=True)
class Assign:
    """Set a variable."""

    variable: str
    evaluate: Evaluate
    place: Place


@dataclass(frozen=True, slots=True)
class Branch:
    """Go on if the test holds, else go to `otherwise`."""

    test: Evaluate
    otherwise: int
    place: Place


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to `target`."""

    target: int
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """Run a subflow; its name is constant or computed, one of the two."""

    name: str | None
    computed: Evaluate | None
    arguments: Arguments
    place: Place


@dataclass(frozen=True, slots=True)
class Check:
    """Go on if the test holds, else end this flow."""

    test: Evaluate
    place: Place


@dataclass(frozen=True, slots=True)
class Run:
    """Run an action and assign `result`."""

    action: str
    arguments: Arguments
    result: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Create:
    """Emit an event."""

    type: str
    arguments: Arguments
    place: Place


@dataclass(frozen=True, slots=True)
class Utter:
    """Say a message by name, a text, or the value of a variable: one of the three."""

    intent: str | None
    text: str | None
    variable: str | None
    instructions: str | None
    place: Place

    @property
    def name(self) -> str:
        """What a BotIntent of this step is called: its message, `$variable`, or the quoted text."""
        if self.intent is not None:
            return self.intent
        return f"${self.variable}" if self.variable is not None else f'"{self.text}"'


@dataclass(frozen=True, slots=True)
class Head:
    """Something to wait for, and where to go on when it comes.

    Attributes:
        names: the intents or messages; for events their type. None is any.
        properties: what an event must have; `...` accepts anything.
    """

    kind: Literal["user", "bot", "event"]
    names: frozenset[str] | None
    properties: Mapping[str, Any]
    target: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for one of the heads."""

    heads: tuple[Head, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Halt:
    """`stop`: end the turn."""

    place: Place


@dataclass(frozen=True, slots=True)
class End:
    """End this flow."""

    place: Place


Instruction: TypeAlias = Assign | Branch | Jump | Call | Check | Run | Create | Utter | Wait | Halt | End


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow, ready to run.

    Attributes:
        steps: never empty; the last one is an `End`.
        texts: the texts that its bot steps define, by message.
        source: its statement lines, for prompts.
        is_system: whether it is kept out of prompts, and does not start by itself.
    """

    name: str
    meta: FlowMeta
    steps: tuple[Instruction, ...]
    texts: Mapping[str, tuple[str, ...]]
    source: str
    file: str
    line: int
    is_system: bool = False

    @property
    def starts(self) -> bool:
        """Whether it may start by itself."""
        return not (self.is_system or self.meta.is_subflow)
