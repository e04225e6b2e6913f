"""Long streams need no memory, and streams that are left cost the model's server nothing more."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from loopback import Reply, ScriptedHTTPServer, delta, eventwise, serving, sse
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.scan import PatternCheck

MASKING = """
models: {models}
rails:
  output:
    flows: [mask sensitive data on output, {more}]
    streaming: {{enabled: true, chunk_size: 20, context_size: 5, stream_first: false}}
  config:
    sensitive_data_detection: {{output: {{entities: [EMAIL_ADDRESS, PHONE_NUMBER, CREDIT_CARD, IP_ADDRESS]}}}}
"""
JUDGE = """
define subflow no swordfish
  if "swordfish" in $bot_message
    bot refuse to respond
    stop
"""
PLAIN = "The clerk will tell you which room is free , so take your time and read what is on the wall . "
MAIL = "If the room is shut , write to desk.{n}@example.org and someone will open it before ten . "
PROSE = (PLAIN * 5 + MAIL).split(" ")
MESSAGES = [{"role": "user", "content": "hi"}]


async def prose(tokens: int) -> AsyncIterator[str]:
    for number in range(tokens):
        word = PROSE[number % len(PROSE)].replace("{n}", str(number % 900))
        yield word + " "


def config(url: str = "") -> RailsConfig:
    model = f'[{{type: main, engine: openai, model: m, parameters: {{base_url: "{url}", api_key: k}}}}]'
    return RailsConfig.from_content(JUDGE, MASKING.format(models=model if url else "[]", more="no swordfish"))


async def peak_of(app: LLMRails, tokens: int) -> tuple[int, int]:
    """The most memory in use during a stream, in bytes above its beginning, and the characters emitted."""
    gc.collect()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    emitted = 0
    async for text in app.stream_async(messages=MESSAGES, generator=prose(tokens)):
        assert not isinstance(text, StreamError)
        emitted += len(text)
    return tracemalloc.get_traced_memory()[1] - before, emitted


@pytest.mark.timeout(180)
async def test_a_hundred_thousand_tokens_need_the_memory_of_a_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = LLMRails(config())
    checks: list[PatternCheck] = []
    finish = PatternCheck.finish
    monkeypatch.setattr(PatternCheck, "finish", lambda self: (checks.append(self), finish(self))[1])
    tracemalloc.start()
    try:
        await peak_of(app, 1_000)
        small, _ = await peak_of(app, 1_000)
        large, emitted = await peak_of(app, 100_000)
    finally:
        tracemalloc.stop()
    assert large <= small * 1.5 + 64_000
    assert sum(check.scanned for check in checks[2:]) <= 1.2 * emitted


def endless(held: asyncio.Event) -> Reply:
    """Forty tokens at once, then a model that goes on thinking."""
    tokens = [delta(f"word{number} ") for number in range(40)]
    body = eventwise(sse(*tokens, done=False))
    return Reply(body, headers={"Content-Type": "text/event-stream"}, gates={len(body): held}, ending="hold")


async def left_after(server: ScriptedHTTPServer, app: LLMRails, words: int) -> float:
    """Seconds from leaving a stream to the server's noticing."""
    stream = app.stream_async(messages=MESSAGES)
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == words:
            break
    connections = len(server.closed_at)
    left = time.monotonic()
    await stream.aclose()
    return await server.client_left(connections + 1) - left


async def test_the_model_sees_at_once_that_the_consumer_left() -> None:
    async with serving(endless(asyncio.Event())) as server:
        app = LLMRails(config(server.url))
        delays = [await left_after(server, app, 10) for _ in range(5)]
        assert [task for task in asyncio.all_tasks() if "gate" in repr(task.get_coro())] == []
        await app.aclose()
    # The best of five: the machine may be busy with something else.
    assert min(delays) < 0.05


async def test_the_model_sees_at_once_that_a_rail_blocked() -> None:
    words = [delta(f"word{number} ") for number in range(25)]
    body = eventwise(sse(*words, delta("swordfish "), *words, done=False))
    reply = Reply(body, headers={"Content-Type": "text/event-stream"}, gates={len(body): asyncio.Event()})
    async with serving(reply) as server:
        app = LLMRails(config(server.url))
        delays = []
        for count in range(1, 6):
            elements = [text async for text in app.stream_async(messages=MESSAGES)]
            ended = time.monotonic()
            assert isinstance(elements[-1], StreamError)
            assert "swordfish" not in "".join(elements[:-1])
            delays.append(await server.client_left(count) - ended)
        await app.aclose()
    assert min(delays) < 0.05
