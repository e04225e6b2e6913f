"""Turns what a model writes for a bot message into the message, whole or piece by piece."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from typing import Protocol

_LABEL = "bot message:"
_USER = "user"
_LINE_END = re.compile(r"\r\n?|\n")


class TextShape(Protocol):
    """Makes the words of a model the message, while they stream."""

    @property
    def done(self) -> bool:
        """The message has ended; what follows is no part of it."""
        ...

    def feed(self, piece: str, /) -> str:
        """Takes the next piece and returns what may go out now."""
        ...

    def finish(self) -> str:
        """The model has ended; returns what is still to go out."""
        ...

    def broken_off(self) -> str:
        """The model has failed; returns what was held back of its words."""
        ...


def message_text(reply: str, *, empty: str = "") -> str:
    """The message in a whole reply; `empty` where it holds none."""
    shape = MessageText(empty=empty)
    return shape.feed(reply) + shape.finish()


class MessageText:
    r"""Does what `message_text` does while the reply streams; nothing of the prompt's format gets out.

    The message ends with the first line that ends with `"`, and before a line that begins with the word
    `user`. Lines are stripped, empty ones left out. The label `Bot message:` and the quotes around the
    message go; a pair of `\` and `n` is a line break. The joined pieces do not depend on how the reply
    is cut. Held back is only what may be the end: white space, a `"` with white space behind it, a `\`.

    Args:
        empty: the message where the reply holds none.

    Attributes:
        done: the message has ended; what follows is no part of it.
    """

    __slots__ = (
        "_break",
        "_empty",
        "_held",
        "_in_line",
        "_quoted",
        "_started",
        "_unlabelled",
        "_wrote",
        "done",
    )

    def __init__(self, *, empty: str = "") -> None:
        self._empty = empty
        self._held = ""
        self._unlabelled = True
        self._started = self._quoted = self._in_line = False
        self._break = self._wrote = False
        self.done = False

    def feed(self, piece: str) -> str:
        """Takes the next piece of the reply and returns what may go out now."""
        return "" if self.done else self._read(self._held + piece, is_last=False)

    def finish(self) -> str:
        """The reply has ended; returns what is still to go out."""
        rest = self.broken_off()
        return rest if self._wrote else self._empty

    def broken_off(self) -> str:
        """The reply has no end; returns what was held back of it."""
        rest = "" if self.done else self._read(self._held, is_last=True)
        self.done = True
        return rest

    def _read(self, text: str, *, is_last: bool) -> str:
        self._held = ""
        out: list[str] = []
        while text and not self.done:
            if not self._in_line:
                text = self._begun(text.lstrip(), is_last=is_last)
                continue
            found = _LINE_END.search(text)
            if found is None or (found[0] == "\r" and found.end() == len(text) and not is_last):
                self._put(self._whole(text) if is_last else self._open(text), out)
                break
            self._put(self._whole(text[: found.start()]), out)
            text = text[found.end() :]
        made = "".join(out).replace("\\n", "\n")
        self._wrote = self._wrote or bool(made)
        return made

    def _begun(self, text: str, *, is_last: bool) -> str:
        """Begins a line: what is left of the text without format; nothing if more is needed to tell."""
        lowered = text[: len(_LABEL)].lower()
        marks = (_USER, _LABEL) if self._unlabelled and not self._started else (_USER,)
        if not is_last and any(mark.startswith(lowered) for mark in marks):
            self._held = text
            return ""
        if lowered.startswith(_USER) and not _goes_on(lowered, len(_USER)):
            self.done = True
            return ""
        if len(marks) > 1 and lowered == _LABEL:
            self._unlabelled = False
            return text[len(_LABEL) :]
        self._in_line = True
        if self._started:
            self._break = True
            return text
        self._started = True
        self._quoted = text.startswith('"')
        return text[1:] if self._quoted else text

    def _open(self, line: str) -> str:
        """Of an unfinished line what cannot be its end; the rest is held."""
        kept = len(line.rstrip())
        if line[:kept].endswith('"') or (kept == len(line) and line.endswith("\\")):
            kept -= 1
        self._held = line[kept:]
        return line[:kept]

    def _whole(self, line: str) -> str:
        """The rest of a finished line."""
        line = line.rstrip()
        self._in_line = False
        if not line.endswith('"'):
            return line
        self.done = True
        return line[:-1] if self._quoted else line

    def _put(self, line: str, out: list[str]) -> None:
        if line and self._break:
            out.append("\n")
            self._break = False
        out.append(line)


def _goes_on(text: str, at: int) -> bool:
    """Whether a word goes on at a place."""
    return at < len(text) and (text[at].isalnum() or text[at] == "_")
