"""Reads what a model replies to the tasks of the dialog; nothing of it is ever evaluated."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast

from ..llm.message_text import MessageText

UNKNOWN_INTENT = "unknown message"
"""The user's intent where the model names none."""

GENERAL_RESPONSE = "general response"
"""The bot's intent where the model names none."""

_USER_LABELS = ("user intent:", "user ")
_BOT_LABELS = ("bot intent:", "bot ")


def intent_in(reply: str) -> str:
    """The user's intent: the first line that is not empty, without `user `."""
    return _without(_USER_LABELS, _first_line(reply)) or UNKNOWN_INTENT


def next_step_in(reply: str) -> str:
    """The bot's intent: the first line that is not empty, if it is a `bot` line."""
    return _bot_intent(_first_line(reply))


def value_in(reply: str) -> str:
    """The value of a variable, always a text: the first line, unquoted, without a semicolon at its end."""
    line = reply.strip().partition("\n")[0].strip().removesuffix(";").rstrip()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "\"'":
        return line
    try:
        read = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return line[1:-1]
    return read if isinstance(read, str) else line[1:-1]


class SingleCallReply:
    """Reads the reply that holds intent, next step and message, whole or piece by piece.

    Args:
        empty: the message where the reply holds none.
    """

    def __init__(self, *, empty: str) -> None:
        self._lines: list[str] = []
        self._open = ""
        self._message = MessageText(empty=empty)

    @property
    def done(self) -> bool:
        """The message has ended; what follows is no part of it."""
        return self._message.done

    @property
    def is_decided(self) -> bool:
        """Both intents are known."""
        return len(self._lines) == 2

    @property
    def user_intent(self) -> str:
        """What the user wants, once it is known."""
        return (_without(_USER_LABELS, self._lines[0]) if self._lines else "") or UNKNOWN_INTENT

    @property
    def bot_intent(self) -> str:
        """What the bot should do, once it is known."""
        return _bot_intent(self._lines[1]) if self.is_decided else GENERAL_RESPONSE

    def feed(self, piece: str) -> str:
        """Takes the next piece and returns what it adds to the message."""
        if self.is_decided:
            return self._message.feed(piece)
        self._open += piece
        while "\n" in self._open:
            line, _, self._open = self._open.partition("\n")
            self._take(line)
            if len(self._lines) == 2:
                rest, self._open = self._open, ""
                return self._message.feed(rest)
        return ""

    def finish(self) -> str:
        """The model has ended; returns what is still to be said."""
        if not self.is_decided:
            self._take(self._open)
            self._open = ""
        return self._message.finish()

    def _take(self, line: str) -> None:
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            self._lines.append(stripped)


def _bot_intent(line: str) -> str:
    intent = _without(_BOT_LABELS, line)
    if intent == line:
        return GENERAL_RESPONSE
    return intent.partition('"')[0].partition(",")[0].strip() or GENERAL_RESPONSE


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _without(labels: tuple[str, ...], line: str) -> str:
    for label in labels:
        if line.lower().startswith(label):
            return line[len(label) :].strip()
    return line
