"""What a user sees of an answer, and what the conversation keeps of it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from nemoguardrails.cli.chat_view import AnswerView
from nemoguardrails.cli.screen import Screen
from nemoguardrails.streaming.events import (
    Blocked,
    Failed,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCalls,
)
from nemoguardrails.types import ToolCall, ToolCallFunction

from .tiny_terminal import TinyTerminal


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(events: Iterable[StreamEvent], out: io.StringIO | None = None) -> tuple[str, AnswerView]:
    out = out or io.StringIO()
    view = AnswerView(Screen(out, io.StringIO()))
    for event in events:
        view.show(event)
    view.end()
    return out.getvalue(), view


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "24")
    return FakeTerminal()


def test_text_comes_as_it_is_and_ends_with_one_line_end() -> None:
    output, view = shown([TextDelta("Hello [bold]"), TextDelta(" world"), Finished(finish_reason="stop")])
    assert output == "Hello [bold] world\n"
    assert view.text == "Hello [bold] world"


def test_text_with_its_own_line_end_gets_no_second_one() -> None:
    assert shown([TextDelta("Hello\n"), Finished()])[0] == "Hello\n"


def test_an_escape_sequence_of_the_model_is_shown_and_kept_in_the_history_as_said() -> None:
    output, view = shown([TextDelta("\x1b"), TextDelta("[31mred"), Finished()])
    assert output == "␛[31mred\n"
    assert view.text == "\x1b[31mred"


def test_a_block_of_an_output_rail_names_rail_and_reason_and_the_reply_follows() -> None:
    events = [TextDelta("It is "), Blocked("check code names", reason="a code name", reply="I can't say.")]
    output, view = shown(events)
    assert output == 'It is \n[blocked by output rail "check code names": a code name]\nI can\'t say.\n'
    assert view.text == "It is \nI can't say."


def test_a_rail_of_the_input_answers_instead_of_the_model() -> None:
    output, view = shown([Blocked("no advice", stage="input"), TextDelta("Ask a lawyer."), Finished()])
    assert output == '[input rail "no advice" answers instead of the model]\nAsk a lawyer.\n'
    assert view.text == "Ask a lawyer."


def test_a_rail_that_failed_says_what_went_wrong() -> None:
    output, _ = shown([Blocked("judge", failed=True, error="it timed out")])
    assert output == '[blocked: output rail "judge" could not decide: it timed out]\n'


def test_taken_back_text_is_counted_where_it_cannot_be_crossed_out() -> None:
    output, view = shown(
        [TextDelta("fine "), TextDelta("bad"), TextDelta(" word"), Blocked("r", retract_from=5)]
    )
    assert output.splitlines() == [
        "fine bad word",
        "[taken back: the last 8 characters of the answer above]",
        '[blocked by output rail "r"]',
    ]
    assert view.text == "fine "


def test_taken_back_text_is_crossed_out_on_a_terminal(terminal: FakeTerminal) -> None:
    events = [ReasoningDelta("Let me think"), TextDelta("fine, but "), TextDelta("then a long bad\nword")]
    output, view = shown([*events, Blocked("r", retract_from=13)], terminal)
    screen = TinyTerminal(20).show(output)
    assert screen.rows == [
        "Let me think",
        "fine, but then a",
        "long bad",
        "word",
        "[blocked by output",
        'rail "r"]',
    ]
    assert screen.struck == "n a long badword"
    assert view.text == "fine, but the"


def test_nothing_is_crossed_out_when_nothing_was_exposed(terminal: FakeTerminal) -> None:
    output, view = shown([TextDelta("fine"), Blocked("r", retract_from=4)], terminal)
    assert TinyTerminal(20).show(output).struck == ""
    assert view.text == "fine"


def test_a_stopped_answer_keeps_what_was_cleared_for_sure() -> None:
    view = AnswerView(Screen(io.StringIO(), io.StringIO()))
    for word in ("one ", "two ", "three "):
        view.show(TextDelta(word))
    view.stop(exposed=2)
    assert view.text == "one "


def test_notices_stay_out_of_the_answer_when_they_go_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    view = AnswerView(Screen(out, err), notices_apart=True)
    view.show(Blocked("no advice", stage="input"))
    view.show(TextDelta("Ask a lawyer."))
    view.end()
    assert out.getvalue() == "Ask a lawyer.\n"
    assert err.getvalue() == '[input rail "no advice" answers instead of the model]\n'


def test_tool_calls_and_early_ends_are_told() -> None:
    call = ToolCall("1", function=ToolCallFunction("look_up", {"city": "Köln"}))
    output, _ = shown([TextDelta("Let me see"), ToolCalls([call]), Finished(finish_reason="length")])
    assert output.splitlines() == [
        "Let me see",
        '[calls look_up with {"city": "Köln"}]',
        "[the model stopped at its limit of tokens]",
    ]


def test_a_failure_is_left_to_the_conversation() -> None:
    output, view = shown([TextDelta("Half"), Failed("the line broke")])
    assert output == "Half\n"
    assert view.failed is not None
    assert view.failed.message == "the line broke"
