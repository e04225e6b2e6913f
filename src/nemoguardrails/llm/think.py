"""Splits `<think>...</think>` off a model's answer, whole or piece by piece."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import re
from typing import Literal, NamedTuple

logger = logging.getLogger(__name__)

START, END = "<think>", "</think>"


class Split(NamedTuple):
    """What a piece of an answer turned out to be."""

    reasoning: str
    text: str


NOTHING = Split("", "")


class ThinkSplitter:
    """Splits a reasoning block off the beginning of a streamed answer.

    The tags may be cut anywhere: the joined pieces do not depend on how the answer is cut. White
    space around the block is dropped. A block that is never closed is reasoning to its end; a tag
    behind the first visible character is text.

    Attributes:
        settled: everything that follows is text; `feed` needn't be called any more.
    """

    __slots__ = ("_end", "_held", "_phase", "_start", "settled")

    def __init__(self, start: str = START, end: str = END) -> None:
        self._start, self._end = start, end
        self._held = ""
        self._phase: Literal["before", "inside", "after"] = "before"
        self.settled = False

    def feed(self, piece: str) -> Split:
        """Takes the next piece of the answer and tells what is known to be reasoning and text."""
        if self.settled:
            return Split("", piece)
        if self._phase == "before":
            return self._before(piece)
        return self._inside(piece) if self._phase == "inside" else self._after(piece)

    def finish(self) -> Split:
        """The answer ended: what was held back."""
        held, self._held = self._held, ""
        inside = self._phase == "inside"
        self.settled = True
        return Split(held, "") if inside else Split("", held)

    def _before(self, piece: str) -> Split:
        seen = self._held + piece
        visible = seen.lstrip()
        if visible.startswith(self._start):
            self._phase, self._held = "inside", ""
            return self._inside(visible[len(self._start) :])
        if self._start.startswith(visible):
            self._held = seen
            return NOTHING
        self._held, self.settled = "", True
        return Split("", seen)

    def _inside(self, piece: str) -> Split:
        seen = self._held + piece
        found = seen.find(self._end)
        if found >= 0:
            self._phase, self._held = "after", ""
            return Split(seen[:found], self._after(seen[found + len(self._end) :]).text)
        open_end = _overlap(seen, self._end)
        self._held = seen[len(seen) - open_end :]
        return Split(seen[: len(seen) - open_end], "")

    def _after(self, piece: str) -> Split:
        visible = piece.lstrip()
        self.settled = bool(visible)
        return Split("", visible)


def split_think(text: str, *, start: str = START, end: str = END) -> Split:
    """Splits the reasoning blocks off a whole answer.

    Balanced blocks are removed wherever they stand and the rest is stripped. A block at the
    beginning that is never closed is reasoning to its end. Other unbalanced tags leave the text as
    it is, with a warning in the log. Without tags the text is untouched.
    """
    if start not in text and end not in text:
        return Split("", text)
    blocks = re.findall(f"{re.escape(start)}(.*?){re.escape(end)}", text, re.DOTALL)
    rest = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", "", text, flags=re.DOTALL)
    if rest.lstrip().startswith(start) and end not in rest:
        return Split("".join((*blocks, rest.lstrip()[len(start) :])), "")
    if start in rest or end in rest:
        logger.warning("An answer has an unbalanced %s tag; it is kept as text.", start)
        return Split("", text)
    return Split("".join(blocks), rest.strip())


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` could be the beginning of `mark`."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0
