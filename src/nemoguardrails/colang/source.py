"""Source texts of Colang, places in them, and the error that points at one."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

_MOST_SHOWN = 200
"""Characters of a line, and of a message, that an error shows."""


class Source(Protocol):
    """A text to parse, with the path under which errors name it."""

    @property
    def path(self) -> str: ...

    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SourceText:
    """A Colang text and the name of the file it came from."""

    path: str
    text: str

    def line(self, number: int) -> str:
        """The physical line of that number (from 1), without its line end; empty beyond the text."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""

    def error(self, number: int, message: str, *, word: str = "", expected: str = "") -> ColangSyntaxError:
        """The error for a physical line, to be raised; its caret stands under `word`, if the line has it."""
        text = self.line(number)
        start = len(text) - len(text.lstrip())
        found = text.find(word, start) if word else start
        column = (found if found >= 0 else start) + 1
        return ColangSyntaxError(message, self.path, number, column, text, expected)


@dataclass(frozen=True, slots=True)
class Span:
    """The physical lines from `line` to `end_line`, both counted from 1 and included."""

    line: int
    end_line: int


class ColangSyntaxError(ValueError):
    """A Colang text that cannot be read.

    Attributes:
        file: the path of the source.
        line, column: where, both from 1; 0 if no line is to blame.
        message: what is wrong, without the place.
    """

    def __init__(
        self,
        message: str,
        file: str = "",
        line: int = 0,
        column: int = 0,
        text: str = "",
        expected: str = "",
    ):
        self.message = message = _shortened(message)
        self.file = file
        self.line = line
        self.column = column
        shown = f"{file or 'Colang text'}, line {line}: {message}"
        if text.strip():
            # Tabs are one column wide here, or the caret would stand elsewhere than it points.
            part, at = _around(text.replace("\t", " "), max(column - 1, 0))
            shown += f"\n    {part}\n    {' ' * at}^"
        if expected:
            shown += f"\nExpected {expected}."
        super().__init__(shown)


def _shortened(message: str) -> str:
    return message if len(message) <= _MOST_SHOWN else f"{message[:_MOST_SHOWN]}..."


def _around(text: str, column: int) -> tuple[str, int]:
    """The part of a long line around a column (from 0), and where in it that column lies."""
    if len(text) <= _MOST_SHOWN:
        return text, column
    start = max(column - _MOST_SHOWN // 2, 0)
    before, after = "..." * (start > 0), "..." * (start + _MOST_SHOWN < len(text))
    return f"{before}{text[start : start + _MOST_SHOWN]}{after}", len(before) + column - start


ColangParsingError = ColangSyntaxError
