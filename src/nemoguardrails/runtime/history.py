"""Messages of a caller to events of a conversation, and back."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ..colang.interpreter import Event

_log = logging.getLogger(__name__)
SOURCE_UID = "NeMoGuardrails"
ROLES = ("user", "assistant", "system", "developer", "context", "event", "tool", "exception")

BLOCKED_TEXT = "(a message that was not allowed)"
"""Stands in a returned conversation for a message that an input rail blocked."""

RESERVED_VARIABLES = frozenset(
    {"generation_options", "skip_output_rails", "config", "event", "tool_calls", "passthrough_output"}
)
"""Variables that steer the engine; a caller's `context` message may not set them."""

RESERVED_EVENTS = frozenset(
    """UserMessage UserIntent BotIntent BotMessage StartUtteranceBotAction UtteranceBotActionFinished
    StartInternalSystemAction InternalSystemActionFinished ContextUpdate Listen StartInputRails
    InputRailsFinished StartInputRail InputRailFinished StartOutputRails OutputRailsFinished StartOutputRail
    OutputRailFinished StartToolOutputRails ToolOutputRailsFinished StartToolOutputRail ToolOutputRailFinished
    StartToolInputRails ToolInputRailsFinished StartToolInputRail ToolInputRailFinished BotToolCalls
    StartToolCallBotAction UserToolMessages BotThinking SystemMessage start_flow mask_prev_user_message
    hide_prev_turn EventHistoryUpdate""".split()  # noqa: SIM905  # a list of 30 names reads better so
)
"""Events that only the engine makes; a caller's `event` message may not forge them."""


def new_event(type: str, **fields: Any) -> Event:
    """An event of the runtime, with its identifier, time (ISO 8601, UTC) and source."""
    return {
        "type": type,
        "uid": str(uuid4()),
        "event_created_at": datetime.now(UTC).isoformat(),
        "source_uid": SOURCE_UID,
        **fields,
    }


def text_of(content: Any) -> str:
    """The plain text of a message's content; the text parts of multimodal content, joined by a blank."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(
        str(part.get("text", ""))
        for part in parts
        if isinstance(part, Mapping) and part.get("type") == "text"
    )


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuses messages that cannot be understood, before any rail runs.

    Raises:
        ValueError: names the index of the message and what is wrong with it.
    """
    if not messages:
        raise ValueError("messages must not be empty: give at least one user message.")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"messages[{index}] must be a dict, got {type(message).__name__}.")
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(
                f"messages[{index}] has the unknown role {role!r}; known are {', '.join(ROLES)}."
            )
        _CHECKS.get(role, _check_content)(index, message)


def without_reserved(message: dict[str, Any]) -> dict[str, Any]:
    """A caller's message as it is taken: variables that steer the engine are refused, with a warning."""
    content = message.get("content")
    if message.get("role") != "context" or not isinstance(content, Mapping):
        return message
    refused = [name for name in content if _is_reserved(str(name))]
    if not refused:
        return message
    _log.warning(
        "A context message sets %s, reserved for the engine; refused.", ", ".join(map(repr, refused))
    )
    return {**message, "content": {name: value for name, value in content.items() if name not in refused}}


def _is_reserved(name: str) -> bool:
    return name in RESERVED_VARIABLES or name.startswith(("_", "triggered_"))


def to_events(messages: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The events of a conversation (Colang 1.0), in order; `messages` were checked before."""
    events: list[Event] = []
    last = len(messages) - 1
    for index, message in enumerate(messages):
        content = message.get("content")
        match message["role"]:
            case "user":
                events.append({"type": "UtteranceUserActionFinished", "final_transcript": content})
                if index < last:
                    events.append({"type": "UserMessage", "text": content})
            case "assistant":
                events.extend(_assistant_events(message))
            case "system" | "developer":
                events.append({"type": "SystemMessage", "content": content})
            case "context":
                events.append({"type": "ContextUpdate", "data": dict(message["content"])})
            case "event":
                events.append(dict(message["event"]))
            case _:  # tool results reach the model as messages; exceptions are no part of a conversation
                pass
    return events


def to_messages(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The messages that a list of events stands for: what was said, and the variables.

    A user's message is what input rails made of it; one that they blocked is replaced by a remark.
    """
    messages: list[dict[str, Any]] = []
    heard: dict[str, Any] | None = None
    """A message of the user that no input rail has let pass yet."""
    for event in events:
        match event.get("type"):
            case "UtteranceUserActionFinished":
                heard = {"role": "user", "content": event.get("final_transcript")}
                messages.append(heard)
            case "UserMessage":
                message = heard or {"role": "user"}
                message["content"] = event.get("text")
                if heard is None:
                    messages.append(message)
                heard = None
            case "StartUtteranceBotAction":
                if heard is not None:
                    heard["content"], heard = BLOCKED_TEXT, None
                messages.append({"role": "assistant", "content": event.get("script", "")})
            case "SystemMessage":
                messages.append({"role": "system", "content": event.get("content", "")})
            case "ContextUpdate":
                messages.append({"role": "context", "content": dict(event.get("data") or {})})
            case str(kind) if kind not in RESERVED_EVENTS:
                messages.append({"role": "event", "event": dict(event)})
            case _:
                pass
    return messages


def _assistant_events(message: Mapping[str, Any]) -> list[Event]:
    if message.get("tool_calls"):
        return [{"type": "BotToolCalls", "tool_calls": list(message["tool_calls"])}]
    text = text_of(message.get("content"))
    return [
        {"type": "StartUtteranceBotAction", "script": text},
        {"type": "UtteranceBotActionFinished", "final_script": text, "is_success": True},
    ]


def _check_content(index: int, message: Mapping[str, Any]) -> None:
    if message.get("tool_calls"):
        return
    if "content" not in message:
        raise ValueError(f"messages[{index}] (role {message['role']}) has no content.")
    content = message["content"]
    if content is not None and not isinstance(content, str | list):
        raise ValueError(
            f"messages[{index}] has content of type {type(content).__name__}; give a text or a list of parts."
        )


def _check_context(index: int, message: Mapping[str, Any]) -> None:
    content = message.get("content")
    if not isinstance(content, Mapping):
        raise ValueError(f"messages[{index}] (role context) needs a dict of variables as its content.")


def _check_event(index: int, message: Mapping[str, Any]) -> None:
    event = message.get("event")
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise ValueError(f"messages[{index}] (role event) needs an `event` dict with a `type`.")
    if event["type"] in RESERVED_EVENTS:
        raise ValueError(
            f"messages[{index}] holds the event {event['type']!r}, which only the engine may make."
        )


def _check_nothing(index: int, message: Mapping[str, Any]) -> None:
    """An exception of an earlier turn may look like anything."""


_CHECKS = {"context": _check_context, "event": _check_event, "exception": _check_nothing}
