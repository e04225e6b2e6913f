"""Ends a streamed text at the first of its stop sequences."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


class StopCutter:
    """Cuts a text before the stop sequence that is complete first.

    What could be the beginning of a stop sequence is held back and comes out as soon as it is
    not. The joined pieces do not depend on how the text is cut. Each piece is searched once,
    together with what was held back before it (less than the longest sequence).

    Attributes:
        stopped: a stop sequence was found; everything after it is dropped.
        found: the stop sequence, once `stopped`.
    """

    __slots__ = ("_beginnings", "_held", "_stops", "found", "stopped")

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._beginnings = _beginnings(self._stops)
        self._held = ""
        self.stopped = False
        self.found: str | None = None

    def feed(self, piece: str) -> str:
        """Takes the next piece and returns what may go out now."""
        if self.stopped:
            return ""
        seen = self._held + piece if self._held else piece
        for stop in self._stops:
            if stop in seen:
                return self._cut(seen)
        if not seen.endswith(self._beginnings):
            self._held = ""
            return seen
        open_end = next(len(beginning) for beginning in self._beginnings if seen.endswith(beginning))
        self._held = seen[-open_end:]
        return seen[:-open_end]

    def passes(self, piece: str) -> bool:
        """Whether `feed` would return the piece as it is and hold nothing; it needn't be fed then."""
        if self._held or self.stopped:
            return False
        for stop in self._stops:
            if stop in piece:
                return False
        return not piece.endswith(self._beginnings)

    def finish(self) -> str:
        """The text ended: what was held back."""
        held, self._held = self._held, ""
        return held

    def _cut(self, seen: str) -> str:
        places = [
            (seen.find(stop) + len(stop), seen.find(stop), stop) for stop in self._stops if stop in seen
        ]
        _, start, self.found = min(places)
        self._held, self.stopped = "", True
        return seen[:start]


@lru_cache(maxsize=64)
def _beginnings(stops: tuple[str, ...]) -> tuple[str, ...]:
    """What a stop sequence may begin with, longest first."""
    lengths = range(max(map(len, stops), default=1) - 1, 0, -1)
    return tuple(dict.fromkeys(stop[:n] for n in lengths for stop in stops if len(stop) > n))


def cut_at_stop(text: str, stops: Iterable[str]) -> tuple[str, str | None]:
    """A whole text up to the first stop sequence, and that sequence if there is one."""
    cutter = StopCutter(stops)
    kept = cutter.feed(text)
    return kept + cutter.finish(), cutter.found
