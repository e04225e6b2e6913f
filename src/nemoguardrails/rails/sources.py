"""Sources of a turn's answer as stream events: a model's chunks, the caller's generator, a fixed text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

from ..llm.answer_text import AnswerText
from ..logging.record import ActionRecord, RailRecord, TurnRecord, running_action
from ..streaming.events import (
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCalls,
    Usage,
)
from ..types import LLMResponseChunk, UsageInfo

GENERATE = "generate_user_intent"
"""The action that makes the answer where no dialog is defined, as logs call it."""


class GenerationStep:
    """The making of an answer by a model, as the log shows it.

    Args:
        record: where it is noted, when it begins.
        variables: get `bot_thinking` when the model has thought and begins to write.

    Attributes:
        thoughts: the pieces of reasoning that are not in the variables yet.
    """

    def __init__(self, record: TurnRecord, variables: dict[str, Any]) -> None:
        self._record = record
        self._seen_by = [variables]
        self._rail: RailRecord | None = None
        self._action = ActionRecord(GENERATE, {}, 0.0)
        self.thoughts: list[str] = []
        self._thinking = ""

    def open(self) -> None:
        """Opens the record, once."""
        if self._rail is not None:
            return
        action, rail = self._action, self._record.rail("generation", "generate user intent")
        self._rail = rail
        action.started_at = rail.started_at
        rail.decisions.append(f"execute {action.name}")
        rail.actions.append(action)
        if rail.listener is not None:
            rail.listener("action", action)

    def begin(self) -> None:
        """Model calls that the running task makes from now on are part of it."""
        self.open()
        running_action.set(self._action)

    def seen_by(self, variables: dict[str, Any]) -> None:
        """These variables get `bot_thinking` too."""
        self._seen_by.append(variables)

    def have_thought(self) -> None:
        """Puts the reasoning into the variables."""
        self._thinking += "".join(self.thoughts)
        self.thoughts.clear()
        for variables in self._seen_by:
            variables["bot_thinking"] = self._thinking

    def discard(self) -> None:
        """Nobody waits for the answer any more: the message it answers was blocked or rewritten."""
        if self._rail is not None:
            self._rail.info = {"speculative": "discarded"}
        self.end()

    def end(self) -> None:
        """The answer is there, or nobody waits for it; notes the time once."""
        rail, action = self._rail, self._action
        if self.thoughts:
            self.have_thought()
        if rail is None or rail.finished_at is not None:
            return
        rail.finish()
        action.finished_at = rail.finished_at
        if rail.listener is not None:
            rail.listener("action finished", action)


async def model_events(
    answer: Callable[[], AsyncGenerator[LLMResponseChunk, None]],
    shape: AnswerText | None,
    step: GenerationStep,
) -> AsyncGenerator[StreamEvent, None]:
    """The events of a model's answer: one `TextDelta` per chunk with text; usage and finish last.

    Args:
        answer: asks the model.
        shape: makes the words of a chat answer the message; `None` leaves them as they are.
        step: is told the beginning and the end.
    """
    finished, usage = Finished(), None
    metadata: dict[str, Any] = {}
    outer, chunks = running_action.get(), None
    try:
        step.begin()
        chunks = answer()
        async for chunk in chunks:
            text = chunk.delta_content
            if text:
                text = text if shape is None else shape.feed(text)
                if text:
                    if step.thoughts:
                        step.have_thought()
                    yield TextDelta(text)
            if chunk.delta_reasoning:
                step.thoughts.append(chunk.delta_reasoning)
                yield ReasoningDelta(chunk.delta_reasoning)
            for part in chunk.tool_call_fragments or ():
                yield ToolCallDelta(part.index, part.id, part.name, part.arguments)
            if chunk.delta_tool_calls:
                yield ToolCalls(chunk.delta_tool_calls)
            if chunk.provider_metadata is not None:
                metadata.update(chunk.provider_metadata)
            usage = chunk.usage or usage
            finished.finish_reason = chunk.finish_reason or finished.finish_reason
            finished.model = chunk.model or finished.model
            finished.request_id = chunk.request_id or finished.request_id
    finally:
        running_action.set(outer)
        step.end()
        await _close(chunks)
    if usage is not None:
        yield Usage(usage)
    # Headers of the model's server are nobody's business behind the rails.
    metadata.pop("response_headers", None)
    finished.provider_metadata = metadata or None
    yield finished


async def _close(chunks: AsyncGenerator[LLMResponseChunk, None] | None) -> None:
    if chunks is not None:
        await chunks.aclose()


async def external_events(generator: AsyncIterator[Any]) -> AsyncGenerator[StreamEvent, None]:
    """The events of a caller's generator of strings, or of dicts with `text` (and perhaps `metadata`).

    Raises:
        TypeError: an element of another type.
    """
    metadata: Mapping[str, Any] = {}
    try:
        async for item in generator:
            if type(item) is str:
                if item:
                    yield TextDelta(item)
                continue
            if item is None:
                continue
            text = item.get("text", "") if isinstance(item, Mapping) else item
            if not isinstance(text, str):
                raise TypeError(f"generator must yield strings, got {type(item).__name__}")
            if text:
                yield TextDelta(str(text))
            if isinstance(item, Mapping) and isinstance(item.get("metadata"), Mapping):
                metadata = item["metadata"]
    finally:
        await close_generator(generator)
    usage = metadata.get("usage_metadata")
    if isinstance(usage, Mapping):
        counts = {key: usage.get(key) or 0 for key in ("input_tokens", "output_tokens", "total_tokens")}
        yield Usage(UsageInfo(**counts))
    response = metadata.get("response_metadata") or {}
    yield Finished(response.get("finish_reason"), response.get("model_name"))


async def close_generator(generator: AsyncIterator[Any]) -> None:
    """Closes a caller's generator, where it can be closed."""
    close = getattr(generator, "aclose", None)
    if close is not None:
        await close()


async def fixed_events(text: str) -> AsyncGenerator[StreamEvent, None]:
    """A text that is already there, as one token."""
    if text:
        yield TextDelta(text)
    yield Finished("stop")
