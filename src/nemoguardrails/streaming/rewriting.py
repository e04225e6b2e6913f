"""A rail that may rewrite, as a stage of its own: it holds what it has not decided."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, islice
from sys import maxsize

from .checks import Checks, Job
from .events import StreamEvent, TextDelta
from .release import Run, Splicer, edits_between, equal_runs, last_cut
from .stage import Feed, Next, Owner
from .verdict import Block, Edit, Progress, Rewrite, StreamRail, Verdict
from .windows import Policy, measure


class IncrementalRewriter:
    """An incremental rail that may rewrite: holds what it has not decided."""

    def __init__(self, rail: StreamRail, owner: Owner, behind: Next) -> None:
        self._owner = owner
        self._next = behind
        self._feed = Feed(rail)
        self._splicer = Splicer(behind.push)
        self._closed = False
        self.checks = Checks(1)
        self.cleared = maxsize
        self.saturated = False

    def push(self, event: StreamEvent, end: int) -> None:
        splicer = self._splicer
        if self._closed:
            return
        if type(event) is not TextDelta:
            if splicer.idle:
                self._next.push(event, end)
            else:
                splicer.push(event, end)
            return
        progress = self._feed.feed(event.text)
        if splicer.idle and not progress.edits and progress.block is None:
            all_decided = progress.decided >= splicer.chars + len(event.text)
        else:
            all_decided = False
        if all_decided:
            splicer.pass_by(event, end)
        else:
            splicer.push(event, end)
            self._take(progress)

    def finish(self) -> None:
        if self._closed:
            return
        self._take(self._feed.finish())
        if not self._closed:
            self._closed = True
            self._splicer.finish()
            self._next.finish()

    def settle(self, job: Job, verdict: Verdict) -> None:
        raise AssertionError("an incremental rail has no checks")

    def drop(self) -> None:
        self._closed = True
        self._splicer.drop()

    def _take(self, progress: Progress) -> None:
        splicer = self._splicer
        splicer.edit(progress.edits)
        if progress.block is None:
            splicer.emit(progress.decided)
            return
        self._closed = True
        splicer.cut(self._feed.forbidden_from(progress.block))
        splicer.drop()
        self._owner.blocked(self, progress.block, None)


class WindowRewriter:
    """A rail that rewrites windows, or the whole text: one check at a time, on text that is all held.

    After each window it keeps the last `context_size` units, and the next window begins with them: so
    what the rail wants to replace is seen whole. Where a rewrite reaches from text that could leave
    into text that is kept, the place to cut moves to the front of it; where there is none, the window
    doubles, up to `max_window_chars`.
    """

    def __init__(self, rail: StreamRail, policy: Policy, owner: Owner, behind: Next) -> None:
        if rail.way == "whole":
            policy = replace(
                policy, chunk_size=maxsize, context_size=0, hold_back=0, max_window_chars=maxsize
            )
        self._rails = (rail,)
        self._policy = policy
        self._measure = measure(policy.unit)
        self._owner = owner
        self._next = behind
        self._splicer = Splicer(behind.push)
        self._need = policy.first_window
        self._fresh = 0
        """Units held that no window has held yet."""
        self._seen = 0
        """Events held that were in the last window."""
        self._seen_units = 0
        self._late: list[Edit] = []
        """Edits of the last verdict in text that is kept for the next window."""
        self._closed = self._ending = False
        self.checks = Checks(1)
        self.cleared = maxsize

    @property
    def saturated(self) -> bool:
        return bool(self.checks) and self._full

    @property
    def _full(self) -> bool:
        splicer = self._splicer
        return self._fresh >= self._need or (
            self._fresh > 0 and splicer.chars - splicer.start >= self._policy.max_window_chars
        )

    def push(self, event: StreamEvent, end: int) -> None:
        if self._closed:
            return
        if type(event) is not TextDelta:
            if self._splicer.idle:
                self._next.push(event, end)
            else:
                self._splicer.push(event, end)
            return
        self._splicer.push(event, end)
        self._fresh += 1 if self._measure is None else self._measure(event.text)
        if self._fresh >= self._need or self._full:
            if self.checks:
                self._owner.stirred = True
            else:
                self._open()

    def finish(self) -> None:
        if not self._closed:
            self._ending = True
            self._go_on()

    def settle(self, job: Job, verdict: Verdict) -> None:
        self.checks.settle(job, verdict)
        for _ in self.checks.decided():
            if isinstance(verdict, Block):
                self._closed = True
                self._splicer.drop()
                self._owner.blocked(self, verdict, None)
                return
            self._rewrite(job.text, verdict.text if isinstance(verdict, Rewrite) else job.text)
            self._go_on()

    def drop(self) -> None:
        self._closed = True
        self.checks.drop()
        self._splicer.drop()

    def _go_on(self) -> None:
        if self.checks:
            return
        if self._full or (self._ending and self._fresh):
            self._open()
        elif self._ending:
            self._closed = True
            self._splicer.edit(self._late)
            self._splicer.finish()
            self._next.finish()

    def _open(self) -> None:
        """Starts the check of a window: what was kept, and new tokens until it is full."""
        splicer, most = self._splicer, self._policy.max_window_chars
        texts: list[str] = []
        taken = size = units = 0
        for index, (event, _, _) in enumerate(splicer.items):
            if index >= self._seen and (units >= self._need or (units and size >= most)):
                break
            taken = index + 1
            if isinstance(event, TextDelta):
                texts.append(event.text)
                size += len(event.text)
                if index >= self._seen:
                    units += 1 if self._measure is None else self._measure(event.text)
        self._fresh -= units
        self._seen = taken
        self._seen_units += units
        self._need = self._policy.stride
        self._owner.stirred = True
        self.checks.add(Job(self._rails, "".join(texts), 0, 0))

    def _rewrite(self, old: str, new: str) -> None:
        """Emits what may leave of the window after its verdict."""
        splicer, begin = self._splicer, self._splicer.start
        window = islice(splicer.items, self._seen)
        texts = [event.text for event, _, _ in window if isinstance(event, TextDelta)]
        ends = list(accumulate(map(len, texts)))
        cut, edits = max(len(texts) - self._kept(texts), 0), []
        if old != new:
            runs = equal_runs(old, new)
            cut = self._cut(old, ends, runs, cut)
            edits = edits_between(runs, new, begin)
        at = begin + (ends[cut - 1] if cut else 0)
        splicer.edit([edit for edit in edits if edit.end <= at])
        self._late = [edit for edit in edits if edit.end > at]
        before = len(splicer.items)
        splicer.emit(at)
        self._seen = max(self._seen - before + len(splicer.items), 0)
        self._seen_units = self._units(texts[cut:])

    def _kept(self, texts: Sequence[str]) -> int:
        """How many tokens at the end of a window have to be seen again."""
        kept = units = chars = 0
        for text in reversed(texts):
            chars += len(text)
            if units >= self._policy.carried or chars > self._policy.carried_chars:
                break
            kept += 1
            units += self._units((text,))
        return kept

    def _cut(self, old: str, ends: Sequence[int], runs: Sequence[Run], most: int) -> int:
        """How many tokens of a window may leave, at most `most`; 0 lets the window grow."""
        if most <= 0:
            return 0
        cut = last_cut(old, ends, runs, most, len(ends) - most)
        policy = self._policy
        too_long = len(old) >= policy.max_window_chars
        if not cut and (too_long or self._seen_units >= 2 * (policy.carried + policy.stride)):
            cut = last_cut(old, ends, runs, most, None)
        if not cut and too_long:
            cut = bisect_left(ends, runs[-1].start) + 1
        if not cut:
            self._need = max(self._need, self._seen_units)
        return cut

    def _units(self, texts: Sequence[str]) -> int:
        return len(texts) if self._measure is None else sum(map(self._measure, texts))
