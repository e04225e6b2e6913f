"""`get_llm_instance_wrapper`: makes a model that exists into a class that can be registered."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from ....types import LLMModel, LLMResponse, LLMResponseChunk, Prompt
from ..callables import AdaptedModel


class InstanceWrapper:
    """A model that asks an existing one; every instance of the class asks the same.

    Args:
        model: the name in the configuration; default: that of the existing model.
        parameters: request parameters of every call. Those of a call override them, and they override
            those of the existing model, which stays as it is.
    """

    llm: ClassVar[Any]
    _llm_type: ClassVar[str]

    def __init__(self, model: str | None = None, **parameters: Any) -> None:
        self._model = model
        self._parameters = parameters

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.llm!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.llm, name)

    @property
    def model_name(self) -> str:
        """The name in the configuration, else that of the existing model."""
        return self._model or str(self.llm.model_name)

    @property
    def provider_name(self) -> str | None:
        """The type it was wrapped under."""
        return self._llm_type

    @property
    def provider_url(self) -> str | None:
        """What the existing model says."""
        url: str | None = self.llm.provider_url
        return url

    @property
    def model_kwargs(self) -> dict[str, Any]:
        """The parameters of a call: those of the existing model, overridden by its own."""
        return {**(getattr(self.llm, "model_kwargs", None) or {}), **self._parameters}

    @property
    def temperature(self) -> float:
        """The temperature of a call; 1.0 where nobody says another."""
        return float(self.model_kwargs.get("temperature", 1.0))

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self._parameters["temperature"] = temperature

    @property
    def streaming(self) -> bool:
        """Whether a streamer is insisted on."""
        return bool(self.model_kwargs.get("streaming", False))

    @streaming.setter
    def streaming(self, streaming: bool) -> None:
        self._parameters["streaming"] = streaming

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The existing model's whole answer."""
        answer: LLMResponse = await self.llm.generate_async(
            prompt, stop=stop, **{**self._parameters, **kwargs}
        )
        return answer

    def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """The existing model's stream."""
        chunks: AsyncIterator[LLMResponseChunk] = self.llm.stream_async(
            prompt, stop=stop, **{**self._parameters, **kwargs}
        )
        return chunks


def get_llm_instance_wrapper(llm_instance: Any, llm_type: str) -> type[InstanceWrapper]:
    """A class for `register_llm_provider` whose instances ask the given model.

    Args:
        llm_instance: a model with `generate_async`; one without `stream_async` is streamed as one piece.
        llm_type: the engine's name, for logs and errors.

    Raises:
        TypeError: it is no model.
    """
    if not callable(getattr(llm_instance, "generate_async", None)):
        raise TypeError(
            f"llm_instance must be a model with generate_async (nemoguardrails.types.LLMModel), got "
            f"{type(llm_instance).__name__}"
        )
    llm = llm_instance if isinstance(llm_instance, LLMModel) else AdaptedModel(llm_instance, llm_type)
    return type(
        f"Wrapped{type(llm_instance).__name__}", (InstanceWrapper,), {"llm": llm, "_llm_type": llm_type}
    )
