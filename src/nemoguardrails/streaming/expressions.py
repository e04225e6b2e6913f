"""Regular expressions as trees: what a streaming scan must know about a pattern before it runs it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

UNBOUNDED = 1 << 30
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(?:\d+(?:,\d*)?|,\d+)\})[?+]?")
_ESCAPE = re.compile(
    r"\\(?:N\{[^}]*\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2}|[0-7]{3}|[1-9][0-9]?|[\s\S])"
)
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\[\s\S])*\]")
_OPENING = re.compile(
    r"\((?:\?(?:P<\w+>|P=\w+\)|\(\w+\)|<?[=!]|[:>]|#[^)]*\)|[aimsuxL]*(?:-[imsx]+)?[:)]))?",
)
_LOOKS = {"(?=": False, "(?!": False, "(?<=": True, "(?<!": True}
_RIGHT_SENSITIVE = frozenset({"$", "\\b", "\\B", "\\Z"})
_WIDE = 16
_MANY = 4

Kind: TypeAlias = Literal["char", "anchor", "look", "group", "reference"]


@dataclass(frozen=True, slots=True)
class Node:
    """One element of a pattern with its quantifier.

    Attributes:
        text: "char": the source of one character or class; "anchor", "reference": the source;
            "look", "group": the opening parenthesis.
        body: alternatives of a group or look-around, each a sequence.
        flags: the flags in force, a subset of `aims`.
        low, high: how often it may occur.
        suffix: the quantifier as written.
    """

    kind: Kind
    text: str
    flags: str = ""
    body: tuple[tuple[Node, ...], ...] = ()
    low: int = 1
    high: int = 1
    suffix: str = ""

    @property
    def source(self) -> str:
        """A "char", taken once, as an expression of its own."""
        return f"(?{self.flags}:{self.text})" if self.flags else self.text


Sequence: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed pattern.

    Attributes:
        flags: its global flags, a subset of `aims`; flag `x` is already applied.
        body: its alternatives.
    """

    flags: str
    body: tuple[Sequence, ...]

    def render(self, *, guarded: bool = False) -> str:
        """The pattern as source text, without its global flags.

        With `guarded` each element that asks what stands to its right without taking it demands
        that something does stand there, so that the end of a stream so far is not taken for the
        end of the text.
        """
        text = _Renderer(self.flags, guarded).alternatives(self.body)
        return f"(?:{text})(?=[\\s\\S])" if guarded and self.has_loops else text

    @property
    def has_loops(self) -> bool:
        """Whether a whole group is quantified."""
        return any(node.kind == "group" and node.suffix for node in walk(self.body))

    @property
    def has_references(self) -> bool:
        """Whether it refers to its own groups, by number or name."""
        return any(node.kind == "reference" for node in walk(self.body))

    @property
    def width(self) -> tuple[int, int]:
        """The lengths of its shortest and longest match, in characters."""
        return _width(self.body)

    @property
    def look_behind(self) -> int:
        """How many characters before a match it may look at, at most."""
        return sum(_width(node.body)[1] for node in walk(self.body) if _is_behind(node)) + 1

    @property
    def filling(self) -> str | None:
        """The character that its longest matches mostly consist of; `None` if they are short."""
        loops = [node for node in walk(self.body) if node.kind == "char" and node.high - node.low > _WIDE]
        return max(loops, key=lambda node: node.high).source if loops else None

    @property
    def is_linear(self) -> bool:
        """Whether one attempt takes steps in proportion to its length, whatever the text."""
        loops = [node for node in walk(self.body) if node.high - node.low > _WIDE]
        nested = any(
            node.high > _MANY and _varies(node.body) for node in walk(self.body) if node.kind == "group"
        )
        return len(loops) <= 1 and not nested and not self.has_references


def parse(pattern: str, flags: str = "") -> Expression:
    """The tree of a pattern of Python's `re`.

    Args:
        pattern: a pattern that `re.compile` accepts.
        flags: further flags, a subset of `aims`.

    Raises:
        ValueError: it uses a construct that cannot be followed on a stream (a conditional group).
    """
    return _Parser(pattern, flags).expression()


def walk(body: tuple[Sequence, ...]) -> Iterator[Node]:
    """Every element at every depth."""
    for sequence in body:
        for node in sequence:
            yield node
            yield from walk(node.body)


def source_of(node: Node) -> str:
    """One element as an expression of its own."""
    return _Renderer("", False).alternatives(((node,),))


class _Parser:
    def __init__(self, pattern: str, flags: str):
        self._text = pattern
        self._at = 0
        self._flags = flags
        self._verbose = False

    def expression(self) -> Expression:
        body = self._alternatives()
        return Expression("".join(sorted(set(self._flags) - {"u"})), body)

    def _alternatives(self) -> tuple[Sequence, ...]:
        made: list[Sequence] = []
        nodes: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._text[self._at] == "|":
                self._at += 1
                made.append(tuple(nodes))
                nodes = []
                continue
            node = self._node()
            if node is not None:
                nodes.append(self._quantified(node))
        made.append(tuple(nodes))
        return tuple(made)

    def _node(self) -> Node | None:
        char = self._text[self._at]
        if self._verbose and (char.isspace() or char == "#"):
            self._skip_blank(char)
            return None
        if char == "(":
            return self._parenthesis()
        if char == "[":
            return Node("char", self._take(_CLASS), self._flags)
        if char == "\\":
            return self._escaped()
        self._at += 1
        if char in "^$":
            return Node("anchor", char, self._flags)
        return Node("char", "\\" + char if char in "{}]" else char, self._flags)

    def _skip_blank(self, char: str) -> None:
        end = self._text.find("\n", self._at) if char == "#" else self._at
        self._at = len(self._text) if end < 0 else end + 1

    def _escaped(self) -> Node:
        text = self._take(_ESCAPE)
        if text[1] in "bBAZ":
            return Node("anchor", text, self._flags)
        if text[1] in "123456789" and not re.fullmatch(r"\\[0-7]{3}", text):
            return Node("reference", text, self._flags)
        return Node("char", text, self._flags)

    def _parenthesis(self) -> Node | None:
        opening = self._take(_OPENING)
        if opening.startswith("(?#"):
            return None
        if opening.startswith("(?P="):
            return Node("reference", opening, self._flags)
        if opening.startswith("(?("):
            raise ValueError("a conditional group cannot be used on streams")
        if opening.startswith("(?") and opening.endswith(")"):
            self._set_flags(opening[2:-1])
            return None
        return self._inside(opening)

    def _inside(self, opening: str) -> Node:
        kept = self._flags, self._verbose
        if opening.endswith(":"):
            self._set_flags(opening[2:-1])
        body = self._alternatives()
        self._at += 1
        self._flags, self._verbose = kept
        if opening in _LOOKS:
            return Node("look", opening, self._flags, body)
        shown = "(?:" if opening.endswith(":") else opening
        return Node("group", shown, self._flags, body)

    def _set_flags(self, written: str) -> None:
        on, _, off = written.partition("-")
        self._verbose = (self._verbose or "x" in on) and "x" not in off
        self._flags = "".join(sorted((set(self._flags) | set(on) & set("aims")) - set(off)))

    def _quantified(self, node: Node) -> Node:
        while self._verbose and self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return node
        self._at = found.end()
        low, high = _counts(found[0])
        return replace(node, low=low, high=high, suffix=found[0])

    def _take(self, shape: re.Pattern[str]) -> str:
        found = shape.match(self._text, self._at)
        if found is None:
            raise ValueError(f"cannot read the pattern at character {self._at}")
        self._at = found.end()
        return found[0]


def _counts(quantifier: str) -> tuple[int, int]:
    simple = {"*": (0, UNBOUNDED), "+": (1, UNBOUNDED), "?": (0, 1)}
    if quantifier[0] in simple:
        return simple[quantifier[0]]
    low, comma, high = quantifier[1 : quantifier.index("}")].partition(",")
    if not comma:
        return int(low), int(low)
    return int(low or 0), int(high) if high else UNBOUNDED


class _Renderer:
    def __init__(self, flags: str, guarded: bool):
        self._flags = flags
        self._guarded = guarded

    def alternatives(self, body: tuple[Sequence, ...]) -> str:
        return "|".join("".join(map(self._node, sequence)) for sequence in body)

    def _node(self, node: Node) -> str:
        text = node.text
        if node.body:
            text = f"{text}{self.alternatives(node.body)})"
        elif node.kind != "reference":
            text = self._flagged(node)
        if self._guarded and (_is_behind(node) or node.text in _RIGHT_SENSITIVE):
            # `$` also looks past one newline.
            seen = "[^\\n]|\\n[\\s\\S]" if node.text == "$" else "[\\s\\S]"
            text = f"(?:(?={seen}){text})"
        return text + node.suffix

    def _flagged(self, node: Node) -> str:
        on = "".join(sorted(set(node.flags) - set(self._flags)))
        off = "".join(sorted(set(self._flags) - set(node.flags)))
        if not on and not off:
            return node.text
        return f"(?{on}-{off}:{node.text})" if off else f"(?{on}:{node.text})"


def _is_behind(node: Node) -> bool:
    return node.kind == "look" and _LOOKS[node.text]


def _width(body: tuple[Sequence, ...]) -> tuple[int, int]:
    widths = [_sequence_width(sequence) for sequence in body]
    return min(low for low, _ in widths), max(high for _, high in widths)


def _sequence_width(sequence: Sequence) -> tuple[int, int]:
    low = high = 0
    for node in sequence:
        inner = (1, 1)
        if node.kind in ("anchor", "look"):
            continue
        if node.kind == "group":
            inner = _width(node.body)
        if node.kind == "reference":
            inner = (0, UNBOUNDED)
        low += inner[0] * node.low
        high = min(UNBOUNDED, high + inner[1] * node.high)
    return min(low, UNBOUNDED), high


def _varies(body: tuple[Sequence, ...]) -> bool:
    low, high = _width(body)
    return low != high or any(len(node.body) > 1 for node in walk(body)) or len(body) > 1
