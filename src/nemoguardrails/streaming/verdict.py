"""What a rail answers, and the three ways in which it may look at a text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Allow:
    """The text may pass as it is."""

    kind: Literal["allow"] = field(default="allow", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The text may pass in this form; `text` replaces all that was checked."""

    text: str
    kind: Literal["rewrite"] = field(default="rewrite", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """The text must not pass. The fields have the meaning they have in `events.Blocked`."""

    rail: str
    reason: str | None = None
    reply: str | None = None
    exception: dict[str, Any] | None = None
    failed: bool = False
    error: str | None = None
    at: int | None = None
    """Incremental rails: offset in characters of the stream where the forbidden text starts."""
    kind: Literal["block"] = field(default="block", init=False, repr=False)


Verdict: TypeAlias = Allow | Rewrite | Block
ALLOW = Allow()


class Check(Protocol):
    """A rail that judges a text by waiting: a window of a stream, or a whole message.

    An attribute `waits` that is false says that it has not waited so far: side by side with others it
    then needs no task of its own. Without the attribute it is taken to wait.
    """

    async def __call__(self, text: str) -> Verdict:
        """The verdict on `text`. What it raises counts as a block (fail closed)."""
        ...


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces `[start, end)` of a stream's text, in characters from its beginning."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Progress:
    """How far an incremental rail has decided.

    Attributes:
        decided: characters from the beginning of the stream that no later text can change.
        edits: the edits newly decided, in order, disjoint, each ending at or before `decided`.
        block: ends the stream; text before `block.at` is cleared (with the edits applied).
    """

    decided: int
    edits: tuple[Edit, ...] = ()
    block: Block | None = None


class StreamCheck(Protocol):
    """A rail that sees each piece of a stream once and keeps its own state; one object per stream.

    Split-invariant: however the text is cut, edits and block are those of one piece.
    Never waits, never raises for any text.
    """

    def feed(self, text: str) -> Progress:
        """Takes the next piece."""
        ...

    def finish(self) -> Progress:
        """The text ended: everything is decided."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRail:
    """One rail as the gate sees it. Exactly one of `check` and `start` is set."""

    name: str
    """The flow reference as configured."""
    way: Literal["incremental", "window", "whole"]
    rewrites: bool = False
    """It may change the text; such a rail is a stage of its own."""
    check: Check | None = None
    """Ways "window" and "whole"."""
    start: Callable[[], StreamCheck] | None = None
    """Way "incremental": makes the state for one stream."""
