"""The embedded scripted engine: answers from a script, offline, repeatable and paced."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...context import llm_call_info_var
from ...exceptions import (
    LLMBadRequestError,
    LLMClientError,
    LLMConnectionError,
)
from ...types import (
    FinishReason,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Prompt,
    Role,
    ToolCall,
    ToolCallFragment,
    ToolCallFunction,
    UsageInfo,
)
from .http_errors import error_class
from .openai_wire import text_and_reasoning
from .script import ScriptedReply, read_pacing, read_script, words


def scripted_model(
    engine: str, model: str, parameters: Mapping[str, Any], *, folder: Path | None = None
) -> LLMModel:
    """The model of `engine: scripted` (`replies` or `script`) or of `engine: fake` (`responses`).

    Args:
        parameters: the script, and `delay_s`, `pace_s` or `tokens_per_second` for entries without their own.
        folder: where a relative path of a script begins.

    Raises:
        InvalidModelConfigurationError: the script is missing or wrong; the text names file, entry and key.
    """
    given = dict(parameters)
    if engine == "fake":
        given.setdefault("replies", given.pop("responses", None))
    replies = read_script(given, engine, folder)
    return ScriptedModel(replies, model=model, provider_name=engine, defaults=read_pacing(given, engine))


class ScriptedModel:
    """A model that answers from a script. The same requests in the same order get the same answers.

    Args:
        replies: the entries; the first that fits a request answers it, a fallback if none does.
        defaults: its times hold for entries that give none.
    """

    supports_tools = True

    def __init__(
        self,
        replies: Sequence[ScriptedReply],
        *,
        model: str = "scripted",
        provider_name: str = "scripted",
        defaults: ScriptedReply | None = None,
    ) -> None:
        self._replies = sorted(replies, key=lambda entry: entry.fallback)
        self._model = model
        self._provider_name = provider_name
        self._delay_s = (defaults and defaults.delay_s) or 0.0
        self._period_s = (defaults and defaults.period_s) or 0.0
        self._uses = [0] * len(self._replies)
        self._calls = 0

    @property
    def model_name(self) -> str:
        """The name in the configuration."""
        return self._model

    @property
    def provider_name(self) -> str | None:
        """`scripted` or `fake`."""
        return self._provider_name

    @property
    def provider_url(self) -> str | None:
        """It has no address."""
        return None

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, max_tokens: int | None = None, **_: Any
    ) -> LLMResponse:
        """The whole reply, after the time that its stream would take.

        Raises:
            LLMClientError: the entry says so, or no entry fits.
        """
        performance = self._perform(prompt, stop, max_tokens)
        await _until(performance.due_s(len(performance.pieces) - 1))
        if performance.error is not None:
            raise performance.error
        return LLMResponse(
            content="".join(performance.pieces),
            reasoning=performance.reply.reasoning,
            tool_calls=performance.tool_calls or None,
            model=self._model,
            finish_reason=performance.finish_reason,
            stop_sequence=performance.stop_sequence,
            request_id=performance.request_id,
            usage=performance.usage,
        )

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, max_tokens: int | None = None, **_: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The reply piece by piece, at its pace: reasoning, text, tool calls, finish with usage.

        Raises:
            LLMClientError: the entry says so, at its place; or no entry fits.
        """
        performance = self._perform(prompt, stop, max_tokens)
        for index, chunk in enumerate(performance.chunks()):
            if (due_s := performance.due_s(index)) > asyncio.get_running_loop().time():
                await _until(due_s)
            chunk.model, chunk.request_id = self._model, performance.request_id
            yield chunk
        if performance.error is not None:
            await _until(performance.due_s(len(performance.pieces)))
            raise performance.error
        yield LLMResponseChunk(
            delta_tool_calls=performance.tool_calls or None,
            model=self._model,
            finish_reason=performance.finish_reason,
            request_id=performance.request_id,
            usage=performance.usage,
        )

    def _perform(self, prompt: Prompt, stop: Sequence[str] | None, max_tokens: int | None) -> _Performance:
        self._calls += 1
        message, task = _last_user_message(prompt), _running_task()
        for position, reply in enumerate(self._replies):
            if reply.matches(message, task):
                self._uses[position] += 1
                return self._performance(reply, message, self._uses[position] - 1, prompt, stop, max_tokens)
        raise LLMBadRequestError(
            400,
            f"No entry of the script is for this request (task {task!r}); add one with `fallback: true`",
            model_name=self._model,
            provider_name=self._provider_name,
        )

    def _performance(
        self,
        reply: ScriptedReply,
        message: str,
        turn: int,
        prompt: Prompt,
        stop: Sequence[str] | None,
        max_tokens: int | None,
    ) -> _Performance:
        pieces = reply.pieces(message, turn)
        pieces, stop_sequence = _stopped(pieces, stop or ())
        is_too_long = max_tokens is not None and len(pieces) > max_tokens
        pieces = pieces[:max_tokens] if is_too_long else pieces
        usual: FinishReason = "length" if is_too_long else "tool_calls" if reply.tool_calls else "stop"
        return _Performance(
            reply,
            pieces if reply.error is None else pieces[: reply.error.after_tokens],
            request_id=f"{self._model}-{self._calls}",
            finish_reason=reply.finish_reason or usual,
            stop_sequence=stop_sequence,
            usage=_usage(reply, prompt, pieces),
            error=self._error(reply),
            begin_s=asyncio.get_running_loop().time()
            + (self._delay_s if reply.delay_s is None else reply.delay_s),
            period_s=self._period_s if reply.period_s is None else reply.period_s,
        )

    def _error(self, reply: ScriptedReply) -> LLMClientError | None:
        if reply.error is None:
            return None
        status, text = reply.error.status, reply.error.message
        cls = error_class(status, text) if status else LLMConnectionError
        return cls(status, text, model_name=self._model, provider_name=self._provider_name)


@dataclass(slots=True)
class _Performance:
    """One reply on its way."""

    reply: ScriptedReply
    pieces: list[str]
    request_id: str
    finish_reason: FinishReason
    stop_sequence: str | None
    usage: UsageInfo
    error: LLMClientError | None
    begin_s: float
    period_s: float
    tool_calls: list[ToolCall] = field(init=False)

    def __post_init__(self) -> None:
        self.tool_calls = [
            ToolCall(
                call.id or f"call_{number}", "function", ToolCallFunction(call.name, dict(call.arguments))
            )
            for number, call in enumerate(self.reply.tool_calls)
        ]

    def due_s(self, index: int) -> float:
        """When a piece is due, on the loop's clock: a late piece does not delay the later ones."""
        return self.begin_s + max(index, 0) * self.period_s

    def chunks(self) -> Iterator[LLMResponseChunk]:
        for piece in words(self.reply.reasoning or ""):
            yield LLMResponseChunk(delta_reasoning=piece)
        for piece in self.pieces:
            yield LLMResponseChunk(delta_content=piece)
        if self.error is None:
            for index, call in enumerate(self.tool_calls):
                arguments = json.dumps(call.function.arguments, ensure_ascii=False)
                fragment = ToolCallFragment(index, call.id, call.function.name, arguments)
                yield LLMResponseChunk(tool_call_fragments=[fragment])


async def _until(due_s: float) -> None:
    remaining_s = due_s - asyncio.get_running_loop().time()
    if remaining_s > 0:
        await asyncio.sleep(remaining_s)


def _running_task() -> str | None:
    info = llm_call_info_var.get()
    return info.task if info is not None else None


def _last_user_message(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    for message in reversed(prompt):
        if message.role is Role.USER:
            return text_and_reasoning(message.content)[0]
    return ""


def _stopped(pieces: list[str], stops: Sequence[str]) -> tuple[list[str], str | None]:
    """The pieces before the earliest stop text, and that text."""
    text = "".join(pieces)
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return pieces, None
    end, stop = min(found)
    kept: list[str] = []
    for piece in pieces:
        if end <= 0:
            break
        kept.append(piece[:end])
        end -= len(piece)
    return kept, stop


def _usage(reply: ScriptedReply, prompt: Prompt, pieces: Sequence[str]) -> UsageInfo:
    if reply.usage is not None:
        given = reply.usage
        return UsageInfo(given.input_tokens, given.output_tokens, given.input_tokens + given.output_tokens)
    texts = [prompt] if isinstance(prompt, str) else [text_and_reasoning(m.content)[0] for m in prompt]
    read, written = sum(len(words(text)) for text in texts), len(pieces)
    return UsageInfo(read, written, read + written)
