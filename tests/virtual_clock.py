"""An event loop whose time jumps to the next timer as soon as nothing else is to do."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class WaitsForEver(AssertionError):
    """Every task waits, and no timer is set that could wake one."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise WaitsForEver("every task waits and no timer is set")
        self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only while every task waits; nothing ever really sleeps."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine on a virtual clock; fails if it leaves a task or an unseen error behind."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        result, left = runner.run(_with_tasks_left(main))
        loop = runner.get_loop()
    assert not left, f"tasks left behind: {left}"
    assert isinstance(loop, VirtualClockLoop)
    assert not loop.faults, f"errors nobody saw: {loop.faults}"
    return result


async def _with_tasks_left(main: Coroutine[Any, Any, T]) -> tuple[T, list[str]]:
    result = await main
    return result, [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
