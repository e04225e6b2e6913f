"""The seam between Colang programs and whoever runs them.

A program never waits. Playing a flow is a generator: it yields a command, the driver carries it
out and sends the result back. Events are plain dicts with a `type`.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Event: TypeAlias = dict[str, Any]
Context: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a source a statement stands; `line` counts from 1."""

    file: str
    line: int
    flow: str


class ColangRuntimeError(Exception):
    """A flow that cannot go on: a failed expression, an unknown flow, a limit.

    Attributes:
        message: what happened, without the place.
        place: the statement at fault; None if no flow was played yet.
    """

    def __init__(self, message: str, place: Place | None = None):
        self.message = message
        self.place = place
        super().__init__(
            f"{place.file}, line {place.line}, flow '{place.flow}': {message}" if place else message
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What a flow may cost before it counts as failed.

    Attributes:
        decisions: actions, messages and events of one turn, or of one flow that is played alone.
        silent_steps: steps between two of them.
        depth: subflows in subflows.
    """

    decisions: int = 300
    silent_steps: int = 10_000
    depth: int = 50


@dataclass(slots=True)
class Execute:
    """Run an action and send its return value back; the player assigns `result_key`.

    `params` hold values: references to variables are already resolved.
    """

    action: str
    params: dict[str, Any]
    result_key: str | None
    place: Place
    kind: Literal["execute"] = field(default="execute", init=False, repr=False)


@dataclass(slots=True)
class Say:
    """Say a bot message; send back nothing.

    Exactly one of the three is set: `intent` (look up or generate the text), `text` (the author's
    own words, still to be rendered with `context`), or `value` (the value of `bot $variable`, to be
    said as it is and judged like any generated text). `context` is the live one: it holds the values
    of this step until the play is resumed.
    """

    place: Place
    context: Context
    intent: str | None = None
    text: str | None = None
    value: str | None = None
    instructions: str | None = None
    kind: Literal["say"] = field(default="say", init=False, repr=False)


@dataclass(slots=True)
class Emit:
    """`create event`: add this event."""

    event: Event
    place: Place
    kind: Literal["emit"] = field(default="emit", init=False, repr=False)


Command: TypeAlias = Execute | Say | Emit


@dataclass(slots=True)
class Played:
    """How the playing of one flow ended; `stopped` if by `stop`."""

    stopped: bool
    place: Place | None = None


Play: TypeAlias = Generator[Command, Any, Played]


class Player(Protocol):
    """Plays single flows of a program, as rails are."""

    def play(self, flow: str, context: Context, params: dict[str, Any] | None = None) -> Play:
        """Plays a flow on `context`, which it reads and changes in place.

        `params` are visible inside the flow under their names and are gone after it.

        Raises:
            ColangRuntimeError: while playing, for a failed expression, an unknown flow or a
                limit; carries its `Place`.
        """
        ...

    def assigns(self, flow: str, variable: str) -> bool:
        """Whether the flow, or one it calls with `do`, may assign the variable."""
        ...

    def actions(self, flow: str) -> list[str]:
        """The actions that the flow and those it calls execute, in order of the text."""
        ...

    def branches(self, flow: str) -> bool:
        """Whether the flow, or one it calls, has an `if`, `while`, `check`, `when` or a computed `do`."""
        ...
