"""Patterns and sets of them, compiled once and shared by all streams that they guard."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import regex

from .expressions import Expression, parse, walk
from .starts import Start, compiled, quiet, starts_of, whole_core

DEFAULT_MATCH_LENGTH = 256
MARGIN = 16
"""How far past the longest match a pattern may look ahead, in characters."""
CONTEXT_LENGTH = 48
"""How far before a match its context words may stand, in characters."""
_LONGEST_LOOK_BEHIND = 1024
_Kind: TypeAlias = Literal["digit", "letter", "sign", "other"]
_KINDS: dict[_Kind, frozenset[str]] = {
    "digit": frozenset(string.digits),
    "letter": frozenset(string.ascii_letters),
    "sign": frozenset(map(chr, range(128))) - frozenset(string.digits + string.ascii_letters),
    "other": frozenset(),
}

Validator: TypeAlias = Callable[[str], bool]
Compiled: TypeAlias = "regex.Pattern[str]"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What to find, and what counts as found.

    Attributes:
        name: what a match is called.
        expression: a pattern of Python's `re`.
        replacement: stands in for a match when masking; a function gets the matched text.
        flags: a subset of `aims`, as in `(?i)`.
        validate: says whether a matched text really is one (a checksum, for instance).
        context: pattern of words that make a match likelier if one of them stands within
            `CONTEXT_LENGTH` characters before it.
        score: how likely a match is a true one, 0 to 1.
        context_score: the same where `context` is found.
        max_match_length: longer matches are not made; it bounds what a stream holds back.
        trusted: the expression is known to be quick on every text, so it runs without a clock.
    """

    name: str
    expression: str
    replacement: str | Callable[[str], str] = "[REDACTED]"
    flags: str = ""
    validate: Validator | None = None
    context: str | None = None
    score: float = 1.0
    context_score: float = 1.0
    max_match_length: int = DEFAULT_MATCH_LENGTH
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, compiled.

    Attributes:
        whole: runs to the true end of a text.
        cut: runs within a full window.
        filling: text that most likely leaves an open match open.
    """

    pattern: Pattern
    index: int
    whole: Compiled
    cut: Compiled
    context: re.Pattern[str] | None
    filling: re.Pattern[str] | None

    def accepts(self, buffer: str, start: int, end: int, threshold: float) -> bool:
        """Whether the match `[start, end)` of a buffer counts."""
        pattern, score = self.pattern, self.pattern.score
        if self.context is not None and pattern.context_score > score:
            left = buffer[max(0, start - CONTEXT_LENGTH) : start]
            score = pattern.context_score if self.context.search(left) else score
        if score < threshold:
            return False
        return pattern.validate is None or pattern.validate(buffer[start:end])

    def replacement(self, matched: str) -> str:
        """What stands in for a matched text."""
        given = self.pattern.replacement
        return given if isinstance(given, str) else given(matched)


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are tried together: one compiled alternation says whether any of them fits.

    Attributes:
        any: matches where one of the rules does.
        open: matches, partially, where one of them reached the end of the text undecided.
        longest: matches are not longer, in characters.
        reach: how many characters from its start a rule may see.
        timed: runs under the clock.
    """

    rules: tuple[Rule, ...]
    any: Compiled
    open: Compiled
    longest: int
    reach: int
    timed: bool


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A pattern with what was learnt from its expression."""

    rule: Rule
    tree: Expression
    starts: tuple[Start, ...]

    @property
    def group(self) -> tuple[int, bool, int | None]:
        """What rules of one group have in common."""
        alone = self.rule.index if _stands_alone(self.tree) else None
        return self.rule.pattern.max_match_length, self._is_timed, alone

    @property
    def _is_timed(self) -> bool:
        return not self.rule.pattern.trusted and not self.tree.is_linear

    def begins_with(self, chars: frozenset[str], in_lead: bool) -> bool:
        """Whether a match may begin with one of these, or with any if there are none.

        Args:
            in_lead: the character stands before the core of the match.
        """
        starts = [start for start in self.starts if start.lead or not in_lead]
        return bool(starts) and (not chars or any(start.firsts & chars for start in starts))


class PatternSet:
    """Patterns compiled for one common scan; shared by any number of streams.

    A match begins at the leftmost possible place; of several there the longest counts, then the
    one with the higher score, then the first of the set. Matches are never empty.

    Args:
        patterns: in order of precedence.
        threshold: patterns and matches with a lower score do not count.

    Raises:
        ValueError: an expression is not valid, matches the empty text, or cannot be followed on
            a stream; the text names the pattern.

    Attributes:
        starts: the ways in which matches may begin.
        quiet: runs over text that no match can begin in; see `starts.quiet`.
        whole_core: matches where `quiet` stopped at a complete core.
        longest: the longest match that any pattern may make, in characters.
        look_behind: how many characters before a match must be kept.
    """

    def __init__(self, patterns: Sequence[Pattern], threshold: float = 0.0):
        likely = [p for p in patterns if max(p.score, p.context_score) >= threshold]
        self.threshold = threshold
        self._parsed = [_parsed(pattern, index) for index, pattern in enumerate(likely)]
        self.starts = tuple(dict.fromkeys(start for entry in self._parsed for start in entry.starts))
        self.quiet = quiet(self.starts)
        self.whole_core = whole_core(self.starts)
        self._inert: dict[str, bool] = {}
        self.longest = max((pattern.max_match_length for pattern in likely), default=0)
        self.look_behind = max([CONTEXT_LENGTH, *(entry.tree.look_behind for entry in self._parsed)])
        self._groups = {
            (kind, in_lead): self._groups_of(kind, in_lead) for kind in _KINDS for in_lead in (False, True)
        }

    def groups_at(self, char: str, in_lead: bool) -> tuple[Group, ...]:
        """The rules whose matches may begin with a character, in groups (and some others of its kind).

        Args:
            in_lead: the character is known to stand before the core of a match.
        """
        return self._groups[_kind(char), in_lead]

    def is_inert(self, char: str) -> bool:
        """Whether no match can begin with, or right before, this character."""
        known = self._inert.get(char)
        if known is None:
            items = (item for start in self.starts for item in start.items)
            known = self._inert[char] = not any(compiled(item).fullmatch(char) for item in items)
        return known

    def _groups_of(self, kind: _Kind, in_lead: bool) -> tuple[Group, ...]:
        able = [entry for entry in self._parsed if entry.begins_with(_KINDS[kind], in_lead)]
        keys = dict.fromkeys(entry.group for entry in able)
        return tuple(_group([entry for entry in able if entry.group == key]) for key in keys)


def _kind(char: str) -> _Kind:
    if not char.isascii():
        return "other"
    return "digit" if char.isdigit() else "letter" if char.isalpha() else "sign"


def check_expression(expression: str, flags: str = "") -> Expression:
    """The tree of an expression that a set can use.

    Raises:
        ValueError: it is not valid, matches the empty text, or cannot be followed on a stream.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            plain = re.compile(f"(?{flags})" + expression if flags else expression)
        tree = parse(expression, flags)
        _compile(tree, tree.render())
        _compile(tree, _opened(tree))
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a valid regular expression: {error}") from error
    if tree.width[0] == 0 and plain.search(""):
        raise ValueError("it matches the empty text, and so every text")
    if tree.look_behind > _LONGEST_LOOK_BEHIND:
        raise ValueError(f"it looks back more than {_LONGEST_LOOK_BEHIND} characters")
    return tree


def _parsed(pattern: Pattern, index: int) -> _Parsed:
    try:
        tree = check_expression(pattern.expression, pattern.flags)
        if tree.width[0] > pattern.max_match_length:
            raise ValueError(
                f"its shortest match has {tree.width[0]} characters, max_match_length allows"
                f" {pattern.max_match_length}"
            )
    except ValueError as error:
        raise ValueError(f"pattern {pattern.name!r}: {error}") from error
    return _Parsed(_rule(pattern, index, tree), tree, starts_of(tree))


def _stands_alone(tree: Expression) -> bool:
    named = any(node.text.startswith("(?P<") for node in walk(tree.body))
    return tree.has_references or named or "a" in tree.flags


def _group(entries: list[_Parsed]) -> Group:
    trees = [entry.tree for entry in entries]
    either = "|".join(f"(?:{_flagged(tree, tree.render())})" for tree in trees)
    opened = "|".join(map(_opened, trees))
    longest, timed, _ = entries[0].group
    return Group(
        rules=tuple(entry.rule for entry in entries),
        any=_compile(trees[0], either, plain=True),
        open=_compile(trees[0], f"(?:{opened})(*FAIL)", plain=True),
        longest=longest,
        reach=longest + MARGIN,
        timed=timed,
    )


def _rule(pattern: Pattern, index: int, tree: Expression) -> Rule:
    text = tree.render()
    return Rule(
        pattern=pattern,
        index=index,
        whole=_compile(tree, text),
        cut=_compile(tree, f"(?:{text})(?=[\\s\\S]{{{MARGIN}}})"),
        context=re.compile(pattern.context, re.IGNORECASE) if pattern.context else None,
        filling=re.compile(f"(?:{tree.filling})+") if tree.filling else None,
    )


def _opened(tree: Expression) -> str:
    return f"(?>{_flagged(tree, tree.render(guarded=True))})"


def _flagged(tree: Expression, text: str) -> str:
    flags = tree.flags.replace("a", "")
    return f"(?{flags}:{text})" if flags else text


def _compile(tree: Expression, text: str, *, plain: bool = False) -> Compiled:
    """Compiles with the global flags of a tree; with `plain` they are already in the text."""
    flags = regex.V0 | (regex.ASCII if "a" in tree.flags else 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return regex.compile(text if plain else _flagged(tree, text), flags)
