"""`StreamingHandler`: pushes on one side, an async iterator on the other; the older way to stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Any, Final, TypeAlias
from uuid import uuid4

from ..context import streaming_handler_var


class EndOfStream:
    """The type of `END_OF_STREAM`."""

    def __repr__(self) -> str:
        return "END_OF_STREAM"


END_OF_STREAM: Final = EndOfStream()
"""Marks the end of a stream; compared by identity."""

Element: TypeAlias = "str | dict[str, Any] | EndOfStream | None"


class StreamingHandler(AsyncIterator[Element]):
    """Takes text by `push_chunk` and yields it to `async for`; also a LangChain callback.

    On the way a prefix and a suffix may be cut off, and the text ends before the first stop
    string. What could still become a suffix or stop string is held back. The cost of a chunk does
    not depend on the length of the stream.

    Args:
        enable_print: print each text in green as it goes out.
        enable_buffer: begin with buffering on.
        include_metadata: elements are dicts with `text` and, where there is any, `metadata`; the
            last has an empty text.
        include_generation_metadata: deprecated; replaces `include_metadata`.

    Attributes:
        completion: the text that went out.
        buffer: the text kept back by buffering.
        current_chunk: the text held back for prefix, suffix or stop strings.
        queue: the elements not yet read; the end is `END_OF_STREAM`, with metadata a dict with it
            as text. Without bound, since a handler that nobody reads must not stop its producer.
    """

    # What LangChain's callback manager reads.
    run_inline = False
    raise_error = False
    ignore_llm = False
    ignore_chat_model = False
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(
        self,
        enable_print: bool = False,
        enable_buffer: bool = False,
        include_metadata: bool | None = False,
        include_generation_metadata: bool | None = None,
    ) -> None:
        if include_generation_metadata is not None:
            warnings.warn(
                "`include_generation_metadata` is deprecated and goes away in 0.22.0; use `include_metadata`",
                DeprecationWarning,
                stacklevel=2,
            )
            include_metadata = include_generation_metadata
        self.uid = str(uuid4())
        self.queue: asyncio.Queue[Element] = asyncio.Queue()
        self.streaming_finished_event = asyncio.Event()
        self.top_k_nonempty_lines_event = asyncio.Event()
        self.enable_print = enable_print
        self.enable_buffer = enable_buffer
        self.include_metadata = bool(include_metadata)
        self.current_metadata: dict[str, Any] = {}
        self.pipe_to: StreamingHandler | None = None
        self.k = 0
        self._prefix: str | None = None
        self._suffix: str | None = None
        self._stop: list[str] = []
        self._leads: tuple[str, ...] = ()
        """Every beginning of the suffix and of a stop string: what a held text may end with."""
        self._longest_lead = 0
        self._held: list[str] = []
        self._held_start = ""
        """As much of the held text as it takes to compare it with the prefix."""
        self._held_end = ""
        self._emitted: list[str] = []
        self._emitted_end = ""
        self._buffer = _LineBuffer()
        self._top_k_waiters = 0
        self._end_waits = False

    @property
    def prefix(self) -> str | None:
        """What is cut off before the text; nothing goes out before it came. `None` once it came."""
        return self._prefix

    @prefix.setter
    def prefix(self, prefix: str | None) -> None:
        self._prefix = prefix or None
        self._held_start = self.current_chunk

    @property
    def suffix(self) -> str | None:
        """What is cut off after the text."""
        return self._suffix

    @suffix.setter
    def suffix(self, suffix: str | None) -> None:
        self._suffix = suffix or None
        self._note_leads()

    @property
    def stop(self) -> list[str]:
        """The strings before which the text ends."""
        return self._stop

    @stop.setter
    def stop(self, stop: Iterable[str] | None) -> None:
        self._stop = [text for text in stop or () if text]
        self._note_leads()

    @property
    def completion(self) -> str:
        """The text that went out."""
        if len(self._emitted) > 1:
            self._emitted = ["".join(self._emitted)]
        return self._emitted[0] if self._emitted else ""

    @property
    def buffer(self) -> str:
        """The text kept back by buffering."""
        return self._buffer.text

    @property
    def current_chunk(self) -> str:
        """The text held back for prefix, suffix or stop strings."""
        return "".join(self._held)

    def set_pattern(self, prefix: str | None = None, suffix: str | None = None) -> None:
        """Sets what is cut off before and after the text; what is not given is cleared."""
        self.prefix, self.suffix = prefix, suffix

    def set_pipe_to(self, another_handler: StreamingHandler | None) -> None:
        """Hands everything to another handler instead of the own queue."""
        self.pipe_to = another_handler

    async def push_chunk(
        self, chunk: str | EndOfStream | None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Takes the next text; `None` or `END_OF_STREAM` ends the stream. Ignored after the end.

        Raises:
            TypeError: something else was pushed.
        """
        if chunk is None:
            chunk = END_OF_STREAM
        if not isinstance(chunk, (str, EndOfStream)):
            raise TypeError(f"StreamingHandler.push_chunk() expects str, got {type(chunk).__name__}")
        if self.streaming_finished_event.is_set() or self._end_waits:
            return
        if metadata and (self.include_metadata or self.pipe_to is not None):
            self.current_metadata.update(metadata)
        if isinstance(chunk, EndOfStream):
            await self._take_end()
        elif self._prefix is not None:
            await self._await_prefix(chunk)
        elif self._leads or self._held:
            await self._await_pattern(chunk)
        else:
            await self._output(chunk)

    async def finish(self) -> None:
        """Lets held text out and ends the stream, even if it has ended before."""
        await self._release_held()
        await self._release_buffer()
        if self.enable_print:
            print(flush=True)
        self.set_pattern()
        await self._emit_end()

    async def wait(self) -> str:
        """The whole text, after the end."""
        await self.streaming_finished_event.wait()
        return self.completion

    async def wait_top_k_nonempty_lines(self, k: int) -> str:
        """The first `k` lines of the buffer that are neither empty nor comments, joined by newlines.

        Waits until they are complete, or the stream ends; they are taken out of the buffer together
        with what stands before and between them.
        """
        self.k = k
        self._top_k_waiters += 1
        try:
            if self._buffer.count <= k and not self._end_waits and not self.streaming_finished_event.is_set():
                self.top_k_nonempty_lines_event.clear()
                await self.top_k_nonempty_lines_event.wait()
        finally:
            self._top_k_waiters -= 1
        first, rest = self._buffer.first_lines(k)
        self._buffer = _LineBuffer(rest)
        return first

    async def enable_buffering(self) -> None:
        """Keeps everything back from now on."""
        self.enable_buffer = True
        self._buffer = _LineBuffer()

    async def disable_buffering(self) -> None:
        """Pushes what was kept back, as one chunk, and lets everything out from now on."""
        self.enable_buffer = False
        text, self._buffer = self._buffer.text, _LineBuffer()
        ended, self._end_waits = self._end_waits, False
        if text:
            await self.push_chunk(text)
        if ended:
            await self.push_chunk(END_OF_STREAM)

    def __aiter__(self) -> AsyncIterator[Element]:
        return self._elements()

    async def __anext__(self) -> Element:
        """The next element; unlike `async for` it does not deliver the final metadata."""
        element = await self._next()
        if element is END_OF_STREAM or (isinstance(element, dict) and element.get("text") is END_OF_STREAM):
            raise StopAsyncIteration
        return element

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """LangChain: a chat model was called."""

    async def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        """LangChain: a model was called."""

    async def on_llm_new_token(self, token: str, *, chunk: Any = None, **kwargs: Any) -> None:
        """LangChain: pushes a token, with the metadata of its chunk."""
        await self.push_chunk(token, metadata=_chunk_metadata(chunk))

    async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """LangChain: lets held text out; ends the stream unless a running generation owns it."""
        if streaming_handler_var.get() is self:
            await self._release_held()
        else:
            await self.push_chunk(END_OF_STREAM)

    async def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """LangChain: the model failed; whoever called it is told by the exception."""

    def _note_leads(self) -> None:
        patterns = [*self._stop, *([self._suffix] if self._suffix else ())]
        self._leads = tuple({text[:size] for text in patterns for size in range(1, len(text) + 1)})
        self._longest_lead = max(map(len, self._leads), default=0)

    async def _await_prefix(self, chunk: str) -> None:
        """Collects text until it begins with the prefix."""
        prefix = self._prefix or ""
        self._held.append(chunk)
        if len(self._held_start) >= len(prefix):
            return  # It begins otherwise; only the end will let it out.
        self._held_start += chunk
        if not self._held_start.startswith(prefix):
            return
        rest = self._held_start.removeprefix(prefix)
        self._prefix = None
        self._forget_held()
        if rest:
            await (self._await_pattern(rest) if self._leads else self._output(rest))

    async def _await_pattern(self, chunk: str) -> None:
        """Holds text back while its end may be the beginning of a suffix or stop string."""
        if not chunk:
            return
        self._held.append(chunk)
        self._held_end = (self._held_end + chunk)[-self._longest_lead :]
        if not self._held_end.endswith(self._leads):
            text = "".join(self._held)
            self._forget_held()
            await self._output(text)

    async def _take_end(self) -> None:
        await self._release_held()
        if self.streaming_finished_event.is_set():
            return  # The held text had a stop string in it.
        if self.enable_buffer and self._top_k_waiters:
            self._end_waits = True  # Whoever waits for lines decides what becomes of the rest.
            self.top_k_nonempty_lines_event.set()
            return
        await self._release_buffer()
        if not self.streaming_finished_event.is_set():
            await self._emit_end()

    async def _release_held(self) -> None:
        text = "".join(self._held)
        self._forget_held()
        text = text.removesuffix(self._suffix or "")
        if text:
            await self._output(text)

    async def _release_buffer(self) -> None:
        self.enable_buffer = self._end_waits = False
        text, self._buffer = self._buffer.text, _LineBuffer()
        if text:
            await self._output(text)

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_start = self._held_end = ""

    async def _output(self, text: str) -> None:
        """What passed prefix and suffix goes out, or into the buffer."""
        if self.enable_buffer:
            self._buffer.add(text)
            if 0 < self.k < self._buffer.count:
                self.top_k_nonempty_lines_event.set()
            return
        before_stop = self._cut_at_stop(text) if self._stop else None
        if before_stop is None:
            await self._emit(text)
            return
        if before_stop:
            await self._emit(before_stop)
        await self._emit_end()

    def _cut_at_stop(self, text: str) -> str | None:
        """The part of the new text before a stop string, or `None` where there is none."""
        recent = self._emitted_end
        longest = max(map(len, self._stop))
        joined = recent + text
        for stop in self._stop:
            found = joined.find(stop)
            if found >= 0:
                return text[: max(0, found - len(recent))]
        self._emitted_end = joined[len(joined) - longest + 1 :] if len(joined) >= longest else joined
        return None

    async def _emit(self, text: str) -> None:
        self._emitted.append(text)
        if self.enable_print:
            print(f"\033[92m{text}\033[0m", end="", flush=True)
        if self.pipe_to is not None:
            await self.pipe_to.push_chunk(text, metadata=self.current_metadata)
        elif not self.include_metadata:
            self.queue.put_nowait(text)
        elif not self.current_metadata:
            self.queue.put_nowait({"text": text})
        else:
            self.queue.put_nowait({"text": text, "metadata": dict(self.current_metadata)})
            self.current_metadata.pop("usage", None)

    async def _emit_end(self) -> None:
        self.streaming_finished_event.set()
        self.top_k_nonempty_lines_event.set()
        if self.pipe_to is not None:
            await self.pipe_to.push_chunk(END_OF_STREAM, metadata=self.current_metadata)
        elif self.include_metadata:
            known = {"response_metadata": None, "usage_metadata": None, **self.current_metadata}
            self.queue.put_nowait({"text": END_OF_STREAM, "metadata": known})
        else:
            self.queue.put_nowait(END_OF_STREAM)

    async def _elements(self) -> AsyncGenerator[Element, None]:
        while (element := await self._next()) is not END_OF_STREAM:
            if isinstance(element, dict) and element.get("text") is END_OF_STREAM:
                yield {**element, "text": ""}
                return
            yield element

    async def _next(self) -> Element:
        try:
            return await self.queue.get()
        except RuntimeError as error:
            if "Event loop is closed" in str(error):
                return None
            raise


class _LineBuffer:
    """A text that counts its lines, those that are neither empty nor comments, as it grows."""

    def __init__(self, text: str = "") -> None:
        self.count = 0
        """Such lines, the one begun included."""
        self._pieces: list[str] = []
        self._line_counts: bool | None = None
        """Whether the last line counts; `None` while it is blank."""
        self.add(text)

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def add(self, text: str) -> None:
        self._pieces.append(text)
        first, *others = text.split("\n")
        self._read(first)
        for line in others:
            self._line_counts = None
            self._read(line)

    def first_lines(self, k: int) -> tuple[str, str]:
        """The first `k` counted lines, and the text after them."""
        lines = self.text.split("\n")
        counted = [n for n, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")][:k]
        rest = "\n".join(lines[counted[-1] + 1 :]) if counted else self.text
        return "\n".join(lines[n] for n in counted), rest

    def _read(self, part: str) -> None:
        visible = part.lstrip()
        if self._line_counts is None and visible:
            self._line_counts = not visible.startswith("#")
            self.count += self._line_counts


def _chunk_metadata(chunk: Any) -> dict[str, Any] | None:
    """The metadata that a LangChain chunk carries."""
    message = getattr(chunk, "message", chunk)
    names = ("response_metadata", "usage_metadata")
    found = {name: getattr(message, name, None) for name in names}
    return {name: dict(value) for name, value in found.items() if value} or None
