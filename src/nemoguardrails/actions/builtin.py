"""The actions that every configuration has, besides rails and generation."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .actions import ActionResult, action
from .registry import ActionRegistry


@action(is_system_action=True)
async def create_event(event: dict[str, Any]) -> ActionResult:
    """Adds an event: the type is the value of `_type`, everything else is its content.

    Values are taken as they are: `$name` inside a value is text, never looked up again.

    Raises:
        ValueError: `_type` is missing.
    """
    content = dict(event)
    kind = content.pop("_type", None)
    if not kind:
        raise ValueError("create_event needs the event's type under `_type`")
    made = {
        "type": kind,
        "uid": str(uuid4()),
        "event_created_at": datetime.now(UTC).isoformat(),
        "source_uid": "NeMoGuardrails",
        **content,
    }
    return ActionResult(events=[made])


@action(name="GetCurrentDateTimeAction", is_system_action=True)
async def get_current_date_time() -> str:
    """The local time in ISO form."""
    return datetime.now().isoformat()


def register_built_in_actions(registry: ActionRegistry) -> None:
    """Adds the built-in actions to a registry."""
    for declared in (create_event, get_current_date_time):
        registry.register_built_in(declared)
