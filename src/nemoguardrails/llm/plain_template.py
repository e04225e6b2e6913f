"""Renders the simplest Jinja2 templates without Jinja2, which takes longer to import than a first token."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..exceptions import ConfigurationError

Filters: TypeAlias = Mapping[str, Callable[..., Any]]

_NAME = r"[A-Za-z_]\w*"
_FILTER = rf"\|\s*{_NAME}\s*(?:\(\s*\d+\s*\)\s*)?"
_TAG = re.compile(
    rf"\{{\{{\s*(?P<printed>{_NAME})\s*(?P<filters>(?:{_FILTER})*)\}}\}}"
    rf"|\{{%\s*if\s+(?P<tested>{_NAME})\s*%\}}"
    r"|(?P<end>\{%\s*endif\s*%\})",
    re.ASCII,
)
_ONE_FILTER = re.compile(rf"\|\s*({_NAME})\s*(?:\(\s*(\d+)\s*\))?", re.ASCII)
_ANY_MARK = re.compile(r"\{\{|\{%|\{#")
_KEYWORDS = frozenset(
    {"true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if"}
)


class _Printed(NamedTuple):
    name: str
    filters: tuple[tuple[str, tuple[int, ...]], ...]

    def value(self, values: Mapping[str, Any], filters: Filters, *, strict: bool) -> Any:
        if strict and self.name not in values:
            raise ConfigurationError(f"the template prints {self.name!r}, which nothing supplies")
        value = values.get(self.name, "")
        for name, arguments in self.filters:
            value = filters[name](value, *arguments)
        return value


class _If(NamedTuple):
    name: str
    inner: tuple[_Piece, ...]


_Piece: TypeAlias = "str | _Printed | _If"


class PlainTemplate:
    """A template of texts, `{{ name | filter }}` and `{% if name %}...{% endif %}`, one level deep.

    Made by `PlainTemplate.read`. It renders what Jinja2 renders.

    Args:
        filters: read at each rendering.
        strict: printing a variable that is missing is an error.
    """

    def __init__(self, pieces: Sequence[_Piece], filters: Filters, *, strict: bool) -> None:
        self._pieces = tuple(pieces)
        self._filters = filters
        self._strict = strict
        self.variables = frozenset(_names(pieces))
        only = self._pieces[0] if len(self._pieces) == 1 else None
        self._only = only if isinstance(only, _Printed) else None
        self.is_expression = self._only is not None

    @classmethod
    def read(cls, source: str, filters: Filters, *, strict: bool) -> PlainTemplate | None:
        """The template, or `None` where it needs Jinja2."""
        pieces = _read(source.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n"), filters)
        return None if pieces is None else cls(pieces, filters, strict=strict)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, with the values filled in.

        Raises:
            ConfigurationError: see `strict`.
        """
        return "".join(self._texts(self._pieces, values))

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """With `is_expression`: the value itself, which may be a list."""
        assert self._only is not None
        return self._only.value(values, self._filters, strict=self._strict)

    def _texts(self, pieces: Sequence[_Piece], values: Mapping[str, Any]) -> Iterator[str]:
        for piece in pieces:
            if isinstance(piece, str):
                yield piece
            elif isinstance(piece, _Printed):
                yield str(piece.value(values, self._filters, strict=self._strict))
            elif values.get(piece.name):
                yield from self._texts(piece.inner, values)


def _read(source: str, filters: Filters) -> list[_Piece] | None:
    pieces: list[_Piece] = []
    inner: list[_Piece] | None = None
    tested, at = "", 0
    for tag in _TAG.finditer(source):
        into = pieces if inner is None else inner
        text = source[at : tag.start()]
        if text.endswith("{") or _ANY_MARK.search(text):
            return None
        into += [text] if text else []
        at = tag.end()
        if tag["printed"]:
            printed = _printed(tag["printed"], tag["filters"], filters)
            if printed is None:
                return None
            into.append(printed)
        elif tag["tested"] and inner is None and tag["tested"] not in _KEYWORDS:
            tested, inner = tag["tested"], []
        elif tag["end"] and inner is not None:
            pieces.append(_If(tested, tuple(inner)))
            inner = None
        else:
            return None
    if inner is not None or _ANY_MARK.search(source, at):
        return None
    return [*pieces, source[at:]] if source[at:] else pieces


def _printed(name: str, listed: str, filters: Filters) -> _Printed | None:
    found = [(one[1], (int(one[2]),) if one[2] else ()) for one in _ONE_FILTER.finditer(listed)]
    if name in _KEYWORDS or any(filter_name not in filters for filter_name, _ in found):
        return None
    return _Printed(name, tuple(found))


def _names(pieces: Sequence[_Piece]) -> Iterator[str]:
    for piece in pieces:
        if not isinstance(piece, str):
            yield piece.name
        if isinstance(piece, _If):
            yield from _names(piece.inner)
