"""Where the command line writes: plain text, colours for a person alone, control characters made harmless."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple, TextIO, TypeAlias

Style: TypeAlias = Literal["plain", "answer", "note", "warning", "alarm", "struck"]

_CODES: dict[Style, str] = {"answer": "32", "note": "2", "warning": "33", "alarm": "31", "struck": "9;2;31"}
_TAB = 8
_WORD = re.compile(r"\S+")


def _harmless() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    table[0x0D] = ""  # CR LF is one line end; a lone CR would overwrite the line
    table[0x7F] = "\u2421"
    table.update(dict.fromkeys(range(0x80, 0xA0), "\ufffd"))
    table.update(dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), ""))
    return table


_HARMLESS = _harmless()


def harmless(text: str) -> str:
    """The text with everything that could command a terminal shown as a sign (ESC as `␛`).

    Line feeds and tabs stay; carriage returns and controls of the writing direction go.
    Each character is treated by itself, so the pieces of a stream may be passed one by one.
    """
    return text.translate(_HARMLESS)


class Place(NamedTuple):
    """A place on the screen, counted from where a text began."""

    row: int
    column: int


def place_after(text: str, width: int, column: int = 0) -> Place:
    """Where `text`, written from `column` on, leaves the cursor on a screen of `width` columns.

    A full line leaves the column at `width`: terminals wrap when the next character comes.
    """
    row = 0
    for char in text:
        if char == "\n":
            row, column = row + 1, 0
            continue
        if char == "\t":
            column = min((column // _TAB + 1) * _TAB, width - 1)
            continue
        size = _columns(char)
        if column + size > width:
            row, column = row + 1, 0
        column += size
    return Place(row, column)


class Layout:
    """Lays a text out piece by piece: harmless, and with lines broken between words.

    A word is only seen as far as its piece goes; one that comes in several pieces may be broken.

    Args:
        width: columns of the screen; `None` breaks no lines.
    """

    def __init__(self, width: int | None) -> None:
        self._width = width
        self._column = 0
        self._after_blank = False

    def restart(self) -> None:
        """The next piece begins a line."""
        self._column, self._after_blank = 0, False

    def lay(self, text: str) -> list[str]:
        """What each character of the next piece becomes; joined, it is what to write."""
        return [self._lay(char, text, index) for index, char in enumerate(text)]

    def _lay(self, char: str, text: str, index: int) -> str:
        shown, width = harmless(char), self._width
        if width is None or not shown:
            return shown
        if shown == "\n":
            self.restart()
            return shown
        if shown == " " and self._column >= width:
            self._after_blank = True
            return ""  # the line ends here anyway
        breaks = False
        if self._after_blank and self._column and not shown.isspace():
            word = _WORD.match(text, index)
            size = sum(map(_columns, word[0])) if word else 1
            breaks = self._column >= width or size <= width < self._column + size
        self._after_blank = shown.isspace()
        self._column = place_after(shown, width, 0 if breaks else self._column).column
        return "\n" + shown if breaks else shown


class Screen:
    """Two text streams and what they can do.

    Args:
        out: where the conversation goes; encoding errors are escaped, never raised.
        err: where errors and narration go.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.at_line_start = True
        self.is_terminal = self.out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        for stream in (self.out, self.err):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")

    def write(self, text: str, style: Style = "plain") -> None:
        """Writes at once, without a line end; `text` must be harmless."""
        self.out.write(self._styled(text, style))
        self.out.flush()
        if text:
            self.at_line_start = text.endswith("\n")

    def line(self, text: str = "", style: Style = "plain") -> None:
        """Writes a line of our own words; what they quote is made harmless."""
        self.write("".join(Layout(self.width).lay(text)), style)
        self.write("\n")

    def complain(self, text: str) -> None:
        """Writes one line where errors go."""
        self.out.flush()
        styled = self._styled(harmless(text), "alarm") if self.err.isatty() else harmless(text)
        self.err.write(styled + "\n")
        self.err.flush()

    @property
    def width(self) -> int | None:
        """Columns of the terminal; `None` without one."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def rewrite(self, before: str, pieces: Iterable[tuple[str, Style]]) -> bool:
        """Writes the last pieces of a text anew, in other styles.

        Args:
            before: what stands before the pieces, from the beginning of a line.
            pieces: all that stands after it, up to the cursor.

        Returns:
            Whether it could be done: not without a terminal, and not where the text has left the screen.
        """
        anew = list(pieces)
        size = shutil.get_terminal_size()
        after = "".join(text for text, _ in anew)
        start, end = place_after(before, size.columns), place_after(before + after, size.columns)
        if not self.is_terminal or end.row - start.row >= size.lines:
            return False
        if start.column >= size.columns:  # what follows a full line stands at the beginning of the next
            start = Place(start.row + 1, 0)
            anew[0] = (anew[0][0].removeprefix("\n"), anew[0][1])
        up = f"\x1b[{end.row - start.row}A" if end.row > start.row else ""
        right = f"\x1b[{start.column}C" if start.column else ""
        self.write(f"\r{up}{right}\x1b[J")
        for text, style in anew:
            self.write(text, style)
        return True

    def _styled(self, text: str, style: Style) -> str:
        code, words = _CODES.get(style), text.rstrip("\n")
        if not code or not words or not self.is_terminal:
            return text
        return f"\x1b[{code}m{words}\x1b[0m{text[len(words) :]}"


class Beside(io.TextIOBase):
    """A text stream for what others write to standard error while an answer comes.

    On a terminal that shows both, it begins a line of its own instead of going on in the answer's.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shares = screen.is_terminal and screen.err.isatty()

    def write(self, text: str) -> int:
        """Writes to the screen's `err`."""
        if self._shares and text and not self._screen.at_line_start:
            self._screen.write("\n")
        return self._screen.err.write(text)

    def flush(self) -> None:
        """Flushes the screen's `err`."""
        self._screen.err.flush()

    def isatty(self) -> bool:
        """Whether the screen's `err` is a terminal."""
        return self._screen.err.isatty()

    def fileno(self) -> int:
        """That of the screen's `err`."""
        return self._screen.err.fileno()


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
