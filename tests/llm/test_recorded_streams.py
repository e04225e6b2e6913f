"""Recorded answers of real providers, replayed byte for byte over a real connection into the real client.

The recordings lie beside the checkout (`shared/data/streams`, or below `SLUICE_SHARED`), not in it.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from loopback import Reply, bytewise, eventwise, serving, whole
from nemoguardrails.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMContextWindowError,
    LLMRateLimitError,
    masked,
)
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient, OpenAITextModel
from nemoguardrails.types import LLMResponseChunk, ToolCall, UsageInfo
from recordings import body_of, not_here, recordings

SERVED = {"openai-chat": OpenAIChatModel, "openai-completions": OpenAITextModel}
BYTEWISE_LIMIT = 3000

pytestmark = not_here


@dataclass
class Heard:
    """What a consumer of the stream got."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    fragments: dict[int, str] = field(default_factory=dict)
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    usage: UsageInfo | None = None
    error: LLMClientError | None = None

    def add(self, chunk: LLMResponseChunk) -> None:
        self.text += chunk.delta_content or ""
        self.reasoning += chunk.delta_reasoning or ""
        self.refusal += (chunk.provider_metadata or {}).get("refusal", "")
        for piece in chunk.tool_call_fragments or []:
            self.fragments[piece.index] = self.fragments.get(piece.index, "") + piece.arguments
        if chunk.delta_tool_calls:
            assert not self.tool_calls, "the complete calls come once"
            self.tool_calls = chunk.delta_tool_calls
        if chunk.finish_reason:
            self.finish_reasons.append(chunk.finish_reason)
        self.usage = chunk.usage or self.usage


async def heard(model: OpenAIChatModel) -> Heard:
    found = Heard()
    try:
        async with aclosing(model.stream_async("the recorded question")) as chunks:
            async for chunk in chunks:
                found.add(chunk)
    except LLMClientError as error:
        found.error = error
    return found


def check(found: Heard, expected: dict[str, Any]) -> None:
    assert found.text == expected["text"]
    assert found.reasoning == expected["reasoning"]
    assert found.refusal == expected["refusal"]
    wanted = [
        (call["id"], call["name"], json.loads(call["arguments"] or "{}")) for call in expected["tool_calls"]
    ]
    calls = [(call.id, call.function.name, call.function.arguments) for call in found.tool_calls]
    assert calls == wanted
    assert [json.loads(text or "{}") for text in found.fragments.values()] == [call[2] for call in wanted]
    finish = expected["finish_reason"]
    assert found.finish_reasons[-1:] == ([finish] if finish else [])
    usage = expected["usage"]
    if usage is None:
        assert found.usage is None
    else:
        assert found.usage is not None
        counts = (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens)
        assert counts == (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])
    check_errors(found.error, expected["errors"])


def check_errors(error: LLMClientError | None, wanted: list[dict[str, Any]]) -> None:
    if not wanted:
        assert error is None
        return
    assert type(error) is LLMBadRequestError
    assert error.error_message == wanted[0]["message"]
    assert (error.status_code, error.error_code) == (wanted[0]["status_code"], wanted[0]["code"])


async def replay(path: Path, packetings: Sequence[Callable[[bytes], list[bytes]]]) -> None:
    sidecar = json.loads(path.read_text())
    body = body_of(path, sidecar)
    replies = [Reply(packeting(body)) for packeting in packetings]
    async with serving(*replies) as server:
        client = OpenAICompatibleClient(server.url, max_retries=0)
        model = SERVED[sidecar["protocol"]](client, sidecar["model"] or "unknown")
        for _ in packetings:
            check(await heard(model), sidecar["expected"])
        ends_with_mark = sidecar["stream"].get("done_marker") is not False
        if ends_with_mark:
            assert server.connections == 1, "a stream that was read to its end leaves the connection usable"
        await model.aclose()


@pytest.mark.parametrize("path", recordings(*SERVED))
async def test_a_recorded_stream_is_heard_as_it_was_said(path: Path) -> None:
    await replay(path, (whole, eventwise))


@pytest.mark.parametrize("path", recordings(*SERVED, at_most_bytes=BYTEWISE_LIMIT))
async def test_a_recorded_stream_may_come_byte_by_byte(path: Path) -> None:
    await replay(path, (bytewise,))


@pytest.mark.parametrize("path", recordings("http-error"))
async def test_a_recorded_error_becomes_the_right_exception(path: Path) -> None:
    sidecar = json.loads(path.read_text())
    status = sidecar["status"]
    headers = {"content-type": sidecar["content_type"] or "text/plain"}
    body = body_of(path, sidecar)
    async with serving(Reply([body], status=status, headers=headers)) as server:
        model = OpenAIChatModel(OpenAICompatibleClient(server.url, max_retries=0), "a-model")
        streamed = (await heard(model)).error
        with pytest.raises(LLMClientError) as caught:
            await model.generate_async("the recorded question")
        await model.aclose()
    assert streamed is not None
    classes = {401: LLMAuthenticationError, 403: LLMAuthenticationError, 429: LLMRateLimitError}
    for error in (streamed, caught.value):
        assert isinstance(error, classes.get(status, LLMBadRequestError if status == 400 else LLMClientError))
        assert error.status_code == status
        assert error.error_message[:200] == masked(recorded_message(sidecar["expected"]["error"]))[:200]
    if (
        "too long" in body.decode()
        or "context" in body.decode()
        or "maximum number of tokens" in body.decode()
    ):
        assert isinstance(streamed, LLMContextWindowError)


def recorded_message(error: dict[str, Any]) -> str:
    inner = error.get("error", error)
    return inner if isinstance(inner, str) else inner.get("message") or inner["detail"]
