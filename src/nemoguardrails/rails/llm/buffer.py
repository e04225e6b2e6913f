"""The public home of window arithmetic over a stream of tokens."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ...config.rails import OutputRailsStreamingConfig


class ChunkBatch(NamedTuple):
    """One window: what a rail should see, and those of its tokens that are new."""

    processing_context: list[str]
    user_output_chunks: list[str]


class BufferStrategy(ABC):
    """A way to cut a stream of tokens into windows, for users who bring their own."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: OutputRailsStreamingConfig) -> BufferStrategy:
        """The strategy for the settings under `rails.output.streaming`."""

    @abstractmethod
    def process_stream(
        self, streaming_handler: AsyncIterator[str | dict[str, Any]]
    ) -> AsyncGenerator[ChunkBatch, None]:
        """Yields the windows of a stream; dicts stand for their `text`."""

    @abstractmethod
    def format_chunks(self, chunks: Sequence[str]) -> str:
        """Tokens as one text."""

    def __call__(
        self, streaming_handler: AsyncIterator[str | dict[str, Any]]
    ) -> AsyncGenerator[ChunkBatch, None]:
        """The same as `process_stream`."""
        return self.process_stream(streaming_handler)


class RollingBuffer(BufferStrategy):
    """Windows of `buffer_chunk_size` tokens, each sharing `buffer_context_size` with the one before.

    The first window is full after `buffer_chunk_size` tokens, each later one after as many as are
    not shared; with a context as large as the window that is every token, and windows then grow to
    the sum of both sizes. A chunk size of 0 counts as 1. After the last token comes the rest with
    its context, even if there is no rest.

    Attributes:
        total_yielded: how many tokens of the current stream were handed out as new.

    Raises:
        ValueError: a size is negative.
    """

    def __init__(self, buffer_context_size: int = 5, buffer_chunk_size: int = 10) -> None:
        if buffer_context_size < 0:
            raise ValueError("buffer_context_size must be non-negative")
        if buffer_chunk_size < 0:
            raise ValueError("buffer_chunk_size must be non-negative")
        self.buffer_context_size = buffer_context_size
        self.buffer_chunk_size = buffer_chunk_size
        self.total_yielded = 0

    @classmethod
    def from_config(cls, config: OutputRailsStreamingConfig) -> RollingBuffer:
        """The buffer for the settings under `rails.output.streaming`."""
        return cls(buffer_context_size=config.context_size, buffer_chunk_size=config.chunk_size)

    async def process_stream(
        self, streaming_handler: AsyncIterator[str | dict[str, Any]]
    ) -> AsyncGenerator[ChunkBatch, None]:
        """Yields the windows of a stream; dicts stand for their `text`. Closes the stream it reads."""
        chunk, context = max(1, self.buffer_chunk_size), self.buffer_context_size
        span = chunk if context < chunk else chunk + context
        seen: list[str] = []
        new: list[str] = []
        needed = chunk
        self.total_yielded = 0
        async with AsyncExitStack() as stack:
            if isinstance(streaming_handler, AsyncGenerator):
                await stack.enter_async_context(aclosing(streaming_handler))
            async for element in streaming_handler:
                new.append(_text(element))
                if len(new) == needed:
                    seen = (seen + new)[-span:]
                    self.total_yielded += len(new)
                    yield ChunkBatch(seen, new)
                    new, needed = [], max(1, chunk - context)
        carried = seen[-context:] if context else []
        if carried or new:
            self.total_yielded += len(new)
            yield ChunkBatch(carried + new, new)

    def format_chunks(self, chunks: Sequence[str]) -> str:
        """The tokens joined by nothing."""
        return "".join(chunks)


def get_buffer_strategy(config: OutputRailsStreamingConfig) -> BufferStrategy:
    """The strategy for the settings under `rails.output.streaming`: a `RollingBuffer`."""
    return RollingBuffer.from_config(config)


def _text(element: str | Mapping[str, Any]) -> str:
    return element if isinstance(element, str) else str(element.get("text") or "")
