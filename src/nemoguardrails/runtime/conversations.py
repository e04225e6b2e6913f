"""Remembers conversations by their messages, for clients that send the growing list back."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..colang.interpreter import Event
from ..colang.v1_0.state import State

LIMIT = 1000
"""Turns that are remembered."""

NAME = "conversation_id"
"""A variable of the caller that tells conversations apart."""

TIME_TO_LIVE_S = 3600.0
"""How long a turn is remembered."""

_MAX_DEPTH = 50
_ANSWERS = ("assistant", "exception")
_PARTS = ("tool_calls", "name", "tool_call_id", "event")
_THOUGHTS = re.compile(r"\A<think>.*?</think>\n?", re.DOTALL)
_OWN_TO_AN_EVENT = ("uid", "event_created_at")


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The events of the turns so far; each holds its own turn's, and shares those before."""

    before: Past | None
    events: tuple[Event, ...]

    def all(self) -> list[Event]:
        """The events from the beginning."""
        turns: list[tuple[Event, ...]] = []
        past: Past | None = self
        while past is not None:
            turns.append(past.events)
            past = past.before
        return [event for events in reversed(turns) for event in events]


@dataclass(frozen=True, slots=True)
class Remembered:
    """A conversation up to an answer.

    Attributes:
        state: the caller's own copy.
        known: how many of the caller's messages it covers.
    """

    state: State
    past: Past
    known: int


@dataclass(slots=True)
class _Entry:
    state: State | None
    """`None` where different conversations have led to the same messages: nobody gets either."""
    past: Past
    expires: float


class Conversations:
    """The conversations of one `LLMRails`, by a digest over their messages.

    Roles, contents, tool calls, names, events and the variables of the caller's `context` messages all
    count. Where two conversations with equal messages have come to different variables, flows or events,
    neither is given to anyone; a `conversation_id` among the variables keeps them apart.

    Args:
        limit: turns that are remembered; the least recently used go first.
        time_to_live_s: how long, in seconds.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        limit: int = LIMIT,
        time_to_live_s: float = TIME_TO_LIVE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._time_to_live_s = time_to_live_s
        self._clock = clock
        # Threads with loops of their own may share one `LLMRails`.
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, trace: Trace) -> Remembered | None:
        """What is remembered of the messages up to the last answer among them."""
        key = trace.known_key
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.state is None:
                return None
            if entry.expires <= self._clock():
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
        return Remembered(copied(entry.state), entry.past, trace.known)

    def keep(self, trace: Trace, answer: Mapping[str, Any], state: State, past: Past) -> None:
        """Remembers a conversation with the answer to its messages.

        Args:
            answer: the message that the caller gets.
            state: is copied.
        """
        key, kept = trace.key_with(answer), copied(state)
        with self._lock:
            now = self._clock()
            entry = self._entries.get(key)
            if entry is None or entry.expires <= now or trace.is_named:
                self._entries[key] = _Entry(kept, past, now + self._time_to_live_s)
            else:
                entry.expires = now + self._time_to_live_s
                if entry.state is None or not _same(entry.state, kept) or not _same_past(entry.past, past):
                    entry.state = None
            self._entries.move_to_end(key)
            while len(self._entries) > self._limit:
                self._entries.popitem(last=False)


class Trace:
    """The digests of the messages of one request, taken in one pass.

    Attributes:
        known: how many messages there are up to the last answer among them.
        known_key: their digest; empty where there is no answer.
        is_named: the caller tells its conversations apart, so that equal messages are one conversation.
    """

    __slots__ = ("_digest", "is_named", "known", "known_key")

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self.known, self.known_key = 0, b""
        self.is_named = False
        self._digest = digest = hashlib.sha256()
        last = max((at for at, message in enumerate(messages) if message["role"] in _ANSWERS), default=-1)
        for at, message in enumerate(messages):
            digest.update(_spelt(message))
            if message["role"] == "context" and message["content"].get(NAME):
                self.is_named = True
            if at == last:
                self.known, self.known_key = at + 1, digest.digest()

    def key_with(self, answer: Mapping[str, Any]) -> bytes:
        """The digest of the messages and an answer to them."""
        digest = self._digest.copy()
        digest.update(_spelt(answer))
        return digest.digest()


def copied(state: State) -> State:
    """A state of its own, its lists and dicts included; other values of the variables are shared."""
    return State(
        {name: _own(value) for name, value in state.context.items()},
        [replace(one) for one in state.instances],
        dict(state.generated),
        last_uid=state.last_uid,
    )


def _own(value: Any, depth: int = _MAX_DEPTH) -> Any:
    if depth and type(value) is list:
        return [_own(item, depth - 1) for item in value]
    if depth and type(value) is dict:
        return {key: _own(item, depth - 1) for key, item in value.items()}
    return value


def _spelt(message: Mapping[str, Any]) -> bytes:
    """All of a message that counts, spelt so that no two messages, and no two lists of them, are alike."""
    role, content = message["role"], message.get("content")
    if role == "assistant" and isinstance(content, str) and content.startswith("<think>"):
        # Whoever streams gets no thoughts in the text, whoever does not stream may.
        content = _THOUGHTS.sub("", content)
    if len(message) == 2 and isinstance(content, str):
        kind, text = "plain", content
    else:
        parts = {name: message[name] for name in _PARTS if message.get(name)}
        if content:
            parts["content"] = content
        kind, text = "parts", json.dumps(parts, sort_keys=True, default=repr)
    spelt = text.encode("utf-8", "surrogatepass")
    return b"%s %s %d\n%s" % (kind.encode(), role.encode(), len(spelt), spelt)


def _same(one: State, other: State) -> bool:
    try:
        return bool(
            (one.context, one.instances, one.generated) == (other.context, other.instances, other.generated)
        )
    except (TypeError, ValueError, AttributeError):  # values of users' classes may refuse to be compared
        return False


def _same_past(one: Past, other: Past) -> bool:
    if one.before is not other.before:
        return False
    try:
        return bool([_essence(e) for e in one.events] == [_essence(e) for e in other.events])
    except (TypeError, ValueError, AttributeError):
        return False


def _essence(event: Event) -> Event:
    return {name: value for name, value in event.items() if name not in _OWN_TO_AN_EVENT}
