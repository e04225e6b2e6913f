"""`@action` declares what a flow may call; `ActionResult` is what it may return besides plain values."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

Declared = TypeVar("Declared")


class ActionMeta(TypedDict):
    """What the decorator attaches as `action_meta`."""

    name: str
    is_system_action: bool
    execute_async: bool
    output_mapping: Callable[[Any], bool] | None
    inline: bool


@dataclass
class ActionResult:
    """The result of an action that also changes variables or adds events.

    Attributes:
        return_value: what `$x = execute ...` assigns.
        events: event dicts to add after the action finished.
        context_updates: variables to set before that.
    """

    return_value: Any = None
    events: list[dict[str, Any]] | None = None
    context_updates: dict[str, Any] | None = field(default_factory=dict)


def action(
    is_system_action: bool = False,
    name: str | None = None,
    execute_async: bool = False,
    output_mapping: Callable[[Any], bool] | None = None,
    *,
    inline: bool = False,
) -> Callable[[Declared], Declared]:
    """Declares a function, class or method as an action and returns it unchanged.

    Args:
        is_system_action: always run in this process, and left out of the history that models see.
        name: how flows call it; default: the name of the function or class.
        execute_async: Colang 2.x: events go on while it runs.
        output_mapping: reads a return value outside of its flow; true means block.
        inline: a synchronous function that is quick enough to run on the event loop
            (default: a worker thread).

    Raises:
        ValueError: there is no name to go by.
    """

    def declare(declared: Declared) -> Declared:
        own_name = name or getattr(declared, "__name__", None)
        if not own_name:
            raise ValueError(f"An action needs a name: @action(name=...) on {declared!r}")
        meta: ActionMeta = {
            "name": own_name,
            "is_system_action": is_system_action,
            "execute_async": execute_async,
            "output_mapping": output_mapping,
            "inline": inline,
        }
        target: Any = getattr(declared, "__func__", declared)
        target.action_meta = meta
        return declared

    return declare
