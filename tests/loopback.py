"""A raw HTTP/1.1 server on the loopback interface: plays bytes in given packets, watches its clients.

It is used where a test needs the real thing: real sockets, real chunked transfer, packet borders wherever the
test puts them, connections that break, and the moment at which a client closed its connection.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class SeenRequest:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """Number of the connection it came on, from 1."""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What the server answers to one request.

    Args:
        packets: the body, one write for each, with a turn of the loop between two.
        gates: index of a packet -> event that is awaited before it is sent (`len(packets)`: before the end).
        chunked: chunked transfer; else `content-length`.
        ending: `complete`; `cut` breaks the connection off; `hold` leaves it open until the client goes.
    """

    packets: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[int, asyncio.Event] = field(default_factory=dict)
    chunked: bool = True
    ending: str = "complete"


class ScriptedHTTPServer:
    """Answers each request with the next of its replies; the last one is used again and again.

    Attributes:
        requests: what arrived, in order.
        connections: how many connections were opened.
        closed_at: `time.monotonic()` of each closing of a connection by its client, in order.
        sent_packets: how many packets of bodies were written.
    """

    def __init__(self, *replies: Reply, choose: Callable[[SeenRequest], Reply] | None = None) -> None:
        self._replies = list(replies)
        self._choose = choose
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.closed_at: list[float] = []
        self.sent_packets = 0
        self._closing = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def stop(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def client_left(self, count: int = 1) -> float:
        """When the `count`-th connection was closed by its client; waits for it."""
        async with self._closing:
            await self._closing.wait_for(lambda: len(self.closed_at) >= count)
        return self.closed_at[count - 1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            rest = b""
            while (request := await _read_request(reader, number, rest)) is not None:
                self.requests.append(request)
                rest = await self._answer(self._reply_to(request), reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            async with self._closing:
                self.closed_at.append(time.monotonic())
                self._closing.notify_all()

    def _reply_to(self, request: SeenRequest) -> Reply:
        if self._choose is not None:
            return self._choose(request)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    async def _answer(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Sends a reply; returns what the client has begun to say next."""
        headers = {"content-type": "text/event-stream", **reply.headers}
        if reply.chunked:
            headers["transfer-encoding"] = "chunked"
        else:
            headers["content-length"] = str(sum(map(len, reply.packets)))
        lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        gone = asyncio.ensure_future(reader.read(1))  # the client says nothing more, unless it leaves
        try:
            for index, packet in enumerate([*reply.packets, b""]):
                if index in reply.gates and not await _unless(gone, reply.gates[index].wait()):
                    raise ConnectionError("the client left")
                if packet:
                    writer.write(b"%x\r\n%b\r\n" % (len(packet), packet) if reply.chunked else packet)
                    self.sent_packets += 1
                    await asyncio.sleep(0)
                if _left(gone):
                    raise ConnectionError("the client left")
            await self._end(reply, gone, writer)
        finally:
            gone.cancel()
            await asyncio.wait((gone,))
        return b"" if gone.cancelled() else gone.result()

    async def _end(self, reply: Reply, gone: asyncio.Future[bytes], writer: asyncio.StreamWriter) -> None:
        if reply.ending == "hold":
            await gone
            raise ConnectionError("the client left")
        if reply.ending == "cut":
            await writer.drain()
            raise ConnectionError("cut on purpose")
        if reply.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def serving(
    *replies: Reply, choose: Callable[[SeenRequest], Reply] | None = None
) -> AsyncIterator[ScriptedHTTPServer]:
    """A running server, stopped at the end."""
    server = ScriptedHTTPServer(*replies, choose=choose)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def whole(body: bytes) -> list[bytes]:
    """All at once."""
    return [body]


def bytewise(body: bytes) -> list[bytes]:
    """One byte at a time."""
    return [body[index : index + 1] for index in range(len(body))]


def eventwise(body: bytes) -> list[bytes]:
    """A packet for each server-sent event, as providers write them."""
    parts = body.split(b"\n\n")
    return [part for part in [*(part + b"\n\n" for part in parts[:-1]), parts[-1]] if part]


def sse(*events: Any, done: bool = True) -> bytes:
    """The body of an event stream: dicts become JSON, texts and bytes are taken as they are."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {line}\n\n" for line in [*lines, *(["[DONE]"] if done else [])]).encode()


def delta(
    text: str | None = None, *, finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    """One event of a streamed chat completion."""
    inner = {**({} if text is None else {"content": text}), **more}
    choice = {"index": index, "delta": inner, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "test-model", "choices": [choice]}


def usage_event(prompt: int, completion: int) -> dict[str, Any]:
    """The last event of a stream that was asked for its token counts."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "chatcmpl-1", "model": "test-model", "choices": [], "usage": counts}


async def _read_request(reader: asyncio.StreamReader, connection: int, begun: bytes) -> SeenRequest | None:
    try:
        head = (begun + await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return SeenRequest(method, path, headers, body, connection)


async def _unless(gone: asyncio.Future[bytes], wait: Any) -> bool:
    """Waits; says whether the client is still there."""
    waiting = asyncio.ensure_future(wait)
    try:
        await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return not _left(gone)


def _left(gone: asyncio.Future[bytes]) -> bool:
    return gone.done() and (gone.exception() is not None or not gone.result())
