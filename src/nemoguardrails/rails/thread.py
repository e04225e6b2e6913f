"""The conversation that a turn belongs to: what the turn goes on from, and what it leaves behind."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..colang.interpreter import Event
from ..exceptions import InvalidStateError
from ..runtime.history import to_events
from .request import Request, state_messages
from .variables import lasting, state_events

if TYPE_CHECKING:
    from ..colang.v1_0.state import State
    from ..runtime.conversations import Past, Trace
    from .answer import Answer
    from .assembly import Parts, Talks

VERSION = 1
"""Of the states that callers bring back."""


class Thread:
    """One turn's part in a conversation.

    A conversation goes on from the state that the caller brings, or else from what is remembered of the
    messages that it sends; otherwise it begins, and its earlier messages are known by their words alone.

    Attributes:
        state: of the dialog; `None` where none is configured.
        events: of the conversation up to now.
        variables: of the conversation, what the caller sent since included; `None` for those of the request.
        unheard: events of the application that came before the latest message.
    """

    def __init__(self, parts: Parts, request: Request) -> None:
        self.state: State | None = None
        self.variables: dict[str, Any] | None = None
        self.unheard: list[Event] = []
        self._parts = parts
        self._request = request
        self._past: Past | None = None
        self._trace: Trace | None = None
        known = 0
        earlier: list[Event] = []
        if parts.talks is not None:
            known, earlier = self._resumed(parts.talks)
        self._known = len(earlier)
        self.events = [*earlier, *to_events(request.messages[known:])]

    def keep(self, answer: Answer, variables: Mapping[str, Any]) -> None:
        """Remembers the conversation with the answer, for a caller that sends both back."""
        state, talks = self.state, self._parts.talks
        if state is None or talks is None:
            return
        state.context = lasting(variables)
        if self._trace is None or answer.failed is not None:
            return
        from ..runtime.conversations import Past

        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if answer.exception is not None:
            message = {"role": "exception", "content": answer.exception}
        elif answer.tool_calls:
            message["tool_calls"] = [call.to_dict() for call in answer.tool_calls]
        past = Past(self._past, tuple(self.events[self._known :]))
        talks.conversations.keep(self._trace, message, state, past)

    def as_state(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The conversation as data, for a caller that brings it back with its next message."""
        made: dict[str, Any] = {"events": state_events(self.events, variables)}
        if self.state is not None:
            from ..colang.v1_0.state import State, state_to_json

            # The variables stand among the events.
            bare = State({}, self.state.instances, self.state.generated, last_uid=self.state.last_uid)
            flows = self._parts.program.flows
            made |= {"version": VERSION, "dialog": state_to_json(bare, flows)}
        return made

    def _resumed(self, talks: Talks) -> tuple[int, list[Event]]:
        """How many messages are known already, and the events that they stand for."""
        from ..colang.v1_0.state import State
        from ..runtime.conversations import Trace

        request = self._request
        messages = request.messages
        self.state = State()
        known, earlier = 0, list[Event]()
        if request.state is not None:
            if "dialog" in request.state:
                self.state = _state(request.state, self._parts)
                known = len(state_messages(request.state))
                earlier = [one for one in request.state["events"] if one.get("type") != "ContextUpdate"]
        else:
            self._trace = Trace(messages)
            found = talks.conversations.find(self._trace)
            if found is not None:
                self.state, self._past, known = found.state, found.past, found.known
                earlier = found.past.all()
                self.variables = dict(found.state.context)
                for message in messages[known:]:
                    if message["role"] == "context":
                        self.variables.update(message["content"])
        new = [message for message in messages[known:] if message["role"] != "context"]
        self.unheard = [dict(message["event"]) for message in new[:-1] if message["role"] == "event"]
        return known, earlier


def _state(given: Mapping[str, Any], parts: Parts) -> State:
    from ..colang.v1_0.state import state_from_json

    if given.get("version") != VERSION:
        version = given.get("version")
        raise InvalidStateError(f"Invalid Colang 1.0 state format: version {version!r} is not {VERSION}.")
    return state_from_json(given["dialog"], parts.program.flows)
