"""Syntax tree of a flow -> flat list of instructions."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ..interpreter import Place
from ..source import Span
from . import instructions as to
from . import nodes

_SOMETHING = " something"


def lower(flow: nodes.FlowDefinition, file: str) -> to.Flow:
    """The flow as instructions; jumps that skip silent code are resolved."""
    lowering = _Lowering(flow.name, file)
    lowering.block(flow.body)
    steps = lowering.finished(Span(flow.span.end_line, flow.span.end_line))
    texts = {name: tuple(values) for name, values in lowering.texts.items()}
    return to.Flow(flow.name, flow.meta, steps, texts, flow.source, file, flow.span.line)


class _Lowering:
    def __init__(self, flow: str, file: str):
        self._flow = flow
        self._file = file
        self._steps: list[to.Instruction] = []
        self._labels: dict[str, int] = {}
        self._gotos: list[tuple[int, str]] = []
        self._loops: list[_Loop] = []
        self.texts: dict[str, list[str]] = {}

    def finished(self, span: Span) -> tuple[to.Instruction, ...]:
        self._add(to.End(self._place(span)))
        for at, label in self._gotos:
            self._patch(at, self._labels[label])
        return tuple(self._steps)

    def block(self, body: tuple[nodes.Statement, ...]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, statement: nodes.Statement) -> None:
        place = self._place(statement.span)
        match statement:
            case nodes.UserStep() | nodes.EventStep():
                self._wait(statement, place)
            case nodes.BotStep():
                self._bot(statement, place)
            case nodes.If() | nodes.While() | nodes.When():
                self._compound(statement, place)
            case nodes.Break() | nodes.Continue() | nodes.Label() | nodes.Goto():
                self._jump(statement, place)
            case _:
                self._add(_simple(statement, place))

    def _wait(self, statement: nodes.Head, place: Place) -> None:
        self._add(to.Wait((_head(statement, len(self._steps) + 1),), place))

    def _bot(self, step: nodes.BotStep, place: Place) -> None:
        if step.name == nodes.WILDCARD:
            self._wait(step, place)
            return
        if step.name is not None and step.texts:
            self.texts.setdefault(step.name, []).extend(step.texts)
        self._add(to.Utter(step.name, step.text, step.variable, step.instructions, place))

    def _compound(self, statement: nodes.If | nodes.While | nodes.When, place: Place) -> None:
        match statement:
            case nodes.If():
                self._if(statement, place)
            case nodes.While():
                self._while(statement, place)
            case nodes.When():
                self._when(statement, place)
            case _:
                assert_never(statement)

    def _if(self, statement: nodes.If, place: Place) -> None:
        ends: list[int] = []
        for number, case in enumerate(statement.cases, 1):
            at = self._add(to.Branch(case.condition.evaluate, 0, self._place(case.span)))
            self.block(case.body)
            if number < len(statement.cases) or statement.otherwise:
                ends.append(self._add(to.Jump(0, place)))
            self._patch(at, len(self._steps))
        self.block(statement.otherwise)
        for end in ends:
            self._patch(end, len(self._steps))

    def _while(self, statement: nodes.While, place: Place) -> None:
        loop = _Loop(len(self._steps))
        self._loops.append(loop)
        at = self._add(to.Branch(statement.condition.evaluate, 0, place))
        self.block(statement.body)
        self._add(to.Jump(loop.start, place))
        self._loops.pop()
        for jump in (at, *loop.breaks):
            self._patch(jump, len(self._steps))

    def _when(self, statement: nodes.When, place: Place) -> None:
        at = self._add(to.Wait((), place))
        heads: list[to.Head] = []
        ends: list[int] = []
        for head, body in statement.branches:
            heads.append(_head(head, len(self._steps)))
            self.block(body)
            ends.append(self._add(to.Jump(0, place)))
        self._steps[at] = to.Wait(tuple(heads), place)
        for end in ends:
            self._patch(end, len(self._steps))

    def _jump(self, statement: nodes.Break | nodes.Continue | nodes.Label | nodes.Goto, place: Place) -> None:
        match statement:
            case nodes.Break():
                self._loops[-1].breaks.append(self._add(to.Jump(0, place)))
            case nodes.Continue():
                if self._loops:
                    self._add(to.Jump(self._loops[-1].start, place))
            case nodes.Label():
                self._labels[statement.name] = len(self._steps)
            case nodes.Goto():
                self._gotos.append((self._add(to.Jump(0, place)), statement.name))
            case _:
                assert_never(statement)

    def _add(self, step: to.Instruction) -> int:
        self._steps.append(step)
        return len(self._steps) - 1

    def _patch(self, at: int, target: int) -> None:
        step = self._steps[at]
        if isinstance(step, to.Branch):
            self._steps[at] = replace(step, otherwise=target)
        elif isinstance(step, to.Jump):
            self._steps[at] = replace(step, target=target)

    def _place(self, span: Span) -> Place:
        return Place(self._file, span.line, self._flow)


class _Loop:
    """A loop being lowered: where it starts, and the jumps out of it."""

    def __init__(self, start: int):
        self.start = start
        self.breaks: list[int] = []


_Simple = (
    nodes.ExecuteStep | nodes.CreateEvent | nodes.Assign | nodes.Do | nodes.Check | nodes.Return | nodes.Stop
)


def _simple(statement: _Simple, place: Place) -> to.Instruction:
    """The one instruction of a statement that has one."""
    match statement:
        case nodes.ExecuteStep(action=action, arguments=arguments, result=result):
            return to.Run(action, arguments, result, place)
        case nodes.CreateEvent(type=kind, arguments=arguments):
            return to.Create(kind, arguments, place)
        case nodes.Assign(variable=variable, value=value):
            return to.Assign(variable, value.evaluate, place)
        case nodes.Do(name=name, computed=computed, arguments=arguments):
            return to.Call(name, computed.evaluate if computed else None, arguments, place)
        case nodes.Check(condition=condition):
            return to.Check(condition.evaluate, place)
        case nodes.Return():
            return to.End(place)
        case nodes.Stop():
            return to.Halt(place)
        case _:
            assert_never(statement)


def _head(head: nodes.Head, target: int) -> to.Head:
    match head:
        case nodes.UserStep(intents=intents):
            names = None if nodes.WILDCARD in intents else frozenset(_spellings(intents))
            return to.Head("user", names, {}, target)
        case nodes.BotStep():
            name = _bot_name(head)
            return to.Head("bot", None if name == nodes.WILDCARD else frozenset({name}), {}, target)
        case nodes.EventStep(type=kind, properties=properties):
            return to.Head("event", frozenset({kind}), properties, target)
        case _:
            assert_never(head)


def _bot_name(step: nodes.BotStep) -> str:
    if step.name is not None:
        return step.name
    return f"${step.variable}" if step.variable is not None else f'"{step.text}"'


def _spellings(intents: tuple[str, ...]) -> list[str]:
    """The intents; one that ends in `something` is also known with `...` there."""
    others = [intent.removesuffix(_SOMETHING) + " ..." for intent in intents if intent.endswith(_SOMETHING)]
    return [*intents, *others]
