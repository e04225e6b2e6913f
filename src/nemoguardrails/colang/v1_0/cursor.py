"""A position in the logical lines of a source, and the pieces that statements are made of."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from dataclasses import dataclass

from ..expression_syntax import ExpressionError
from ..expressions import Arguments, Expression, compile_arguments, compile_expression, compile_value
from ..lines import Line, logical_lines
from ..source import ColangSyntaxError, SourceText, Span

_WITH = re.compile(r"\s(?:with|for)\s(?=\$|[^\W\d]\w*\s*=(?!=))")
_FIELD = re.compile(r"([^\W\d][\w ]*?)\s*:\s+(.+)", re.S)


@dataclass(frozen=True, slots=True)
class Named:
    """A name and the text of the parameters behind it; None if there are none."""

    name: str
    parameters: str | None = None


class Cursor:
    """Hands out the logical lines of a source one by one."""

    def __init__(self, source: SourceText):
        self.source = source
        self._lines = list(logical_lines(source))
        self._rows = source.text.split("\n")
        self._at = 0

    def peek(self) -> Line | None:
        """The next line; None at the end."""
        return self._lines[self._at] if self._at < len(self._lines) else None

    def take(self) -> Line:
        """The next line, and moves on; there must be one."""
        self._at += 1
        return self._lines[self._at - 1]

    def last_end(self) -> int:
        """The last physical line of what was taken so far."""
        return self._lines[self._at - 1].end if self._at else 0

    def next_is_deeper(self, line: Line) -> bool:
        """Whether the next line is indented more than this one."""
        following = self.peek()
        return following is not None and following.indent > line.indent

    def span(self, line: Line) -> Span:
        """From this line to what was taken last."""
        return Span(line.number, max(line.end, self.last_end()))

    def body_indent(self, line: Line, what: str) -> int:
        """The indentation of the body that must follow the line.

        Raises:
            ColangSyntaxError: there is none.
        """
        following = self.peek()
        if following is not None and following.indent > line.indent:
            return following.indent
        row = self._rows[following.number - 1] if following else ""
        has_tabs = "\t" in row[: len(row) - len(row.lstrip())]
        hint = "; tabs do not count" if has_tabs else ""
        raise self.error(
            line, f"{what} needs a body", expected=f"lines below it that are indented with more blanks{hint}"
        )

    def text_between(self, span: Span) -> str:
        """The physical lines of a span, dedented, without blank ones."""
        rows = [row.rstrip() for row in self._rows[span.line - 1 : span.end_line] if row.strip()]
        indent = min((len(row) - len(row.lstrip(" ")) for row in rows), default=0)
        return "\n".join(row[indent:] for row in rows)

    def error(self, line: Line, message: str, *, word: str = "", expected: str = "") -> ColangSyntaxError:
        """The error for a line, to be raised."""
        return self.source.error(line.number, message, word=word, expected=expected)

    def expression(self, line: Line, text: str) -> Expression:
        """The compiled expression.

        Raises:
            ColangSyntaxError: it is none.
        """
        if not text:
            raise self.error(line, "an expression is missing", expected="for example $x == 1")
        try:
            return compile_expression(text)
        except ExpressionError as error:
            raise self.error(line, str(error), word=text) from error

    def arguments(self, line: Line, text: str | None) -> Arguments:
        """The compiled parameters of a call.

        Raises:
            ColangSyntaxError: they cannot be read.
        """
        if not text or not text.strip():
            return Arguments()
        try:
            return compile_arguments(text)
        except ExpressionError as error:
            raise self.error(line, str(error), word=text) from error

    def arguments_and_fields(self, line: Line, text: str | None) -> Arguments:
        """The compiled parameters of a call, with those of the `key: value` lines below it.

        Raises:
            ColangSyntaxError: they cannot be read.
        """
        items = list(self.arguments(line, text).items)
        while self.next_is_deeper(line):
            items.append(self._field(self.take()))
        return Arguments(tuple(items))

    def _field(self, line: Line) -> tuple[str, Expression]:
        found = _FIELD.fullmatch(line.text)
        if found is None:
            raise self.error(
                line, f"'{line.text}' is no parameter", word=line.text, expected="a line `key: value`"
            )
        try:
            return found[1], compile_value(found[2])
        except ExpressionError as error:
            raise self.error(line, str(error), word=found[2]) from error

    def named(self, line: Line, text: str) -> Named:
        """A name with `(parameters)`, `with parameters` or `for parameters` behind it.

        Raises:
            ColangSyntaxError: no name, or a parenthesis that does not end the statement.
        """
        masked = mask_texts(text)
        opened = masked.find("(")
        found = _WITH.search(masked)
        if found and (opened < 0 or found.start() < opened):
            named = Named(text[: found.start()].strip(), text[found.end() :].strip())
        elif opened >= 0:
            if not masked.endswith(")"):
                raise self.error(
                    line,
                    "the parameters do not end the statement",
                    word=text[opened:],
                    expected="a closing )",
                )
            named = Named(text[:opened].strip(), text[opened + 1 : -1])
        else:
            named = Named(text.strip())
        if not named.name:
            raise self.error(line, "a name is missing", word=text)
        return named


def mask_texts(text: str) -> str:
    """The text with everything inside double quotes replaced by filler of the same length."""
    if '"' not in text:
        return text
    parts = text.split('"')
    parts[1::2] = ["\0" * len(part) for part in parts[1::2]]
    return '"'.join(parts)


def is_field(text: str) -> bool:
    """Whether a line is `key: value`."""
    return _FIELD.fullmatch(text) is not None
