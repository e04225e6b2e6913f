"""Small guarded applications for tests, and what comes out of them whole and streamed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.rails.options import GenerationResponse
from nemoguardrails.streaming.events import StreamEvent
from nemoguardrails.testing import FakeLLMModel

HI = [{"role": "user", "content": "hi"}]
NO_SECRETS = """
define subflow no secrets
  if "swordfish" in $bot_message
    bot refuse to respond
    stop
"""
STREAMING = """
rails:
  output:
    flows: [{flows}]
    streaming: {{enabled: true, chunk_size: 4, context_size: 2, stream_first: {first}}}
"""


def app(
    colang: str | None = None,
    yaml: str | None = None,
    *replies: str,
    llm: Any = None,
    actions: Mapping[str, Callable[..., Any]] | None = None,
) -> LLMRails:
    """An application whose model gives the replies in order."""
    made = LLMRails(
        RailsConfig.from_content(colang, yaml or "models: []"), llm or FakeLLMModel(list(replies))
    )
    for name, action in (actions or {}).items():
        made.register_action(action, name)
    return made


def output(*flows: str, first: bool = False, more: str = "") -> str:
    """A configuration with output rails that may be streamed, in windows of four tokens."""
    listed = ", ".join(f'"{flow}"' for flow in flows)
    return STREAMING.format(flows=listed, first=str(first).lower()) + more


def inputs(*flows: str, more: str = "") -> str:
    """A configuration with input rails."""
    listed = ", ".join(f'"{flow}"' for flow in flows)
    return f"rails:\n  input:\n    flows: [{listed}]\n{more}"


async def streamed(made: LLMRails, said: str | None = "hi", **arguments: Any) -> list[Any]:
    """All elements of a stream."""
    if said is not None and "messages" not in arguments:
        arguments["prompt"] = said
    return [chunk async for chunk in made.stream_async(**arguments)]


async def evented(made: LLMRails, said: str | None = "hi", **arguments: Any) -> list[StreamEvent]:
    """All typed events of a stream."""
    if said is not None and "messages" not in arguments:
        arguments["prompt"] = said
    return [event async for event in made.stream_events_async(**arguments)]


async def response(made: LLMRails, said: str = "hi", **options: Any) -> GenerationResponse:
    """The answer to a call with options."""
    got = await made.generate_async(messages=[{"role": "user", "content": said}], options=options)
    assert isinstance(got, GenerationResponse)
    return got


async def tokens(*pieces: Any) -> AsyncIterator[Any]:
    """A caller's own generator; an exception among the pieces is raised."""
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


def activated(got: GenerationResponse) -> Sequence[tuple[str, str, list[str], list[str], bool]]:
    """The activated rails of a response: type, name, decisions, actions, stop."""
    assert got.log is not None
    return [
        (
            rail.type,
            rail.name,
            rail.decisions,
            [action.action_name for action in rail.executed_actions],
            rail.stop,
        )
        for rail in got.log.activated_rails
    ]
