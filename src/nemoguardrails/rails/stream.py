"""The stream object that callers hold: an async generator whose steps run in the turn's own context."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from .steps import in_context

Item = TypeVar("Item")
Result = TypeVar("Result")


class GuardedStream(AsyncGenerator[Item, None], Generic[Item, Result]):
    """Yields the elements of a guarded answer; close it (`aclose`) when leaving early.

    Nothing runs before the first element is asked for. Context variables that the turn sets are
    seen by rails and actions, never by the consumer.

    Args:
        items: what to iterate.
        context: the context in which every step of `items` runs.
        result: gives the response object of a stream that has ended.
    """

    def __init__(
        self, items: AsyncGenerator[Item, None], context: Context, result: Callable[[], Result]
    ) -> None:
        self._items = items
        self._run = context.run
        self._settled = False
        self._result = result

    def __aiter__(self) -> GuardedStream[Item, Result]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Item]:
        """The next element."""
        step = self._items.__anext__()
        return step if self._settled else in_context(self._run, step)

    def asend(self, value: None) -> Coroutine[Any, Any, Item]:
        """As `__anext__`; nothing can be sent into a stream."""
        return self.__anext__()

    def athrow(self, *error: Any) -> Coroutine[Any, Any, Item]:
        """Throws an exception into the stream at the point where it waits."""
        return in_context(self._run, self._items.athrow(*error))

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Ends the stream: the model's request is aborted, running checks are cancelled."""
        return in_context(self._run, self._items.aclose())

    def settle(self) -> None:
        """From now on nothing foreign runs in the steps themselves, so any context will do."""
        self._settled = True

    @property
    def result(self) -> Awaitable[Result]:
        """Awaitable: the `GenerationResponse` of this stream with its log, after the end.

        Awaiting it before the end reads the stream to its end.
        """
        return self._finished()

    async def _finished(self) -> Result:
        async for _ in self:
            pass
        return self._result()
