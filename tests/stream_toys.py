"""Sources and rails for the tests of the gate, small enough that a slow reference can foretell them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from nemoguardrails.streaming.events import StreamEvent, TextDelta
from nemoguardrails.streaming.gate import Policy, gate
from nemoguardrails.streaming.verdict import ALLOW, Block, Edit, Progress, Rewrite, StreamRail, Verdict


@dataclass
class Source:
    """A source on the virtual clock that counts what is read from it and notes when it is closed."""

    events: Sequence[StreamEvent]
    delays: Sequence[float] = (0.0,)
    error: Exception | None = None
    hangs: bool = False
    closing_steps: int = 0
    """Turns of the loop that its end takes."""
    read: int = 0
    closed: bool = False
    times: list[float] = field(default_factory=list)

    async def __call__(self) -> AsyncIterator[StreamEvent]:
        try:
            for index, event in enumerate(self.events):
                if delay := self.delays[index % len(self.delays)]:
                    await asyncio.sleep(delay)
                self.read += 1
                self.times.append(asyncio.get_running_loop().time())
                yield event
            if self.hangs:
                await asyncio.get_running_loop().create_future()
            if self.error is not None:
                raise self.error
        finally:
            for _ in range(self.closing_steps):
                await asyncio.sleep(0)
            self.closed = True


def texts(*pieces: str) -> list[StreamEvent]:
    return [TextDelta(piece) for piece in pieces]


def joined(events: Sequence[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def collect(
    source: Source, rails: Sequence[StreamRail], policy: Policy, consumer: Sequence[float] = (0.0,)
) -> list[StreamEvent]:
    """All events of a gate, taken by a consumer that pauses after each."""
    found: list[StreamEvent] = []
    async for event in gate(source(), rails, policy):
        found.append(event)
        if delay := consumer[len(found) % len(consumer)]:
            await asyncio.sleep(delay)
    return found


# ---------------------------------------------------------------- incremental rails


class WordStream:
    """Finds a word; holds back the longest end of the text that may be its beginning."""

    def __init__(self, word: str, edit: str | None, name: str) -> None:
        self.word, self.edit, self.name = word, edit, name
        self.text = ""
        self.decided = 0

    def feed(self, text: str) -> Progress:
        self.text += text
        return self._progress(final=False)

    def finish(self) -> Progress:
        return self._progress(final=True)

    def _progress(self, final: bool) -> Progress:
        edits: list[Edit] = []
        while (start := self.text.find(self.word, self.decided)) >= 0:
            if self.edit is None:
                return Progress(start, tuple(edits), Block(self.name, at=start))
            self.decided = start + len(self.word)
            edits.append(Edit(start, self.decided, self.edit))
        held = 0
        if not final:
            for size in range(1, len(self.word)):
                if len(self.text) - size >= self.decided and self.text.endswith(self.word[:size]):
                    held = size
        self.decided = max(self.decided, len(self.text) - held)
        return Progress(self.decided, tuple(edits))


def word_rail(word: str, edit: str | None = None, name: str | None = None) -> StreamRail:
    name = name or f"word {word}"
    return StreamRail(
        name, "incremental", rewrites=edit is not None, start=lambda: WordStream(word, edit, name)
    )


# ---------------------------------------------------------------- rails that wait


@dataclass
class Checker:
    """A check of a rail that notes what it sees; `judge` decides, after the next of `delays`."""

    judge: Callable[[str], Verdict]
    delays: Sequence[float] = (0.0,)
    closing_steps: int = 0
    seen: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def __call__(self, text: str) -> Verdict:
        delay = self.delays[len(self.seen) % len(self.delays)]
        self.seen.append(text)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if delay:
                await asyncio.sleep(delay)
            verdict = self.judge(text)
        except asyncio.CancelledError:
            for _ in range(self.closing_steps):
                await asyncio.sleep(0)  # who cancels it twice leaves it counted as running
            self.running -= 1
            raise
        except BaseException:
            self.running -= 1
            raise
        self.running -= 1
        if not isinstance(verdict, Block):
            self.allowed.append(text)
        return verdict


def allow(_: str) -> Verdict:
    return ALLOW


def blocks_on(word: str, name: str) -> Callable[[str], Verdict]:
    return lambda text: Block(name, reason=f"it says {word}") if word in text else ALLOW


def masks(pattern: str, mask: str) -> Callable[[str], Verdict]:
    return lambda text: Rewrite(re.sub(pattern, mask, text))


def window_rail(checker: Checker, name: str = "window", rewrites: bool = False) -> StreamRail:
    return StreamRail(name, "window", rewrites=rewrites, check=checker)


def whole_rail(checker: Checker, name: str = "whole", rewrites: bool = False) -> StreamRail:
    return StreamRail(name, "whole", rewrites=rewrites, check=checker)


# ---------------------------------------------------------------- the slow reference


def windows(count: int, chunk: int, context: int) -> Iterator[tuple[int, int, int]]:
    """Where the windows over so many tokens begin, where their new part begins, and where they end."""
    chunk = max(chunk, 1)
    stride = max(chunk - context, 1)
    carried = context if context < chunk else chunk + context - 1
    done = 0
    while done < count:
        end = min(done + (stride if done else chunk), count)
        yield max(done - carried, 0), done, end
        done = end


# ---------------------------------------------------------------- what Hypothesis draws

LETTERS = st.text("abc", max_size=30)
PIECES = st.lists(st.text("abcé😀 \n", max_size=3), max_size=30)
DELAYS = st.lists(st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0]), min_size=1, max_size=6)
SIZES = st.tuples(st.integers(0, 6), st.integers(0, 7))
POLICIES = st.builds(
    Policy,
    chunk_size=st.integers(0, 6),
    context_size=st.integers(0, 7),
    stream_first=st.booleans(),
    max_exposed_tokens=st.sampled_from([None, 0, 1, 2, 5]),
    max_concurrent_checks=st.integers(1, 4),
    parallel=st.booleans(),
    hold_back=st.integers(0, 3),
    unit=st.sampled_from(["chunk", "chunk", "word", "char"]),
    max_window_chars=st.sampled_from([5, 40, 8000]),
    buffer_tokens=st.sampled_from([1, 3, 64]),
)


def numbered(count: int) -> list[StreamEvent]:
    """Tokens that can be told apart wherever they turn up."""
    return texts(*(f"t{index} " for index in range(count)))


def last_number(text: str) -> int:
    """How many numbered tokens have come, counting one that has only begun."""
    found = re.findall(r"[tT](\d+)", text)
    return int(found[-1]) + 1 if found else 0
