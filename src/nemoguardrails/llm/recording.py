"""Keeps the record of model calls: who was asked what, what came back, and what it cost."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple, TypeAlias

from ..context import explain_info_var, llm_call_info_var, turn_record_var
from ..logging.explain import LLMCallInfo
from ..types import ChatMessage, LLMModel, LLMResponse, Prompt

AnyPrompt: TypeAlias = "str | Sequence[ChatMessage | Mapping[str, Any]]"


MOST_KEPT = 64_000
"""Characters of a streamed completion that its record keeps."""


class CachedAnswer(NamedTuple):
    """What a cache keeps of a call: the value drawn from it, and its figures."""

    value: Any
    call: LLMCallInfo


class KeptText:
    """The completion of a streamed call, for its record: the first `MOST_KEPT` characters of it.

    A record outlives its stream, and a stream may be endless.
    """

    __slots__ = ("_buffer", "_length")

    def __init__(self) -> None:
        self._buffer = StringIO()
        self._length = 0

    def add(self, piece: str) -> None:
        """Takes the next piece."""
        if self._length < MOST_KEPT:
            self._buffer.write(piece[: MOST_KEPT - self._length])
        self._length += len(piece)

    def text(self) -> str:
        """What was kept, with a note where that is not all."""
        kept = self._buffer.getvalue()
        return kept if len(kept) == self._length else f"{kept}... ({self._length} characters in all)"


def opened(model: LLMModel, task: str | None) -> LLMCallInfo:
    """The record of a call that begins now, already listed.

    The one that an action put into `llm_call_info_var` is filled in, if it is not used up. The variable
    names the task of the running call to the model, too.
    """
    info = llm_call_info_var.get()
    named = None if info is None else info.task
    if info is None or info.started_at or (task is not None and named not in (None, task)):
        info = LLMCallInfo(task=task or named)
        llm_call_info_var.set(info)
    info.task = task or named
    info.started_at = time.time()
    info.llm_model_name = str(getattr(model, "model_name", None) or "unknown")
    info.llm_provider_name = str(getattr(model, "provider_name", None) or "unknown")
    _listed(info)
    return info


def closed(info: LLMCallInfo, prompt: Prompt, took_s: float, response: LLMResponse | None) -> None:
    """Completes the record of a call; `response` is `None` where the call failed."""
    info.duration = took_s
    info.finished_at = (info.started_at or 0) + took_s
    info.prompt = prompt_text(prompt)
    if response is not None:
        _fill_in(info, response)
    _told(info)


def _fill_in(info: LLMCallInfo, response: LLMResponse) -> None:
    info.completion = response.content
    info.request_id = response.request_id
    if response.model:
        info.llm_model_name = response.model
    usage = response.usage
    if usage is not None:
        info.prompt_tokens, info.completion_tokens = usage.input_tokens, usage.output_tokens
        info.total_tokens = usage.total_tokens
    metadata = {k: v for k, v in (response.provider_metadata or {}).items() if k != "response_headers"}
    info.raw_response = metadata or None


def cacheable(value: Any, call: LLMCallInfo) -> CachedAnswer:
    """A value and the figures of its call, without the texts."""
    return CachedAnswer(value, call.model_copy(update={"prompt": None, "raw_response": None}))


def record_cached(answer: CachedAnswer, prompt: AnyPrompt, *, task: str | None, began: float) -> None:
    """Records that a stored answer was used instead of a call.

    Args:
        task: the task of this use; default: that of the stored call.
        began: `time.perf_counter()` before the lookup.
    """
    took = time.perf_counter() - began
    now = time.time()
    info = answer.call.model_copy(
        update={
            "id": LLMCallInfo().id,
            "task": task or answer.call.task,
            "prompt": prompt_text(prompt),
            "from_cache": True,
            "duration": took,
            "started_at": now - took,
            "finished_at": now,
        }
    )
    _listed(info)
    _told(info)


def prompt_text(prompt: AnyPrompt) -> str:
    """A prompt as one readable text: contents under headings of their roles, without what is no text."""
    if isinstance(prompt, str):
        return prompt
    parts = []
    for message in prompt:
        read = message if isinstance(message, ChatMessage) else ChatMessage.from_dict(message)
        parts.append(f"[cyan]{read.role.value.capitalize()}[/]\n{_content_text(read.content)}")
    return "\n".join(parts)


def _content_text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return " ".join(
            str(part["text"]) for part in content if part.get("type") == "text" and "text" in part
        )
    return content or ""


def _listed(info: LLMCallInfo) -> None:
    record, explained = turn_record_var.get(), explain_info_var.get()
    if record is not None:
        record.model_calling(info)
    if explained is not None and (record is None or explained.llm_calls is not record.llm_calls):
        explained.llm_calls.append(info)


def _told(info: LLMCallInfo) -> None:
    record = turn_record_var.get()
    if record is not None:
        record.model_called(info)
