"""The limits on waiting, on a clock that the test moves."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable

import pytest

from nemoguardrails.llm.providers import read_watch
from nemoguardrails.llm.providers.read_watch import ReadWatch


class Handle:
    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due, self.call, self.cancelled = due, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """A loop's clock and timers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, call: Callable[[], None]) -> Handle:
        self.timers.append(Handle(due, call))
        return self.timers[-1]

    def pass_s(self, seconds: float) -> None:
        until = self.now + seconds
        while ready := [timer for timer in self.timers if not timer.cancelled and timer.due <= until]:
            first = min(ready, key=lambda timer: timer.due)
            self.timers.remove(first)
            self.now = max(self.now, first.due)
            first.call()
        self.now = until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(read_watch.asyncio, "get_running_loop", lambda: made)
    return made


def watch(total_s: float = 100.0) -> tuple[ReadWatch, list[str]]:
    rung: list[str] = []
    return ReadWatch(total_s, lambda: rung.append("!")), rung


def test_a_wait_that_lasts_too_long_rings_once(clock: Clock) -> None:
    made, rung = watch()
    made.begin(10.0)
    clock.pass_s(9.9)
    assert not rung
    clock.pass_s(50.0)
    assert (rung, made.expired) == (["!"], "wait")


def test_many_short_waits_ring_when_their_sum_is_too_long(clock: Clock) -> None:
    made, rung = watch(total_s=25.0)
    for _ in range(4):
        made.begin(10.0)
        clock.pass_s(6.0)
        made.end()
        clock.pass_s(100.0)
    assert not rung
    made.begin(10.0)
    clock.pass_s(1.1)
    assert (rung, made.expired) == (["!"], "total")


def test_what_the_reader_takes_does_not_count(clock: Clock) -> None:
    made, rung = watch(total_s=20.0)
    for _ in range(50):
        made.begin(10.0)
        made.end()
        clock.pass_s(30.0)
    assert not rung


def test_a_shorter_limit_counts_although_the_timer_runs(clock: Clock) -> None:
    made, rung = watch()
    made.begin(60.0)
    made.end()
    made.begin(5.0)
    clock.pass_s(5.1)
    assert rung == ["!"]


def test_reads_cost_no_timers(clock: Clock) -> None:
    made, _ = watch()
    for _ in range(1000):
        made.begin(10.0)
        clock.pass_s(0.001)
        made.end()
    assert len(clock.timers) == 1


def test_a_closed_watch_is_silent(clock: Clock) -> None:
    made, rung = watch()
    made.begin(1.0)
    made.close()
    clock.pass_s(10.0)
    assert not rung
