"""The events of a streamed completion as chunks: text, reasoning, tool calls, usage, finish; pure."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...exceptions import LLMStreamInterruptedError
from ...types import LLMResponseChunk, ToolCallFragment, UsageInfo
from .envelope import FREE_ATTEMPTS, Envelope, EnvelopeFinder
from .http_errors import Endpoint, error_from_event
from .openai_wire import (
    Mode,
    extra_keys,
    finish_reason,
    reasoning_of,
    text_and_reasoning,
    unreadable,
    usage_of,
)
from .tool_calls import ToolCallAssembler

_END_MARK = "[DONE]"


class StreamDecoder:
    """Decodes the events of one stream, in order.

    Only choice 0 counts. Usage may come early or with every event; it is delivered with the finish
    and after it.
    """

    def __init__(self, mode: Mode, endpoint: Endpoint) -> None:
        self._mode = mode
        self._endpoint = endpoint
        self._calls = ToolCallAssembler()
        self._calls_pending = False
        self._envelope: Envelope | None = None
        self._finder = EnvelopeFinder("content" if mode == "chat" else "text", self._text_of_event)
        self._metadata: dict[str, Any] = {}
        self._usage: UsageInfo | None = None
        self._usage_pending = False
        self._model: str | None = None
        self._request_id: str | None = None
        self._is_first = True
        self.is_done = False
        """The end mark came."""
        self.is_finished = False
        """A finish reason came."""

    def decode(self, data: str, name: str = "message") -> LLMResponseChunk | None:
        """The chunk of one event; `None` if it says nothing.

        Raises:
            LLMClientError: the event is an error.
            LLMResponseValidationError: the event cannot be read.
        """
        if self._envelope is not None and name == "message":
            text = self._envelope.text(data)
            if text is not None:
                self._finder.credit = FREE_ATTEMPTS
                return (
                    LLMResponseChunk(text, None, None, self._model, None, self._request_id) if text else None
                )
        data = data.strip()
        if data == _END_MARK:
            self.is_done = True
            return None
        return self._read(data, name) if data else None

    def end(self) -> LLMResponseChunk | None:
        """What is left to say when the stream ended: tool calls or usage that came without a finish.

        Raises:
            LLMStreamInterruptedError: neither the end mark nor a finish reason came.
            LLMResponseValidationError: a tool call is broken.
        """
        if not self.is_done and not self.is_finished:
            raise self.interrupted("The stream ended without a finish reason and without its end mark")
        if not self._calls_pending and not self._usage_pending:
            return None
        return self._chunk(calls=self._calls_pending, usage=self._usage_pending)

    def interrupted(self, message: str) -> LLMStreamInterruptedError:
        """The error of a stream that broke off."""
        at = self._endpoint
        return LLMStreamInterruptedError(
            0,
            at.clean(message),
            model_name=at.model_name,
            provider_name=at.provider_name,
            base_url=at.base_url,
        )

    def _read(self, data: str, name: str) -> LLMResponseChunk | None:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise unreadable("An event of the stream is not JSON", data, self._endpoint) from error
        if not isinstance(event, dict):
            raise unreadable("An event of the stream is not a JSON object", data, self._endpoint)
        if event.get("error") or name == "error" or event.get("object") == "error":
            raise error_from_event(event, self._endpoint)
        self._note(event)
        choice = _choice_0(event)
        if choice is None:
            self._metadata.update(extra_keys(event))
            return self._chunk(usage=True) if self._usage_pending and self.is_finished else None
        return self._choice(choice, event, data)

    def _note(self, event: Mapping[str, Any]) -> None:
        model, request_id = event.get("model") or self._model, event.get("id") or self._request_id
        if model != self._model or request_id != self._request_id:
            self._model, self._request_id, self._envelope = model, request_id, None
        if event.get("usage") or event.get("x_groq"):
            self._usage = usage_of(event) or self._usage
            self._usage_pending = self._usage is not None
        if self._is_first:
            self._is_first = False
            self._metadata.update(extra_keys(event))

    def _choice(self, choice: Mapping[str, Any], event: dict[str, Any], data: str) -> LLMResponseChunk | None:
        delta = _delta(choice, self._mode)
        text, thought = text_and_reasoning(delta.get("content" if self._mode == "chat" else "text"))
        reasoning = reasoning_of(delta) or thought
        fragments = self._calls.add(delta["tool_calls"]) if delta.get("tool_calls") else None
        aside = _aside(choice, delta)
        finish = finish_reason(choice.get("finish_reason"))
        if fragments:
            self._calls_pending = True
        if finish:
            self.is_finished = True
            self._metadata.update(extra_keys(event))
            made = self._chunk(calls=self._calls_pending, usage=self._usage_pending)
            made.finish_reason = finish
            made.provider_metadata = {**self._metadata, **aside} or None
        elif not (text or reasoning or fragments or aside):
            return None
        else:
            made = LLMResponseChunk(
                model=self._model, request_id=self._request_id, provider_metadata=aside or None
            )
        return self._filled(made, text, reasoning, fragments, event, data)

    def _filled(
        self,
        made: LLMResponseChunk,
        text: str,
        reasoning: str,
        fragments: list[ToolCallFragment] | None,
        event: dict[str, Any],
        data: str,
    ) -> LLMResponseChunk:
        made.delta_content = text or None
        made.delta_reasoning = reasoning or None
        made.tool_call_fragments = fragments or None
        if text and made == LLMResponseChunk(text, None, None, self._model, None, self._request_id):
            self._learn(event, data, text)
        return made

    def _learn(self, event: dict[str, Any], data: str, text: str) -> None:
        """Takes the event's envelope for the next ones, if nothing in it but the text can matter."""
        has_figures = event.get("usage") or event.get("x_groq")
        if len(event["choices"]) == 1 and not has_figures and "obfuscation" not in event:
            self._envelope = self._finder.learn(data, text)

    def _chunk(self, *, calls: bool = False, usage: bool = False) -> LLMResponseChunk:
        made = LLMResponseChunk(model=self._model, request_id=self._request_id)
        if calls:
            made.delta_tool_calls = self._calls.complete(self._endpoint)
            self._calls_pending = False
        if usage:
            made.usage = self._usage
            self._usage_pending = False
        made.provider_metadata = dict(self._metadata) or None
        return made

    def _text_of_event(self, event: Any) -> Any:
        choice = _choice_0(event)
        if choice is None:
            return None
        return choice.get("text") if self._mode == "text" else _delta(choice, self._mode).get("content")


def _choice_0(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping) and not choice.get("index"):
            return choice
    return None


def _delta(choice: Mapping[str, Any], mode: Mode) -> Mapping[str, Any]:
    if mode == "text":
        return choice
    found = choice.get("delta", choice.get("message"))
    return found if isinstance(found, Mapping) else {}


def _aside(choice: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to this piece but is neither text nor reasoning: log-probabilities and refusals."""
    made: dict[str, Any] = {}
    if (logprobs := choice.get("logprobs")) and any(logprobs.values()):
        made["logprobs"] = logprobs
    if delta.get("refusal"):
        made["refusal"] = delta["refusal"]
    return made
