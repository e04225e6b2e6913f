"""What passes between a model and everybody else: messages, answers, chunks, and the model protocol."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]
Content: TypeAlias = "str | list[dict[str, Any]] | None"


class Role(str, Enum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


_ROLE_ALIASES = {"bot": "assistant", "human": "user", "ai": "assistant", "developer": "system"}


@dataclass
class ToolCallFunction:
    """The function a model wants called; `arguments` are decoded."""

    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class ToolCall:
    """One complete tool call."""

    id: str = ""
    type: str = "function"
    function: ToolCallFunction = field(default_factory=ToolCallFunction)

    def to_dict(self) -> dict[str, Any]:
        """The nested form of OpenAI's API, with `arguments` as a dict."""
        function = {"name": self.function.name, "arguments": self.function.arguments}
        return {"id": self.id, "type": self.type, "function": function}


@dataclass(slots=True)
class ToolCallFragment:
    """A piece of a tool call as it streams; `arguments` is a piece of JSON text.

    Fragments with the same `index` belong to one call; `id` and `name` come with the first of them.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass
class UsageInfo:
    """Token counts of one call, as the provider gives them."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass
class ChatMessage:
    """One message of a chat."""

    role: Role
    content: Content = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    provider_metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_user(cls, content: Content, **fields: Any) -> ChatMessage:
        """A message of the user."""
        return cls(Role.USER, content, **fields)

    @classmethod
    def from_assistant(cls, content: Content, **fields: Any) -> ChatMessage:
        """A message of the assistant."""
        return cls(Role.ASSISTANT, content, **fields)

    @classmethod
    def from_system(cls, content: Content, **fields: Any) -> ChatMessage:
        """An instruction of the operator."""
        return cls(Role.SYSTEM, content, **fields)

    @classmethod
    def from_tool(cls, content: Content, tool_call_id: str, **fields: Any) -> ChatMessage:
        """The result of a tool call."""
        return cls(Role.TOOL, content, tool_call_id=tool_call_id, **fields)

    def to_dict(self) -> dict[str, Any]:
        """A plain dict without what is absent; empty strings and lists are kept."""
        made: dict[str, Any] = {"role": self.role.value}
        if self.content is not None:
            made["content"] = self.content
        if self.tool_calls is not None:
            made["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            made["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            made["name"] = self.name
        if self.provider_metadata:
            made["provider_metadata"] = self.provider_metadata
        return made

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChatMessage:
        """Reads a dict of OpenAI's or LangChain's shape; unknown keys go to `provider_metadata`.

        Raises:
            ValueError: the role is missing or unknown, or a tool call cannot be read.
        """
        known = {"role", "type", "content", "tool_calls", "tool_call_id", "name", "provider_metadata"}
        calls = data.get("tool_calls")
        extra = {key: value for key, value in data.items() if key not in known}
        return cls(
            role=_role(data),
            content=data.get("content"),
            tool_calls=None if calls is None else [tool_call_from_dict(call) for call in calls],
            tool_call_id=data.get("tool_call_id"),
            name=data.get("name"),
            provider_metadata={**extra, **(data.get("provider_metadata") or {})},
        )


@dataclass
class LLMResponse:
    """A whole answer."""

    content: str
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    model: str | None = None
    finish_reason: FinishReason | None = None
    stop_sequence: str | None = None
    request_id: str | None = None
    usage: UsageInfo | None = None
    provider_metadata: dict[str, Any] | None = None


@dataclass(slots=True)
class LLMResponseChunk:
    """A piece of a streamed answer.

    `delta_tool_calls` is the complete list and comes once, with the chunk that finishes;
    `tool_call_fragments` are the pieces as they arrive (an addition of ours).
    """

    delta_content: str | None = None
    delta_reasoning: str | None = None
    delta_tool_calls: list[ToolCall] | None = None
    model: str | None = None
    finish_reason: FinishReason | None = None
    request_id: str | None = None
    usage: UsageInfo | None = None
    provider_metadata: dict[str, Any] | None = None
    tool_call_fragments: list[ToolCallFragment] | None = None


Prompt: TypeAlias = "str | list[ChatMessage]"


@runtime_checkable
class LLMModel(Protocol):
    """What a model must offer; nothing needs to be inherited."""

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The whole answer to a prompt; `kwargs` are request parameters."""
        ...

    def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """The answer in pieces, as an async generator; closing it closes the request."""
        ...

    @property
    def model_name(self) -> str:
        """The model's name at its provider."""
        ...

    @property
    def provider_name(self) -> str | None:
        """The provider (engine)."""
        ...

    @property
    def provider_url(self) -> str | None:
        """The endpoint that is asked."""
        ...


@runtime_checkable
class LLMFramework(Protocol):
    """A family of providers that makes models by name."""

    def create_model(
        self, model_name: str, provider_name: str, model_kwargs: dict[str, Any] | None = None
    ) -> LLMModel:
        """A model of one of its providers."""
        ...

    def register_provider(self, name: str, cls: Any) -> None:
        """Adds a provider."""
        ...

    def get_provider_names(self) -> Sequence[str]:
        """The providers it knows, sorted."""
        ...

    async def reset(self) -> None:
        """Closes what is open."""
        ...


def tool_call_from_dict(data: Mapping[str, Any]) -> ToolCall:
    """Reads a nested (`function.name`) or flat (`name`, `args`) tool call.

    Raises:
        ValueError: the arguments are neither a dict nor JSON text of an object.
    """
    function = data.get("function")
    inner: Mapping[str, Any] = function if isinstance(function, Mapping) else data
    given = inner.get("arguments", inner.get("args", {}))
    arguments = _decoded_arguments(given) if isinstance(given, str) else given
    if not isinstance(arguments, dict):
        raise ValueError(f"Tool call arguments must be a dict, got {type(arguments).__name__}")
    call_id, call_type = data.get("id"), data.get("type")
    kind = call_type if isinstance(call_type, str) and call_type != "tool_call" else "function"
    return ToolCall(str(call_id or ""), kind, ToolCallFunction(str(inner.get("name") or ""), arguments))


def _decoded_arguments(text: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"Tool call arguments are not valid JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ValueError("Tool call arguments must be a JSON object")
    return decoded


def _role(data: Mapping[str, Any]) -> Role:
    given = data.get("role") or data.get("type")
    if given is None:
        raise ValueError("Missing required key: 'role'")
    name = given.value if isinstance(given, Role) else str(given)
    try:
        return Role(_ROLE_ALIASES.get(name, name))
    except ValueError:
        raise ValueError(f"Unknown role: {name}") from None
