"""The wire format of OpenAI's chat and text completions: requests out, answers and stream events in; pure."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ...exceptions import LLMResponseValidationError
from ...types import ChatMessage, FinishReason, LLMResponse, Prompt, ToolCall, UsageInfo, tool_call_from_dict
from .http_errors import Endpoint, error_from_event

Mode: TypeAlias = Literal["chat", "text"]

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}
_KNOWN_KEYS = frozenset({"id", "object", "created", "model", "choices", "usage", "error", "obfuscation", "p"})
_REASONING_MODEL = re.compile(r"(?i)^(?:.*/)?(?:o[134](?:$|[-:])|gpt-5(?!.*chat)|gpt-6)")


def request_path(mode: Mode) -> str:
    """The path below the base URL."""
    return "/chat/completions" if mode == "chat" else "/completions"


def request_body(
    model: str,
    prompt: Prompt,
    mode: Mode,
    *,
    stop: Sequence[str] | None,
    parameters: Mapping[str, Any],
    stream: bool,
    include_usage: bool,
) -> dict[str, Any]:
    """The JSON body of a request.

    Args:
        parameters: request parameters, already merged.
        include_usage: asks for the token counts at the end of a stream.
    """
    body: dict[str, Any] = {"model": model}
    if mode == "chat":
        body["messages"] = wire_messages(prompt)
    else:
        body["prompt"] = wire_text(prompt)
    body.update((key, value) for key, value in parameters.items() if value is not None)
    if stop:
        body["stop"] = list(stop)
    if not stream:
        body.pop("stream", None)
        body.pop("stream_options", None)
    else:
        body["stream"] = True
        if include_usage:
            body["stream_options"] = {"include_usage": True, **(body.get("stream_options") or {})}
    return _for_reasoning_model(body) if mode == "chat" else body


def wire_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The `messages` of a request; a text becomes one message of the user."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [_wire_message(message) for message in prompt]


def wire_text(prompt: Prompt) -> str:
    """The `prompt` of a text completion; of several messages, a transcript that the assistant continues."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return _text_of(prompt[0].content)
    turns = (f"{message.role.value.capitalize()}: {_text_of(message.content)}" for message in prompt)
    return "\n".join([*turns, "Assistant:"])


def response_from(data: Any, mode: Mode, endpoint: Endpoint) -> LLMResponse:
    """Reads the answer to a request that is not streamed.

    Raises:
        LLMClientError: the answer is an error object.
        LLMResponseValidationError: the answer cannot be read.
    """
    if isinstance(data, Mapping) and data.get("error"):
        raise error_from_event(data, endpoint)
    choice = _first_choice(data)
    if choice is None:
        raise unreadable("The answer holds no `choices`", data, endpoint)
    message = choice if mode == "text" else choice.get("message")
    if not isinstance(message, Mapping):
        raise unreadable("The answer's first choice holds no `message`", data, endpoint)
    text, thought = text_and_reasoning(message.get("text" if mode == "text" else "content"))
    stop_sequence = choice.get("stop_reason")
    return LLMResponse(
        content=text,
        reasoning=reasoning_of(message) or thought or None,
        tool_calls=_whole_tool_calls(message.get("tool_calls"), endpoint),
        model=data.get("model"),
        finish_reason=finish_reason(choice.get("finish_reason")),
        stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
        request_id=data.get("id"),
        usage=usage_of(data),
        provider_metadata=_metadata(data, choice, message),
    )


def finish_reason(given: Any) -> FinishReason | None:
    """Our name of a provider's finish reason; `other` for one we do not know, `None` for none."""
    return None if not given else _FINISH_REASONS.get(str(given).lower(), "other")


def usage_of(data: Mapping[str, Any]) -> UsageInfo | None:
    """The token counts of an answer or stream event, wherever the provider puts them."""
    given = data.get("usage") or (data.get("x_groq") or {}).get("usage")
    if not isinstance(given, Mapping):
        return None
    prompt, completion = (
        _count(given, "prompt_tokens", "input_tokens"),
        _count(given, "completion_tokens", "output_tokens"),
    )
    total, completion_details = given.get("total_tokens"), given.get("completion_tokens_details") or {}
    prompt_details = given.get("prompt_tokens_details") or {}
    cached = prompt_details.get("cached_tokens", given.get("prompt_cache_hit_tokens"))
    return UsageInfo(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=total if isinstance(total, int) else prompt + completion,
        reasoning_tokens=completion_details.get("reasoning_tokens", given.get("reasoning_tokens")),
        cached_tokens=cached,
    )


def text_and_reasoning(content: Any) -> tuple[str, str]:
    """The text and the reasoning in a `content`, which may be a list of typed parts."""
    if isinstance(content, str):
        return content, ""
    text: list[str] = []
    thought: list[str] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, Mapping) and part.get("type") in ("thinking", "reasoning"):
            thought.append(_text_of(part.get("thinking") or part.get("text")))
        elif isinstance(part, Mapping):
            text.append(str(part.get("text") or ""))
    return "".join(text), "".join(thought)


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """The reasoning of a message or delta: `reasoning_content`, else `reasoning`; both mean the same."""
    found = message.get("reasoning_content") or message.get("reasoning")
    return found if isinstance(found, str) else None


def extra_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider says beyond the ordinary keys, without its padding against traffic analysis."""
    return {key: value for key, value in data.items() if key not in _KNOWN_KEYS and value is not None}


def unreadable(message: str, data: Any, endpoint: Endpoint) -> LLMResponseValidationError:
    """The error for an answer that cannot be read; of the answer it keeps a bounded, cleaned excerpt."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str)
    return LLMResponseValidationError(
        message, endpoint.clean(text), endpoint.model_name, endpoint.provider_name, endpoint.base_url
    )


def parsed_tool_call(data: Mapping[str, Any], endpoint: Endpoint) -> ToolCall:
    """A complete tool call.

    Raises:
        LLMResponseValidationError: the arguments are not a JSON object. They are never made up, because
            a tool must not run with arguments that nobody wrote.
    """
    try:
        return tool_call_from_dict(data)
    except ValueError as error:
        name = (data.get("function") or {}).get("name")
        raise unreadable(
            f"The model's call of the tool {name!r} is broken: {error}", data, endpoint
        ) from error


def _for_reasoning_model(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's reasoning models refuse `temperature` and `stop`, and count `max_completion_tokens`."""
    if _REASONING_MODEL.match(str(body["model"])):
        body.pop("temperature", None)
        body.pop("stop", None)
        if "max_tokens" in body:
            body.setdefault("max_completion_tokens", body.pop("max_tokens"))
    return body


def _wire_message(message: ChatMessage | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(message, Mapping):
        message = ChatMessage.from_dict(message)
    made = message.to_dict()
    made.pop("provider_metadata", None)
    if message.tool_calls is None:
        made.setdefault("content", "")
        return made
    for call in made["tool_calls"]:
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return made


def _text_of(content: Any) -> str:
    return "".join(text_and_reasoning(content)) if content is not None else ""


def _first_choice(data: Any) -> Mapping[str, Any] | None:
    choices = data.get("choices") if isinstance(data, Mapping) else None
    if not isinstance(choices, list) or not choices:
        return None
    first = next((choice for choice in choices if choice.get("index", 0) == 0), choices[0])
    return first if isinstance(first, Mapping) else None


def _whole_tool_calls(given: Any, endpoint: Endpoint) -> list[ToolCall] | None:
    return [parsed_tool_call(call, endpoint) for call in given] if given else None


def _metadata(
    data: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]
) -> dict[str, Any] | None:
    made = extra_keys(data)
    if choice.get("logprobs"):
        made["logprobs"] = choice["logprobs"]
    if message.get("refusal"):
        made["refusal"] = message["refusal"]
    return made or None


def _count(given: Mapping[str, Any], *names: str) -> int:
    return next((given[name] for name in names if isinstance(given.get(name), int)), 0)
