"""Awaits step by step inside the running task: in a context of its own, or within a time limit."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


@types.coroutine
def in_context(run: Callable[..., Any], steps: Any) -> Generator[Any, Any, Any]:
    """Awaits with every step run by `run`, the method of a context; the running task stays the same.

    Args:
        steps: what an async generator gives for one of its steps.
    """
    try:
        waited_for = run(steps.send, None)
    except StopIteration as end:
        return end.value
    return (yield from _resumed(steps, waited_for, run))


@types.coroutine
def within(
    seconds: float | None, work: Awaitable[Result], waits: Callable[[], None] | None = None
) -> Generator[Any, Any, Result]:
    """Awaits with a time limit, which costs nothing where the work never waits.

    Args:
        waits: is called if the work does.

    Raises:
        TimeoutError: the time is over.
    """
    steps: Any = work.__await__()
    try:
        waited_for = next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result
    if waits is not None:
        waits()
    waited: Result = yield from _limited(seconds, steps, waited_for).__await__()
    return waited


async def _limited(seconds: float | None, steps: Any, waited_for: Any) -> Any:
    async with asyncio.timeout(seconds):
        return await _goes_on(steps, waited_for)


@types.coroutine
def _goes_on(steps: Any, waited_for: Any) -> Generator[Any, Any, Any]:
    return (yield from _resumed(steps, waited_for, _plainly))


def _resumed(steps: Any, waited_for: Any, run: Callable[..., Any]) -> Generator[Any, Any, Any]:
    """Goes on with work that already waits for something; `run` runs each of its steps."""
    while True:
        try:
            answer = yield waited_for
        except GeneratorExit:
            run(steps.close)
            raise
        except BaseException as error:  # noqa: BLE001  # handed to the work, whom it is meant for
            step, argument = steps.throw, error
        else:
            step, argument = steps.send, answer
        try:
            waited_for = run(step, argument)
        except StopIteration as end:
            return end.value


def _plainly(step: Callable[..., Any], *arguments: Any) -> Any:
    return step(*arguments)
