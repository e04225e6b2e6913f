"""Turns the words of a plain chat answer into the message, whole or piece by piece."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


def answer_text(text: str) -> str:
    """The message in a whole answer: without white space around it, and quotes.

    An answer that begins with `"` loses its first and its last visible character.
    """
    shaper = AnswerText()
    return shaper.feed(text) + shaper.finish()


class AnswerText:
    """Does what `answer_text` does while the answer streams.

    The joined pieces equal `answer_text` of the joined input, however it is cut. A piece that ends in
    white space waits for the next one, since it may be the last. It then goes out as it came, and the
    next waits in its place, until two follow each other without white space between them. In a quoted
    answer the last visible character waits, too.

    Args:
        first_at_once: the first visible piece does not wait; an answer of a single piece keeps the blanks
            behind it then.
    """

    __slots__ = ("_first_at_once", "_held", "_quoted", "_started")

    def __init__(self, *, first_at_once: bool = False) -> None:
        self._first_at_once = first_at_once
        self._started = self._quoted = False
        self._held: list[str] = []

    @property
    def done(self) -> bool:
        """Never: only the model's end tells the answer's."""
        return False

    def feed(self, piece: str) -> str:
        """Takes the next piece of the answer and returns what may go out now."""
        if not self._started:
            piece = self._begun(piece)
        if not piece:
            return ""
        if piece.isspace():
            self._held.append(piece)
            return ""
        if self._quoted:
            return self._cleared(piece, len(piece.rstrip()) - 1)
        if self._first_at_once and "\n" not in piece:
            self._first_at_once = False
            return piece
        held = self._held
        if piece[-1].isspace() or (held and held[-1][-1].isspace()):
            return self._cleared(piece, 0)
        return self._cleared(piece, len(piece)) if held else piece

    def finish(self) -> str:
        """The answer ended; returns what of it was held back, without the white space behind it."""
        rest = "" if self._quoted else "".join(self._held).rstrip()
        self._held.clear()
        return rest

    def broken_off(self) -> str:
        """The answer has no end; returns what was held back of it."""
        return self.finish()

    def _begun(self, piece: str) -> str:
        piece = piece.lstrip()
        if not piece:
            return ""
        self._started = True
        self._quoted = piece[0] == '"'
        return piece[1:] if self._quoted else piece

    def _cleared(self, piece: str, end: int) -> str:
        """What was held back and the piece up to `end`; the rest of the piece is held back now."""
        cleared = "".join((*self._held, piece[:end]))
        self._held = [piece[end:]] if end < len(piece) else []
        return cleared
