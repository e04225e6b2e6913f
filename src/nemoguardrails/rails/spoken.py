"""Joins the messages of a dialog to one answer, and its ends to one end."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from ..runtime.utterance import REMOVE_LAST, Outcome
from ..streaming.events import Blocked, Failed, Finished, StreamEvent, TextDelta, ToolCalls, Usage
from ..types import ToolCall, UsageInfo

_log = logging.getLogger(__name__)


class Spoken:
    """What the user has been told in a turn; the messages are joined by line breaks.

    Args:
        holds: a message waits for the next, which may take it back.
        adds_up: what a blocking rail says stands for the whole answer, so that it has to repeat what was
            said before; else that has left already.

    Attributes:
        texts: the messages that are complete.
        terminal: the event that ended the turn early.
    """

    def __init__(self, *, adds_up: bool, holds: bool = False) -> None:
        self.texts: list[str] = []
        self._holds = holds
        self._held: list[StreamEvent] = []
        self.terminal: Blocked | Failed | None = None
        self._adds_up = adds_up
        self._pieces: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: UsageInfo | None = None
        self._finished = Finished("stop")

    @property
    def has_failed(self) -> bool:
        """The making of a message failed, so that there is no going on."""
        return isinstance(self.terminal, Failed)

    def released(self) -> Iterator[StreamEvent]:
        """What was held of the message before; it stays."""
        held, self._held = self._held, []
        yield from held

    def take_back(self) -> Outcome:
        """Takes the message before back, if nobody has seen it yet."""
        if not self._holds:
            _log.warning("A message that was to be removed has left already; it stays.")
            return Outcome("")
        self._held.clear()
        del self.texts[-1:]
        return Outcome(REMOVE_LAST)

    def passed(self, event: StreamEvent) -> Iterator[StreamEvent]:
        """The event as part of the whole answer; ends wait for `end`."""
        for one in self._as_part(event):
            if self._holds:
                self._held.append(one)
            else:
                yield one

    def _as_part(self, event: StreamEvent) -> Iterator[StreamEvent]:
        if isinstance(event, TextDelta):
            if self.texts and not self._pieces:
                yield TextDelta("\n")
            self._pieces.append(event.text)
            yield event
        elif isinstance(event, Finished):
            self._finished = _joined(self._finished, event)
        elif isinstance(event, Usage):
            self._usage = _sum(self._usage, event.usage)
        elif isinstance(event, Failed) or (isinstance(event, Blocked) and event.stage == "output"):
            self.terminal = event
        else:
            if isinstance(event, ToolCalls):
                self._calls = event.calls
            yield event

    def outcome(self) -> Outcome:
        """What became of the message that has ended now."""
        text, calls = "".join(self._pieces), self._calls
        self._pieces, self._calls = [], []
        blocked = self.terminal
        if isinstance(blocked, Blocked):
            reply = blocked.reply
            if self._adds_up and reply is not None and blocked.exception is None:
                self.terminal = replace(blocked, reply="\n".join([*self.texts, reply]))
            return Outcome(text if reply is None else reply, blocked=True)
        if text:
            self.texts.append(text)
        return Outcome(text, tool_calls=calls)

    def end(self) -> Iterator[StreamEvent]:
        """How the whole answer ends."""
        if self.terminal is not None:
            yield self.terminal
            return
        if self._usage is not None:
            yield Usage(self._usage)
        yield self._finished


def _joined(earlier: Finished, later: Finished) -> Finished:
    """The end of a model's message tells more than that of a fixed text."""
    if later.model is None and earlier.model is not None:
        return earlier
    return later


def _sum(one: UsageInfo | None, other: UsageInfo) -> UsageInfo:
    if one is None:
        return other
    return UsageInfo(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.total_tokens + other.total_tokens,
        _added(one.reasoning_tokens, other.reasoning_tokens),
        _added(one.cached_tokens, other.cached_tokens),
    )


def _added(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
