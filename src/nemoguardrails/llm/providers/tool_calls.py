"""Tool calls in pieces: fragments of a stream in, the complete calls out at its end; pure."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...types import ToolCall, ToolCallFragment
from .http_errors import Endpoint
from .openai_wire import parsed_tool_call


@dataclass(slots=True)
class _OpenCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCallAssembler:
    """Collects the fragments of a stream's tool calls.

    Providers differ: most count the calls by `index`, some leave it out and send whole calls, some
    number every call 0 and tell them apart by `id`.
    """

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._position_of_index: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, deltas: Iterable[Any]) -> list[ToolCallFragment]:
        """The fragments of one stream event; `index` is the call's place in the complete list."""
        return [self._fragment(delta) for delta in deltas if isinstance(delta, Mapping)]

    def complete(self, endpoint: Endpoint) -> list[ToolCall]:
        """All calls, in the order in which they began.

        Raises:
            LLMResponseValidationError: the arguments of a call are not a JSON object.
        """
        return [
            parsed_tool_call(
                {"id": call.id, "function": {"name": call.name, "arguments": "".join(call.arguments)}},
                endpoint,
            )
            for call in self._calls
        ]

    def _fragment(self, delta: Mapping[str, Any]) -> ToolCallFragment:
        function = delta.get("function") or {}
        call_id, name = str(delta.get("id") or ""), str(function.get("name") or "")
        position = self._position(delta.get("index"), call_id, name)
        call = self._calls[position]
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else json.dumps(given) if given is not None else ""
        is_new_name = bool(name) and not call.name
        is_new_id = bool(call_id) and not call.id
        call.id = call.id or call_id
        call.name = call.name or name
        call.arguments.append(arguments)
        return ToolCallFragment(
            position, call_id if is_new_id else None, name if is_new_name else None, arguments
        )

    def _position(self, index: Any, call_id: str, name: str) -> int:
        """The place of the call that a fragment belongs to; a new one is made where none fits."""
        if isinstance(index, int):
            known = self._position_of_index.get(index)
            if known is not None and not self._is_another(self._calls[known], call_id, name):
                return known
            self._position_of_index[index] = len(self._calls)
        elif self._calls:
            for position, call in enumerate(self._calls):
                if call_id and call.id == call_id:
                    return position
            if not call_id and not name:
                return len(self._calls) - 1
        self._calls.append(_OpenCall())
        return len(self._calls) - 1

    @staticmethod
    def _is_another(known: _OpenCall, call_id: str, name: str) -> bool:
        return bool(call_id and name and known.id and known.name and call_id != known.id)
