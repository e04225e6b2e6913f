"""A chat completions server on the loopback interface that plays what a test gives it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Answer:
    """One answer of the server: a status, frames (streamed) or a body; `hangs` keeps the stream open."""

    frames: Sequence[Any] | None = None
    body: Any = None
    status: int = 200
    hangs: bool = False


@dataclass
class Loopback:
    """The running server: its address and what it was asked."""

    url: str
    answers: list[Answer]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    left: threading.Event = field(default_factory=threading.Event)
    """A client closed the connection of a stream that hung."""


def chunk(content: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}], **more}


def finish(reason: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], **more}


@contextmanager
def serving(answers: Iterable[Answer]) -> Iterator[Loopback]:
    """A server in a thread of its own, on a free port; its answers come one per request."""
    loop = asyncio.new_event_loop()
    server = Loopback("", list(answers))
    ready = threading.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        return await _play(request, server)

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await server.over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(server.over.set)
        thread.join()
        loop.close()


async def _play(request: web.Request, server: Loopback) -> web.StreamResponse:
    server.asked.append(await request.json())
    server.headers.append(dict(request.headers))
    answer = server.answers.pop(0)
    if answer.frames is None:
        return web.json_response(answer.body, status=answer.status)
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for frame in answer.frames:
        data = frame if isinstance(frame, str) else json.dumps(frame)
        await response.write(f"data: {data}\n\n".encode())
    if answer.hangs:
        try:
            await server.over.wait()
        except asyncio.CancelledError:
            server.left.set()
            raise
    return response
