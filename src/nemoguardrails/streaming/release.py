"""What may go out now and what is held or exposed; how rewrites are put into text that is held."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from sys import maxsize
from typing import TypeAlias

from .events import StreamEvent, TextDelta
from .verdict import Edit

Emit: TypeAlias = Callable[[StreamEvent, int], None]
"""Takes an event and the position of the stream, in source units, at which it ends."""

_WORD = re.compile(r"\S+")


class Release:
    """The end of the pipe: hands an event on as soon as the exposure bound allows, in order, once.

    Args:
        bound: units that may be handed out before they are cleared; `None` where the stages let
            nothing through that is not cleared.
    """

    __slots__ = ("_bound", "_cleared_chars", "_last", "_limit", "_marks", "_pending", "chars", "cleared",
                 "closed", "ready", "released")  # fmt: skip

    def __init__(self, bound: int | None) -> None:
        self._bound = bound
        self._limit = maxsize
        # Up to where events may be handed out now.
        self._last = bound or 0
        self._pending: deque[tuple[StreamEvent, int]] = deque()
        # Handed out and not cleared: where each event ends, in units and in characters handed out.
        self._marks: deque[tuple[int, int]] = deque()
        self._cleared_chars = 0
        self.ready: deque[StreamEvent] = deque()
        self.cleared = 0
        self.released = 0
        self.chars = 0
        self.closed = False

    def push(self, event: StreamEvent, end: int) -> None:
        """Takes what the last stage let through."""
        if self._bound is None:
            self.released = end
            if type(event) is TextDelta:
                self.chars += len(event.text)
            self.ready.append(event)
        elif self._pending or end > self._last:
            self._pending.append((event, end))
        else:
            self._hand_out(event, end)

    def finish(self) -> None:
        """No more will come from the last stage."""
        self.closed = True

    @property
    def drained(self) -> bool:
        """Nothing waits for a verdict."""
        return not self._pending

    def clear(self, end: int) -> None:
        """Every rail has cleared the stream up to `end`."""
        self.cleared = end
        if self._bound is None:
            return
        marks, pending = self._marks, self._pending
        while marks and marks[0][0] <= end:
            self._cleared_chars = marks.popleft()[1]
        self._set_last()
        while pending and pending[0][1] <= self._last:
            self._hand_out(*pending.popleft())

    def freeze(self, limit: int) -> None:
        """Nothing that ends behind `limit` may be handed out any more before it is cleared."""
        self._limit = min(self._limit, limit)
        self._set_last()
        marks, ready = self._marks, self.ready
        # The uncleared are the last that were handed out, so those not yet taken are in `ready`.
        while marks and ready and marks[-1][0] > self._limit:
            ready.pop()
            marks.pop()
            self.chars = marks[-1][1] if marks else self._cleared_chars

    def stop(self, cleared: int, at: int | None) -> int | None:
        """Drops everything behind `cleared`; returns where to retract from, in characters handed out.

        Args:
            at: where the forbidden text starts, in characters of the text handed out, if that is known.
        """
        self.clear(cleared)
        self.freeze(cleared)
        self._pending.clear()
        if self._bound is None:
            return None
        valid = self._cleared_chars if at is None else max(at, self._cleared_chars)
        return valid if valid < self.chars else None

    def _set_last(self) -> None:
        self._last = max(self.cleared, min(self.cleared + (self._bound or 0), self._limit))

    def _hand_out(self, event: StreamEvent, end: int) -> None:
        self.released = end
        if type(event) is TextDelta:
            self.chars += len(event.text)
        if end > self.cleared:
            self._marks.append((end, self.chars))
        else:
            self._cleared_chars = self.chars
        self.ready.append(event)


class Splicer:
    """Events that are held, and the edits their text is waiting for.

    Tokens that no edit touches leave as they came. Those that edits touch leave as one piece, whole
    tokens together, so that the end of every piece is the end of a token.
    """

    __slots__ = ("_edits", "_emit", "chars", "items", "start")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._edits: deque[Edit] = deque()
        self.items: deque[tuple[StreamEvent, int, int]] = deque()
        """Event, its end in source units, its end in characters of this text."""
        self.start = 0
        """Offset of the first held character."""
        self.chars = 0
        """Offset of the end of the text."""

    @property
    def idle(self) -> bool:
        """Nothing is held and no edit waits."""
        return not self.items and not self._edits

    def push(self, event: StreamEvent, end: int) -> None:
        """Takes the next event."""
        if isinstance(event, TextDelta):
            self.chars += len(event.text)
        self.items.append((event, end, self.chars))

    def pass_by(self, event: TextDelta, end: int) -> None:
        """Emits a token at once; nothing may be held."""
        self.start = self.chars = self.chars + len(event.text)
        self._emit(event, end)

    def edit(self, edits: Sequence[Edit]) -> None:
        """Notes decided edits, in order, none of them before what is held."""
        self._edits.extend(edits)

    def emit(self, limit: int) -> None:
        """Emits the tokens that lie wholly before `limit`, in characters; edits up to it are known."""
        items, edits, emit = self.items, self._edits, self._emit
        while items:
            event, end, stop = items[0]
            if stop > limit:
                return
            if edits and edits[0].start < stop:
                if not self._emit_edited(limit):
                    return
                continue
            items.popleft()
            self.start = stop
            emit(event, end)

    def finish(self) -> None:
        """Emits all that is held."""
        end = self.items[-1][1] if self.items else 0
        self.emit(self.chars)
        # What is left is inserted behind the last character; it gets a position of its own, so that
        # no stage behind takes it for cleared already.
        added = "".join(edit.text for edit in self._edits)
        self._edits.clear()
        if added:
            self._emit(TextDelta(added), end + 1)

    def cut(self, at: int) -> None:
        """Emits the text before `at` and drops the rest."""
        kept: deque[tuple[StreamEvent, int, int]] = deque()
        begin = self.start
        for event, end, stop in self.items:
            if isinstance(event, TextDelta):
                if begin >= at:
                    break
                if stop > at:
                    event, stop = TextDelta(event.text[: at - begin]), at
            kept.append((event, end, stop))
            begin = stop
        self.items = kept
        self.chars = begin
        self.emit(begin)

    def drop(self) -> None:
        """Forgets all that is held."""
        self.items.clear()
        self._edits.clear()

    def _emit_edited(self, limit: int) -> bool:
        """Emits the first tokens together, as far as edits join them; not if they pass `limit`."""
        items, edits = self.items, self._edits
        count = joined = stop = 0
        for _, _, stop in items:
            count += 1
            while joined < len(edits) and edits[joined].start < stop:
                joined += 1
            if not joined or edits[joined - 1].end <= stop:
                break
        if stop > limit:
            return False
        pieces = [items.popleft() for _ in range(count)]
        texts = [event.text for event, _, _ in pieces if isinstance(event, TextDelta)]
        taken = [edits.popleft() for _ in range(joined)]
        text = edited("".join(texts), taken, self.start)
        self.start = stop
        if text:
            self._emit(TextDelta(text), pieces[-1][1])
        for event, end, _ in pieces:
            if not isinstance(event, TextDelta):
                self._emit(event, end)
        return True


def edited(text: str, edits: Sequence[Edit], offset: int = 0) -> str:
    """The text with the edits made; `offset` is where the text begins in the edits' count."""
    pieces: list[str] = []
    done = 0
    for edit in edits:
        pieces += (text[done : edit.start - offset], edit.text)
        done = edit.end - offset
    return "".join((*pieces, text[done:]))


@dataclass(frozen=True, slots=True)
class Run:
    """`old[start:end]` stands unchanged in the new text, from `new_start` on."""

    start: int
    end: int
    new_start: int


def equal_runs(old: str, new: str) -> list[Run]:
    """The unchanged parts of a rewritten text, in order; the first is its head, the last its tail.

    Between head and tail a part counts as unchanged only around a word that both texts have exactly
    once: a word that merely looks alike inside something that was replaced would otherwise offer a
    place to cut through it. Source of the idea: https://bramcohen.livejournal.com/73318.html
    """
    head = _common_head(old, new)
    tail = _common_tail(old[head:], new[head:])
    old_tail, new_tail = len(old) - tail, len(new) - tail
    runs = [Run(0, head, 0)]
    for start, new_start, length in _anchors(old, new, (head, old_tail), (head, new_tail)):
        before = runs[-1]
        floor, new_floor = before.end, before.new_start + before.end - before.start
        if start < floor or new_start < new_floor:
            continue
        end, new_end = start + length, new_start + length
        while end < old_tail and new_end < new_tail and old[end] == new[new_end]:
            end, new_end = end + 1, new_end + 1
        while start > floor and new_start > new_floor and old[start - 1] == new[new_start - 1]:
            start, new_start = start - 1, new_start - 1
        runs.append(Run(start, end, new_start))
    runs.append(Run(old_tail, len(old), new_tail))
    return runs


def edits_between(runs: Sequence[Run], new: str, offset: int = 0) -> list[Edit]:
    """The edits that lie between unchanged runs; `offset` is added to their places."""
    edits: list[Edit] = []
    for left, right in pairwise(runs):
        start, new_start = left.end, left.new_start + left.end - left.start
        if start == right.start and new_start == right.new_start:
            continue
        if start == right.start > 0:
            # What is only inserted goes with the character before it, and so leaves with its token.
            start, new_start = start - 1, new_start - 1
        edits.append(Edit(start + offset, right.start + offset, new[new_start : right.new_start]))
    return edits


def last_cut(old: str, ends: Sequence[int], runs: Sequence[Run], kept: int, margin: int | None) -> int:
    """How many tokens of a rewritten window may leave; 0 if there is no safe place to cut.

    A place is safe between two tokens in an unchanged run, `margin` tokens before the next edit:
    what was replaced may begin with text that was kept ("John S***").

    Args:
        ends: where each token of the window ends, in characters.
        kept: how many tokens may leave at most, so that enough are seen again.
        margin: tokens; `None` for none, but then only between words.
    """
    for run in reversed(runs):
        count = bisect_right(ends, run.end)
        if run.end < len(old):
            count -= margin or 0
        count = min(count, kept)
        if margin is None and run.end < len(old):
            while count > 0 and not _between_words(old, ends[count - 1]):
                count -= 1
        if count > 0 and ends[count - 1] >= run.start:
            return count
    return 0


def _between_words(text: str, at: int) -> bool:
    return at >= len(text) or text[at].isspace() or text[at - 1].isspace()


def _common_head(one: str, two: str) -> int:
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_tail(one: str, two: str) -> int:
    return _common_head(one[::-1], two[::-1])


def _anchors(
    old: str, new: str, old_part: tuple[int, int], new_part: tuple[int, int]
) -> list[tuple[int, int, int]]:
    """Words that each text has once: their places in both, their length; none if they cross."""
    once = {word for word, count in Counter(old.split()).items() if count == 1}
    once &= {word for word, count in Counter(new.split()).items() if count == 1}
    places = _places(new, once, new_part)
    pairs = [
        (start, places[word], len(word))
        for word, start in _places(old, once, old_part).items()
        if word in places
    ]
    in_order = all(left[1] < right[1] for left, right in pairwise(pairs))
    return pairs if in_order else []


def _places(text: str, words: set[str], part: tuple[int, int]) -> dict[str, int]:
    """Where the words stand that lie wholly in a part of the text."""
    found = ((match[0], match.start(), match.end()) for match in _WORD.finditer(text))
    return {
        word: start for word, start, end in found if word in words and part[0] <= start and end <= part[1]
    }
