"""The context variables of a turn: those it begins with, those it gives back."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..colang.interpreter import Event
from ..config.rails_config import RailsConfig
from ..runtime.history import text_of
from .options import plain_data
from .request import Request

_OF_ONE_TURN = frozenset(
    [
        "config",
        "generation_options",
        "user_message",
        "bot_message",
        "event",
        "tool_calls",
        "tool_message",
        "tool_name",
        "tool_call_id",
        "tool_messages",
        "bot_thinking",
        "passthrough_output",
        "last_user_message",
        "last_bot_message",
        "_last_bot_prompt",
    ]
)
"""Variables that each turn sets anew."""


def first_variables(
    request: Request, config: RailsConfig, remembered: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What rails and actions find at the beginning of a turn.

    Args:
        remembered: the variables of a conversation that goes on; what the caller sent since is newer.
    """
    earlier = list(request.messages)
    while earlier and earlier.pop()["role"] != "user":
        pass
    return {
        **(request.context if remembered is None else remembered),
        "last_user_message": _latest(earlier, "user"),
        "last_bot_message": _latest(request.messages, "assistant"),
        "user_message": request.user_content,
        "bot_message": request.bot_message,
        "config": config,
        "generation_options": request.options.model_dump() if request.wants_response else None,
    }


def lasting(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that outlive their turn."""
    return {name: value for name, value in variables.items() if name not in _OF_ONE_TURN}


def state_events(conversation: Sequence[Event], variables: Mapping[str, Any]) -> list[Event]:
    """A whole conversation as JSON data, for the caller to bring back: what was said, and the variables."""
    kept = {
        name: plain_data(value)
        for name, value in variables.items()
        if name not in _OF_ONE_TURN and not name.startswith("triggered_")
    }
    said = [plain_data(event) for event in conversation if event["type"] != "ContextUpdate"]
    return [*said, {"type": "ContextUpdate", "data": kept}]


def output_data(variables: Mapping[str, Any], wanted: bool | list[str]) -> dict[str, Any]:
    """The variables that a call asks for: all that are not private, or those named."""
    if isinstance(wanted, bool):
        return {name: value for name, value in variables.items() if not name.startswith("_")}
    return {name: variables.get(name) for name in wanted}


def _latest(messages: Sequence[Mapping[str, Any]], role: str) -> str | None:
    for message in reversed(messages):
        if message["role"] == role:
            return text_of(message.get("content"))
    return None
