"""Carries out what a playing flow asks for: runs its actions and says its messages until it rests."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..actions.dispatcher import ActionEnd, ActionFailed, CallScope, Dispatcher
from ..actions.rail_outcome import RailOutcome
from ..actions.verdict_reading import read_verdict
from ..colang.interpreter import ColangRuntimeError, Emit, Event, Execute, Play, Say
from .history import new_event


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the bot; `trusted` if it is its author's own words with nothing filled in."""

    text: str
    trusted: bool


SayMessage: TypeAlias = Callable[[Say, CallScope], Awaitable[Said]]
"""Finds the words for a bot step."""


@dataclass(slots=True)
class Ran:
    """How the playing of one flow ended."""

    stopped: bool = False
    said: Sequence[Said] = ()
    exception: Event | None = None
    """The last exception event that was made."""
    outcome: RailOutcome | None = None
    """The last verdict object that an action returned and that does not allow."""
    refused: bool = False
    """An action's declared `output_mapping` says block."""
    plain: str = "allow"
    """What the last action's plain value would say by the default mapping."""
    failure: str | None = None
    """Why the flow could not be played to its end, in words that may be shown."""
    error: Exception | None = None
    """The exception behind a failure."""
    events: Sequence[Event] = ()
    """Other events that were made."""

    @property
    def reply(self) -> str | None:
        """The messages said, one a line; `None` if nothing was said."""
        return "\n".join(said.text for said in self.said) if self.said else None


class Runner:
    """Plays flows with their actions.

    Args:
        dispatcher: runs the actions.
        say: finds the words of bot messages.
    """

    def __init__(self, dispatcher: Dispatcher, say: SayMessage) -> None:
        self._dispatcher = dispatcher
        self._say = say

    async def run(self, play: Play, scope: CallScope) -> Ran:
        """Plays to the end, to a `stop`, to an exception event or to a failure.

        `scope.context` is the context that `play` works on; it is changed in place.

        Raises:
            LLMCallException: a model that an action or a message needs could not be called.
        """
        ran = Ran()
        answer: object = None
        try:
            while True:
                try:
                    command = play.send(answer)
                except StopIteration as played:
                    ran.stopped = ran.stopped or played.value.stopped
                    return ran
                answer = None
                if type(command) is Execute:
                    end = await self._dispatcher.run(command.action, command.params, scope)
                    answer = self._taken(end, command.action, scope, ran)
                    if ran.failure is not None or ran.stopped:
                        return ran
                elif isinstance(command, Say):
                    if scope.rail is not None and command.intent is not None:
                        scope.rail.decisions.append(command.intent)
                    ran.said = (*ran.said, await self._say(command, scope))
                elif isinstance(command, Emit):
                    _emit(command.event, ran)
        except ColangRuntimeError as error:
            ran.failure, ran.error = "The flow could not be played to its end", error
            return ran
        finally:
            play.close()

    def _taken(self, end: ActionEnd, action: str, scope: CallScope, ran: Ran) -> object:
        """Notes what came of an action; its value for the flow."""
        if isinstance(end, ActionFailed):
            ran.failure, ran.error = f"Action {action} failed with status: failed", end.error
            return None
        if end.context_updates:
            scope.context.update(end.context_updates)
        for event in end.events:
            _emit(event, ran)
        if end.outcome is None:
            self._note_plain_verdict(action, end.value, ran)
        elif end.outcome.is_blocked or end.outcome.is_transform:
            ran.outcome = end.outcome
        return end.value

    def _note_plain_verdict(self, action: str, value: object, ran: Ran) -> None:
        """Keeps what the value says as a verdict, for flows that do not look at it themselves."""
        mapping = self._dispatcher.bind(action).output_mapping
        if mapping is not None:
            ran.refused = ran.refused or read_verdict(value, mapping) == "block"
        elif isinstance(value, bool | int | float):
            ran.plain = read_verdict(value)


def _emit(event: Event, ran: Ran) -> None:
    kind = str(event.get("type", ""))
    made = event if "uid" in event else new_event(**{**event, "type": kind})
    if kind.endswith("Exception"):
        ran.exception = made
    elif kind == "BotIntent" and event.get("intent") == "stop":
        ran.stopped = True
    elif kind == "StartUtteranceBotAction":
        ran.said = (*ran.said, Said(str(event.get("script", "")), trusted=False))
    else:
        ran.events = (*ran.events, made)
