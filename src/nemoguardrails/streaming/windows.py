"""Cuts a stream of tokens into windows: the text a rail sees at once, with the context before it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["chunk", "word", "char"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How a stream is cut, checked and released.

    Sizes are counted in `unit`: tokens of the source ("chunk"), words or characters. The context
    is never part of a sum: a window of `chunk_size` holds `context_size` units that were in the
    window before it.

    Attributes:
        chunk_size: units in a window; 0 counts as 1.
        context_size: units of the window before that a window begins with. From `chunk_size` on
            the window slides: one for each token.
        stream_first: text leaves before it is judged, within the exposure bound.
        max_exposed_tokens: the exposure bound: units that may be with the consumer and not yet
            cleared; `None` stands for `chunk_size`. Without `stream_first` it is zero.
        max_concurrent_checks: windows of one stage that are checked at the same time.
        parallel: the rails of one window run side by side instead of one after the other.
        hold_back: units that must have been judged together with a unit before it is cleared.
        unit: what sizes count. A token is never cut, so one long token may fill a window.
        max_window_chars: a window closes when it has so many characters, however few its units.
        buffer_tokens: released tokens that may wait for the consumer before the source has to.
    """

    chunk_size: int = 200
    context_size: int = 50
    stream_first: bool = True
    max_exposed_tokens: int | None = None
    max_concurrent_checks: int = 4
    parallel: bool = False
    hold_back: int = 0
    unit: Unit = "chunk"
    max_window_chars: int = 8000
    buffer_tokens: int = 64

    @property
    def first_window(self) -> int:
        """Units that fill the first window."""
        return max(self.chunk_size, 1)

    @property
    def stride(self) -> int:
        """New units that fill each later window."""
        return max(self.first_window - max(self.context_size, 0), 1)

    @property
    def carried(self) -> int:
        """Units of a window that the next one begins with."""
        context, chunk = max(self.context_size, 0), self.first_window
        return max(context if context < chunk else context + chunk - 1, self.hold_back)

    @property
    def carried_chars(self) -> int:
        """Characters of context that a window has at most, so that long tokens cannot fill it."""
        carried = self.carried
        return self.max_window_chars * carried // (carried + self.stride)

    @property
    def exposure_bound(self) -> int | None:
        """Units that may be with the consumer uncleared; `None`: what is not cleared never leaves."""
        if not self.stream_first:
            return None
        return self.first_window if self.max_exposed_tokens is None else max(self.max_exposed_tokens, 0)


def measure(unit: Unit) -> Callable[[str], int] | None:
    """How many units a token counts, at least 1; `None` where each token counts 1."""
    if unit == "chunk":
        return None
    return _words if unit == "word" else len


def _words(text: str) -> int:
    # A token of blanks counts too: what has no weight could pass a bound of zero.
    return len(text.split()) or 1


@dataclass(slots=True)
class Window:
    """A piece of the text for one check.

    Attributes:
        text: the context and the new text.
        starts: position of the stream, in source units, where the new text starts.
        clears: position up to which the text is cleared if the window passes.
    """

    text: str
    starts: int
    clears: int


class WindowCutter:
    """Tokens in, windows with context out; each token is new in exactly one window."""

    __slots__ = (
        "_carried",
        "_carried_chars",
        "_chars",
        "_closed_at",
        "_end",
        "_fresh",
        "_hold_back",
        "_limit",
        "_max_chars",
        "_measure",
        "_recent",
        "_stride",
        "_texts",
    )

    def __init__(self, policy: Policy) -> None:
        self._limit = policy.first_window
        self._stride = policy.stride
        self._carried = policy.carried
        self._carried_chars = policy.carried_chars
        self._max_chars = policy.max_window_chars
        self._hold_back = policy.hold_back
        self._measure = measure(policy.unit)
        self._texts: list[str] = []
        self._chars = 0
        self._fresh = 0
        self._end = 0
        self._closed_at = 0
        self._recent: deque[tuple[int, int]] = deque()

    def push(self, text: str, end: int) -> Window | None:
        """Takes one token that ends at `end`, in source units; returns the window it completes."""
        self._texts.append(text)
        self._end = end
        chars = self._chars = self._chars + len(text)
        if self._measure is None and not self._hold_back:
            fresh = self._fresh = self._fresh + 1
        else:
            weight = 1 if self._measure is None else self._measure(text)
            fresh = self._fresh = self._fresh + weight
            if self._hold_back:
                self._recent.append((weight, end))
        if fresh >= self._limit or chars >= self._max_chars:
            return self._close()
        return None

    def finish(self) -> Window | None:
        """The window of the tokens that no window has seen yet, if there are any."""
        if not self._fresh:
            return None
        self._recent.clear()
        return self._close()

    def _close(self) -> Window:
        window = Window("".join(self._texts), self._closed_at, self._cleared_by_now())
        self._texts = context = self._context()
        self._chars = sum(map(len, context))
        self._fresh = 0
        self._limit = self._stride
        self._closed_at = self._end
        return window

    def _cleared_by_now(self) -> int:
        """The end of the last token with at least `hold_back` units behind it."""
        recent, behind = self._recent, 0
        for index in range(len(recent) - 1, -1, -1):
            if behind >= self._hold_back:
                cleared = recent[index][1]
                for _ in range(index):
                    recent.popleft()
                return cleared
            behind += recent[index][0]
        return 0 if recent else self._end

    def _context(self) -> list[str]:
        texts = self._texts
        if self._measure is None:
            kept = texts[-self._carried :] if self._carried else []
        else:
            kept = _suffix(texts, self._measure, self._carried)
        surplus = sum(map(len, kept)) - self._carried_chars
        if surplus > 0:
            joined = "".join(kept)
            kept = [joined[surplus:]] if surplus < len(joined) else []
        return kept


def _suffix(texts: list[str], weigh: Callable[[str], int], units: int) -> list[str]:
    """The shortest run of tokens at the end that has `units` units."""
    found = 0
    for index in range(len(texts) - 1, -1, -1):
        if found >= units:
            return texts[index + 1 :]
        found += weigh(texts[index])
    return list(texts) if units > 0 else []
