"""Where matches may begin: one cheap expression that runs over all text and stops near a candidate."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from .expressions import Expression, Node, source_of

_CORE_LENGTH = 4
_MOST_PATHS = 256
_RARE = 0.02
_LEAD_GAIN = 8.0
_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_STOP = Node("reference", "")
ANYTHING = "[\\s\\S]"
_ASCII = frozenset(map(chr, range(128)))

# Rough shares of characters in prose, in thousandths; what is missing is rare.
_SHARES = {
    **dict.fromkeys("0123456789", 2),
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
    **dict.fromkeys(".,kv", 8),
    **dict.fromkeys("bgmpfwyuc", 18),
    **dict.fromkeys("dlh", 36),
    **dict.fromkeys("aoinsr", 60),
    **dict.fromkeys("et", 85),
    **dict.fromkeys(" ", 170),
}
_OTHER_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """One way in which a match may begin: any `lead` characters, then the `core`.

    Attributes:
        core: 1 to 3 expressions of one character each.
        lead: expressions of one character each; together a class that may repeat.
        before: a look to the left of the match; only where there is no lead.
    """

    core: tuple[str, ...]
    lead: tuple[str, ...] = ()
    before: str = ""

    @property
    def items(self) -> tuple[str, ...]:
        """All its expressions of one character."""
        return (*self.core, *self.lead)

    @property
    def firsts(self) -> frozenset[str]:
        """The ASCII characters that a match may begin with."""
        return members(self.core[0]).union(*map(members, self.lead))


def starts_of(expression: Expression) -> tuple[Start, ...]:
    """The ways in which a match of an expression may begin; together they cover every match."""
    paths = [path for sequence in expression.body for path in _paths(sequence)]
    return tuple(dict.fromkeys(_start(path) for path in paths))


@cache
def compiled(source: str) -> re.Pattern[str]:
    """An expression of one character, compiled once."""
    return re.compile(source)


@cache
def members(source: str) -> frozenset[str]:
    """The ASCII characters that an expression of one character matches."""
    fullmatch = compiled(source).fullmatch
    return frozenset(char for char in map(chr, range(128)) if fullmatch(char))


def quiet(starts: Iterable[Start]) -> re.Pattern[str]:
    """An expression that matches, from where it is put, all text up to the next possible core.

    Its group `lead` ends where the match ends if the text before it could lead to a core. The
    end of the text counts as a core that is still incomplete. Each character is looked at once.
    """
    known = list(dict.fromkeys(starts))
    if not known:
        return re.compile(r"[\s\S]*(?P<lead>)")
    core = _core(known)
    lead_items = list(dict.fromkeys(item for start in known for item in start.lead))
    firsts = frozenset[str]().union(*(members(start.core[0]) for start in known))
    leads = frozenset[str]().union(*map(members, lead_items))
    plain = _ASCII - firsts
    inner = _WORD & (plain | _safe_inside_words(known, firsts))
    parts = [*_runs(inner - leads, plain - leads), f"(?!{core}){_negated(plain)}"]
    if lead_items:
        lead_parts = [*_runs(inner & leads, plain & leads)]
        closer = [_class(leads & firsts)] if leads & firsts else []
        lead_parts.append(f"(?!{core})(?:{'|'.join([*closer, _beyond_ascii(lead_items)])})")
        parts.insert(0, f"(?P<lead>(?:{'|'.join(lead_parts)})++)")
    # Not possessive: Python 3.11 loses a group's span inside of a possessive loop.
    text = f"(?:{'|'.join(parts)})*"
    return re.compile(text if lead_items else f"{text}(?P<lead>)")


def whole_core(starts: Iterable[Start]) -> re.Pattern[str]:
    """An expression that tells whether a core where `quiet` stopped is complete."""
    known = list(dict.fromkeys(starts))
    return re.compile(_core(known, whole=True) if known else "(?!)")


def _runs(inner: frozenset[str], plain: frozenset[str]) -> list[str]:
    """Runs of characters that need no closer look: within words more of them than elsewhere."""
    made = [f"(?<={_class(_WORD)}){_class(inner)}++"] if inner - plain else []
    return [*made, f"{_class(plain)}++"] if plain else made


def _safe_inside_words(starts: list[Start], firsts: frozenset[str]) -> frozenset[str]:
    """The first characters of cores that begin no match if a letter or digit is before them."""
    free = [members(start.core[0]) for start in starts if not _begins_words(start.before)]
    return (firsts & _WORD) - frozenset[str]().union(*free)


@cache
def _begins_words(before: str) -> bool:
    """Whether a look to the left forbids a letter or digit of ASCII there."""
    look = re.compile(before)
    return not any(look.match(left + right, 1) for left in _WORD for right in ("a", "."))


def _paths(sequence: Sequence[Node]) -> list[tuple[Node, ...]]:
    done: list[tuple[Node, ...]] = []
    growing: list[tuple[Node, ...]] = [()]
    for node in sequence:
        options = _options(node)
        grown = [path + option for path in growing for option in options]
        if len(done) + len(grown) > _MOST_PATHS:
            return done + [(*path, _STOP) for path in growing]
        done += [path for path in grown if _is_closed(path)]
        growing = [path for path in grown if not _is_closed(path)]
    return done + growing


def _options(node: Node) -> list[tuple[Node, ...]]:
    if node.kind == "char" and (node.low, node.high) == (0, 1):
        return [(replace(node, low=1),), ()]
    if node.kind in ("char", "anchor"):
        return [(node,)]
    if node.kind == "look":
        return [(node,)] if node.text.startswith("(?<") else [()]
    if node.kind == "reference":
        return [(_STOP,)]
    inner = [path for sequence in node.body for path in _paths(sequence)]
    if node.high > 1:
        inner = [(*path, _STOP) for path in inner]
    return [*inner, ()] if node.low == 0 else inner


def _is_closed(path: tuple[Node, ...]) -> bool:
    if path and path[-1] is _STOP:
        return True
    return sum(node.kind == "char" and node.low > 0 for node in path) > _CORE_LENGTH


def _start(path: tuple[Node, ...]) -> Start:
    chars = [node for node in path if node.kind == "char"] if _STOP not in path else _before_stop(path)
    candidates = [
        Start(_core_at(chars, index), tuple(dict.fromkeys(node.source for node in chars[:index])))
        for index, node in enumerate(chars)
        if node.low > 0
    ]
    if not candidates:
        return Start((ANYTHING,))
    first, best = candidates[0], min(candidates, key=_share)
    chosen = best if _share(first) > _RARE and _share(best) * _LEAD_GAIN < _share(first) else first
    return chosen if chosen.lead else Start(chosen.core, (), _before(path))


def _before_stop(path: tuple[Node, ...]) -> list[Node]:
    return [node for node in path[: path.index(_STOP)] if node.kind == "char"]


def _core_at(chars: list[Node], index: int) -> tuple[str, ...]:
    """The characters that must follow each other from one node on, as far as they are certain."""
    core: list[str] = []
    maybe: list[str] = []
    for node in chars[index:]:
        if node.low == 0:
            maybe.append(node.source)
            continue
        if maybe:
            core.append("(?:" + "|".join(dict.fromkeys([*maybe, node.source])) + ")")
            break
        core += [node.source] * min(node.low, _CORE_LENGTH)
        if node.low != node.high:
            maybe.append(node.source)
    return tuple(core[:_CORE_LENGTH])


def _before(path: tuple[Node, ...]) -> str:
    looks = []
    for node in path:
        if node.kind == "char":
            break
        if not node.suffix and node.text not in ("$", "\\Z"):
            looks.append(source_of(node))
    return "".join(looks)


def _share(start: Start) -> float:
    share = 1.0
    for item in start.core:
        share *= min(1.0, sum(_SHARES.get(char, _OTHER_SHARE) for char in members(item)) / 1000)
    return share


def _core(starts: list[Start], *, whole: bool = False) -> str:
    """Matches where a core begins; unless `whole`, also where the text ends within one.

    Looks to the left that keep a core out of words are all replaced by that.
    """
    at: dict[str, set[tuple[str, ...]]] = {}
    for start in starts:
        before = f"(?<!{_class(_WORD)})" if _begins_words(start.before) else start.before
        at.setdefault(before, set()).add(start.core)
    choices = (before + _branches(frozenset(cores), whole) for before, cores in at.items())
    return f"(?:{'|'.join(choices)})"


@cache
def _branches(cores: frozenset[tuple[str, ...]], whole: bool) -> str:
    """One of several cores, decided character by character; beyond ASCII, by the first alone."""
    following: dict[frozenset[tuple[str, ...]], list[str]] = {}
    for char in sorted(_ASCII):
        rest = frozenset(core[1:] for core in cores if char in members(core[0]))
        if rest:
            following.setdefault(rest, []).append(char)
    choices = [_class(chars) + _rest(rest, whole) for rest, chars in following.items()]
    items = [item for item in dict.fromkeys(core[0] for core in sorted(cores)) if not _is_ascii_only(item)]
    return "(?:" + "|".join([*choices, _beyond_ascii(items)] if items else choices) + ")"


def _rest(cores: frozenset[tuple[str, ...]], whole: bool) -> str:
    if () in cores:
        return ""
    return _branches(cores, whole) if whole else f"(?:\\Z|{_branches(cores, whole)})"


def _is_ascii_only(item: str) -> bool:
    return len(members(item)) == 1 and len(item) <= len("\\x")


def _beyond_ascii(items: Iterable[str]) -> str:
    return f"(?=[^\\x00-\\x7f])(?:{'|'.join(items)})"


def _class(chars: Iterable[str]) -> str:
    return f"[{_ranges(chars)}]"


def _negated(chars: Iterable[str]) -> str:
    inner = _ranges(chars)
    return f"[^{inner}]" if inner else ANYTHING


def _ranges(chars: Iterable[str]) -> str:
    codes = sorted(map(ord, chars))
    lows = [code for code in codes if code - 1 not in codes]
    highs = [code for code in codes if code + 1 not in codes]
    pairs = zip(lows, highs, strict=True)
    return "".join(_shown(low) if low == high else f"{_shown(low)}-{_shown(high)}" for low, high in pairs)


def _shown(code: int) -> str:
    char = chr(code)
    return char if char in _WORD else f"\\x{code:02x}"
