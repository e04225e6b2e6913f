"""Sources of a turn's answer as stream events: a model's chunks, the caller's generator, a fixed text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from ..llm.message_text import TextShape
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
        rail: the entry that it is part of; `None` for one of its own.
        action: how the log calls it.

    Attributes:
        thoughts: the pieces of reasoning that are not in the variables yet.
    """

    def __init__(
        self,
        record: TurnRecord,
        variables: dict[str, Any],
        *,
        rail: RailRecord | None = None,
        action: str = GENERATE,
    ) -> None:
        self._record = record
        self._seen_by = [variables]
        self._given = rail
        self._rail: RailRecord | None = None
        self._action = ActionRecord(action, {}, 0.0)
        self.thoughts: list[str] = []
        self._thinking = ""

    def open(self) -> None:
        """Opens the record, once."""
        if self._rail is not None:
            return
        action, rail = self._action, self._given or self._record.rail("generation", "generate user intent")
        self._rail = rail
        action.started_at = rail.started_at if self._given is None else time.time()
        rail.decisions.append(f"execute {action.name}")
        rail.actions.append(action)
        if rail.listener is not None:
            rail.listener("action", action)

    @property
    def rail(self) -> RailRecord | None:
        """The entry of the log, once it is open."""
        return self._rail

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
    shape: TextShape | None,
    step: GenerationStep,
) -> AsyncGenerator[StreamEvent, None]:
    """The events of a model's answer: one `TextDelta` per chunk with text; usage and finish last.

    Args:
        answer: asks the model.
        shape: makes the model's words the message; `None` leaves them as they are.
        step: is told the beginning and the end.
    """
    shape, end = shape or _AsItIs(), _End()
    outer, chunks = running_action.get(), None
    try:
        step.begin()
        chunks = answer()
        async for chunk in chunks:
            text = end.shaped(shape, chunk.delta_content or "")
            if text is None:
                break
            if text:
                if step.thoughts:
                    step.have_thought()
                yield TextDelta(text)
            for event in _besides(chunk, step):
                yield event
            end.note(chunk)
        rest = shape.finish()
        if rest:
            yield TextDelta(rest)
    except Exception:
        # What was written before the model failed is not lost.
        rest = shape.broken_off()
        if rest:
            yield TextDelta(rest)
        raise
    finally:
        running_action.set(outer)
        step.end()
        await _close(chunks)
    for event in end.events():
        yield event


class _AsItIs:
    """The shape of words that are not changed."""

    __slots__ = ()

    done = False

    def feed(self, piece: str) -> str:
        return piece

    def finish(self) -> str:
        return ""

    broken_off = finish


def _besides(chunk: LLMResponseChunk, step: GenerationStep) -> Sequence[StreamEvent]:
    """What a chunk holds besides words."""
    thought, fragments, calls = chunk.delta_reasoning, chunk.tool_call_fragments, chunk.delta_tool_calls
    if not thought and not fragments and not calls:
        return ()
    events: list[StreamEvent] = []
    if thought:
        step.thoughts.append(thought)
        events.append(ReasoningDelta(thought))
    events += [ToolCallDelta(part.index, part.id, part.name, part.arguments) for part in fragments or ()]
    if calls:
        events.append(ToolCalls(calls))
    return events


class _End:
    """What the chunks of an answer tell besides words."""

    __slots__ = ("_metadata", "_usage", "finished")

    def __init__(self) -> None:
        self.finished = Finished()
        self._usage: UsageInfo | None = None
        self._metadata: dict[str, Any] = {}

    def shaped(self, shape: TextShape, text: str) -> str | None:
        """What a piece adds to the message; `None` if the model goes on behind its end."""
        if shape.done and text and not text.isspace():
            # Nobody needs to wait for what the model tells itself.
            self.finished.finish_reason = "stop"
            return None
        return shape.feed(text) if text else ""

    def note(self, chunk: LLMResponseChunk) -> None:
        finished = self.finished
        if chunk.provider_metadata is not None:
            self._metadata.update(chunk.provider_metadata)
        self._usage = chunk.usage or self._usage
        finished.finish_reason = chunk.finish_reason or finished.finish_reason
        finished.model = chunk.model or finished.model
        finished.request_id = chunk.request_id or finished.request_id

    def events(self) -> Iterator[StreamEvent]:
        if self._usage is not None:
            yield Usage(self._usage)
        # Headers of the model's server are nobody's business behind the rails.
        self._metadata.pop("response_headers", None)
        self.finished.provider_metadata = self._metadata or None
        yield self.finished


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
