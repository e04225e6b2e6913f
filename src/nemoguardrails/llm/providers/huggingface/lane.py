"""Worker threads of a pipeline: so many generations at a time, the others in order."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol
from weakref import WeakKeyDictionary


class Job(Protocol):
    """What a lane runs."""

    def run(self) -> None:
        """Does the work; it keeps its errors to itself."""
        ...

    def hurry(self) -> None:
        """Another job waits for this one."""
        ...


class Lane:
    """Runs jobs in threads of its own, in the order they came.

    A job that others wait for is told to hurry: one that waits for its reader would otherwise block a
    reader who waits for a later job, such as a rail that asks the model whose answer it checks.

    Args:
        max_parallel: how many jobs run at a time.
    """

    def __init__(self, max_parallel: int) -> None:
        self.max_parallel = max_parallel
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._threads = 0

    def submit(self, job: Job) -> None:
        """Runs a job as soon as there is a thread for it; returns at once."""
        with self._lock:
            self._waiting.append(job)
            is_free = self._threads < self.max_parallel
            running = [] if is_free else list(self._running)
            self._threads += is_free
        for other in running:
            other.hurry()
        if is_free:
            try:
                threading.Thread(target=self._work, name="huggingface-pipeline").start()
            except RuntimeError:
                with self._lock:
                    self._threads -= 1
                    self._waiting.remove(job)
                raise

    def withdraw(self, job: Job) -> None:
        """Forgets a job that still waits for its turn."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.run()
            finally:
                with self._lock:
                    self._running.remove(job)

    def _next(self) -> Job | None:
        with self._lock:
            if not self._waiting or self._threads > self.max_parallel:
                self._threads -= 1
                return None
            job = self._waiting.popleft()
            self._running.append(job)
            is_awaited = bool(self._waiting)
        if is_awaited:
            job.hurry()
        return job


_lanes: WeakKeyDictionary[object, Lane] = WeakKeyDictionary()
_lanes_lock = threading.Lock()


def lane_of(pipeline: object, max_parallel: int) -> Lane:
    """The lane of a pipeline, the same for all who use it; the latest `max_parallel` counts.

    Raises:
        ValueError: `max_parallel` is below 1.
    """
    if max_parallel < 1:
        raise ValueError(f"max_parallel must be 1 or more, not {max_parallel}")
    with _lanes_lock:
        try:
            lane = _lanes.setdefault(pipeline, Lane(max_parallel))
        except TypeError:
            # It cannot be a key (no hash or no weak reference): whoever asks gets a lane of their own.
            return Lane(max_parallel)
    lane.max_parallel = max_parallel
    return lane
