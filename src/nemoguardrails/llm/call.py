"""The only door to a model: calls it whole or streamed, and records the call."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

from ..exceptions import LLMCallException
from ..logging.explain import LLMCallInfo
from ..types import (
    ChatMessage,
    FinishReason,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Prompt,
    Role,
    ToolCall,
    UsageInfo,
)
from .recording import AnyPrompt, KeptText, closed, opened
from .shaper import ChunkShaper
from .stop import cut_at_stop
from .think import split_think

logger = logging.getLogger(__name__)

_REASONING_NAMES = re.compile(r"(?:o[134](?:-|$)|gpt-5(?!.*chat)(?:-|$)|gpt-5\.|gpt-6)")
_ROLES = {role.value: role for role in Role}


class LLMText(str):
    """A model's answer: the text, with the attributes of `LLMResponse` on it."""

    reasoning: str | None
    tool_calls: list[ToolCall] | None
    model: str | None
    finish_reason: FinishReason | None
    stop_sequence: str | None
    request_id: str | None
    usage: UsageInfo | None
    provider_metadata: dict[str, Any] | None

    def __new__(cls, content: str, response: LLMResponse | None = None) -> LLMText:
        made = super().__new__(cls, content)
        source = response or LLMResponse(content)
        made.__dict__.update({name: getattr(source, name) for name in cls.__annotations__})
        return made

    @property
    def content(self) -> str:
        """The text as a plain `str`."""
        return str(self)


class TextSink(Protocol):
    """Takes a text piece by piece; `StreamingHandler` is one."""

    async def push_chunk(self, chunk: str, /) -> None:
        """Takes the next piece."""
        ...


class RecordedAnswer(NamedTuple):
    """An answer and the record of the call that gave it."""

    text: LLMText
    call: LLMCallInfo


class _Request(NamedTuple):
    """A call about to be made; `stops` are cut on our side, `sent_stops` go to the model."""

    model: LLMModel
    prompt: Prompt
    stops: list[str]
    sent_stops: list[str] | None
    params: dict[str, Any]


async def llm_call(
    llm: LLMModel | None,
    prompt: AnyPrompt,
    stop: Sequence[str] | str | None = None,
    llm_params: Mapping[str, Any] | None = None,
    streaming_handler: TextSink | None = None,
    *,
    task: str | None = None,
) -> LLMText:
    """The model's whole answer: a `str` that also has the attributes of `LLMResponse`.

    `<think>` blocks are moved to `reasoning`, and the text ends before the first stop sequence,
    whether or not the model minds it.

    Args:
        prompt: a text, or messages: `ChatMessage`s or dicts with `role` (or `type`) and `content`.
        stop: stop sequences; `stop` in `llm_params` overrides them.
        llm_params: request parameters for this call alone; `None` values are left out.
        streaming_handler: is pushed the text as it comes, and told its end.
        task: name of the task for the record; default: what `llm_call_info_var` says.

    Raises:
        LLMCallException: no model was given, or its call failed.
        TypeError: `llm` is no model.
    """
    if streaming_handler is not None:
        chunks = stream_call(llm, prompt, task=task, stop=stop, llm_params=llm_params)
        return await _pushed(chunks, streaming_handler)
    return (await recorded_call(llm, prompt, stop, llm_params, task=task)).text


async def recorded_call(
    llm: LLMModel | None,
    prompt: AnyPrompt,
    stop: Sequence[str] | str | None = None,
    llm_params: Mapping[str, Any] | None = None,
    *,
    task: str | None = None,
) -> RecordedAnswer:
    """The model's whole answer together with the record of its call; otherwise as `llm_call`."""
    request = _prepared(llm, prompt, stop, llm_params)
    info = opened(request.model, task)
    response = None
    began = time.perf_counter()
    try:
        answer = await request.model.generate_async(request.prompt, stop=request.sent_stops, **request.params)
        response = _tidied(answer, request.stops)
    except Exception as error:
        raise _failure(request.model, error) from error
    finally:
        closed(info, request.prompt, time.perf_counter() - began, response)
    return RecordedAnswer(LLMText(response.content, response), info)


async def stream_call(
    llm: LLMModel | None,
    prompt: AnyPrompt,
    *,
    task: str | None = None,
    stop: Sequence[str] | str | None = None,
    llm_params: Mapping[str, Any] | None = None,
) -> AsyncGenerator[LLMResponseChunk, None]:
    """Yields the model's answer chunk by chunk, as the model sends it.

    Text in `<think>` tags comes as reasoning. At a stop sequence the stream ends with the finish
    reason "stop". Closing the generator closes the model's stream; the call is recorded in any
    case. Arguments as for `llm_call`.

    Raises:
        LLMCallException, TypeError: as `llm_call`, with the first chunk or between chunks.
    """
    request = _prepared(llm, prompt, stop, llm_params)
    info = opened(request.model, task)
    whole = LLMResponse("")
    kept = KeptText()
    shaper: ChunkShaper | None = ChunkShaper(request.stops)
    passes: Callable[[str], bool] | None = None
    source: AsyncIterator[LLMResponseChunk] | None = None
    last: LLMResponseChunk | None = None
    began = time.perf_counter()
    try:
        source = _chunks(request)
        async for chunk in source:
            text = chunk.delta_content
            if shaper is not None and not (text and passes is not None and passes(text)):
                shaped = shaper.shape(chunk)
                if shaper.stopped:
                    last = shaped
                    break
                if shaped is None:
                    continue
                chunk, text = shaped, shaped.delta_content
                shaper, passes = (None, None) if shaper.settled else (shaper, shaper.passes)
            if text:
                kept.add(text)
            if chunk.usage is not None or chunk.finish_reason is not None:
                _note(whole, chunk)
            yield chunk
        last = last or (shaper.finish() if shaper is not None else None)
        if last is not None:
            kept.add(last.delta_content or "")
            _note(whole, last)
            yield last
    except Exception as error:
        raise _failure(request.model, error) from error
    finally:
        whole.content = kept.text()
        closed(info, request.prompt, time.perf_counter() - began, whole)
        await _close(source)


@lru_cache(maxsize=256)
def is_reasoning_model(model_name: str) -> bool:
    """Whether a name is one of OpenAI's reasoning models: no `temperature`, `stop` or `max_tokens`."""
    return _REASONING_NAMES.match(model_name.lower().rsplit("/", 1)[-1]) is not None


def _prepared(
    llm: LLMModel | None,
    prompt: AnyPrompt,
    stop: Sequence[str] | str | None,
    llm_params: Mapping[str, Any] | None,
) -> _Request:
    model = _checked(llm)
    params = {key: value for key, value in (llm_params or {}).items() if value is not None}
    given = params.pop("stop", None) or stop or ()
    stops = [given] if isinstance(given, str) else [text for text in given if text]
    sent = stops or None
    if is_reasoning_model(str(getattr(model, "model_name", None) or "")):
        sent = None
        params.pop("temperature", None)
        if "max_tokens" in params:
            params.setdefault("max_completion_tokens", params.pop("max_tokens"))
            params.pop("max_tokens", None)
    return _Request(model, _messages(prompt), stops, sent, params)


def _checked(llm: LLMModel | None) -> LLMModel:
    if llm is None:
        raise LLMCallException("No LLM provided to llm_call()")
    if not callable(getattr(llm, "generate_async", None)):
        raise TypeError(
            f"llm_call() needs a model with generate_async (nemoguardrails.types.LLMModel), "
            f"got {type(llm).__name__}"
        )
    return llm


def _messages(prompt: AnyPrompt) -> Prompt:
    if isinstance(prompt, str):
        return prompt
    return [message if isinstance(message, ChatMessage) else _message(message) for message in prompt]


def _message(given: Mapping[str, Any]) -> ChatMessage:
    role = _ROLES.get(given.get("role") or given.get("type") or "")
    if role is not None and len(given) == 2 and "content" in given:
        return ChatMessage(role, given["content"])
    return ChatMessage.from_dict(given)


def _tidied(response: LLMResponse, stops: Sequence[str]) -> LLMResponse:
    """A copy of the answer with its reasoning split off, cut at a stop sequence."""
    content, reasoning = response.content or "", response.reasoning
    if not reasoning:
        split = split_think(content)
        content, reasoning = split.text, split.reasoning or None
    content, found = cut_at_stop(content, stops)
    if not content and response.finish_reason == "length":
        logger.warning("The model %s used up its tokens before it wrote any text.", response.model)
    tidied = LLMResponse(content, reasoning, response.tool_calls, response.model, response.finish_reason)
    tidied.stop_sequence = found or response.stop_sequence
    tidied.request_id, tidied.usage = response.request_id, response.usage
    tidied.provider_metadata = response.provider_metadata
    return tidied


def _note(whole: LLMResponse, chunk: LLMResponseChunk) -> None:
    whole.usage = chunk.usage or whole.usage
    whole.finish_reason = chunk.finish_reason or whole.finish_reason
    whole.model = chunk.model or whole.model
    whole.request_id = chunk.request_id or whole.request_id
    whole.provider_metadata = chunk.provider_metadata or whole.provider_metadata


def _chunks(request: _Request) -> AsyncIterator[LLMResponseChunk]:
    stream = getattr(request.model, "stream_async", None)
    if stream is None:
        return _as_one_chunk(request)
    made = stream(request.prompt, stop=request.sent_stops, **request.params)
    return cast("AsyncIterator[LLMResponseChunk]", made)


async def _as_one_chunk(request: _Request) -> AsyncGenerator[LLMResponseChunk, None]:
    answer = await request.model.generate_async(request.prompt, stop=request.sent_stops, **request.params)
    yield LLMResponseChunk(
        delta_content=answer.content or None,
        delta_reasoning=answer.reasoning,
        delta_tool_calls=answer.tool_calls,
        model=answer.model,
        finish_reason=answer.finish_reason or "stop",
        request_id=answer.request_id,
        usage=answer.usage,
        provider_metadata=answer.provider_metadata,
    )


async def _close(source: AsyncIterator[LLMResponseChunk] | None) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


async def _pushed(chunks: AsyncGenerator[LLMResponseChunk, None], sink: TextSink) -> LLMText:
    """Pushes the text of a stream and returns it whole."""
    whole, pieces, thoughts = LLMResponse(""), list[str](), list[str]()
    try:
        async for chunk in chunks:
            _note(whole, chunk)
            whole.tool_calls = chunk.delta_tool_calls or whole.tool_calls
            thoughts.append(chunk.delta_reasoning or "")
            if chunk.delta_content:
                pieces.append(chunk.delta_content)
                await sink.push_chunk(chunk.delta_content)
    finally:
        await chunks.aclose()
        ended = getattr(sink, "on_llm_end", None)
        if ended is not None:
            await ended(None)
    whole.content, whole.reasoning = "".join(pieces), "".join(thoughts) or None
    return LLMText(whole.content, whole)


def _failure(model: LLMModel, error: Exception) -> LLMCallException:
    if isinstance(error, LLMCallException):
        return error
    known = {
        "model": getattr(model, "model_name", None),
        "provider": getattr(model, "provider_name", None),
        "endpoint": getattr(model, "provider_url", None),
    }
    parts = ", ".join(f"{key}={value}" for key, value in known.items() if value)
    status = getattr(error, "status_code", None)
    detail = f"Error invoking LLM ({parts})" if parts else "Error invoking LLM"
    return LLMCallException(
        error, detail=detail, status=status if isinstance(status, int) and status else None
    )
