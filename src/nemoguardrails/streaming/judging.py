"""Adjacent rails that only judge, side by side on the same text, as one stage."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from sys import maxsize

from .checks import Checks, Job
from .events import StreamEvent, TextDelta
from .stage import Feed, Next, Owner
from .verdict import Block, Progress, StreamRail, Verdict
from .windows import Policy, Window, WindowCutter


class JudgingStage:
    """Adjacent rails that only judge; they look at the same text side by side.

    With `stream_first` it passes events on at once and only says how far it has cleared them; else it
    holds them until they are cleared.
    """

    def __init__(self, rails: Sequence[StreamRail], policy: Policy, owner: Owner, behind: Next) -> None:
        self._owner = owner
        self._next = behind
        self._holds = not policy.stream_first
        self._feeds = [Feed(rail, order) for order, rail in enumerate(rails) if rail.way == "incremental"]
        self._waiting_rails = [rail for rail in rails if rail.way != "incremental"]
        self._window_rails = [rail for rail in rails if rail.way == "window"]
        self._whole_rails = [rail for rail in rails if rail.way == "whole"]
        self._cutter = WindowCutter(policy) if self._window_rails else None
        self._texts: list[str] | None = [] if self._whole_rails else None
        # Where windows are all there is, a token goes straight into the cutter.
        self._only_cut = self._cutter.push if self._cutter and len(self._window_rails) == len(rails) else None
        self.checks = Checks(policy.max_concurrent_checks)
        # Up to where the rails of each way have cleared the stream, in source units.
        self._by_feeds = 0 if self._feeds else maxsize
        self._by_windows = 0 if self._window_rails else maxsize
        self._by_whole = 0 if self._whole_rails else maxsize
        self.cleared = 0
        self._held: deque[tuple[StreamEvent, int]] = deque()
        self._end = 0
        self._chars = 0
        # Ends, in characters and in units, of the tokens that incremental rails have not decided.
        self._undecided: deque[tuple[int, int]] = deque()
        self._found: Block | None = None
        self._found_at = self._found_order = maxsize
        self._found_in: tuple[str, int, int] = ("", 0, 0)
        self._closed = self._ending = False

    @property
    def saturated(self) -> bool:
        return self.checks.saturated

    def push(self, event: StreamEvent, end: int) -> None:
        if self._closed:
            return
        if self._holds:
            self._held.append((event, end))
        if type(event) is not TextDelta:
            if end <= self.cleared:
                self._let_out()
        elif self._only_cut is not None:
            self._end = end
            window = self._only_cut(event.text, end)
            if window is not None:
                self._check(self._window_rails, window)
        elif not self._take(event.text, end):
            return
        if not self._holds:
            self._next.push(event, end)

    def finish(self) -> None:
        if self._closed:
            return
        self._ending = True
        for feed in tuple(self._feeds):
            self._note(feed, feed.finish())
        self._feeds.clear()
        if self._decide(self._chars):
            return
        self._check_rest()
        if not self._holds:
            self._next.finish()
        if not self.checks:
            self._conclude()

    def settle(self, job: Job, verdict: Verdict) -> None:
        self.checks.settle(job, verdict)
        if isinstance(verdict, Block):
            self._closed = True
            self._owner.frozen(job.starts)
            self._owner.enough(self)
        self._apply()

    def drop(self) -> None:
        self._closed = True
        self.checks.drop()
        self._held.clear()

    def _take(self, text: str, end: int) -> bool:
        """Shows a token to the rails; no if forbidden text has begun in it or before."""
        self._end = end
        if self._feeds or self._found is not None:
            self._feed(text, end)
            if self._found is not None:
                return False
        if self._cutter is not None:
            window = self._cutter.push(text, end)
            if window is not None:
                self._check(self._window_rails, window)
        if self._texts is not None:
            self._texts.append(text)
        return True

    def _check(self, rails: Sequence[StreamRail], window: Window) -> None:
        self._owner.stirred = True
        self.checks.add(Job(rails, window.text, window.starts, window.clears))

    def _check_rest(self) -> None:
        window = None if self._cutter is None else self._cutter.finish()
        if self._texts is None or not self._end:
            if window is not None:
                self._check(self._window_rails, window)
            return
        whole = Window("".join(self._texts), 0, maxsize)
        self._texts = []
        if window is not None and not window.starts:
            # The only window is the whole text: the rails meet it together, in their order.
            self._check(self._waiting_rails, whole)
            return
        if window is not None:
            self._check(self._window_rails, window)
        self._check(self._whole_rails, whole)

    def _apply(self) -> None:
        for job in self.checks.decided():
            if isinstance(job.verdict, Block):
                self._block(job.verdict, job.at)
                return
            if job.rails is self._window_rails:
                self._by_windows = job.clears
            self._clear()
        if self._ending and not self.checks:
            self._conclude()

    def _conclude(self) -> None:
        self._closed = True
        self.cleared = maxsize
        self._owner.cleared()
        self._let_out()
        if self._holds:
            self._next.finish()

    def _clear(self) -> None:
        cleared = min(self._by_feeds, self._by_windows, self._by_whole, self._end)
        if cleared > self.cleared:
            self.cleared = cleared
            self._owner.cleared()
        self._let_out()

    def _let_out(self) -> None:
        held, cleared, push = self._held, self.cleared, self._next.push
        while held and held[0][1] <= cleared:
            push(*held.popleft())

    def _block(self, block: Block, at: int | None) -> None:
        """Ends the stage; every window before the block has passed."""
        self._closed = True
        self.checks.drop()
        if self._waiting_rails:
            at = None
        elif at is not None:
            self._let_out_before(at)
        self._held.clear()
        self._owner.blocked(self, block, at)

    def _let_out_before(self, at: int) -> None:
        """Lets out the beginning of the token in which forbidden text starts; all before it is out."""
        text, start, end = self._found_in
        if self._holds:
            start = self._chars - sum(
                len(event.text) for event, _ in self._held if isinstance(event, TextDelta)
            )
            for event, end in self._held:
                text = event.text if isinstance(event, TextDelta) else ""
                if text:
                    break
                self._next.push(event, end)
        if start < at and text:
            self.cleared = end
            self._owner.cleared()
            self._next.push(TextDelta(text[: at - start]), end)

    def _feed(self, text: str, end: int) -> None:
        start = self._chars
        self._chars = decided = start + len(text)
        found: list[tuple[Feed, Progress]] = []
        for feed in self._feeds:
            progress = feed.feed(text)
            if progress.block is not None:
                found.append((feed, progress))
            elif progress.decided < decided:
                decided = progress.decided
        if found and self._found is None:
            self._found_in = (text, start, end)
        for feed, progress in found:
            self._note(feed, progress)
        self._undecided.append((self._chars, end))
        self._decide(decided)

    def _note(self, feed: Feed, progress: Progress) -> None:
        """Keeps the earliest block, of several at one place that of the first rail.

        The other rails go on until they have decided the text before it: how the source cuts its text
        must not change which of them is heard.
        """
        if progress.block is None:
            return
        at = feed.forbidden_from(progress.block)
        if (at, feed.order) < (self._found_at, self._found_order):
            self._found, self._found_at, self._found_order = progress.block, at, feed.order
        self._feeds.remove(feed)

    def _is_first(self) -> bool:
        """Whether no rail can still find an earlier block than the one that is kept."""
        found = (self._found_at, self._found_order)
        return all((feed.decided, feed.order) > found for feed in self._feeds)

    def _decide(self, decided: int) -> bool:
        """The incremental rails have decided so many characters; yes if they block now."""
        if not self._by_feeds < maxsize:
            return False
        undecided, last = self._undecided, min(decided, self._found_at)
        by_feeds = self._by_feeds
        while undecided and undecided[0][0] <= last:
            by_feeds = undecided.popleft()[1]
        if by_feeds > self._by_feeds:
            self._by_feeds = by_feeds
            self._clear()
        if self._found is None:
            return False
        self._owner.frozen(by_feeds)
        if not self._is_first():
            return False
        self._closed = True
        self._owner.enough(self)
        job = Job((), "", by_feeds, by_feeds)
        job.verdict, job.at = self._found, self._found_at
        self.checks.add(job)
        self._apply()
        return True
