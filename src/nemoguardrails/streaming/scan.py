"""The check of a stream against a pattern set: each character is looked at once, matches come whole."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from dataclasses import dataclass
from time import thread_time
from typing import Literal

import regex

from .normal import Normalizer
from .patterns import Group, PatternSet, Rule
from .verdict import Block, Edit, Progress

DEFAULT_TIME_LIMIT_S = 0.1
_TIME_UNIT = 4096
_ALWAYS_RETRIED = 12
_RARELY_RETRIED = 64
_RETRY_GROWTH = 8
_GLANCE = 4
"""How many characters an attempt that fails is counted for; the engine does not tell."""


@dataclass(frozen=True, slots=True)
class Found:
    """A match: `[start, end)` in characters of the stream, and the pattern's name."""

    start: int
    end: int
    name: str


class PatternCheck:
    """Finds the matches of a set in a text that comes in pieces; one object per stream.

    The result depends on the text alone, not on how it was cut. Held back is only what stands
    from the earliest start of a match that more text could still complete.

    Args:
        patterns: shared, compiled once.
        mode: "block" stops at the first match; "mask" replaces each match.
        rail: the flow reference for the verdict.
        normalize: match on the text after NFKC and without zero-width characters.
        time_limit_s: for expressions of users that may run long on hostile text: seconds of
            matching, plus as much for each 4096 characters that were got through. Passing it blocks.

    Attributes:
        scanned: characters looked at so far, repeated looks counted each time.
        found: the matches that the latest `feed` or `finish` has decided; a long stream may hold many.
    """

    def __init__(
        self,
        patterns: PatternSet,
        *,
        mode: Literal["block", "mask"] = "block",
        rail: str = "",
        normalize: bool = False,
        time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    ):
        self.found: list[Found] = []
        self._scanner = _Scanner(patterns, time_limit_s)
        self._normal = Normalizer() if normalize else None
        self._patterns = patterns
        self._mode = mode
        self._rail = rail
        self._decided = 0
        self._block: Block | None = None

    @property
    def scanned(self) -> int:
        """Characters looked at so far."""
        return self._scanner.scanned

    def feed(self, text: str) -> Progress:
        """Takes the next piece."""
        if self._block is not None:
            return Progress(self._decided, (), self._block)
        stable = text if self._normal is None else self._normal.feed(text)
        return self._advance(stable, False)

    def finish(self) -> Progress:
        """The text ended: everything is decided."""
        if self._block is not None:
            return Progress(self._decided, (), self._block)
        return self._advance("" if self._normal is None else self._normal.finish(), True)

    def _advance(self, text: str, final: bool) -> Progress:
        if self.found:
            self.found = []
        try:
            matches = self._scanner.feed(text, final, only_first=self._mode == "block")
        except TimeoutError:
            error = "a pattern ran out of time (timeout_ms) on this text"
            return self._stopped(self._scanner.held_from, "could not be decided", error)
        if not matches:
            self._decided = max(self._decided, self._decided_now())
            return Progress(self._decided)
        if self._mode == "block":
            first = matches[0]
            reason = f"matches {first.rule.pattern.name}"
            start, end = self._original(first)
            self.found.append(Found(start, end, first.rule.pattern.name))
            return self._stopped(first.start, reason)
        edits = self._edits(matches)
        self._decided = max(self._decided, self._decided_now())
        return Progress(self._decided, edits)

    def _stopped(self, at: int, reason: str, error: str | None = None) -> Progress:
        at = at if self._normal is None else self._normal.start_of(at)
        self._decided = max(self._decided, at)
        failed = error is not None
        self._block = Block(self._rail, reason, failed=failed, error=error, at=self._decided)
        return Progress(self._decided, (), self._block)

    def _edits(self, matches: list[_Match]) -> tuple[Edit, ...]:
        edits = []
        for match in matches:
            start, end = self._original(match)
            start = max(start, self._decided)
            if start < end:
                edits.append(Edit(start, end, match.rule.replacement(match.text)))
                self.found.append(Found(start, end, match.rule.pattern.name))
                self._decided = end
        return tuple(edits)

    def _original(self, match: _Match) -> tuple[int, int]:
        if self._normal is None:
            return match.start, match.end
        return self._normal.start_of(match.start), self._normal.end_of(match.end)

    def _decided_now(self) -> int:
        held_from = self._scanner.held_from
        if self._normal is None:
            return held_from
        self._normal.forget(held_from)
        forms = self._normal.pending_forms() if held_from == self._scanner.total else None
        if forms is not None and all(map(self._patterns.is_inert, forms)):
            return self._normal.taken
        return self._normal.start_of(held_from)


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    text: str
    rule: Rule


class _Scanner:
    """Leftmost matches of a growing text.

    Invariants, as indices of the buffer: all before `_hold` is decided; all before `_front` has
    been searched for cores of matches; the starts `_hold` to `_hot` are still to be tried.
    """

    def __init__(self, patterns: PatternSet, time_limit_s: float):
        self.scanned = 0
        self._patterns = patterns
        self._quiet = patterns.quiet.match
        self._whole_core = patterns.whole_core.match
        self._limit_s = time_limit_s
        self._spent_s = 0.0
        self._buffer = ""
        self._base = 0
        self._front = 0
        self._run = 0
        self._hold = 0
        self._hot = -1
        self._retry_at = 0
        self._tried = 0
        self._fillings: tuple[re.Pattern[str], ...] = ()

    @property
    def total(self) -> int:
        """Characters taken."""
        return self._base + len(self._buffer)

    @property
    def held_from(self) -> int:
        """The earliest character that is not decided."""
        return self._base + self._hold

    def feed(self, text: str, final: bool, *, only_first: bool) -> list[_Match]:
        """Takes a piece; answers the matches now decided, or just the first of them."""
        self._forget()
        self._buffer += text
        matches: list[_Match] = []
        while True:
            if self._hot >= self._hold:
                match = self._try_starts(final)
                if match is not None:
                    matches.append(match)
                    if only_first:
                        return matches
                    continue
                if self._hot >= self._hold:
                    return matches
            if not self._search(final):
                return matches

    def _forget(self) -> None:
        cut = self._hold - self._patterns.look_behind
        if cut < 256:
            return
        self._buffer = self._buffer[cut:]
        self._base += cut
        self._front -= cut
        self._run -= cut
        self._hold -= cut
        self._hot -= cut
        self._retry_at -= cut
        self._tried -= cut

    def _search(self, final: bool) -> bool:
        """Looks for the next core. True: the starts that lead to it are to be tried."""
        front, end = self._front, len(self._buffer)
        found = self._quiet(self._buffer, front)
        assert found is not None  # the expression matches the empty text
        core = lead = found.end()
        if found.end("lead") == core:
            lead = found.start("lead")
        if lead == front:
            lead = self._run
        self.scanned += core - front
        self._run, self._front = lead, core
        is_hot = core < end and (final or self._whole_core(self._buffer, core) is not None)
        if is_hot:
            self.scanned += 1
            self._hot = core
            self._front = self._run = core + 1
            self._retry_at, self._fillings = 0, ()
        if final and not is_hot:
            self._hold = end
        else:
            self._hold = max(self._hold, lead, core - self._patterns.longest)
        return is_hot

    def _try_starts(self, final: bool) -> _Match | None:
        """Tries the starts up to `_hot` in order; stops at a match, or where one is still open."""
        if not final and self._surely_open():
            return None
        while self._hold <= self._hot:
            start = self._hold
            if not final and self._is_open(start):
                self._note_open(start)
                return None
            match = self._best(start)
            if match is not None:
                return match
            self._hold += 1
        return None

    def _surely_open(self) -> bool:
        """Whether what came since the last attempt is not worth another. Costs hold-back alone."""
        size, tried = len(self._buffer), self._tried
        if size < self._retry_at:
            return True
        if not self._fillings or size - self._hold >= self._patterns.longest:
            return False
        self.scanned += size - tried
        self._tried = size
        return any(filling.fullmatch(self._buffer, tried) for filling in self._fillings)

    def _note_open(self, start: int) -> None:
        size = self._tried = len(self._buffer)
        waited = size - start
        self._fillings = self._open_fillings(start) if waited > _ALWAYS_RETRIED else ()
        self._retry_at = size + waited // _RETRY_GROWTH if waited > _RARELY_RETRIED else size

    def _open_fillings(self, start: int) -> tuple[re.Pattern[str], ...]:
        size = len(self._buffer)
        found = []
        for group in self._groups_at(start):
            for rule in group.rules:
                match = rule.filling and self._match(group, rule.whole, start, size, partial=True)
                if match and rule.filling and (match.partial or match.end() == size):
                    found.append(rule.filling)
        return tuple(found)

    def _groups_at(self, start: int) -> tuple[Group, ...]:
        return self._patterns.groups_at(self._buffer[start], start < self._hot)

    def _is_open(self, start: int) -> bool:
        """Whether what comes next can change what matches at `start`."""
        size = len(self._buffer)
        for group in self._groups_at(start):
            if size - start >= group.reach:
                continue
            if self._match(group, group.open, start, size, partial=True) is not None:
                self.scanned += size - start
                return True
            if size - start > group.longest and self._is_too_long(group, start):
                return True
        return False

    def _is_too_long(self, group: Group, start: int) -> bool:
        for rule in group.rules:
            found = self._match(group, rule.whole, start, len(self._buffer))
            if found is not None and found.end() - start > group.longest:
                return True
        return False

    def _best(self, start: int) -> _Match | None:
        best: tuple[int, float, int] | None = None
        chosen: Rule | None = None
        groups = self._groups_at(start)
        self.scanned += min(_GLANCE, len(self._buffer) - start) if groups else 0
        for group in groups:
            end = min(len(self._buffer), start + group.reach)
            if self._match(group, group.any, start, end) is None:
                continue
            for rule in group.rules:
                rank = self._rank(group, rule, start, end)
                if rank is not None and (best is None or rank > best):
                    best, chosen = rank, rule
        if best is None or chosen is None:
            return None
        return self._taken(start, start + best[0], chosen)

    def _rank(self, group: Group, rule: Rule, start: int, end: int) -> tuple[int, float, int] | None:
        expression = rule.cut if end - start >= group.reach else rule.whole
        found = self._match(group, expression, start, end)
        if found is None or found.end() == start:
            return None
        if not rule.accepts(self._buffer, start, found.end(), self._patterns.threshold):
            return None
        return found.end() - start, rule.pattern.score, -rule.index

    def _taken(self, start: int, end: int, rule: Rule) -> _Match:
        self.scanned += end - start
        if end > self._hot:
            self._hot = -1
            self._front = self._run = max(end, self._front)
        self._hold = end
        return _Match(self._base + start, self._base + end, self._buffer[start:end], rule)

    def _match(
        self, group: Group, expression: regex.Pattern[str], start: int, end: int, *, partial: bool = False
    ) -> regex.Match[str] | None:
        if not group.timed:
            return expression.match(self._buffer, start, end, partial=partial)
        left_s = self._limit_s * (1 + (self._base + start) / _TIME_UNIT) - self._spent_s
        if left_s <= 0:
            raise TimeoutError
        began = thread_time()
        try:
            return expression.match(self._buffer, start, end, partial=partial, timeout=left_s)
        finally:
            self._spent_s += thread_time() - began
