"""The dialog of Colang 1.0: folds events into a state, one by one, and decides what the bot does next.

Each event is folded once and the state is kept, so a turn costs the same however long the talk is;
and only flows whose first step may match an event are looked at.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..interpreter import ColangRuntimeError, Context, Emit, Event, Execute, Limits, Place, Say
from . import instructions as code
from .generated import allowed_body, generated_flow
from .player import Walk, emit_command, execute_command, say_command
from .starts import CREATE_EVENT, Sign, StartIndex, matched, sign_of
from .state import Instance, State

CARRIED_OVER = 0.9
"""The factor for an instance that stands on its step while an event passes that is none of its business."""

NEXT_STEP_PRIORITY = 0.9
"""Flows below it leave the next step after a user intent to the model."""

MAX_INSTANCES = 100

_EXECUTABLE = (code.Utter, code.Run, code.Create, code.Halt)
_EXTENSION_ELEMENT = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What the bot does next.

    Attributes:
        command: how to do it; None for `stop`. A `Say` holds a copy of the variables as they are now.
        event: for a message and for `stop` the BotIntent, to be given to `step` before the message is
            made; for `create event` the completion, to be given to `step` before the created event;
            for an action the StartInternalSystemAction, for the history.
    """

    command: Execute | Say | Emit | None
    event: Event
    place: Place


@dataclass(frozen=True, slots=True)
class Reaction:
    """What an event brought about.

    Attributes:
        changes: the variables that flows have assigned; they are in the state already.
        decision: None if no flow has anything to do now. After a BotIntent always None: the decision
            is taken with `resume`, when the message is out.
    """

    changes: Context = field(default_factory=dict)
    decision: Decision | None = None


class Machine:
    """Steps conversations of one program; holds no state of its own."""

    def __init__(self, flows: Mapping[str, code.Flow], limits: Limits | None = None):
        self.flows = flows
        self.limits = limits or Limits()
        self._index = StartIndex(flows.values())

    def begin_turn(self, state: State) -> None:
        """Counts decisions anew."""
        state.decisions = 0

    def step(self, state: State, event: Event) -> Reaction:
        """Folds an event into the state.

        Give it what belongs to the dialog: the user's words and intents, bot intents, completions of
        the actions that flows run (each after its ContextUpdate), and events of the application.
        Events of the pipeline may be given too; they start flows that wait for them and change
        nothing else. The completions of the pipeline's own actions are none of the dialog's business.

        Raises:
            ColangRuntimeError: a flow failed or a limit is exceeded; call `reset` then.
        """
        if event["type"] == "ContextUpdate":
            state.context.update(event["data"])
            return Reaction()
        if event["type"] == "StartInternalSystemAction":
            return Reaction()
        _remember(state, event)
        sign = sign_of(event)
        if (sign.kind, sign.name) == ("bot", "stop"):
            self.reset(state)
            return Reaction()
        if sign.kind in ("bot", "action"):
            state.decisions += 1
        fold = _Fold(self, state, self._index)
        if event["type"] == "start_flow":
            fold.start_by_name(event)
        else:
            fold.fold(sign)
        return self._reaction(fold, state, sign)

    def resume(self, state: State) -> Reaction:
        """The next decision when a message is out, or when events have passed that moved nothing.

        Raises:
            ColangRuntimeError: a limit is exceeded, or a parameter cannot be evaluated.
        """
        fold = _Fold(self, state, self._index)
        fold.carry_over()
        return self._reaction(fold, state, None)

    def reset(self, state: State) -> None:
        """Forgets all live flows, as `stop` and failures do; the variables stay."""
        state.instances.clear()
        state.generated.clear()

    def start_generated(
        self, state: State, body: str, allowed_actions: Collection[str] = ()
    ) -> Reaction | None:
        """Runs steps that a model wrote, as a flow of this conversation alone.

        Lines that cannot be read are dropped from the end. Of the rest only `bot NAME` and `user`
        steps count, and the allowed actions; `bot $name` is a name like any other.

        Returns:
            None if nothing is left of it.

        Raises:
            ColangRuntimeError: a limit is exceeded.
        """
        name = f"generated {state.last_uid + 1}"
        kept = allowed_body(body, name, allowed_actions)
        if not kept:
            return None
        fold = _Fold(self, state, self._index)
        state.generated[name] = kept
        fold.start(generated_flow(kept, name))
        return self._reaction(fold, state, None)

    def flow_of(self, state: State, name: str) -> code.Flow | None:
        """The flow of that name, in the program or written by a model in this conversation."""
        if name in state.generated:
            return generated_flow(state.generated[name], name)
        return self.flows.get(name)

    def _reaction(self, fold: _Fold, state: State, sign: Sign | None) -> Reaction:
        owner = fold.owner
        if owner is None or (sign is not None and sign.kind == "bot"):
            return Reaction(fold.changes)
        one = fold.flow(owner).steps[owner.at]
        if state.decisions >= self.limits.decisions:
            limit = self.limits.decisions
            raise ColangRuntimeError(f"more than {limit} actions, messages and events in one turn", one.place)
        return Reaction(fold.changes, _decision(one, state.context))


class _Fold:
    """One event's way through the live flows of a conversation."""

    def __init__(self, machine: Machine, state: State, index: StartIndex):
        self._machine = machine
        self._state = state
        self._index = index
        self._walk = Walk(state.context, machine.limits)
        self._rank = -math.inf
        self.owner: Instance | None = None
        self._forget_finished()

    @property
    def changes(self) -> Context:
        return self._walk.changes

    def flow(self, one: Instance) -> code.Flow:
        flow = self._machine.flow_of(self._state, one.flow)
        if flow is None:
            raise ColangRuntimeError(f"there is no flow '{one.flow}' any more")
        return flow

    def fold(self, sign: Sign) -> None:
        existing = list(self._state.instances)
        moves_all = sign.kind != "event"
        for one in existing:
            if one.status == "active":
                self._existing(one, sign, moves_all)
        self._start_new(sign)
        if sign.kind == "user" and self._rank < NEXT_STEP_PRIORITY:
            self.owner, self._rank = None, NEXT_STEP_PRIORITY
        self._after_extensions(existing)
        self._settle()

    def carry_over(self) -> None:
        for one in self._state.instances:
            if one.status == "active":
                self._offer(one, CARRIED_OVER)

    def start_by_name(self, event: Event) -> None:
        flow = self._machine.flows.get(event.get("flow_id", ""))
        if flow is None:
            raise ColangRuntimeError(f"there is no flow '{event.get('flow_id')}' to start")
        parameters = event.get("params") or {}
        self._state.context.update(parameters)
        self.changes.update(parameters)
        self.start(flow)

    def start(self, flow: code.Flow) -> None:
        """Starts a flow at its first step; the others stand still."""
        self.carry_over()
        self._enter(flow, 0, 0)
        self._settle()

    # -- the steps of a fold

    def _existing(self, one: Instance, sign: Sign, moves_all: bool) -> None:
        flow = self.flow(one)
        here = flow.steps[one.at]
        target = matched(here, one.at, sign)
        if target is not None:
            one.at = target
            self._slide(one, flow)
        elif not moves_all:
            self._offer(one, CARRIED_OVER)
        elif isinstance(here, _EXECUTABLE) or not flow.meta.is_interruptible:
            one.status = "aborted"
        else:
            one.status, one.interrupter = "interrupted", None

    def _start_new(self, sign: Sign) -> None:
        candidates = self._index.candidates(sign)
        if not candidates:
            return
        live = {one.flow for one in self._state.instances}
        for flow in candidates:
            if flow.name in live and not flow.meta.allows_multiple:
                continue
            # Nothing that a flow does before its first step may be seen unless it starts.
            unseen: Context = {}
            rehearsal = Walk(ChainMap(unseen, self._state.context), self._machine.limits)
            at = rehearsal.slide(flow.steps, 0)
            target = matched(flow.steps[at], at, sign)
            if target is not None:
                self._state.context.update(unseen)
                self.changes.update(unseen)
                self._enter(flow, target, 0)

    def _after_extensions(self, existing: list[Instance]) -> None:
        """Hands control back to, or keeps for later, the flows that an extension flow has pushed aside."""
        if any(one.status == "completed" and self.flow(one).meta.is_extension for one in existing):
            for one in existing:
                if one.status == "aborted":
                    one.status = "active"
                    self._offer(one, 1.0)
        owner = self.owner
        if owner is None:
            return
        takes_over = self.flow(owner).meta.is_extension and owner.at >= _EXTENSION_ELEMENT
        for one in existing:
            if one.status == "interrupted" and one.interrupter is None and one is not owner:
                one.interrupter = owner.uid
            elif takes_over and one.status == "aborted" and self.flow(one).meta.is_interruptible:
                one.status, one.interrupter = "interrupted", owner.uid

    def _settle(self) -> None:
        """Wakes the flows whose interrupter is done, until nothing changes."""
        changed = True
        while changed:
            changed = False
            status = {one.uid: one.status for one in self._state.instances}
            for one in list(self._state.instances):
                if one.status != "interrupted":
                    continue
                interrupter = (
                    "completed" if one.interrupter is None else status.get(one.interrupter, "completed")
                )
                if interrupter == "aborted":
                    one.status, changed = "aborted", True
                elif interrupter == "completed":
                    one.status, one.interrupter, changed = "active", None, True
                    self._slide(one, self.flow(one))
                status[one.uid] = one.status

    # -- moving one instance

    def _enter(self, flow: code.Flow, at: int, depth: int) -> Instance:
        state = self._state
        state.last_uid += 1
        one = Instance(state.last_uid, flow.name, at, depth=depth)
        state.instances.append(one)
        if len(state.instances) > MAX_INSTANCES:
            # Flows that may be live several times pile up where their answers never come.
            del state.instances[0]
        self._slide(one, flow)
        return one

    def _slide(self, one: Instance, flow: code.Flow) -> None:
        """Moves to the next step that is not silent, offers it, or ends."""
        while True:
            one.at = self._walk.slide(flow.steps, one.at)
            here = flow.steps[one.at]
            if isinstance(here, code.End):
                one.status = "completed"
                return
            if not isinstance(here, code.Call):
                self._offer(one, 1.0)
                return
            one.at += 1
            self._walk.count_call(one.depth, here.place)
            called = self._walk.call(self._machine.flows, here)
            below = self._enter(called, 0, one.depth + 1)
            if below.status != "completed":
                one.status, one.interrupter = "interrupted", below.uid
                return

    def _offer(self, one: Instance, factor: float) -> None:
        flow = self.flow(one)
        priority = flow.meta.priority
        if isinstance(flow.steps[one.at], _EXECUTABLE) and priority > self._rank:
            self.owner = one
            self._rank = priority * factor

    def _forget_finished(self) -> None:
        state = self._state
        state.instances = [one for one in state.instances if one.status in ("active", "interrupted")]
        if state.generated:
            live = {one.flow for one in state.instances}
            state.generated = {name: body for name, body in state.generated.items() if name in live}


def _remember(state: State, event: Event) -> None:
    state.context["event"] = event
    if event["type"] == "UserMessage":
        state.context["last_user_message"] = event.get("text")
    elif event["type"] == "StartUtteranceBotAction":
        state.context["last_bot_message"] = event.get("script")


def _decision(one: code.Instruction, context: Context) -> Decision:
    if isinstance(one, code.Utter):
        # A flow moves on while its message is made; the text keeps the values of its step.
        say = say_command(one, dict(context))
        event = {"type": "BotIntent", "intent": one.name}
        if one.instructions:
            event["instructions"] = one.instructions
        return Decision(say, event, one.place)
    if isinstance(one, code.Run):
        execute = execute_command(one, context)
        started = {
            "type": "StartInternalSystemAction",
            "action_name": execute.action,
            "action_params": execute.params,
            "action_result_key": execute.result_key,
        }
        return Decision(execute, started, one.place)
    if isinstance(one, code.Create):
        emit = emit_command(one, context)
        done = {
            "type": "InternalSystemActionFinished",
            "action_name": CREATE_EVENT,
            "action_params": {"event": emit.event},
            "status": "success",
            "is_system_action": True,
        }
        return Decision(emit, done, one.place)
    return Decision(None, {"type": "BotIntent", "intent": "stop"}, one.place)
