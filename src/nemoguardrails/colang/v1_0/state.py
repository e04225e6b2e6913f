"""The state of one conversation in Colang 1.0: variables and live flows, as plain data."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ...exceptions import InvalidStateError
from ..interpreter import Context
from .instructions import Flow

Status: TypeAlias = Literal["active", "interrupted", "aborted", "completed"]

_VERSION = 1
_STATUSES = ("active", "interrupted", "aborted", "completed")
_TRANSIENT = frozenset({"config", "event"})
_MAX_DEPTH = 50


@dataclass(slots=True)
class Instance:
    """A live flow.

    Attributes:
        uid: unique in its conversation.
        at: the position of the step it stands on.
        interrupter: the uid of the instance that it waits for; None while that is not known.
        depth: how many calls lie above it.
    """

    uid: int
    flow: str
    at: int
    status: Status = "active"
    interrupter: int | None = None
    depth: int = 0


@dataclass(slots=True)
class State:
    """What a conversation remembers from turn to turn.

    Attributes:
        context: all variables; flows, rails and actions of the conversation share it.
        instances: in order of creation.
        generated: the bodies of flows that a model wrote for this conversation, by name.
        decisions: carried out in this turn.
        last_uid: of the youngest instance.
    """

    context: Context = field(default_factory=lambda: {"last_user_message": None, "last_bot_message": None})
    instances: list[Instance] = field(default_factory=list)
    generated: dict[str, str] = field(default_factory=dict)
    decisions: int = 0
    last_uid: int = 0


def state_to_json(state: State, flows: Mapping[str, Flow]) -> dict[str, Any]:
    """The state as data that `json.dumps` takes; variables with other values are left out."""
    return {
        "version": _VERSION,
        "context": {
            name: value
            for name, value in state.context.items()
            if name not in _TRANSIENT and _is_json(value, _MAX_DEPTH)
        },
        "instances": [
            {
                "uid": one.uid,
                "flow": one.flow,
                "at": one.at,
                "status": one.status,
                "interrupter": one.interrupter,
                "depth": one.depth,
                "digest": _digest(flows.get(one.flow)),
            }
            for one in state.instances
        ],
        "generated": dict(state.generated),
        "last_uid": state.last_uid,
    }


def state_from_json(data: Mapping[str, Any], flows: Mapping[str, Flow]) -> State:
    """The state that `state_to_json` gave; flows that have changed since then are dropped.

    Raises:
        InvalidStateError: it is none.
    """
    try:
        if data["version"] != _VERSION:
            raise InvalidStateError(f"a state of version {data['version']!r} cannot be read, only {_VERSION}")
        state = State(dict(data["context"]), [], {str(k): str(v) for k, v in data["generated"].items()})
        state.last_uid = int(data["last_uid"])
        for each in data["instances"]:
            if each["flow"] in state.generated or each["digest"] == _digest(flows.get(each["flow"])):
                state.instances.append(_instance(each))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidStateError):
            raise
        raise InvalidStateError(f"this is no state of a conversation: {error!r}") from error
    _drop_orphans(state)
    return state


def _instance(data: Mapping[str, Any]) -> Instance:
    if data["status"] not in _STATUSES:
        raise InvalidStateError(f"a flow cannot be {data['status']!r}")
    interrupter = None if data["interrupter"] is None else int(data["interrupter"])
    return Instance(
        int(data["uid"]), str(data["flow"]), int(data["at"]), data["status"], interrupter, int(data["depth"])
    )


def _drop_orphans(state: State) -> None:
    """Takes out instances that wait for one that was dropped: they would go on as if it had finished."""
    known = {one.uid for one in state.instances}
    while True:
        kept = [one for one in state.instances if one.interrupter is None or one.interrupter in known]
        if len(kept) == len(state.instances):
            return
        state.instances = kept
        known = {one.uid for one in kept}


def _digest(flow: Flow | None) -> int | None:
    return None if flow is None else zlib.crc32(f"{len(flow.steps)}\n{flow.source}".encode())


def _is_json(value: Any, depth: int) -> bool:
    if value is None or type(value) in (str, bool, int, float):
        return True
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(item, depth - 1) for key, item in value.items())
    return isinstance(value, list) and all(_is_json(item, depth - 1) for item in value)
