"""Chatting with a server of the OpenAI kind instead of rails in this process."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ..exceptions import LLMClientError, masked
from ..llm.sse import SSEReader
from ..streaming.events import Failed, StreamEvent
from .bot import Message
from .chat_frames import FrameReader, events_of_answer, message_of_error

_CONNECT_S = 10.0
_SILENCE_S = 300.0
"""The longest wait for the next bytes; a guarded server sends keep-alives far more often."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What goes with every request; what is `None` is left to the server."""

    config_id: str | None = None
    model: str | None = None
    thread_id: str | None = None
    """The server keeps the conversation under this name: only the newest message is sent."""
    api_key: str | None = None


class ServerBot:
    """Asks `POST /v1/chat/completions` of a server.

    Args:
        url: the server's address, with or without `/v1` at its end.

    Raises:
        ValueError: the address is none.
    """

    exposed = sys.maxsize
    """What a server has cleared is known when its stream has ended."""

    def __init__(self, url: str, options: ServerOptions) -> None:
        self._endpoint = endpoint_of(url)
        self._options = options
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """The server, and what was chosen on it."""
        server = urlsplit(self._endpoint)
        chosen = [part for part in (self._options.config_id, self._options.model) if part]
        return f"{server.scheme}://{server.netloc.rpartition('@')[2]}" + "".join(
            f", {part}" for part in chosen
        )

    async def answer(
        self, messages: Sequence[Message], *, streaming: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        """The events of the answer; a server that cannot be reached or read is a `Failed`."""
        response = None
        try:
            response = await self._opened_session().post(
                self._endpoint, json=self._body(messages, streaming), allow_redirects=False
            )
            async with aclosing(_events(response)) as events:
                async for event in events:
                    yield event
        except (aiohttp.ClientError, LLMClientError, TimeoutError) as error:
            where = self._endpoint.rpartition("/v1/")[0]
            yield Failed(
                f"The server at {where} could not be asked: {_told(error)}", code="connection_failed"
            )
        finally:
            if response is not None:
                response.close()

    def require_streaming(self) -> None:
        """A server says so itself when it cannot stream."""

    def explain(self, *, in_full: bool) -> str:
        """Says that a server does not tell."""
        return "The server does not tell which models it called."

    def reload(self) -> str:
        """Says that a server loads its own configuration."""
        return "The configuration lies on the server; reload it there."

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
            key = self._options.api_key
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            self._session = aiohttp.ClientSession(timeout=timeout, headers=headers)
        return self._session

    def _body(self, messages: Sequence[Message], streaming: bool) -> dict[str, Any]:
        options = self._options
        sent = messages[-1:] if options.thread_id else messages
        body: dict[str, Any] = {"messages": [dict(message) for message in sent], "stream": streaming}
        if options.model:
            body["model"] = options.model
        chosen = {"config_id": options.config_id, "thread_id": options.thread_id}
        guardrails = {key: value for key, value in chosen.items() if value}
        return {**body, "guardrails": guardrails} if guardrails else body


def endpoint_of(url: str) -> str:
    """The address of chat completions on a server.

    Raises:
        ValueError: this is no address of a server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"--server-url must look like http://localhost:8000, not {url!r}")
    base = url.rstrip("/")
    return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[StreamEvent, None]:
    if response.content_type == "text/event-stream" and response.status < 300:
        async with aclosing(_streamed(response)) as events:
            async for event in events:
                yield event
        return
    raw = await response.read()
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if response.status >= 300 or not isinstance(body, dict):
        said = message_of_error(body) or "it answered something that is not a chat completion"
        yield Failed(masked(f"The server answered {response.status}: {said}"), code=response.status)
        return
    for event in events_of_answer(body):
        yield event


async def _streamed(response: aiohttp.ClientResponse) -> AsyncGenerator[StreamEvent, None]:
    reader, frames = SSEReader(), FrameReader()
    async for data in response.content.iter_any():
        for sent in reader.feed(data):
            for event in frames.read(sent.data):
                yield event
            if frames.ended:
                return
    for sent in reader.finish():
        for event in frames.read(sent.data):
            yield event
    if not frames.ended:
        yield Failed("The server's stream broke off before its end.", code="stream_interrupted")


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return masked(str(error)) or type(error).__name__
