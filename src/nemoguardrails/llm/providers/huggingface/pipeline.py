"""`HuggingFacePipelineCompatible`: a text pipeline of `transformers` as a model that streams."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ....types import LLMResponse, LLMResponseChunk, Prompt
from ...stop import StopCutter
from . import runnable
from .generation import Generation, Order
from .lane import lane_of
from .parameters import translated, with_sampling
from .prompt_text import token_count

if TYPE_CHECKING:
    from .streamer import AsyncTextIteratorStreamer

log = logging.getLogger(__name__)


class HuggingFacePipelineCompatible:
    """A model over a `transformers` pipeline, for `LLMRails(config, llm=...)` and for registration.

    It streams if `model_kwargs` (or the pipeline's own arguments) have a `streamer`, which is a
    template: each call makes its own from its class and arguments. Generation runs in a worker thread
    and ends with the next token when the reader leaves. Where LangChain is installed, the object can be
    a part of a chain.

    Args:
        pipeline: for generating text; called as `pipeline(text, **parameters)`.
        model_kwargs: parameters of each call, with the streamer; those of a call override them.
            `streaming: True` insists on a streamer.
        model_id: the model's name; default: what the pipeline's model says.
        pipeline_kwargs: handed to the pipeline's call as they are.
        max_parallel: how many generations of this pipeline run at a time; the others wait in order.

    Raises:
        ValueError: `max_parallel` is below 1.
    """

    supports_tools = False
    provider_name: str | None = "huggingface_pipeline"
    provider_url: str | None = None

    def __init__(
        self,
        pipeline: Callable[..., Any],
        model_kwargs: Mapping[str, Any] | None = None,
        model_id: str | None = None,
        pipeline_kwargs: Mapping[str, Any] | None = None,
        *,
        max_parallel: int = 1,
    ) -> None:
        self.pipeline = pipeline
        self.model_kwargs = dict(model_kwargs or {})
        self.model_id = model_id
        self.pipeline_kwargs = dict(pipeline_kwargs or {})
        self._lane = lane_of(pipeline, max_parallel)
        self._told: set[str] = set()
        runnable.announce(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_name!r})"

    @property
    def model_name(self) -> str:
        """The model's name."""
        model = getattr(self.pipeline, "model", None)
        return str(self.model_id or getattr(model, "name_or_path", None) or self.provider_name)

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The whole answer; `kwargs` are request parameters, those that nobody knows are dropped.

        Raises:
            ValueError: `streaming` is on, and there is no streamer.
            Exception: what the pipeline raised.
        """
        cutter = StopCutter(stop or ())
        answer = LLMResponse("", model=self.model_name)
        pieces: list[str] = []
        async with aclosing(self._stream(prompt, cutter, stop, kwargs)) as chunks:
            async for chunk in chunks:
                pieces.append(chunk.delta_content or "")
                answer.finish_reason, answer.usage = chunk.finish_reason, chunk.usage
        answer.content, answer.stop_sequence = "".join(pieces), cutter.found
        return answer

    def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The answer in pieces as they are generated, then the finish with the counts of tokens.

        Without a streamer the answer is one piece. Closing the generator returns at once, and the
        generation ends with its next token.

        Raises:
            ValueError, Exception: as `generate_async`, with the first chunk or between chunks.
        """
        return self._stream(prompt, StopCutter(stop or ()), stop, kwargs)

    def count_tokens(self, text: str) -> int | None:
        """The length of a text in tokens of the pipeline's tokenizer, if it has one."""
        return token_count(text, getattr(self.pipeline, "tokenizer", None))

    def invoke(self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The whole answer's text, outside of event loops; `input` as `runnable.prompt_from` reads it.

        Raises:
            RuntimeError: an event loop is running; use `ainvoke`.
        """
        return "".join(self.stream(input, config, stop=stop, **kwargs))

    async def ainvoke(
        self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> str:
        """The whole answer's text."""
        async with aclosing(self.astream(input, config, stop=stop, **kwargs)) as pieces:
            return "".join([piece async for piece in pieces])

    def stream(
        self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> Iterator[str]:
        """The answer's text in pieces, outside of event loops.

        Args:
            config: LangChain's, with callbacks.

        Raises:
            RuntimeError: an event loop is running; use `astream`.
        """
        if config is not None:
            yield from self._composable.stream(input, config, stop=stop, **kwargs)
            return
        yield from runnable.in_step(self._texts(input, stop=stop, **kwargs))

    async def astream(
        self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[str, None]:
        """The answer's text in pieces; `config` as in `stream`."""
        source = (
            self._texts(input, stop=stop, **kwargs)
            if config is None
            else self._composable.astream(input, config, stop=stop, **kwargs)
        )
        async with aclosing(source) as pieces:
            async for piece in pieces:
                yield piece

    def __or__(self, other: Any) -> Any:
        return self._composable | other

    def __ror__(self, other: Any) -> Any:
        return other | self._composable

    def __getattr__(self, name: str) -> Any:
        """What else a LangChain runnable can do (`bind`, `batch`, `transform`, ...), if it is installed."""
        if name.startswith("_") or not runnable.has_langchain():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._composable, name)

    @cached_property
    def _composable(self) -> Any:
        return runnable.composable(self._texts, type(self).__name__)

    async def _texts(
        self, given: Any, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[str, None]:
        """Yields the text of an answer, at least one piece."""
        any_came = False
        async with aclosing(self.stream_async(runnable.prompt_from(given), stop=stop, **kwargs)) as chunks:
            async for chunk in chunks:
                if chunk.delta_content:
                    any_came = True
                    yield chunk.delta_content
        if not any_came:
            yield ""

    async def _stream(
        self, prompt: Prompt, cutter: StopCutter, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        order = Order(self.pipeline, prompt, stop or (), self._parameters(kwargs))
        generation = Generation(order, self._own_streamer(kwargs))
        given: list[str] = []
        self._lane.submit(generation)
        try:
            async with aclosing(generation.pieces()) as pieces:
                async for piece in pieces:
                    given.append(piece)
                    if text := cutter.feed(piece):
                        yield LLMResponseChunk(delta_content=text)
                    if cutter.stopped:
                        break
            if held := cutter.finish():
                yield LLMResponseChunk(delta_content=held)
            whole = "".join(given)
            finish = "stop" if cutter.stopped else generation.finish_reason(whole)
            usage = generation.usage(whole)
            yield LLMResponseChunk(model=self.model_name, finish_reason=finish, usage=usage)
        finally:
            generation.leave()
            self._lane.withdraw(generation)

    def _own_streamer(self, kwargs: Mapping[str, Any]) -> AsyncTextIteratorStreamer | None:
        """A streamer for one call, made after the template."""
        own = {**self.model_kwargs, **kwargs}
        sources = (own, self.pipeline_kwargs, getattr(self.pipeline, "_forward_params", None))
        templates = [source.get("streamer") for source in sources if isinstance(source, Mapping)]
        template: Any = next((one for one in templates if one is not None), None)
        if template is None:
            if own.get("streaming"):
                raise ValueError("Cannot stream, please add HuggingFace streamer object to model_kwargs!")
            return None
        from .streamer import AsyncTextIteratorStreamer

        if isinstance(template, AsyncTextIteratorStreamer):
            return template.again()
        return AsyncTextIteratorStreamer(
            template.tokenizer,
            skip_prompt=bool(getattr(template, "skip_prompt", True)),
            **getattr(template, "decode_kwargs", {}),
        )

    def _parameters(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of one call of the pipeline."""
        own, asked = translated(self.model_kwargs), translated(kwargs)
        unknown = (own.unknown | asked.unknown) - self._told
        if unknown:
            self._told |= unknown
            log.warning("%s does not know these parameters; dropped: %s", self, ", ".join(sorted(unknown)))
        plain = {name: value for name, value in self.pipeline_kwargs.items() if name != "streamer"}
        return with_sampling({**plain, **own.known, **asked.known})
