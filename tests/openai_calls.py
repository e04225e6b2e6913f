"""The OpenAI client against a loopback server: an answer, a story, and how tests ask for them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

from loopback import Reply, ScriptedHTTPServer, delta, sse, usage_event
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient
from nemoguardrails.types import LLMResponseChunk

KEY = "unusual-key-4711"
STORY = sse(delta("Once "), delta("upon "), delta("a time."), delta(finish="stop"), usage_event(5, 3))
ANSWER = {
    "id": "chatcmpl-2",
    "model": "test-model-0613",
    "system_fingerprint": "fp",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def chat_model(server: ScriptedHTTPServer, **settings: Any) -> OpenAIChatModel:
    settings.setdefault("max_retries", 0)
    return OpenAIChatModel(
        OpenAICompatibleClient(server.url, **settings), "test-model", provider_name="openai"
    )


def json_reply(content: Any, status: int = 200, **headers: str) -> Reply:
    body = json.dumps(content).encode()
    return Reply(
        [body], status=status, headers={"content-type": "application/json", **headers}, chunked=False
    )


async def chunks_of(model: OpenAIChatModel, **options: Any) -> list[LLMResponseChunk]:
    async with aclosing(model.stream_async("Tell me a story.", **options)) as stream:
        return [chunk async for chunk in stream]
