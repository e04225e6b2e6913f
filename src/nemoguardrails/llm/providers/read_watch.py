"""Limits on how long a stream may keep us waiting: one timer per stream, however many reads it has."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds to wait for a model's server."""

    total_s: float = 600.0
    """For the whole answer; of a stream, the time that we wait for the server, not that our reader takes."""
    connect_s: float = 5.0
    first_token_s: float = 60.0
    """From sending the request to the first event of the stream; keep-alive comments do not count."""
    idle_s: float = 60.0
    """Between two events of the stream."""


class ReadWatch:
    """Calls `expire` when one wait lasts too long, or all together do.

    A wait is two attribute writes; the timer runs on and looks, when it fires, how long the present
    wait has lasted.
    """

    __slots__ = ("_due", "_expire", "_handle", "_limit_s", "_loop", "_since", "_total_s", "expired")

    def __init__(self, total_s: float, expire: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._total_s = total_s
        self._expire = expire
        self._since = 0.0
        self._limit_s = 0.0
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self.expired: Literal["", "wait", "total"] = ""
        """Which limit was reached."""

    def begin(self, limit_s: float) -> None:
        """A wait begins; it may last `limit_s` seconds, and no longer than what the total leaves."""
        self._since = since = self._loop.time()
        self._limit_s = limit_s
        due = since + (limit_s if limit_s < self._total_s else self._total_s)
        if self._handle is None or due < self._due:
            self._arm(due)

    def end(self) -> None:
        """The wait ended."""
        self._total_s -= self._loop.time() - self._since
        self._since = 0.0

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._since = 0.0

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = due
        self._handle = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._handle = None
        if not self._since:
            return
        due = self._since + min(self._limit_s, self._total_s)
        if self._loop.time() < due:
            self._arm(due)
            return
        self.expired = "total" if self._total_s <= self._limit_s else "wait"
        self._expire()
