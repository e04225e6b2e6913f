"""A model that gives prepared answers in order, whole or word by word."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..types import LLMResponse, LLMResponseChunk, Prompt, UsageInfo


@dataclass(frozen=True, slots=True)
class FakeCall:
    """What the model was asked."""

    prompt: Prompt
    stop: list[str] | None
    params: dict[str, Any]


class FakeLLMModel:
    """A model for tests; needs no network and no key.

    Args:
        responses: the texts of the answers, one per call.
        llm_responses: whole answers instead of texts.
        llm_exception: is raised by every call.
        token_usage: counts per call, under `prompt_tokens`, `completion_tokens` and `total_tokens`.
        should_return_token_usage: whether answers carry those counts.

    Attributes:
        inference_count: how many calls were made.
        calls: what was asked, in order.
    """

    model_name = "fake"
    provider_name: str | None = "test"
    provider_url: str | None = None

    def __init__(
        self,
        responses: Sequence[str] | None = None,
        llm_responses: Sequence[LLMResponse] | None = None,
        llm_exception: BaseException | None = None,
        token_usage: Sequence[Mapping[str, int]] | None = None,
        should_return_token_usage: bool = False,
    ) -> None:
        self.responses = list(responses or ())
        self.llm_responses = list(llm_responses or ())
        self.llm_exception = llm_exception
        self.token_usage = list(token_usage or ())
        self.should_return_token_usage = should_return_token_usage
        self.inference_count = 0
        self.calls: list[FakeCall] = []

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The next answer.

        Raises:
            RuntimeError: there is no further answer.
        """
        answer = self._next(prompt, stop, kwargs)
        await asyncio.sleep(0)
        return answer

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """Yields the next answer word by word, spaces kept, then a chunk without text that finishes.

        Other tasks may run before each word and after the last.

        Raises:
            RuntimeError: there is no further answer.
        """
        answer = self._next(prompt, stop, kwargs)
        if answer.reasoning:
            yield LLMResponseChunk(delta_reasoning=answer.reasoning)
        *words, last = answer.content.split(" ")
        for piece in (*(f"{word} " for word in words), last):
            await asyncio.sleep(0)
            if piece:
                yield LLMResponseChunk(delta_content=piece)
        await asyncio.sleep(0)
        yield LLMResponseChunk(
            delta_tool_calls=answer.tool_calls,
            model=answer.model,
            finish_reason=answer.finish_reason,
            request_id=answer.request_id,
            usage=answer.usage,
            provider_metadata=answer.provider_metadata,
        )

    def _next(self, prompt: Prompt, stop: list[str] | None, params: dict[str, Any]) -> LLMResponse:
        index = self.inference_count
        self.inference_count += 1
        self.calls.append(FakeCall(prompt, stop, params))
        if self.llm_exception is not None:
            raise self.llm_exception
        return self._answer(index)

    def _answer(self, index: int) -> LLMResponse:
        if index < len(self.llm_responses):
            answer = replace(self.llm_responses[index])
        elif not self.llm_responses and index < len(self.responses):
            answer = LLMResponse(self.responses[index])
        else:
            raise RuntimeError(
                f"No responses available for query number {index + 1} in FakeLLMModel: "
                f"{len(self.llm_responses) or len(self.responses)} were prepared. "
                f"Prepare more, or find out who calls the model."
            )
        answer.finish_reason = answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
        answer.model = answer.model or self.model_name
        if self.should_return_token_usage and index < len(self.token_usage):
            answer.usage = _usage(self.token_usage[index])
        return answer


def _usage(counts: Mapping[str, int]) -> UsageInfo:
    return UsageInfo(
        input_tokens=counts.get("prompt_tokens", 0),
        output_tokens=counts.get("completion_tokens", 0),
        total_tokens=counts.get("total_tokens", 0),
    )
