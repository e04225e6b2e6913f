"""Recorded provider streams through masking and judging output rails: exactly the edits of the whole text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loopback import Reply, bytewise, eventwise, serving, whole
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.library.sensitive_data_detection.actions import mask_sensitive_data
from nemoguardrails.llm.providers.openai import OpenAIChatModel, OpenAICompatibleClient, OpenAITextModel
from nemoguardrails.rails.answer import Answer
from nemoguardrails.streaming.events import Failed
from recordings import STREAMS, body_of, not_here, recordings

pytestmark = not_here

ENTITIES = [
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "US_SSN",
    "URL",
    "DATE_TIME",
]
YAML = """
passthrough: true
models: []
rails:
  output:
    flows: [mask sensitive data on output, regex check output, no code word]
    streaming: {{enabled: true, chunk_size: 8, context_size: 3, stream_first: {first}}}
  config:
    sensitive_data_detection: {{output: {{entities: {entities}}}}}
    regex_detection: {{output: {{patterns: ["zanzibar-[0-9]+"]}}}}
"""
COLANG = """
define subflow no code word
  if "xyzzy plugh" in $bot_message
    bot refuse to respond
    stop
"""
MESSAGES = [{"role": "user", "content": "the recorded question"}]


@cache
def config(*, first: bool = False) -> RailsConfig:
    """The same for all recordings: its patterns are compiled once."""
    return RailsConfig.from_content(
        COLANG, YAML.format(first=json.dumps(first), entities=json.dumps(ENTITIES))
    )


def app_for(url: str, protocol: str = "openai-chat", *, first: bool = False) -> LLMRails:
    """The guarded client of a server."""
    model = OpenAITextModel if protocol == "openai-completions" else OpenAIChatModel
    client = OpenAICompatibleClient(url, api_key="test", max_retries=0)
    return LLMRails(config(first=first), llm=model(client, "recorded"))


async def guarded(
    path: Path, packetings: Sequence[Callable[[bytes], list[bytes]]], *, first: bool
) -> list[Answer]:
    """What comes out for each way of cutting the recorded bytes into packets."""
    sidecar = json.loads(path.read_text())
    body = body_of(path, sidecar)
    answers = []
    async with serving(*(Reply(packeting(body)) for packeting in packetings)) as server:
        app = app_for(server.url, sidecar["protocol"], first=first)
        for _ in packetings:
            answer = Answer()
            async for event in app.stream_events_async(messages=MESSAGES):
                answer.add(event)
            answers.append(answer)
        await app.aclose()
    return answers


def check(answer: Answer, expected: dict[str, Any]) -> None:
    masked = str(mask_sensitive_data("output", expected["text"], config()))
    if expected["errors"]:
        # What was decided when the error came is there; what could still have become a match may be.
        assert masked.startswith(answer.text)
        assert answer.failed is not None
        assert answer.failed.message == expected["errors"][0]["message"]
        assert answer.finished is None
        return
    assert answer.failed is None
    assert answer.text == masked
    assert "".join(answer.reasoning) == expected["reasoning"]
    wanted = [
        (call["id"], call["name"], json.loads(call["arguments"] or "{}")) for call in expected["tool_calls"]
    ]
    assert [(c.id, c.function.name, c.function.arguments) for c in answer.tool_calls] == wanted
    assert answer.finished is not None
    assert answer.finished.finish_reason == expected["finish_reason"]
    usage = expected["usage"]
    counts = answer.usage and (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
        answer.usage.total_tokens,
    )
    assert counts == (usage and (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]))


@pytest.mark.parametrize("path", recordings("openai-chat", "openai-completions"))
async def test_a_guarded_recording_has_the_edits_of_the_whole_text(path: Path) -> None:
    for first in (False, True):
        for answer in await guarded(path, [eventwise, whole], first=first):
            check(answer, json.loads(path.read_text())["expected"])


@pytest.mark.parametrize("path", recordings("openai-chat", "openai-completions", at_most_bytes=2500))
async def test_the_same_with_one_byte_per_packet(path: Path) -> None:
    (answer,) = await guarded(path, [bytewise], first=False)
    check(answer, json.loads(path.read_text())["expected"])


@pytest.mark.parametrize("path", recordings("http-error"))
async def test_a_recorded_http_error_becomes_one_error_event(path: Path) -> None:
    sidecar = json.loads(path.read_text())
    body = (path.parent / sidecar["body"]).read_bytes()
    async with serving(Reply([body], status=sidecar["status"])) as server:
        app = app_for(server.url)
        events = [event async for event in app.stream_events_async(messages=MESSAGES)]
        await app.aclose()
    (event,) = events
    assert isinstance(event, Failed)
    assert (event.type, event.code) == ("downstream_error", sidecar["status"])
    assert event.message


def test_the_recordings_hold_something_to_mask() -> None:
    texts = [json.loads(p.values[0].read_text())["expected"]["text"] for p in recordings("openai-chat")]
    assert STREAMS.is_dir()
    assert sum(str(mask_sensitive_data("output", text, config())) != text for text in texts) >= 5
