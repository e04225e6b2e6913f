"""Plays single flows of a Colang 1.0 program, as rails are: on a context, without events or other flows."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn

from ..interpreter import (
    ColangRuntimeError,
    Command,
    Context,
    Emit,
    Execute,
    Limits,
    Place,
    Play,
    Played,
    Say,
)
from . import instructions as step
from .references import Reference, read_reference

EVALUATION_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What evaluating an expression may raise."""

_MISSING = object()
_ENDED = Played(False)


class FlowPlayer:
    """Implements `colang.interpreter.Player`; holds nothing but the flows, so many plays may run at once."""

    def __init__(self, flows: Mapping[str, step.Flow], limits: Limits | None = None):
        self._flows = flows
        self._limits = limits or Limits()

    def play(self, flow: str, context: Context, params: dict[str, Any] | None = None) -> Play:
        """Plays a flow on `context`, which it reads and changes in place.

        A flow that waits for the user, a bot step or an event rests there and ends unstopped.

        Args:
            params: visible inside the flow, and those it calls, under their names; gone after it.

        Raises:
            ColangRuntimeError: while playing, for a failed expression, an unknown flow or a limit.
        """
        if params:
            return self._play_with(flow, context, params)
        return self._play(flow, context)

    def assigns(self, flow: str, variable: str) -> bool:
        """Whether the flow, or one it calls with `do`, may assign the variable.

        The answer is yes where a computed `do` could lead anywhere.
        """
        for each in reachable(self._flows, flow):
            for one in self._flows[each].steps:
                match one:
                    case step.Assign(variable=name) | step.Run(result=name) if name == variable:
                        return True
                    case step.Call(computed=computed, arguments=arguments):
                        if computed is not None or any(name == variable for name, _ in arguments.items):
                            return True
                    case _:
                        pass
        return False

    def actions(self, flow: str) -> list[str]:
        """The actions that the flow and those it calls execute, in order of the text, each once."""
        names = [
            one.action
            for each in reachable(self._flows, flow)
            for one in self._flows[each].steps
            if isinstance(one, step.Run)
        ]
        return list(dict.fromkeys(names))

    def branches(self, flow: str) -> bool:
        """Whether the flow, or one it calls, has an `if`, `while`, `check`, `when` or a computed `do`."""
        return any(
            isinstance(one, (step.Branch, step.Check))
            or (isinstance(one, step.Wait) and len(one.heads) > 1)
            or (isinstance(one, step.Call) and one.computed is not None)
            for each in reachable(self._flows, flow)
            for one in self._flows[each].steps
        )

    def _play_with(self, flow: str, context: Context, params: Mapping[str, Any]) -> Play:
        before = {name: context.get(name, _MISSING) for name in params}
        context.update(params)
        try:
            return (yield from self._play(flow, context))
        finally:
            for name, value in before.items():
                if value is _MISSING:
                    context.pop(name, None)
                else:
                    context[name] = value

    def _play(self, name: str, context: Context) -> Play:
        flow = self._flows.get(name)
        if flow is None:
            raise ColangRuntimeError(f"there is no flow '{name}'")
        walk = Walk(context, self._limits)
        steps, at = flow.steps, 0
        callers: list[tuple[tuple[step.Instruction, ...], int]] = []
        while True:
            at = walk.slide(steps, at)
            one = steps[at]
            at += 1
            if type(one) is step.Run:
                result = yield execute_command(one, context)
                if one.result is not None:
                    context[one.result] = result
                walk.count_decision(one.place)
            elif type(one) is step.End:
                if not callers:
                    return _ENDED
                steps, at = callers.pop()
            elif type(one) is step.Call:
                walk.count_call(len(callers), one.place)
                callers.append((steps, at))
                steps, at = walk.call(self._flows, one).steps, 0
            elif type(one) is step.Halt or type(one) is step.Wait:
                return Played(type(one) is step.Halt, one.place)
            elif isinstance(one, (step.Utter, step.Create)):
                yield spoken(one, context)
                walk.count_decision(one.place)


class Walk:
    """Goes over silent steps, and counts against the limits.

    Attributes:
        changes: the variables assigned so far.
    """

    __slots__ = ("_context", "_decisions", "_limits", "_silent", "changes")

    def __init__(self, context: MutableMapping[str, Any], limits: Limits):
        self._context = context
        self._limits = limits
        self._silent = 0
        self._decisions = 0
        self.changes: Context = {}

    def slide(self, steps: tuple[step.Instruction, ...], at: int) -> int:
        """Performs silent steps from a position on; the position of the first one that is not silent.

        Raises:
            ColangRuntimeError: an expression fails, or the steps go on for ever.
        """
        context = self._context
        while True:
            one = steps[at]
            if type(one) is step.Branch:
                at = at + 1 if evaluated(one, context) else one.otherwise
            elif type(one) is step.Assign:
                self.changes[one.variable] = context[one.variable] = assigned_value(one, context)
                at += 1
            elif type(one) is step.Jump:
                # Only a way back can go on for ever; it costs what lies between.
                self._count_silent(max(at - one.target, 0), one.place)
                at = one.target
            elif type(one) is step.Check:
                at = at + 1 if evaluated(one, context) else len(steps) - 1
            else:
                return at

    def call(self, flows: Mapping[str, step.Flow], one: step.Call) -> step.Flow:
        """The flow that a `do` runs; its parameters become variables.

        Raises:
            ColangRuntimeError: there is no such flow, or the name or a parameter cannot be evaluated.
        """
        try:
            parameters = one.arguments.evaluate(self._context)
            name = one.name
            if one.computed is not None:
                reference = _computed_reference(one.computed(self._context))
                name = reference.name
                parameters.update(reference.parameters)
        except EVALUATION_ERRORS as error:
            fail(error, one.place)
        self._context.update(parameters)
        self.changes.update(parameters)
        flow = flows.get(name or "")
        if flow is None:
            raise ColangRuntimeError(f"there is no subflow '{name}'", one.place)
        return flow

    def count_call(self, depth: int, place: Place) -> None:
        """Counts a call of a subflow, made at a depth of calls.

        Raises:
            ColangRuntimeError: a limit is exceeded.
        """
        if depth >= self._limits.depth:
            raise ColangRuntimeError(
                f"subflows call each other more than {self._limits.depth} levels deep", place
            )
        self._count_silent(1, place)

    def count_decision(self, place: Place) -> None:
        """Counts an action, a message or an event.

        Raises:
            ColangRuntimeError: there were too many.
        """
        self._silent = 0
        self._decisions += 1
        if self._decisions > self._limits.decisions:
            limit = self._limits.decisions
            raise ColangRuntimeError(f"more than {limit} actions, messages and events in one turn", place)

    def _count_silent(self, steps: int, place: Place) -> None:
        self._silent += steps
        if self._silent > self._limits.silent_steps:
            limit = self._limits.silent_steps
            raise ColangRuntimeError(f"more than {limit} steps without an action or a message", place)


def reachable(flows: Mapping[str, step.Flow], name: str) -> list[str]:
    """The flow and those it calls by constant names, directly or not, in order of the text."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in found or each not in flows:
            continue
        found[each] = None
        calls = [one.name for one in flows[each].steps if isinstance(one, step.Call) and one.name]
        waiting.extend(reversed(calls))
    return list(found)


def evaluated(one: step.Branch | step.Check, context: Mapping[str, Any]) -> bool:
    """Whether the test of a step holds.

    Raises:
        ColangRuntimeError: it cannot be evaluated.
    """
    try:
        return bool(one.test(context))
    except EVALUATION_ERRORS as error:
        fail(error, one.place)


def assigned_value(one: step.Assign, context: Mapping[str, Any]) -> Any:
    """The value of an assignment; tuples become lists.

    Raises:
        ColangRuntimeError: it cannot be evaluated.
    """
    try:
        value = one.evaluate(context)
    except EVALUATION_ERRORS as error:
        fail(error, one.place)
    return list(value) if type(value) is tuple else value


def execute_command(one: step.Run, context: Context) -> Execute:
    """The command for an action, its parameters resolved.

    Raises:
        ColangRuntimeError: a parameter cannot be evaluated.
    """
    try:
        params = one.arguments.evaluate(context)
    except EVALUATION_ERRORS as error:
        fail(error, one.place)
    return Execute(one.action, params, one.result, one.place)


def emit_command(one: step.Create, context: Context) -> Emit:
    """The command for `create event`.

    Raises:
        ColangRuntimeError: a parameter cannot be evaluated.
    """
    try:
        return Emit({"type": one.type, **one.arguments.evaluate(context)}, one.place)
    except EVALUATION_ERRORS as error:
        fail(error, one.place)


def say_command(one: step.Utter, context: Context) -> Say:
    """The command for a bot step; a variable that is not set becomes the intent `$name`."""
    if one.variable is None:
        return Say(one.place, context, one.intent, one.text, None, one.instructions)
    if one.variable in context:
        value = context[one.variable]
        return Say(one.place, context, value=value if isinstance(value, str) else str(value))
    return Say(one.place, context, intent=f"${one.variable}", instructions=one.instructions)


def fail(error: Exception, place: Place) -> NoReturn:
    """Raises the error of a statement for one of its expression.

    Raises:
        ColangRuntimeError: always.
    """
    raise ColangRuntimeError(f"{type(error).__name__}: {error}", place) from error


def spoken(one: step.Utter | step.Create, context: Context) -> Command:
    """The command of a step that says something or emits an event.

    Raises:
        ColangRuntimeError: a parameter cannot be evaluated.
    """
    return say_command(one, context) if isinstance(one, step.Utter) else emit_command(one, context)


def _computed_reference(value: Any) -> Reference:
    if not isinstance(value, str):
        raise TypeError(f"the name of a subflow must be a text, not {value!r}")
    return read_reference(value)
