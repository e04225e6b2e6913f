"""The runs of `bench stream`: what they do with the user's rails, and what they note."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from ..config.rails_config import RailsConfig
from ..rails.calls import in_own_context
from ..rails.llmrails import LLMRails
from ..rails.request import read_request
from ..streaming.events import Blocked, Failed, StreamEvent, TextDelta
from ..streaming.verdict import Verdict
from .bench_source import Source

_QUESTION = [{"role": "user", "content": "Tell me about the harbour."}]
_DELAY_NAME = "delay of the bench"
_DELAY_FLOW = f"""
define subflow {_DELAY_NAME}
  $passed = execute delay_of_the_bench
  if not $passed
    stop
"""


@dataclass
class Watched:
    """What the gate told while a stream ran; it is the gate's observer."""

    held_chars: list[int] = field(default_factory=list)
    """Characters read and not released, after each token."""
    exposed: int = 0
    """The most units that were released and not cleared."""
    released_at: list[float] = field(default_factory=list)
    """When each unit of the source had been released, in seconds of `time.perf_counter`."""
    slowest_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """The slowest check of each rail that judges windows."""
    checks: int = 0
    _read: int = 0

    def window_checked(
        self, rail: str, text_len: int, started: float, finished: float, verdict: Verdict
    ) -> None:
        """See `streaming.checks.Observer`."""
        self.checks += 1
        self.slowest_s[rail] = max(self.slowest_s[rail], finished - started)

    def progressed(self, read: int, released: int, cleared: int, held_chars: int) -> None:
        """See `streaming.checks.Observer`."""
        if read > self._read:
            self._read = read
            self.held_chars.append(max(held_chars, 0))
        self.exposed = max(self.exposed, released - cleared)
        if released > len(self.released_at):
            self.released_at += [time.perf_counter()] * (released - len(self.released_at))


@dataclass
class Run:
    """One stream from its beginning to its end."""

    source: Source
    watched: Watched
    text: str = ""
    first_at: float | None = None
    ended_at: float = 0.0
    cpu_s: float = 0.0
    first_half_cpu_s: float = 0.0
    blocked: Blocked | None = None
    failed: Failed | None = None


@dataclass
class Left:
    """A stream that its consumer left."""

    close_s: float
    """How long closing took."""
    read_on: int
    """Tokens taken from the source after the consumer had left."""
    saved: int
    """Tokens that were never asked for."""
    tasks_left: int


def rails_for(path: str, *, delay_s: float) -> LLMRails:
    """The rails of a configuration; with a delay, one more output rail that judges windows so slowly.

    Raises:
        ValueError: the configuration cannot be used, or its output rails are not enabled for streams.
    """
    config = RailsConfig.from_path(path)
    if delay_s:
        extra = f"rails:\n  output:\n    flows: [{_DELAY_NAME}]\n"
        config = config + RailsConfig.from_content(colang_content=_DELAY_FLOW, yaml_content=extra)
    output = config.rails.output
    if output.flows and not output.streaming.enabled:
        raise ValueError(
            f"{path}: its output rails ({', '.join(output.flows)}) are not enabled for streams; "
            "set `rails.output.streaming.enabled: true` in config.yml"
        )
    rails = LLMRails(config)

    async def delay() -> bool:
        await asyncio.sleep(delay_s)
        return True

    rails.register_action(delay, "delay_of_the_bench")
    return rails


async def run_whole(rails: LLMRails, tokens: list[str], pace_s: float, *, observed: bool = True) -> Run:
    """Streams all tokens through the rails."""
    run = Run(Source(tokens, pace_s), Watched())
    cpu_s = time.process_time()
    async with aclosing(_opened(rails, run.source, run.watched if observed else None)) as events:
        pieces = []
        async for event in events:
            if isinstance(event, TextDelta):
                run.first_at = run.first_at or time.perf_counter()
                pieces.append(event.text)
            elif isinstance(event, Blocked):
                run.blocked = event
            elif isinstance(event, Failed):
                run.failed = event
    run.ended_at = time.perf_counter()
    run.cpu_s = time.process_time() - cpu_s
    run.first_half_cpu_s = run.source.half_cpu_s - cpu_s
    run.text = "".join(pieces)
    return run


async def run_alone(tokens: list[str]) -> float:
    """The CPU time, in seconds, of the source without any rails."""
    cpu_s = time.process_time()
    async for _ in Source(tokens, 0).stream():
        pass
    return time.process_time() - cpu_s


async def run_and_leave(rails: LLMRails, tokens: list[str], pace_s: float) -> Left:
    """Streams, and leaves with the first text after a quarter of the tokens."""
    source, before = Source(tokens, pace_s), asyncio.all_tasks()
    events = _opened(rails, source, None)
    async for _ in events:
        if len(source.handed_at) >= len(tokens) // 4:
            break
    taken, left_at = len(source.handed_at), time.perf_counter()
    await events.aclose()
    close_s = time.perf_counter() - left_at
    await asyncio.sleep(0)
    read_on = len(source.handed_at) - taken
    return Left(close_s, read_on, len(tokens) - taken - read_on, len(asyncio.all_tasks() - before))


def _opened(rails: LLMRails, source: Source, watched: Watched | None) -> AsyncGenerator[StreamEvent, None]:
    if watched is None:
        return rails.stream_events_async(messages=_QUESTION, generator=source.stream())
    turn = rails.begin(read_request(messages=_QUESTION), streaming=True, generator=source.stream())
    turn.observer = watched
    return in_own_context(turn.events())
