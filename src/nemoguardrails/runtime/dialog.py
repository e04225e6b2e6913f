"""One turn of dialog in Colang 1.0: steps the flows, runs their actions, says one message after another."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from ..actions.dispatcher import ActionFailed, CallScope, Dispatcher
from ..colang.interpreter import ColangRuntimeError, Emit, Event, Execute, Place, Say
from ..colang.v1_0.instructions import Utter
from ..colang.v1_0.machine import Decision, Machine
from ..colang.v1_0.program import Program
from ..colang.v1_0.state import State
from ..exceptions import ActionNotFoundError
from ..logging.record import ActionRecord, RailRecord, TurnRecord
from .generation import INTERNAL_ERROR, NO_ANSWER, Generation, Talk
from .history import new_event, text_of
from .model_tasks import GENERATE_INTENT, GENERATE_NEXT_STEPS
from .replies import GENERAL_RESPONSE
from .retrieval import Retrieval
from .single_call import SingleCall
from .utterance import REMOVE_LAST, ModelWords, Utterance

Retrieve = Callable[[RailRecord], Awaitable[bool]]
"""Looks up what the bot's next message may rely on; false if a rail has ended the turn."""

GENERATE_MESSAGE = "generate_bot_message"

_INTENTS: Sequence[str] = ("UserIntent", "BotIntent")
_FOUND: Sequence[str] = ("relevant_chunks", "relevant_chunks_sep", "retrieved_for")
"""Variables that are newer than the bot step whose message is made."""

_log = logging.getLogger(__name__)


class Dialog:
    """The dialog of one configuration.

    Args:
        program: all flows; those of rails and of the library do not start by themselves.

    Attributes:
        has_intents: users' messages are defined, so that every message has an intent.
        takes_back: a message may be taken back by the next.
    """

    def __init__(
        self, program: Program, generation: Generation, dispatcher: Dispatcher, retrieval: Retrieval
    ) -> None:
        self.machine: Machine = program.machine()
        self.generation = generation
        self.dispatcher = dispatcher
        self.retrieval = retrieval
        self.has_intents = bool(program.user_messages)
        self.takes_back = any(
            REMOVE_LAST in message.texts for message in program.bot_messages.values()
        ) or any(
            isinstance(step, Utter) and step.text == REMOVE_LAST
            for flow in program.flows.values()
            for step in flow.steps
        )
        self.single_call = generation.tasks.config.rails.dialog.single_call.enabled


class _ActionError(Exception):
    """An action of a flow failed."""


class DialogTurn:
    """One turn of one conversation.

    Args:
        state: of the conversation; its context holds the same variables as the talk. Changed in place.
        talk: what answers are made from; its events grow with the turn.
        record: where the steps are noted.
        keywords: given to actions that take `**kwargs`.
        retrieve: is awaited before the first message that may need it.

    Attributes:
        exception: the last exception event of a flow: it is the answer.
        source: the flow that made it.
    """

    def __init__(
        self,
        dialog: Dialog,
        state: State,
        talk: Talk,
        record: TurnRecord,
        *,
        keywords: Mapping[str, Any],
        retrieve: Retrieve,
    ) -> None:
        self.exception: Event | None = None
        self.source = ""
        self._dialog = dialog
        self._machine = dialog.machine
        self._state = state
        self._talk = talk
        self._events = talk.events
        self._record = record
        self._keywords = keywords
        self._retrieve = retrieve
        self._queue: deque[Event] = deque()
        self._decision: Decision | None = None
        self._has_spoken = self._is_over = self._has_failed = self._has_retrieved = False
        self._single_call: SingleCall | None = None
        self._flow_entry: RailRecord | None = None

    async def utterances(
        self, event: Event | None, unheard: Sequence[Event] = ()
    ) -> AsyncGenerator[Utterance, None]:
        """What the bot says, in order; set the `outcome` of each before asking for the next.

        Args:
            event: the application's event to react to; `None` to answer the user's latest message.
            unheard: events that came before, to which it is too late to react.

        Raises:
            LLMCallException: a model could not be called.
        """
        self._machine.begin_turn(self._state)
        try:
            utterance = await self._guarded(self._begun(event, unheard))
            while utterance is not None:
                yield utterance
                utterance = await self._guarded(self._after(utterance))
        finally:
            self._close_entry()
            await self._drop_single_call()

    async def _guarded(self, step: Awaitable[Utterance | None]) -> Utterance | None:
        """A step of the turn; a flow that fails ends it with a neutral sentence."""
        try:
            return await step
        except (ColangRuntimeError, _ActionError) as error:
            # What a user's action says in its error may hold anything; the flow, file and line do not.
            told = error if isinstance(error, ColangRuntimeError) else "an action raised"
            _log.error("The dialog failed: %s", told)
            _log.debug("The dialog failed", exc_info=error)
            return self._failure()

    async def _begun(self, event: Event | None, unheard: Sequence[Event]) -> Utterance | None:
        for earlier in unheard:
            self._step(earlier)
        if event is not None:
            self._step(event)
            return await self._going_on()
        heard, raw = self._talk.variables.get("user_message"), self._raw_text()
        self._step({"type": "UtteranceUserActionFinished", "final_transcript": raw})
        if self._decision is None:
            self._step({"type": "UserMessage", "text": text_of(heard)})
        if self._decision is not None:
            return await self._going_on()
        if not self._dialog.has_intents:
            return await self._plain_answer()
        if self._dialog.single_call:
            await self._call_once()
        else:
            await self._generate("generate user intent", GENERATE_INTENT)
        return await self._going_on()

    async def _after(self, utterance: Utterance) -> Utterance | None:
        """What follows when the user has seen a message, or what was said instead."""
        outcome, variables = utterance.outcome, self._talk.variables
        if outcome.tool_calls:
            calls = [call.to_dict() for call in outcome.tool_calls]
            self._events.append({"type": "BotToolCalls", "tool_calls": calls})
        said = {"type": "StartUtteranceBotAction", "script": outcome.text}
        if utterance.takes_back:
            if outcome.text == REMOVE_LAST:
                self._forget_last_message()
        elif outcome.text or not outcome.tool_calls:
            self._events.append(said)
            self._note_events(utterance.rail, {"type": "BotMessage", "text": outcome.text}, said)
        if outcome.blocked:
            self._machine.reset(self._state)
            variables["last_bot_message"] = outcome.text
            return None
        if self._has_failed:
            self._events.append({"type": "hide_prev_turn"})
            return None
        variables["bot_message"] = outcome.text
        self._step({"type": "BotMessage", "text": outcome.text})
        self._step(said)
        self._decision = None
        self._has_spoken = True
        return await self._going_on()

    async def _going_on(self) -> Utterance | None:
        """Does what is to be done until there is something to say; `None` at the end of the turn."""
        utterance = None
        while utterance is None and not self._is_over:
            if self._queue:
                utterance = await self._taken(self._queue.popleft())
            elif self._decision is not None:
                decision, self._decision = self._decision, None
                utterance = await self._carried_out(decision)
            elif self._has_spoken:
                self._has_spoken = False
                self._decision = self._machine.resume(self._state).decision
            else:
                break
        return utterance

    async def _taken(self, event: Event) -> Utterance | None:
        """Takes in an event that an action, a model task or a flow has made."""
        kind = str(event.get("type", ""))
        if kind == "BotMessage":
            return Utterance(trusted=False, text=str(event.get("text", "")))
        if kind == "StartUtteranceBotAction":
            return Utterance(trusted=False, text=str(event.get("script", "")))
        if kind == "BotIntent":
            return await self._intended(event)
        if kind == "UserIntent":
            await self._understood(event)
            return None
        if kind == "start_flow" and event.get("flow_body"):
            self._start_generated(str(event["flow_body"]))
            return None
        if kind.endswith("Exception"):
            self.exception = event if "uid" in event else new_event(**event)
        if kind == "ContextUpdate":
            self._talk.variables.update(event.get("data") or {})
        else:
            self._events.append(event)
        self._step(event)
        return None

    async def _understood(self, event: Event) -> None:
        self._events.append(event)
        self._step(event)
        if self._decision is not None:
            return
        if self._single_call is not None:
            intent = {"type": "BotIntent", "intent": self._single_call.bot_intent}
            self._note_events(self._flow_entry, intent)
            self._queue.append(intent)
        else:
            await self._generate("generate next step", GENERATE_NEXT_STEPS)

    async def _intended(self, event: Event) -> Utterance | None:
        """Says a message that no flow has decided on."""
        self._events.append(event)
        self._step(event)
        intent = str(event.get("intent", ""))
        if intent == "stop":
            self._is_over = True
            return None
        place = Place("generated", 1, "generate next step")
        say = Say(place, dict(self._talk.variables), intent=intent, instructions=event.get("instructions"))
        return await self._message(say)

    def _start_generated(self, body: str) -> None:
        reaction = self._machine.start_generated(self._state, body)
        if reaction is None:
            self._queue.append({"type": "BotIntent", "intent": GENERAL_RESPONSE})
        else:
            self._decision = reaction.decision

    async def _carried_out(self, decision: Decision) -> Utterance | None:
        command, event = decision.command, decision.event
        if isinstance(command, Execute):
            await self._execute(command, event)
            return None
        entry = self._entry(decision.place.flow)
        if isinstance(command, Emit):
            self.source = decision.place.flow
            self._step(event)
            self._queue.append(command.event)
            return None
        self._events.append(event)
        self._step(event)
        if command is None:
            entry.stopped()
            self._is_over = True
            return None
        entry.decisions.append(event["intent"])
        return await self._message(command)

    async def _execute(self, command: Execute, event: Event) -> None:
        started = {**event, "is_system_action": self._is_system(command.action)}
        self._events.append(started)
        entry = self._entry(command.place.flow)
        end = await self._dialog.dispatcher.run(command.action, command.params, self._scope(entry))
        if isinstance(end, ActionFailed):
            entry.info = {"failed": f"Action {command.action} failed with status: failed"}
            raise _ActionError(f"{_shown(command.place)}: action '{command.action}': {end.error!r}")
        updates = dict(end.context_updates or {})
        if command.result_key:
            updates[command.result_key] = end.value
        if updates:
            self._talk.variables.update(updates)
            self._step({"type": "ContextUpdate", "data": updates})
        finished = {
            **started,
            "type": "InternalSystemActionFinished",
            "status": "success",
            "is_success": True,
            "return_value": end.value,
        }
        self._events.append(finished)
        self._step(finished)
        self._queue.extend(end.events)

    async def _generate(self, name: str, task: str) -> None:
        """Runs a model task, which adds events."""
        entry = self._opened("dialog", name)
        end = await self._dialog.dispatcher.run(task, {}, self._scope(entry))
        if isinstance(end, ActionFailed):
            entry.info = {"failed": f"Action {task} failed with status: failed"}
            raise _ActionError(f"action '{task}': {end.error!r}") from end.error
        self._talk.variables.update(end.context_updates or {})
        self._note_events(entry, *(one for one in end.events if one.get("type") in _INTENTS))
        self._queue.extend(end.events)

    async def _call_once(self) -> None:
        """Asks the model for intent, next step and message together."""
        entry = self._opened("dialog", "generate user intent")
        self._single_call = call = SingleCall(entry)
        await call.begin(await self._dialog.generation.single_call(self._talk, self._raw_text()))
        intent = {"type": "UserIntent", "intent": call.user_intent}
        self._note_events(entry, intent)
        self._queue.append(intent)

    async def _drop_single_call(self) -> None:
        call, self._single_call = self._single_call, None
        if call is not None:
            await call.aclose()

    # -- messages

    async def _plain_answer(self) -> Utterance | None:
        """The answer where no intents are defined: the model's words."""
        generation, talk = self._dialog.generation, self._talk
        entry = self._opened("generation", "generate user intent")
        if self._dialog.retrieval.is_wanted and not await self._retrieved(entry):
            return None
        shape = generation.answer_shape(streaming=talk.streaming)
        return Utterance(trusted=False, words=ModelWords(lambda: generation.answer(talk), shape), rail=entry)

    async def _message(self, say: Say) -> Utterance | None:
        """The words of a bot step."""
        generation = self._dialog.generation
        entry = self._opened("generation", "generate bot message")
        if not await self._retrieved(entry):
            return None
        if GENERATE_MESSAGE in self._dialog.dispatcher.registry:
            await self._message_by_action(entry)
            return None
        variables = self._talk.variables
        found = {name: variables[name] for name in _FOUND if name in variables}
        fixed = generation.fixed(replace(say, context={**say.context, **found}))
        if fixed is not None:
            now = time.time()
            entry.decisions.append(f"execute {GENERATE_MESSAGE}")
            entry.actions.append(ActionRecord(GENERATE_MESSAGE, {}, now, now))
            entry.finish()
            return Utterance(trusted=fixed.trusted, text=fixed.text, rail=entry)
        call = self._single_call
        if call is not None and call.bot_intent == say.intent:
            self._single_call = None
            return Utterance(
                trusted=False, words=ModelWords(call.message, None, GENERATE_MESSAGE), rail=entry
            )
        words = await generation.message(self._talk, say.intent or "")
        return Utterance(trusted=False, words=words, rail=entry)

    async def _message_by_action(self, entry: RailRecord) -> None:
        """The words that the user's own action makes."""
        end = await self._dialog.dispatcher.run(GENERATE_MESSAGE, {}, self._scope(entry))
        if isinstance(end, ActionFailed):
            raise _ActionError(f"action '{GENERATE_MESSAGE}': {end.error!r}") from end.error
        self._talk.variables.update(end.context_updates or {})
        self._queue.extendleft(reversed(end.events))

    async def _retrieved(self, entry: RailRecord) -> bool:
        """Looks up what the message may rely on, once in a turn; false if that ended the turn."""
        if self._has_retrieved:
            return True
        self._has_retrieved = True
        if await self._retrieve(entry):
            return True
        self._machine.reset(self._state)
        self._is_over = True
        return False

    def _failure(self) -> Utterance:
        self._machine.reset(self._state)
        self._queue.clear()
        self._has_failed = self._is_over = True
        self._events.append({"type": "BotIntent", "intent": INTERNAL_ERROR})
        say = Say(Place("", 0, ""), dict(self._talk.variables), intent=INTERNAL_ERROR)
        fixed = self._dialog.generation.fixed(say)
        return Utterance(trusted=True, text=fixed.text if fixed is not None else NO_ANSWER)

    # -- small things

    def _forget_last_message(self) -> None:
        for at in range(len(self._events) - 1, -1, -1):
            kind = self._events[at]["type"]
            if kind in ("StartUtteranceBotAction", "UtteranceUserActionFinished"):
                if kind == "StartUtteranceBotAction":
                    del self._events[at]
                return

    def _note_events(self, entry: RailRecord | None, *events: Event) -> None:
        """Adds events to an entry of the log, by default the latest."""
        rails = self._record.rails
        entry = entry or (rails[-1] if rails else None)
        if entry is not None:
            entry.events = [*(entry.events or ()), *(new_event(**event) for event in events)]

    def _step(self, event: Event) -> None:
        self._decision = self._machine.step(self._state, event).decision

    def _raw_text(self) -> str:
        for event in reversed(self._events):
            if event["type"] == "UtteranceUserActionFinished":
                return text_of(event.get("final_transcript"))
        return ""

    def _scope(self, entry: RailRecord) -> CallScope:
        return CallScope(self._talk.variables, self._events, keywords=self._keywords, rail=entry)

    def _entry(self, flow: str) -> RailRecord:
        """The log's entry of a flow: the latest one, if it is the flow's."""
        rails, entry = self._record.rails, self._flow_entry
        if entry is not None and entry is rails[-1] and entry.name == flow:
            return entry
        return self._opened("dialog", flow)

    def _opened(self, type: Literal["dialog", "generation"], name: str) -> RailRecord:
        """A new entry of the log; that of the flow before is complete."""
        self._close_entry()
        entry = self._record.rail(type, name)
        if type == "dialog":
            self._flow_entry = entry
        return entry

    def _close_entry(self) -> None:
        entry, self._flow_entry = self._flow_entry, None
        if entry is not None:
            entry.finish()

    def _is_system(self, action: str) -> bool:
        try:
            return self._dialog.dispatcher.bind(action).is_system
        except ActionNotFoundError:
            return False


def _shown(place: Place) -> str:
    return f"{place.file}, line {place.line}, flow '{place.flow}'"
