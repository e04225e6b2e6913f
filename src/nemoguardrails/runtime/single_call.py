"""One model call for intent, next step and message: the intents are read first, the message streams on."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ..logging.record import ActionRecord, RailRecord, running_action
from ..types import LLMResponseChunk
from .generation import NO_ANSWER
from .replies import SingleCallReply

GENERATE_ALL = "generate_intent_steps_message"


class SingleCall:
    """The call of one turn; close it, unless its message is used.

    Args:
        entry: where it is recorded.
    """

    def __init__(self, entry: RailRecord) -> None:
        self._entry = entry
        self._reply = SingleCallReply(empty=NO_ANSWER)
        self._action = ActionRecord(GENERATE_ALL, {}, time.time())
        self._chunks: AsyncGenerator[LLMResponseChunk, None] | None = None
        self._read: list[LLMResponseChunk] = []
        """What was read already, its text made the message's."""

    @property
    def user_intent(self) -> str:
        """What the user wants."""
        return self._reply.user_intent

    @property
    def bot_intent(self) -> str:
        """What the bot should do."""
        return self._reply.bot_intent

    async def begin(self, chunks: AsyncGenerator[LLMResponseChunk, None]) -> None:
        """Reads until both intents are known, or to the end.

        Raises:
            LLMCallException: the model could not be called.
        """
        self._chunks = chunks
        self._entry.decisions.append(f"execute {GENERATE_ALL}")
        self._entry.actions.append(self._action)
        if self._entry.listener is not None:
            self._entry.listener("action", self._action)
        outer = running_action.get()
        running_action.set(self._action)
        try:
            while not self._reply.is_decided:
                self._read.append(self._shaped(await anext(chunks)))
        except StopAsyncIteration:
            self._read.append(LLMResponseChunk(delta_content=self._reply.finish()))
            self._chunks = None
        finally:
            running_action.set(outer)

    async def message(self) -> AsyncGenerator[LLMResponseChunk, None]:
        """The message, as chunks."""
        read, self._read = self._read, []
        try:
            for chunk in read:
                yield chunk
            if self._chunks is None:
                return
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    if self._reply.done and chunk.delta_content and not chunk.delta_content.isspace():
                        break
                    yield self._shaped(chunk)
            yield LLMResponseChunk(delta_content=self._reply.finish())
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Ends the model's stream."""
        chunks, self._chunks = self._chunks, None
        if self._action.finished_at is None:
            self._action.finished_at = time.time()
            if self._entry.listener is not None:
                self._entry.listener("action finished", self._action)
        if chunks is not None:
            await chunks.aclose()

    def _shaped(self, chunk: LLMResponseChunk) -> LLMResponseChunk:
        text = chunk.delta_content
        return replace(chunk, delta_content=self._reply.feed(text)) if text else chunk
