"""Filters of prompt templates over a conversation that is already Colang text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Message: TypeAlias = dict[str, str]
Kind: TypeAlias = Literal["user text", "user intent", "bot intent", "bot text", "other"]

_TURN = re.compile(r'^(?=user "|user action: )', re.MULTILINE)
_ESCAPE = re.compile(r'\\([n"\\])')
_LABELS: dict[Kind, str] = {
    "user text": "User message: ",
    "user intent": "User intent: ",
    "bot intent": "Bot intent: ",
    "bot text": "Bot message: ",
    "other": "",
}


class _Line(NamedTuple):
    kind: Kind
    text: str
    """What stands behind the keyword or the indent."""


def unquoted(text: str) -> str:
    """A quoted text of the history as it was said."""
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], inner)


def remove_text_messages(history: str) -> str:
    """The history without the texts: intents and actions alone."""
    lines = []
    for line in _lines(history):
        if line.kind in ("user text", "bot text"):
            continue
        lead = {"user intent": "user ", "bot intent": "bot "}.get(line.kind, "")
        lines.append(lead + line.text)
    return "\n".join(lines)


def first_turns(history: str, n: int) -> str:
    """The first `n` turns; a turn starts with a user's line."""
    return "".join(_turns(history)[:n]).rstrip("\n")


def last_turns(history: str, n: int) -> str:
    """The last `n` turns; a turn starts with a user's line."""
    return "".join(_turns(history)[-n:] if n > 0 else []).rstrip("\n")


def indent(text: str, n: int) -> str:
    """The text with every line moved right by `n` spaces."""
    return "\n".join(" " * n + line for line in text.split("\n"))


def verbose_v1(history: str) -> str:
    """The history with a label before each line: `User message: `, `User intent: ` and so on."""
    return "\n".join(_LABELS[line.kind] + line.text for line in _lines(history))


def to_messages(history: str) -> list[Message]:
    """Messages: what the user said, and between them one assistant message with the labelled other lines."""
    return _grouped(history, user_intents=True)


def to_intent_messages_2(history: str) -> list[Message]:
    """As `to_messages`, without the user's intents."""
    return _grouped(history, user_intents=False)


def to_intent_messages(history: str) -> list[Message]:
    """Messages of intents alone: `User intent: x` by the user, `Bot intent: y` by the assistant."""
    messages: list[Message] = []
    for line in _lines(history):
        if line.kind == "user intent":
            messages.append({"type": "user", "content": _LABELS[line.kind] + line.text})
        elif line.kind == "bot intent":
            messages.append({"type": "assistant", "content": _LABELS[line.kind] + line.text})
    return messages


def to_messages_v2(history: str) -> list[Message]:
    """A Colang 2.x history as messages: blocks `user action:` by the user, all others by the assistant."""
    messages: list[Message] = []
    for block in filter(None, (part.strip("\n") for part in history.split("\n\n"))):
        role = "user" if block.startswith("user action: ") else "assistant"
        content = block.removeprefix("user action: ") if role == "user" else block
        if messages and role == "assistant" and messages[-1]["type"] == role:
            messages[-1]["content"] += f"\n{content}"
        else:
            messages.append({"type": role, "content": content})
    return messages


def _grouped(history: str, *, user_intents: bool) -> list[Message]:
    messages: list[Message] = []
    for line in _lines(history):
        if line.kind == "user text":
            messages.append({"type": "user", "content": unquoted(line.text)})
            continue
        if (line.kind == "user intent" and not user_intents) or not line.text:
            continue
        content = _LABELS[line.kind] + line.text
        if messages and messages[-1]["type"] == "assistant":
            messages[-1]["content"] += f"\n{content}"
        else:
            messages.append({"type": "assistant", "content": content})
    return messages


def _turns(history: str) -> list[str]:
    """The turns, each with its line break; what stands before the first user's line belongs to it."""
    parts = [part for part in _TURN.split(history) if part]
    if len(parts) > 1 and not _TURN.match(parts[0]):
        parts[:2] = [parts[0] + parts[1]]
    return parts


def _lines(history: str) -> Iterator[_Line]:
    user_spoke = False
    for line in history.split("\n") if history else ():
        stripped = line.strip()
        if line.startswith('user "'):
            user_spoke = True
            yield _Line("user text", line.removeprefix("user "))
        elif line.startswith("user "):
            user_spoke = True
            yield _Line("user intent", line.removeprefix("user "))
        elif line.startswith("bot "):
            user_spoke = False
            yield _Line("bot intent", line.removeprefix("bot "))
        elif line.startswith('  "'):
            yield _Line("bot text", stripped)
        elif line.startswith("  ") and user_spoke:
            yield _Line("user intent", stripped)
        else:
            yield _Line("other", line)
