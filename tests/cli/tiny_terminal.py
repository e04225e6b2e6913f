"""A terminal of few words: enough to see what our escape codes do to a screen."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|(.)", re.DOTALL)


class TinyTerminal:
    """Knows printing with deferred wrapping, CR, LF, and the codes A (up), C (right), J (erase), m (style).

    Attributes:
        rows: what stands on the screen, without blanks at line ends.
        struck: the characters that are crossed out, in reading order.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.row = self.column = 0
        self.cells: dict[tuple[int, int], tuple[str, bool]] = {}
        self._is_struck = False

    def show(self, output: str) -> TinyTerminal:
        for numbers, code, char in _TOKEN.findall(output):
            if code:
                self._obey(code, numbers)
            elif char == "\n":
                self.row, self.column = self.row + 1, 0
            elif char == "\r":
                self.column = 0
            else:
                self._print(char)
        return self

    @property
    def rows(self) -> list[str]:
        last = max((row for row, _ in self.cells), default=-1)
        return [
            "".join(self.cells.get((row, column), (" ", False))[0] for column in range(self.width)).rstrip()
            for row in range(last + 1)
        ]

    @property
    def struck(self) -> str:
        return "".join(char for _, (char, is_struck) in sorted(self.cells.items()) if is_struck)

    @property
    def cursor(self) -> tuple[int, int]:
        return self.row, self.column

    def _print(self, char: str) -> None:
        size = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if self.column + size > self.width:
            self.row, self.column = self.row + 1, 0
        self.cells[self.row, self.column] = (char, self._is_struck)
        if size == 2:
            self.cells[self.row, self.column + 1] = ("", self._is_struck)
        self.column += size

    def _obey(self, code: str, numbers: str) -> None:
        if code == "A":
            self.row -= int(numbers or 1)
        elif code == "C":
            self.column = min(self.column + int(numbers or 1), self.width - 1)
        elif code == "J":
            gone = [place for place in self.cells if place >= (self.row, self.column)]
            for place in gone:
                del self.cells[place]
        elif code == "m":
            self._is_struck = "9" in numbers.split(";")
        else:
            raise AssertionError(f"unknown code {code}")
