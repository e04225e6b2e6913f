"""Opens, enters and folds the turns that the public methods of `LLMRails` ask for."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import ref

from ..colang.interpreter import Event
from ..logging.record import Listener
from ..logging.verbose import VerboseLog, verbose_settings
from ..runtime.history import to_messages
from ..streaming.events import Failed, StreamEvent, TextDelta
from ..streaming.render import dict_chunks, text_chunks
from .answer import Answer, fold
from .failure import failed_event
from .options import GenerationOptions, GenerationResponse, StreamOptions
from .request import Request, read_options, read_request
from .response import full_response
from .stream import GuardedStream
from .turn import Turn
from .turn_events import turn_events

if TYPE_CHECKING:
    from ..streaming.handler import StreamingHandler

Item = TypeVar("Item")
Result = TypeVar("Result")
Messages = Sequence[Mapping[str, Any]]
Options = Mapping[str, Any] | GenerationOptions


def stream_options(options: Options | None) -> StreamOptions:
    """What a stream shows besides text; options that make no sense are told by the stream itself."""
    try:
        read = read_options(options)
    except (ValueError, TypeError):
        return StreamOptions()
    return StreamOptions() if read is None else read.stream


class Begin(Protocol):
    """Opens a turn and makes it the latest of its `LLMRails`."""

    def __call__(
        self, request: Request, *, streaming: bool, generator: AsyncIterator[Any] | None = None
    ) -> Turn: ...


class Opened:
    """A stream that was asked for: the request is read when its first element is.

    Args:
        begin: opens the turn.
        generator: the caller's own source of tokens.
        raises: an error of `generator` is raised instead of told by an event.
    """

    def __init__(
        self,
        begin: Begin,
        prompt: str | None,
        messages: Messages | None,
        options: Options | None,
        state: Mapping[str, Any] | None,
        generator: AsyncIterator[Any] | None,
        *,
        raises: bool = True,
    ) -> None:
        self._begin = begin
        self._arguments = (prompt, messages, options, state)
        self._generator = generator
        self._raises = raises and generator is not None
        self._keeps_text = options is not None or state is not None
        self._answer = Answer()
        self._turn: Turn | None = None
        self._stream: ref[GuardedStream[Any, GenerationResponse]] | None = None

    def stream(self, items: AsyncGenerator[Item, None]) -> GuardedStream[Item, GenerationResponse]:
        """The stream object over rendered events of this call."""
        made: GuardedStream[Item, GenerationResponse] = GuardedStream(items, copy_context(), self.response)
        self._stream = ref(made)  # weak: a stream that nobody holds any more must end
        return made

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn; a request that makes no sense is one `Failed`."""
        try:
            request = read_request(*self._arguments, needs_messages=self._generator is None)
        except (ValueError, TypeError) as error:
            yield failed_event(error)
            return
        answer, keeps_text = self._answer, self._keeps_text
        turn = self._turn = self._begin(request, streaming=True, generator=self._generator)
        turn.when_settled = self._settle
        async with aclosing(turn.events()) as events:
            async for event in events:
                if keeps_text or type(event) is not TextDelta:
                    answer.add(event)
                    if self._raises and isinstance(event, Failed) and event.error is not None:
                        raise event.error
                yield event
        turn.conclude(answer.text)

    def _settle(self) -> None:
        stream = None if self._stream is None else self._stream()
        if stream is not None:
            stream.settle()

    def response(self) -> GenerationResponse:
        """What `generate_async` returns with options, with the log; without options or state no text is kept.

        Raises:
            RuntimeError: the stream was closed before it began.
        """
        if self._turn is None:
            raise RuntimeError("The stream never began, so it has no result.")
        return full_response(self._turn, self._answer)


async def answered(turn: Turn, handler: StreamingHandler | None = None) -> Answer:
    """The whole answer of a turn, which becomes part of its conversation.

    Raises:
        LLMCallException, RailFailedError and others: what the turn failed of.
    """
    events = in_own_context(turn.events(handler))
    answer = await (fold(events) if handler is None else pushed(events, handler))
    turn.conclude(answer.text)
    if answer.failed is not None:
        raise answer.failed.error or RuntimeError(answer.failed.message)
    return answer


async def next_events(begin: Begin, events: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The events of a turn that answers to a conversation given as events.

    Raises:
        ValueError: there is nothing to answer to.
    """
    request = read_request(messages=to_messages([dict(event) for event in events]))
    turn = begin(request, streaming=False)
    answer = await answered(turn)
    return [made for made in turn_events(turn, answer) if made["type"] != "UtteranceUserActionFinished"]


def in_own_context(events: AsyncGenerator[StreamEvent, None]) -> GuardedStream[StreamEvent, None]:
    """The same events, every step in one copy of the current context."""
    return GuardedStream(events, copy_context(), lambda: None)


async def pushed(events: GuardedStream[StreamEvent, None], handler: StreamingHandler) -> Answer:
    """Pushes the rendered answer into a handler, ends it, and returns the answer whole."""
    answer = Answer()

    async def noted() -> AsyncGenerator[StreamEvent, None]:
        async with aclosing(events):
            async for event in events:
                answer.add(event)
                yield event

    try:
        if handler.include_metadata:
            async with aclosing(dict_chunks(noted())) as chunks:
                async for chunk in chunks:
                    if "metadata" in chunk:
                        handler.current_metadata.update(chunk["metadata"])
                    else:
                        await handler.push_chunk(chunk["text"])
        else:
            async with aclosing(text_chunks(noted())) as texts:
                async for text in texts:
                    await handler.push_chunk(text)
    finally:
        # Also where the call is cancelled: whoever reads the handler must not wait for ever.
        await handler.finish()
    return answer


def run_sync(name: str, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs a call in an event loop of its own.

    Raises:
        RuntimeError: called where a loop is running.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(call())
    raise RuntimeError(
        f"You are using the sync `{name}` inside async code. You should replace with "
        f"`await {name}_async(...)` or use `nest_asyncio.apply()`."
    )


def narrator(*, verbose: bool) -> Listener | None:
    """Tells a turn on the console as it goes, where that is wanted here or by `set_verbose`."""
    if not verbose and not verbose_settings().enabled:
        return None
    return VerboseLog()
