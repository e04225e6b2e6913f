"""`AsyncTextIteratorStreamer`: text of a generating thread as an asynchronous iterator."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from .event_loop import is_in_loop

if TYPE_CHECKING:
    from .plain_streamer import PlainTextStreamer as TextStreamer
else:
    try:
        from transformers import TextStreamer
    except ImportError:
        from .plain_streamer import PlainTextStreamer as TextStreamer


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the iteration: of itself, or by the failure of the generation."""

    error: BaseException | None = None


class AsyncTextIteratorStreamer(TextStreamer):
    """The text of a generation, piece by piece, as an asynchronous iterator.

    The generating thread hands pieces over with `on_finalized_text`; what comes before anybody iterates
    is kept. The iteration ends once per generation, and raises if the generation failed. A new
    `async for` waits for the next generation. One streamer serves one generation at a time.

    Args:
        tokenizer: decodes the tokens.
        skip_prompt: leaves the prompt out of the text.
        decode_kwargs: go to the tokenizer's `decode`. Special tokens are left out unless
            `skip_special_tokens` says otherwise.

    Attributes:
        loop: where the iteration runs; taken when it starts.
        text_queue: the pieces on their way.
        stop_signal: code that writes into `text_queue` itself can end the iteration with this object.
        max_waiting: how many pieces may wait for the reader before the generating thread waits for it;
            `None`: any number.
    """

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        made._made_with = (args, kwargs)
        return made

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        if hasattr(tokenizer, "all_special_ids"):
            decode_kwargs.setdefault("skip_special_tokens", True)
        super().__init__(tokenizer, skip_prompt=skip_prompt, **decode_kwargs)
        self.text_queue: asyncio.Queue[Any] = asyncio.Queue()
        self.stop_signal: Any = None
        self.max_waiting: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue_loop: asyncio.AbstractEventLoop | None = None
        self._changed = threading.Condition()
        self._early: list[str | _End] = []
        self._waiting = 0
        self._end_given = False
        self._is_abandoned = False
        self._has_ended = False

    def again(self) -> Self:
        """A new streamer of the same class, made with the same arguments."""
        args, kwargs = self._made_with
        return type(self)(*args, **kwargs)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that pieces are handed to; setting it hands over what was kept."""
        return self._loop

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        with self._changed:
            self._loop = loop
            kept, self._early = self._early, []
            for item in kept:
                self._post(item)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Takes a piece, from any thread; may wait for the reader, as `max_waiting` says.

        Args:
            stream_end: it is the last one.
        """
        if text:
            self._wait_for_room()
        with self._changed:
            if text and not self._is_abandoned:
                self._end_given = False
                self._post(text)
            if stream_end:
                self._give_end(_End())

    def close(self, error: BaseException | None = None) -> None:
        """Ends the iteration if the generation didn't; an error is raised where it ends."""
        with self._changed:
            self._give_end(_End(error))

    def abandon(self) -> None:
        """Nobody reads any more: the iteration ends, and later pieces are dropped without waiting."""
        with self._changed:
            self._is_abandoned = True
            self._give_end(_End())
            self._changed.notify_all()

    def hurry(self) -> None:
        """The generating thread needn't wait for the reader any more."""
        with self._changed:
            self.max_waiting = None
            self._changed.notify_all()

    def __aiter__(self) -> Self:
        self._bind()
        self._has_ended = False
        return self

    async def __anext__(self) -> str:
        if self._has_ended:
            raise StopAsyncIteration
        self._bind()
        item = await self.text_queue.get()
        with self._changed:
            self._waiting = max(0, self._waiting - 1)
            self._changed.notify_all()
        if isinstance(item, _End) or item is self.stop_signal:
            self._has_ended, self._end_given = True, False
            if isinstance(item, _End) and item.error is not None:
                raise item.error
            raise StopAsyncIteration
        return str(item)

    def _bind(self) -> None:
        running = asyncio.get_running_loop()
        if self._queue_loop not in (None, running):
            # A queue belongs to the loop where it was waited for.
            old, self.text_queue = self.text_queue, asyncio.Queue()
            while not old.empty():
                self.text_queue.put_nowait(old.get_nowait())
        self._queue_loop = running
        if self._loop is not running:
            self.loop = running

    def _give_end(self, end: _End) -> None:
        if not self._end_given:
            self._end_given = True
            self._post(end)

    def _post(self, item: str | _End) -> None:
        """Hands an item to the loop; without one it is kept. Called with the lock held."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._arrived, item)
            except RuntimeError:
                # The loop is closed: the next one gets it.
                self._loop = None
            else:
                self._waiting += 1
                return
        self._early.append(item)

    def _arrived(self, item: str | _End) -> None:
        self.text_queue.put_nowait(item)

    def _wait_for_room(self) -> None:
        if self.max_waiting is None or is_in_loop():
            return
        with self._changed:
            while not self._is_abandoned and self.max_waiting is not None:
                if self._waiting + len(self._early) < self.max_waiting:
                    return
                self._changed.wait()
