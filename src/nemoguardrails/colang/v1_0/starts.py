"""Which flows an event may start, and whether a step matches an event."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..interpreter import Event
from . import instructions as step
from .nodes import WILDCARD

Kind: TypeAlias = Literal["user", "bot", "action", "event"]

CREATE_EVENT = "create_event"


@dataclass(frozen=True, slots=True)
class Sign:
    """What steps compare of an event: an intent, a bot step, a finished action, or only its type.

    Attributes:
        name: the intent, message or action; for other events their type.
    """

    kind: Kind
    name: str
    event: Event


def sign_of(event: Event) -> Sign:
    """The sign of an event; the completion of an action that failed is like any other event."""
    match event:
        case {"type": "UserIntent", "intent": intent}:
            return Sign("user", intent, event)
        case {"type": "BotIntent", "intent": intent}:
            return Sign("bot", intent, event)
        case {"type": "InternalSystemActionFinished", "action_name": name} if succeeded(event):
            return Sign("action", name, event)
        case _:
            return Sign("event", event["type"], event)


def succeeded(event: Event) -> bool:
    """Whether an action has finished well."""
    return bool(event.get("status", "success") == "success" and event.get("is_success", True))


def matched(one: step.Instruction, at: int, sign: Sign) -> int | None:
    """Where a flow that stands on the step at `at` goes on after the event; None if it does not match."""
    if isinstance(one, step.Wait):
        return _matched_head(one.heads, sign)
    if isinstance(one, step.Utter):
        return at + 1 if sign.kind == "bot" and sign.name == one.name else None
    if isinstance(one, step.Run):
        return at + 1 if sign.kind == "action" and sign.name == one.action else None
    if isinstance(one, step.Create) and sign.kind == "action" and sign.name == CREATE_EVENT:
        created = sign.event.get("action_params", {}).get("event", {})
        return at + 1 if created.get("type") == one.type else None
    return None


def _matched_head(heads: tuple[step.Head, ...], sign: Sign) -> int | None:
    wildcard = None
    for head in heads:
        if head.kind == "event":
            if _has_properties(head, sign.event):
                return head.target
        elif head.kind == sign.kind:
            if head.names is not None and sign.name in head.names:
                return head.target
            if head.names is None and wildcard is None:
                wildcard = head.target
    return wildcard


def _has_properties(head: step.Head, event: Event) -> bool:
    if head.names is None or event["type"] not in head.names:
        return False
    return all(
        wanted == WILDCARD or (name in event and event[name] == wanted)
        for name, wanted in head.properties.items()
    )


class StartIndex:
    """The flows of a program by what their first step waits for, so that an event meets few of them."""

    def __init__(self, flows: Iterable[step.Flow]):
        self._flows: list[step.Flow] = []
        self._by_sign: dict[tuple[Kind, str | None], list[int]] = {}
        for flow in flows:
            if flow.starts:
                number = len(self._flows)
                self._flows.append(flow)
                for key in _first_signs(flow.steps):
                    self._by_sign.setdefault(key, []).append(number)

    def candidates(self, sign: Sign) -> list[step.Flow]:
        """Flows that the event may start, in order of definition."""
        numbers = {
            *self._by_sign.get((sign.kind, sign.name), ()),
            *self._by_sign.get((sign.kind, None), ()),
            *self._by_sign.get(("event", sign.event["type"]), ()),
        }
        return [self._flows[number] for number in sorted(numbers)]


def _first_signs(steps: tuple[step.Instruction, ...]) -> set[tuple[Kind, str | None]]:
    """What the steps that a flow can reach silently from its start wait for."""
    signs: set[tuple[Kind, str | None]] = set()
    seen: set[int] = set()
    waiting = [0]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        one = steps[at]
        if isinstance(one, step.Jump):
            waiting.append(one.target)
        elif isinstance(one, step.Branch):
            waiting.extend((at + 1, one.otherwise))
        elif isinstance(one, (step.Assign, step.Check)):
            waiting.append(at + 1)
        else:
            signs.update(_signs(one))
    return signs


def _signs(one: step.Instruction) -> Mapping[tuple[Kind, str | None], None]:
    signs: dict[tuple[Kind, str | None], None] = {}
    if isinstance(one, step.Wait):
        for head in one.heads:
            signs.update(dict.fromkeys((head.kind, name) for name in head.names or (None,)))
    elif isinstance(one, step.Utter):
        signs["bot", one.name] = None
    elif isinstance(one, step.Run):
        signs["action", one.action] = None
    return signs
