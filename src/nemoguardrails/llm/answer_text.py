"""Turns the words of a plain chat answer into the message, whole or piece by piece."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re

_LINE_BREAK = re.compile(r"[\r\n]")


def answer_text(text: str) -> str:
    """The message in a whole answer: without white space around it, and quotes.

    An answer that begins with `"` loses its first and its last visible character.
    """
    shaper = AnswerText(keeps_blanks=False)
    return shaper.feed(text) + shaper.finish()


class AnswerText:
    """Does what `answer_text` does while the answer streams.

    The joined pieces do not depend on how the answer is cut. Only what may be its end is held back:
    white space from a line break on, and in a quoted answer the last visible character with all behind it.

    Args:
        keeps_blanks: blanks at the very end stay, unlike in `answer_text`; a stream could only drop them
            by holding back the blank after every word.
    """

    __slots__ = ("_held", "_keeps_blanks", "_quoted", "_started")

    def __init__(self, *, keeps_blanks: bool = True) -> None:
        self._keeps_blanks = keeps_blanks
        self._started = self._quoted = False
        self._held: list[str] = []

    def feed(self, piece: str) -> str:
        """Takes the next piece of the answer and returns what may go out now."""
        if not self._started:
            piece = self._begun(piece)
        if self._keeps_blanks and not self._held and not self._quoted:
            if "\n" not in piece and "\r" not in piece:
                return piece
        elif piece.isspace():
            self._held.append(piece)
            return ""
        return self._cleared(piece) if piece else ""

    def finish(self) -> str:
        """The answer ended: what was held back is no part of the message."""
        self._held.clear()
        return ""

    def _begun(self, piece: str) -> str:
        piece = piece.lstrip()
        if not piece:
            return ""
        self._started = True
        self._quoted = piece[0] == '"'
        return piece[1:] if self._quoted else piece

    def _cleared(self, piece: str) -> str:
        end = len(piece.rstrip())
        if self._quoted:
            end = max(end - 1, 0)
        elif self._keeps_blanks:
            line_break = _LINE_BREAK.search(piece, end)
            end = line_break.start() if line_break else len(piece)
        cleared = "".join((*self._held, piece[:end]))
        self._held = [piece[end:]] if end < len(piece) else []
        return cleared
