"""The streams of each kind of provider, in small: fixtures written by hand, read by the client."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from loopback import Reply, bytewise, eventwise, serving, whole
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient
from nemoguardrails.types import LLMResponseChunk, UsageInfo

FIXTURES = Path(__file__).parent / "fixtures"
THINKING = {
    "deepseek": "Hm.",
    "groq": "Hm.",
    "mistral": "Hm.",
    "nim": "Hm.",
    "openrouter": "Hm.",
    "vllm": "Two words.",
}
USAGE = {"vllm": UsageInfo(4, 4, 8), "deepseek": UsageInfo(4, 2, 6, cached_tokens=3)}
BESIDES = {
    "azure": "prompt_filter_results",
    "groq": "x_groq",
    "llamacpp": "timings",
    "ollama": "system_fingerprint",
    "openrouter": "provider",
    "perplexity": "citations",
}


async def streamed(packets: list[bytes]) -> list[LLMResponseChunk]:
    async with serving(Reply(packets)) as server:
        model = OpenAIChatModel(OpenAICompatibleClient(server.url, max_retries=0), "m")
        async with aclosing(model.stream_async("Hello")) as stream:
            chunks = [chunk async for chunk in stream]
        await model.aclose()
    return chunks


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.sse")))
async def test_each_provider_says_good_day(name: str) -> None:
    body = (FIXTURES / f"{name}.sse").read_bytes()
    chunks = await streamed(whole(body))
    assert "".join(chunk.delta_content or "" for chunk in chunks) == "Good day"
    assert "".join(chunk.delta_reasoning or "" for chunk in chunks) == THINKING.get(name, "")
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert [chunk.usage for chunk in chunks if chunk.usage][-1] == USAGE.get(name, UsageInfo(4, 2, 6))
    assert all(chunk.delta_tool_calls is None for chunk in chunks)
    if name in BESIDES:
        assert any(BESIDES[name] in (chunk.provider_metadata or {}) for chunk in chunks)
    assert "obfuscation" not in repr(chunks)
    assert await streamed(eventwise(body)) == chunks == await streamed(bytewise(body))


def test_there_is_a_fixture_for_each_kind() -> None:
    assert len(list(FIXTURES.glob("*.sse"))) == 11
