"""The events of a turn, made from its record after the fact, where a caller asks for them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..colang.interpreter import Event
from ..logging.record import ActionRecord, RailRecord, RailType
from ..runtime.history import new_event, text_of
from .answer import Answer

if TYPE_CHECKING:
    from .turn import Turn

_AROUND: dict[RailType, str] = {
    "input": "Input",
    "output": "Output",
    "tool_input": "ToolInput",
    "tool_output": "ToolOutput",
}
"""Kinds of rails that have events around them."""


def turn_events(turn: Turn, answer: Answer) -> list[Event]:
    """What happened in a turn that has ended, in order, from the user's words to `Listen`.

    Follows the order of a turn of Colang 1.0; actions and rails that ran side by side stand one
    after the other.
    """
    return [*_what_came(turn), *_what_was_judged(turn, answer), new_event("Listen")]


def _what_came(turn: Turn) -> Iterator[Event]:
    content = turn.request.user_content
    if content is not None:
        yield new_event("UtteranceUserActionFinished", final_transcript=content)
        yield new_event("ContextUpdate", data={"user_message": content})


def _what_was_judged(turn: Turn, answer: Answer) -> Iterator[Event]:
    """The rails in the order in which they began; what they are about stands before and after them."""
    heard = False
    # The messages of a dialog stand with the steps that made them.
    answered = turn.has_talked
    for kind, group in groupby(turn.record.rails, key=lambda rail: rail.type):
        rails = list(group)
        if kind != "input" and not heard:
            heard = True
            yield from _user_message(turn)
        if kind == "tool_input":
            yield new_event("UserToolMessages", tool_messages=turn.variables.get("tool_messages"))
        if kind in ("output", "tool_output") and not answered:
            answered = True
            yield from _answer(turn, answer)
        yield from _rails(kind, rails)
    stopped = any(rail.stop for rail in turn.record.rails)
    if not heard and not stopped:
        yield from _user_message(turn)
    if not answered and not stopped:
        yield from _answer(turn, answer)
    if not turn.has_talked:
        yield from _what_was_said(turn, answer)


def _user_message(turn: Turn) -> Iterator[Event]:
    message = turn.variables.get("user_message")
    if message is not None:
        yield new_event("UserMessage", text=message)


def _answer(turn: Turn, answer: Answer) -> Iterator[Event]:
    """The answer as it came, before any output rail."""
    thinking = turn.variables.get("bot_thinking")
    if thinking is not None:
        yield new_event("BotThinking", content=thinking)
    calls = answer.tool_calls
    if calls:
        yield new_event("BotToolCalls", tool_calls=[call.to_dict() for call in calls])
    text = _raw_text(turn, answer)
    if text or not calls:
        yield new_event("BotMessage", text=text)


def _raw_text(turn: Turn, answer: Answer) -> str:
    given = turn.request.bot_message
    if given is not None:
        return given
    for rail in turn.record.rails:
        if rail.type == "generation" and rail.actions and rail.actions[0].llm_calls:
            return rail.actions[0].llm_calls[-1].completion or ""
    return answer.text


def _rails(kind: RailType, rails: Sequence[RailRecord]) -> Iterator[Event]:
    around = _AROUND.get(kind)
    if around is None:
        for rail in rails:
            yield from _steps(rail)
        return
    yield new_event(f"Start{around}Rails")
    for rail in rails:
        yield new_event(f"Start{around}Rail", flow_id=rail.name)
        yield from _steps(rail)
        if not rail.stop:
            yield new_event(f"{around}RailFinished", flow_id=rail.name)
    if not any(rail.stop for rail in rails):
        yield new_event(f"{around}RailsFinished")


def _steps(rail: RailRecord) -> Iterator[Event]:
    """What one rail did; a rail that stopped ends with that."""
    actions = iter(rail.actions)
    for decision in rail.decisions:
        if decision.startswith("execute "):
            action = next(actions, None)
            if action is not None:
                yield from _action(action)
        elif decision != "stop":
            yield new_event("BotIntent", intent=decision)
    yield from rail.events or ()
    if rail.stop:
        yield new_event("BotIntent", intent="stop")


def _action(action: ActionRecord) -> Iterator[Event]:
    common: dict[str, Any] = {
        "action_uid": str(uuid4()),
        "action_name": action.name,
        "action_params": action.params,
        "action_result_key": None,
    }
    yield new_event("StartInternalSystemAction", **common)
    succeeded = action.failure is None
    yield new_event(
        "InternalSystemActionFinished",
        **common,
        status="success" if succeeded else "failed",
        is_success=succeeded,
        failure_reason=action.failure,
        return_value=action.return_value,
        events=[],
    )


def _what_was_said(turn: Turn, answer: Answer) -> Iterator[Event]:
    """The final words, unless it was a rail that said them."""
    if answer.tool_calls:
        yield new_event("StartToolCallBotAction", tool_calls=[call.to_dict() for call in answer.tool_calls])
    if any(rail.stop for rail in turn.record.rails) or answer.failed is not None:
        return
    if answer.text or not answer.tool_calls:
        yield new_event("StartUtteranceBotAction", script=text_of(answer.text))
