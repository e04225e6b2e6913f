"""Unicode normal form of a text that comes in pieces, with the way back to the original offsets."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import pairwise

_ZERO_WIDTH_RANGES = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x180B, 0x180F), (0xFEFF, 0xFEFF)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)),
)
_ZERO_WIDTH = dict.fromkeys(code for low, high in _ZERO_WIDTH_RANGES for code in range(low, high + 1))
_COMPOSING_ASCII = frozenset("<=>ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LONGEST_UNIT = 32
# A unit begins at every ASCII character, so clusters can be cut up on their own.
_NOT_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_JAMO = range(0x1160, 0x1200)
_JAMO_LEADS = range(0x1100, 0x1160)
_HANGUL = range(0xAC00, 0xD7A4)


class Normalizer:
    """NFKC without zero-width characters, of a text in pieces.

    The text is cut into units that normalise independently: a character and the marks after it,
    at most 32 characters. The last unit waits where a mark could still join it.

    Attributes:
        taken: characters of the original taken.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._pending = ""
        self._made = 0
        # Units that are not the same before and after: parallel lists, in order.
        self._from: list[int] = []
        self._from_end: list[int] = []
        self._to: list[int] = []
        self._to_end: list[int] = []

    def feed(self, text: str) -> str:
        """Takes a piece; answers the normal text that nothing later can change."""
        if not text:
            return ""
        self.taken += len(text)
        text = self._pending + text
        if text.isascii():
            self._pending = text[-1] if text[-1] in _COMPOSING_ASCII else ""
            stable = text[: len(text) - len(self._pending)]
            self._made += len(stable)
            return stable
        end = _last_unit(text)
        self._pending = text[end:]
        return self._units(text, end)

    def finish(self) -> str:
        """The text ended; answers the rest."""
        text, self._pending = self._pending, ""
        return self._units(text, len(text))

    def pending_forms(self) -> tuple[str, ...] | None:
        """The characters that the waiting text may become in normal form; `None`: anything."""
        if not self._pending:
            return ()
        if len(self._pending) > 1 or not self._pending.isascii():
            return None
        return self._pending, *_compositions().get(self._pending, ())

    def start_of(self, made: int) -> int:
        """The original offset of the character at a normal offset; inside a unit, of the unit."""
        index = bisect_right(self._to, made) - 1
        if index < 0:
            return made
        if made < self._to_end[index]:
            return self._from[index]
        return self._from_end[index] + made - self._to_end[index]

    def end_of(self, made: int) -> int:
        """The original offset behind the character before a normal offset (behind its unit)."""
        index = bisect_right(self._to, made - 1) - 1
        if index < 0:
            return made
        if made <= self._to_end[index]:
            return self._from_end[index]
        return self._from_end[index] + made - self._to_end[index]

    def forget(self, made: int) -> None:
        """Drops what is needed only for offsets before this one."""
        keep = bisect_left(self._to, made) - 2
        if keep > 64:
            for units in (self._from, self._from_end, self._to, self._to_end):
                del units[:keep]

    def _units(self, text: str, end: int) -> str:
        """Normalises `text[:end]`; `end` is the start of a unit. The text ends at `taken`."""
        origin = self.taken - len(text)
        made = []
        at = 0
        for cluster in _NOT_ASCII.finditer(text, 0, end):
            made.append(text[at : cluster.start()])
            self._made += cluster.start() - at
            at = cluster.end()
            starts = [*_unit_starts(cluster[0]), len(cluster[0])]
            made += [
                self._unit(cluster[0][start:stop], origin + cluster.start() + start)
                for start, stop in pairwise(starts)
            ]
        made.append(text[at:end])
        self._made += end - at
        return "".join(made)

    def _unit(self, unit: str, origin: int) -> str:
        normal = unit if unit.isascii() else unicodedata.normalize("NFKC", unit.translate(_ZERO_WIDTH))
        if len(normal) != 1 or len(unit) != 1:
            self._from.append(origin)
            self._from_end.append(origin + len(unit))
            self._to.append(self._made)
            self._to_end.append(self._made + len(normal))
        self._made += len(normal)
        return normal


def _last_unit(text: str) -> int:
    """Where the last unit of a text begins; its end, if that unit can take nothing more."""
    start = len(text) - 1
    while start > 0 and not text[start].isascii():
        start -= 1
    last = start + _unit_starts(text[start:])[-1]
    return len(text) if _is_solo(text[last]) else last


def _unit_starts(text: str) -> list[int]:
    starts = [0]
    for index in range(1, len(text)):
        size = index - starts[-1]
        joins = _joins(text[index]) and not (size == 1 and _is_solo(text[index - 1]))
        if not joins or size >= _LONGEST_UNIT:
            starts.append(index)
    return starts


@cache
def _joins(char: str) -> bool:
    """Whether a character may merge with, or vanish after, the one before it."""
    if char.isascii():
        return False
    if ord(char) in _ZERO_WIDTH or ord(char) in _JAMO:
        return True
    normal = unicodedata.normalize("NFKC", char)
    return not normal or unicodedata.category(normal[0])[0] == "M" or ord(normal[0]) in _JAMO


@cache
def _is_solo(char: str) -> bool:
    """Whether a character stays as it is, whatever marks follow it."""
    if char.isascii():
        return char not in _COMPOSING_ASCII
    if ord(char) > 0xFFFF:
        return unicodedata.category(char) == "So"
    if _joins(char) or ord(char) in _HANGUL or ord(char) in _JAMO_LEADS:
        return False
    normal = unicodedata.normalize("NFKC", char)
    return normal[-1] not in _compositions() and ord(normal[-1]) not in _HANGUL


@cache
def _compositions() -> dict[str, tuple[str, ...]]:
    """For each character of the basic plane that a mark can change: what it may become."""
    found: dict[str, list[str]] = {}
    for code in range(0xC0, 0x10000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first = unicodedata.normalize("NFD", chr(code))[0]
            found.setdefault(first, []).append(chr(code))
            found.setdefault(chr(int(parts[0], 16)), []).append(chr(code))
    return {first: tuple(dict.fromkeys(forms)) for first, forms in found.items()}
