"""Providers of users' making as models: classes without streaming, coroutine and generator functions."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from ...types import LLMResponse, LLMResponseChunk, Prompt

TextFunction = Callable[..., Awaitable[Any]]
TextGenerator = Callable[..., AsyncIterator[Any]]


class FunctionModel:
    """A model made of `async def f(prompt, **kwargs)` that returns text, or of an async generator of text.

    The function gets `stop` only if there are stop texts. `parameters` of the configuration and of the
    call come as keyword arguments.
    """

    supports_tools = False

    def __init__(
        self,
        *,
        answer: TextFunction | None = None,
        pieces: TextGenerator | None = None,
        model: str = "unknown",
        provider_name: str | None = None,
        **defaults: Any,
    ) -> None:
        self._answer = answer
        self._pieces = pieces
        self._model = model
        self._provider_name = provider_name
        self._defaults = defaults

    @property
    def model_name(self) -> str:
        """The name in the configuration."""
        return self._model

    @property
    def provider_name(self) -> str | None:
        """The name it was registered under."""
        return self._provider_name

    @property
    def provider_url(self) -> str | None:
        """Unknown."""
        return None

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """What the function returned; of a generator, its pieces joined."""
        if self._answer is not None:
            return _response(await self._answer(prompt, **self._arguments(stop, kwargs)))
        text = ""
        async with aclosing(self.stream_async(prompt, stop=stop, **kwargs)) as chunks:
            async for chunk in chunks:
                text += chunk.delta_content or ""
        return LLMResponse(text, model=self._model, finish_reason="stop")

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The generator's pieces; of a function, its whole answer as one chunk. Then the finish."""
        if self._pieces is None:
            yield chunk_of(await self.generate_async(prompt, stop=stop, **kwargs))
            return
        pieces = self._pieces(prompt, **self._arguments(stop, kwargs))
        try:
            async for piece in pieces:
                yield (
                    piece
                    if isinstance(piece, LLMResponseChunk)
                    else LLMResponseChunk(delta_content=str(piece))
                )
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        yield LLMResponseChunk(model=self._model, finish_reason="stop")

    def _arguments(self, stop: list[str] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**self._defaults, **kwargs, **({"stop": stop} if stop else {})}


class AdaptedModel:
    """A model with a part of the interface: without `stream_async` it is streamed as one chunk.

    Everything else is forwarded to the model itself.

    Args:
        raw_llm: the user's model.
    """

    def __init__(self, raw_llm: Any, provider_name: str | None = None) -> None:
        self.raw_llm = raw_llm
        self._provider_name = provider_name

    def __getattr__(self, name: str) -> Any:
        if name == "raw_llm":
            raise AttributeError(name)
        return getattr(self.raw_llm, name)

    @property
    def model_name(self) -> str:
        """The model's own name, `unknown` without one."""
        return str(
            getattr(self.raw_llm, "model_name", None) or getattr(self.raw_llm, "model", None) or "unknown"
        )

    @property
    def provider_name(self) -> str | None:
        """The model's own word, else the name it was registered under."""
        return getattr(self.raw_llm, "provider_name", None) or self._provider_name

    @property
    def provider_url(self) -> str | None:
        """The model's own word."""
        return getattr(self.raw_llm, "provider_url", None)

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The user's model's answer; a plain text is taken as one."""
        return _response(await self.raw_llm.generate_async(prompt, stop=stop, **kwargs))

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The user's model's stream where it has one, else its whole answer as one chunk."""
        streaming = getattr(self.raw_llm, "stream_async", None)
        if streaming is None:
            yield chunk_of(await self.generate_async(prompt, stop=stop, **kwargs))
            return
        chunks = streaming(prompt, stop=stop, **kwargs)
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()


def chunk_of(response: LLMResponse) -> LLMResponseChunk:
    """A whole answer as the one chunk of a stream."""
    return LLMResponseChunk(
        delta_content=response.content or None,
        delta_reasoning=response.reasoning,
        delta_tool_calls=response.tool_calls,
        model=response.model,
        finish_reason=response.finish_reason or "stop",
        request_id=response.request_id,
        usage=response.usage,
        provider_metadata=response.provider_metadata,
    )


def _response(answer: Any) -> LLMResponse:
    return answer if isinstance(answer, LLMResponse) else LLMResponse(str(answer))
