"""One streamed answer: read in batches, within its limits, closed at once when nobody wants more."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json

import aiohttp

from ...exceptions import LLMClientError
from ...types import LLMResponseChunk
from ..sse import ServerSentEvent, SSEReader
from .http_errors import Endpoint
from .openai_events import StreamDecoder
from .openai_wire import Mode, response_from, unreadable
from .read_watch import ReadWatch, TimeLimits
from .transport import Request, abort, connection_error, read_body, send, timeout_error

_LINGER_S = 0.05


class OpenStream:
    """A request whose answer is being read. Made by `open`; whoever holds it calls `close`.

    Many servers send the end of the HTTP body a moment after their end mark, some never do. All chunks
    are delivered first; then the body's end is awaited for a moment, so that the connection can be used
    again.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        mode: Mode,
        endpoint: Endpoint,
        limits: TimeLimits,
        spent_s: float,
    ) -> None:
        self._response = response
        self._mode = mode
        self._endpoint = endpoint
        self._limits = limits
        self._has_begun = False
        self._wait_s = limits.first_token_s - spent_s
        self._reader = SSEReader()
        self._decoder = StreamDecoder(mode, endpoint)
        self._watch = ReadWatch(limits.total_s - spent_s, self._expire)
        self._failure: LLMClientError | None = None
        self._whole: bytes | None = None
        self._is_at_start = True
        self.is_ended = False
        """The answer is complete: nothing more is to be read."""

    @classmethod
    async def open(
        cls, session: aiohttp.ClientSession, request: Request, mode: Mode, limits: TimeLimits
    ) -> OpenStream:
        """Sends the request and waits for the head of the answer.

        Raises:
            LLMClientError: the server answered with an error, too late or not at all.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        limit_s = min(limits.first_token_s, limits.total_s)
        try:
            async with asyncio.timeout(limit_s):
                response = await send(session, request)
        except TimeoutError as error:
            key = "first_token_timeout" if limit_s == limits.first_token_s else "timeout"
            raise timeout_error(f"nothing came for {limit_s:g} s (`{key}`)", request.endpoint) from error
        return cls(response, mode, request.endpoint, limits, loop.time() - begun)

    async def read(self) -> list[LLMResponseChunk]:
        """The chunks that came together, never empty before the end of the stream.

        Raises:
            LLMClientError: the stream failed; what came before it was delivered.
        """
        if self._failure is not None:
            raise self._failure
        if self.is_ended:
            await self._linger()
            return []
        chunks: list[LLMResponseChunk] = []
        try:
            while not chunks and not self.is_ended:
                await self._read_into(chunks)
        except LLMClientError as error:
            if not chunks:
                raise
            self._failure = error
        return chunks

    def close(self) -> None:
        """Ends the request. Unless the body was read to its end, the connection is cut at once."""
        self._watch.close()
        if not self._response.closed:
            abort(self._response)

    async def _read_into(self, chunks: list[LLMResponseChunk]) -> None:
        """Reads until something can be decoded, and decodes it."""
        events = await self._next_events()
        decode = self._decoder.decode
        for event in events:
            if (chunk := decode(event.data, event.name)) is not None:
                chunks.append(chunk)
            elif self._decoder.is_done:
                self._end(chunks)
                return
        if self._whole is not None:
            chunks.append(self._unstreamed(self._whole))
        elif not events:
            self._end(chunks)

    async def _next_events(self) -> list[ServerSentEvent]:
        """The next events, at least one; none at the end of the body."""
        content, feed = self._response.content, self._reader.feed
        self._watch.begin(self._wait_s)
        try:
            while True:
                data = await content.readany()
                if self._is_at_start and self._is_no_stream(data):
                    self._whole = data + await read_body(self._response, self._endpoint)
                    return []
                if not data:
                    return self._last_events()
                if events := feed(data):
                    self._wait_s, self._has_begun = self._limits.idle_s, True
                    return events
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise self._broken(error) from error
        finally:
            self._watch.end()

    def _is_no_stream(self, data: bytes) -> bool:
        """No line of an event stream begins like a JSON object or a web page."""
        start = data.lstrip()
        self._is_at_start = not start
        return start.startswith((b"{", b"<"))

    def _unstreamed(self, body: bytes) -> LLMResponseChunk:
        """The one chunk of a server that does not stream, although it was asked to."""
        try:
            whole = response_from(json.loads(body), self._mode, self._endpoint)
        except ValueError as error:
            text = body.decode(errors="replace")
            raise unreadable("The server answered neither a stream nor JSON", text, self._endpoint) from error
        self.is_ended = True
        return LLMResponseChunk(
            delta_content=whole.content or None,
            delta_reasoning=whole.reasoning,
            delta_tool_calls=whole.tool_calls,
            model=whole.model,
            finish_reason=whole.finish_reason,
            request_id=whole.request_id,
            usage=whole.usage,
            provider_metadata=whole.provider_metadata,
        )

    def _last_events(self) -> list[ServerSentEvent]:
        """What the end of the body completes, unless it was cut off in the middle of an event."""
        events = self._reader.finish()
        for event in events:
            if event.data.strip() != "[DONE]" and not _is_json(event.data):
                raise self._decoder.interrupted("The stream broke off in the middle of an event")
        return events

    async def _linger(self) -> None:
        if self._response.closed:
            return
        self._watch.begin(_LINGER_S)
        try:
            while await self._response.content.readany():
                pass
        except (aiohttp.ClientError, OSError, RuntimeError):
            abort(self._response)

    def _end(self, chunks: list[LLMResponseChunk]) -> None:
        last = self._decoder.end()
        self.is_ended = True
        if last is not None:
            chunks.append(last)

    def _expire(self) -> None:
        self._response.content.set_exception(TimeoutError())

    def _broken(self, error: BaseException) -> LLMClientError:
        if self._watch.expired:
            return timeout_error(self._which_limit(), self._endpoint)
        if not self._has_begun:
            return connection_error(error, self._endpoint)
        return self._decoder.interrupted(f"The connection broke in the middle of the stream: {error}")

    def _which_limit(self) -> str:
        if self._watch.expired == "total":
            return f"the whole answer was not there within {self._limits.total_s:g} s (`timeout`)"
        if self._has_begun:
            return f"nothing came for {self._limits.idle_s:g} s (`idle_timeout`)"
        return f"nothing came for {self._limits.first_token_s:g} s (`first_token_timeout`)"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
