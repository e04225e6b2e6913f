"""Syntax tree of Colang 1.0; every node knows the lines it came from."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..expressions import Arguments, Expression
from ..source import Span

WILDCARD = "..."
NO_ARGUMENTS = Arguments()


@dataclass(frozen=True, slots=True)
class UserStep:
    """`user NAME`, with alternatives joined by `or`; waits for one of the intents, `...` for any."""

    intents: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class BotStep:
    """`bot NAME`, `bot "text"` or `bot $variable`: exactly one of the three; the name `...` only waits.

    Attributes:
        texts: what the step defines as texts of its name.
        instructions: the comment above it.
    """

    span: Span
    name: str | None = None
    text: str | None = None
    variable: str | None = None
    texts: tuple[str, ...] = ()
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class EventStep:
    """`event TYPE(key=value)`: waits for such an event; the value `"..."` accepts anything."""

    type: str
    properties: Mapping[str, Any]
    span: Span


Head: TypeAlias = UserStep | BotStep | EventStep


@dataclass(frozen=True, slots=True)
class ExecuteStep:
    """`$result = execute ACTION(key=value)`; `result` is the variable's name."""

    action: str
    arguments: Arguments
    result: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class CreateEvent:
    """`create event TYPE(key=value)`."""

    type: str
    arguments: Arguments
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`$variable = E`."""

    variable: str
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Case:
    """An `if E` or `else if E` with its body."""

    condition: Expression
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    """`if` with its `else if`s, and the body of `else`."""

    cases: tuple[Case, ...]
    otherwise: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class While:
    """`while E`."""

    condition: Expression
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class When:
    """`when` with its further branches; waits for one of the heads."""

    branches: tuple[tuple[Head, tuple[Statement, ...]], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Break:
    """`break`."""

    span: Span


@dataclass(frozen=True, slots=True)
class Continue:
    """`continue` or `pass`."""

    span: Span


@dataclass(frozen=True, slots=True)
class Label:
    """`label NAME`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Goto:
    """`goto NAME`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Do:
    """`do NAME` (a constant name) or `do $expression`: exactly one of the two."""

    span: Span
    name: str | None = None
    computed: Expression | None = None
    arguments: Arguments = NO_ARGUMENTS


@dataclass(frozen=True, slots=True)
class Check:
    """`check E`."""

    condition: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Return:
    """`return`."""

    span: Span


@dataclass(frozen=True, slots=True)
class Stop:
    """`stop`."""

    span: Span


Statement: TypeAlias = (
    UserStep
    | BotStep
    | EventStep
    | ExecuteStep
    | CreateEvent
    | Assign
    | If
    | While
    | When
    | Break
    | Continue
    | Label
    | Goto
    | Do
    | Check
    | Return
    | Stop
)


@dataclass(frozen=True, slots=True)
class UserMessage:
    """`define user NAME`: example texts of an intent.

    Attributes:
        references: other intents whose examples count for this one too.
    """

    name: str
    examples: tuple[str, ...]
    references: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class BotMessage:
    """`define bot NAME`: texts of a message, one of which is picked per use."""

    name: str
    texts: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class FlowMeta:
    """What modifiers and meta lines say about a flow.

    Attributes:
        is_subflow: runs only when called.
        is_extension: may interrupt other flows and hands control back.
        is_interruptible: is suspended, and not dropped, when another intent arrives.
        allows_multiple: may have several live instances.
        defines_messages: whether texts of its bot steps count as definitions.
        other: what has no effect.
    """

    priority: float = 1.0
    is_subflow: bool = False
    is_extension: bool = False
    is_interruptible: bool = True
    allows_multiple: bool = False
    defines_messages: bool = True
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowDefinition:
    """`define flow NAME` or `define subflow NAME`.

    Attributes:
        source: its statement lines, dedented, without blank lines.
    """

    name: str
    meta: FlowMeta
    body: tuple[Statement, ...]
    source: str
    span: Span
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed source.

    Attributes:
        imports: what its `import` and `include` lines name.
    """

    path: str
    user_messages: tuple[UserMessage, ...] = ()
    bot_messages: tuple[BotMessage, ...] = ()
    flows: tuple[FlowDefinition, ...] = ()
    imports: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
