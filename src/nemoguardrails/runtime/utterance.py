"""What a dialog says, and what became of it: the seam between the dialog and whoever guards its words."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..llm.message_text import TextShape
from ..logging.record import RailRecord
from ..types import LLMResponseChunk, ToolCall

Ask: TypeAlias = Callable[[], AsyncGenerator[LLMResponseChunk, None]]
"""Asks a model; its chunks. To be called once, and the chunks to be iterated or closed."""

REMOVE_LAST = "(remove last message)"
"""A message that takes the one before it back."""


@dataclass(slots=True)
class ModelWords:
    """A message that a model writes."""

    ask: Ask
    shape: TextShape | None = None
    """Makes the model's words the message; `None` leaves them as they are."""
    action: str = "generate_user_intent"
    """What the log calls the making of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an utterance.

    Attributes:
        text: what the user saw of it, or what a rail said instead.
        blocked: a rail ended the turn.
        tool_calls: that came with it.
    """

    text: str
    blocked: bool = False
    tool_calls: Sequence[ToolCall] = ()


@dataclass(slots=True)
class Utterance:
    """One message of the bot: a fixed text, or words that a model writes; one of the two is set.

    Attributes:
        trusted: its author's own words with nothing filled in.
        rail: where the making of it is recorded; `None` for an entry of its own.
        outcome: to be set before the dialog goes on.
    """

    trusted: bool
    text: str = ""
    words: ModelWords | None = None
    rail: RailRecord | None = None

    outcome: Outcome = field(default_factory=lambda: Outcome(""))

    @property
    def takes_back(self) -> bool:
        """It is no message: it takes the one before it back."""
        return self.words is None and self.text == REMOVE_LAST
