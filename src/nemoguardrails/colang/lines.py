"""Logical lines of a Colang 1.0 text: indentation, continuations, comments, docstrings, texts over lines."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .source import SourceText

_BLANKS = re.compile(r"[ \t\f\v]+")
_OPEN_TEXT = re.compile(r'(?<!\\)"')
_TEXT_END = re.compile(r'"\s*(?:#.*)?$')
_DOCSTRING = '"""'


@dataclass(frozen=True, slots=True)
class Line:
    """One statement, or one text of a message, as the parser sees it.

    Attributes:
        text: without comment; blanks outside of double quotes are single, a trailing colon is gone.
        indent: spaces before it; tabs count as nothing.
        number, end: its first and last physical line, from 1.
        comment: the comment lines and docstrings before it, joined with newlines.
    """

    text: str
    indent: int
    number: int
    end: int
    comment: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether this is a quoted text rather than a statement."""
        return self.text.startswith('"')


def without_comment(text: str) -> str:
    """The line up to the first `#` outside of double quotes."""
    if "#" not in text:
        return text
    kept: list[str] = []
    for number, part in enumerate(text.split('"')):
        if number % 2 == 0 and "#" in part:
            kept.append(part[: part.index("#")])
            break
        kept.append(part)
    return '"'.join(kept)


def has_definitions(text: str) -> bool:
    """Whether some line of the text, outside of comments and docstrings, starts with `define`."""
    if "define" not in text:
        return False
    outside = text.split(_DOCSTRING)[::2]
    return any(re.search(r"^[ \t]*define\b", part, re.MULTILINE) for part in outside)


def logical_lines(source: SourceText) -> Iterator[Line]:
    """The logical lines of a text, in order.

    Raises:
        ColangSyntaxError: a docstring or a text that starts and never ends.
    """
    return _Reader(source).read()


class _Reader:
    """Walks the physical lines once; each is looked at a bounded number of times."""

    def __init__(self, source: SourceText):
        self._source = source
        self._rows = [row.rstrip("\r") for row in source.text.removeprefix("\ufeff").split("\n")]
        self._at = 0
        self._comments: list[str] = []

    def read(self) -> Iterator[Line]:
        while self._at < len(self._rows):
            row = self._rows[self._at]
            stripped = row.strip()
            if not stripped:
                self._at += 1
            elif stripped.startswith("#"):
                self._comments.append(stripped[1:].strip())
                self._at += 1
            elif stripped.startswith(_DOCSTRING):
                self._skip_docstring(stripped)
            else:
                yield self._statement(row)

    def _skip_docstring(self, first: str) -> None:
        opened = self._at + 1
        rest = first[len(_DOCSTRING) :]
        parts: list[str] = []
        while _DOCSTRING not in rest:
            parts.append(rest.strip())
            self._at += 1
            if self._at == len(self._rows):
                raise self._source.error(opened, "this docstring is never closed", expected='a line with """')
            rest = self._rows[self._at]
        parts.append(rest[: rest.index(_DOCSTRING)].strip())
        self._comments.append("\n".join(part for part in parts if part))
        self._at += 1

    def _statement(self, row: str) -> Line:
        number = self._at + 1
        indent = row[: len(row) - len(row.lstrip())].count(" ")
        text = self._joined(without_comment(row).strip())
        if text.startswith('"') and not text.endswith('"'):
            text = self._text_over_lines(text, number)
        elif not text.startswith('"'):
            text = _normalised(text)
        comment = "\n".join(self._comments) or None
        self._comments = []
        self._at += 1
        return Line(text, indent, number, self._at, comment)

    def _joined(self, text: str) -> str:
        """The line with those it continues on."""
        parts: list[str] = []
        while _continues(text) and self._at + 1 < len(self._rows):
            parts.append(text.removesuffix("\\").rstrip())
            self._at += 1
            text = without_comment(self._rows[self._at]).strip()
        parts.append(text.removesuffix("\\").rstrip() if text.endswith("\\") else text)
        return " ".join(part for part in parts if part) if len(parts) > 1 else parts[0]

    def _text_over_lines(self, first: str, number: int) -> str:
        if len(_OPEN_TEXT.findall(first)) % 2 == 0:
            rest = first[first.rindex('"') + 1 :].strip()
            raise self._source.error(
                number, f"unexpected '{rest}' after a text", word=rest, expected="the end of the line"
            )
        parts = [first]
        while self._at + 1 < len(self._rows):
            self._at += 1
            row = self._rows[self._at].strip()
            if _TEXT_END.search(row):
                parts.append(row[: _TEXT_END.search(row).start() + 1])  # type: ignore[union-attr]  # just found
                return "\n".join(parts)
            parts.append(row)
        raise self._source.error(number, "this text is never closed", expected='a line that ends with "')


def _continues(text: str) -> bool:
    if text.endswith("\\"):
        return True
    # Inside an open text, "or" at the end of a line is the author's word.
    return text.endswith(" or") and not text.startswith('"')


def _normalised(text: str) -> str:
    parts = text.split('"')
    parts[::2] = [_BLANKS.sub(" ", part) for part in parts[::2]]
    joined = '"'.join(parts).strip()
    return joined[:-1].rstrip() if joined.endswith(":") else joined
