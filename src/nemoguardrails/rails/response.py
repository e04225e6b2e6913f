"""Shapes the whole answer of a turn as what a caller who does not stream gets."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..logging.explain import ExplainInfo
from ..streaming.events import Finished
from .answer import Answer
from .generation_log import generation_log
from .options import GenerationResponse
from .turn_events import turn_events
from .variables import output_data

if TYPE_CHECKING:
    from .turn import Turn


_ANSWERING = ("general", "generate_bot_message", "generate_intent_steps_message")
"""Tasks whose replies users see."""


def plain_message(turn: Turn, answer: Answer) -> str | dict[str, Any]:
    """The answer to a call without options: a text for a prompt, a message for messages."""
    if answer.exception is not None:
        if turn.request.as_text:
            return answer.exception
        return {"role": "exception", "content": answer.exception}
    text = answer.text
    reasoning = "".join(answer.reasoning)
    if reasoning:
        text = f"<think>{reasoning}</think>\n{text}"
    if turn.request.as_text:
        return text
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if answer.tool_calls:
        message["tool_calls"] = _plain_calls(answer)
    return message


def full_response(turn: Turn, answer: Answer) -> GenerationResponse:
    """The answer to a call with options or state, with its log."""
    options, request = turn.request.options, turn.request
    history = turn.colang_history()
    if options.log.internal_events:
        turn.record.events = turn_events(turn, answer)
    made = GenerationResponse(
        response=_shaped(turn, answer),
        log=generation_log(turn.record, options.log, colang_history=history),
        tool_calls=_plain_calls(answer) if answer.tool_calls else None,
        reasoning_content="".join(answer.reasoning) or None,
        explain=ExplainInfo(llm_calls=turn.record.llm_calls, colang_history=history),
    )
    if answer.usage is not None:
        usage = answer.usage
        made.usage = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
    if answer.finished is not None:
        made.llm_metadata = answer.finished.provider_metadata
        made.llm_output = _raw_answer(turn, answer.finished) if options.llm_output else None
    if options.output_vars:
        made.output_data = output_data(turn.variables, options.output_vars)
    if request.state is not None:
        made.state = turn.thread.as_state(turn.variables)
    return made


def _raw_answer(turn: Turn, finished: Finished) -> dict[str, Any] | None:
    """What the model answered to the call that made the answer; `None` if no model was called."""
    calls = reversed(turn.record.llm_calls)
    call = next((call for call in calls if call.task in _ANSWERING), None)
    if call is None:
        return None
    return {
        "content": call.completion,
        "model": finished.model,
        "finish_reason": finished.finish_reason,
        "request_id": finished.request_id,
        "usage": {
            "input_tokens": call.prompt_tokens,
            "output_tokens": call.completion_tokens,
            "total_tokens": call.total_tokens,
        },
        "provider_metadata": finished.provider_metadata,
    }


def _shaped(turn: Turn, answer: Answer) -> str | list[dict[str, Any]]:
    if answer.exception is not None:
        return [{"role": "exception", "content": answer.exception}]
    if turn.request.as_text:
        return answer.text
    return [{"role": "assistant", "content": answer.text}]


def _plain_calls(answer: Answer) -> list[dict[str, Any]]:
    return [call.to_dict() for call in answer.tool_calls]
