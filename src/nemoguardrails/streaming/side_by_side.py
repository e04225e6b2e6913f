"""Runs calls at the same time, until all are done or one of them decides."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")


async def side_by_side(
    calls: Sequence[Coroutine[Any, Any, Result]], decides: Callable[[Result], bool]
) -> list[Result | None]:
    """The results of the calls, in their order.

    The first result that `decides` cancels the calls that still run; their place is `None`. Of several
    that are there at the same time the one that stands first counts. What a call raises is raised
    here, and cancels the others.
    """
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(decides(task.result()) for task in tasks if task in done):
                break
        return [task.result() if task.done() else None for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
