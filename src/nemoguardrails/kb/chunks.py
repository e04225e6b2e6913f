"""Markdown -> chunks: a text of a few hundred characters under the path of headings that leads to it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..config.yaml_text import load_yaml

FULL_CHARS = 400
"""A chunk that holds more characters is closed at the next blank line."""

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_LINE_END = re.compile(r"\r\n|\r|\n")
_METADATA_KINDS = frozenset({"", "yaml", "yml"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    Args:
        title: the headings above it, the widest first, joined by ` - `; empty where there is none.
        body: its lines.
        meta: the metadata of the whole document.
    """

    title: str
    body: str
    meta: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """`title`, `body` and the metadata, which cannot replace these two."""
        return {**self.meta, "title": self.title, "body": self.body}

    def searched_text(self) -> str:
        """The text that stands for the chunk in a search."""
        return f"# {self.title}\n\n{self.body}" if self.title else self.body


def chunks_of(document: str) -> list[Chunk]:
    """The chunks of a Markdown document, in order.

    A line that begins with `#` is a heading, unless it stands in a fenced code block. A fenced block at the
    very top whose content is a YAML mapping holds metadata. Lines are kept as they are; only blank lines at
    the borders of a chunk, and chunks without text, are dropped.
    """
    meta, lines = _without_metadata(_LINE_END.split(document.removeprefix("\ufeff")))
    cutter = _Cutter(meta)
    for line, is_code in _marked(lines):
        cutter.feed(line, is_code)
    cutter.close()
    return cutter.chunks


class _Cutter:
    """Gathers lines until a chunk is complete."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.chunks: list[Chunk] = []
        self._meta = meta
        self._headings: list[tuple[int, str]] = []
        self._lines: list[str] = []
        self._chars = 0

    def feed(self, line: str, is_code: bool) -> None:
        if not is_code and line.startswith("#"):
            self.close()
            level = len(line) - len(line.lstrip("#"))
            self._headings = [known for known in self._headings if known[0] < level]
            self._headings.append((level, line[level:].strip()))
            return
        if not is_code and not line.strip() and self._chars > FULL_CHARS:
            self.close()
            return
        self._chars += len(line) + (1 if self._lines else 0)
        self._lines.append(line)

    def close(self) -> None:
        body = _without_blank_borders(self._lines)
        if body:
            title = " - ".join(text for _, text in self._headings if text)
            self.chunks.append(Chunk(title, "\n".join(body), dict(self._meta)))
        self._lines, self._chars = [], 0


def _marked(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a fenced code block; a fence that is never closed opens none."""
    position = 0
    while position < len(lines):
        end = _end_of_fence(lines, position)
        if end is None:
            yield lines[position], False
            position += 1
            continue
        for line in lines[position : end + 1]:
            yield line, True
        position = end + 1


def _end_of_fence(lines: Sequence[str], start: int) -> int | None:
    """Where the block that begins in a line is closed: by as many of the same marks, or more."""
    opening = _FENCE.match(lines[start])
    if opening is None:
        return None
    marks = opening[1]
    closing = re.compile(rf" {{0,3}}{re.escape(marks[0])}{{{len(marks)},}}[ \t]*$")
    return next((place for place in range(start + 1, len(lines)) if closing.match(lines[place])), None)


def _without_metadata(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The metadata of a document and the lines after them; none where the top is not a mapping in YAML."""
    end = _end_of_fence(lines, 0) if lines else None
    if end is None or lines[0].strip().lstrip("`~").strip().casefold() not in _METADATA_KINDS:
        return {}, lines
    try:
        read = load_yaml("\n".join(lines[1:end]))
    except yaml.YAMLError as error:
        _log.warning("The block at the top of a document is no YAML and counts as text: %s", error)
        return {}, lines
    if not isinstance(read, dict):
        return {}, lines
    return {str(key): value for key, value in read.items()}, lines[end + 1 :]


def _without_blank_borders(lines: Sequence[str]) -> Sequence[str]:
    filled = [place for place, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else ()
