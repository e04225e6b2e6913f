"""A model for tests: says what it is told to, and notes how it was asked."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from nemoguardrails.types import LLMResponse, LLMResponseChunk, Prompt


class WholeModel:
    """Answers whole only; an exception among the answers is raised."""

    provider_name = "test"
    provider_url = "http://model.test/v1"

    def __init__(self, *answers: LLMResponse | str | Exception, model_name: str = "parrot") -> None:
        self.model_name = model_name
        self._answers = list(answers)
        self.asked: list[tuple[Prompt, list[str] | None, dict[str, Any]]] = []

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        self.asked.append((prompt, stop, kwargs))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return LLMResponse(answer) if isinstance(answer, str) else answer


class StreamingModel(WholeModel):
    """Streams chunks; plain texts become chunks, and an exception ends the stream."""

    def __init__(self, *chunks: LLMResponseChunk | str | Exception, model_name: str = "parrot") -> None:
        super().__init__("", model_name=model_name)
        self.chunks: Sequence[LLMResponseChunk | str | Exception] = chunks
        self.sent = 0
        self.closed = False

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        self.asked.append((prompt, stop, kwargs))
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                self.sent += 1
                yield LLMResponseChunk(delta_content=chunk) if isinstance(chunk, str) else chunk
        finally:
            self.closed = True
