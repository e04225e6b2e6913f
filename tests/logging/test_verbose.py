"""The console log of a turn."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys

import pytest

from nemoguardrails.logging import verbose
from nemoguardrails.logging.explain import LLMCallInfo
from nemoguardrails.logging.record import ActionRecord, TurnRecord
from nemoguardrails.logging.verbose import VerboseLog, VerboseSettings, set_verbose


@pytest.fixture(autouse=True)
def _nothing_chosen():
    yield
    set_verbose(False)


def played(
    settings: VerboseSettings | None, text: str = "some words", file: io.StringIO | None = None
) -> str:
    """What is printed of a turn with one rail, one action and one model call."""
    out = file or io.StringIO()
    turn = TurnRecord(listener=VerboseLog(settings, file=out))
    rail = turn.rail("input", "self check input")
    action = ActionRecord("self_check_input", {"text": text}, 100.0, 100.5, return_value=False)
    rail.listener("action", action)
    call = LLMCallInfo(task="self_check_input", llm_model_name="m", prompt=f"[cyan]User[/]\n{text}")
    turn.model_calling(call)
    call.duration, call.prompt_tokens, call.completion_tokens, call.total_tokens = 0.25, 7, 3, 10
    call.completion = text
    turn.model_called(call)
    rail.listener("action finished", action)
    rail.stopped()
    rail.finish()
    turn.events.append({"type": "StartUtteranceBotAction", "script": "No."})
    turn.finish()
    return re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3} \| ", "", out.getvalue())


def test_a_turn_is_told_step_by_step():
    told = re.sub(r"\d\.\d\d s", "T", played(VerboseSettings()))
    assert told == (
        "input rail | self check input\n"
        "  action | self_check_input(text=some words)\n"
        "  model | m, task self_check_input\n"
        "  model | m, task self_check_input done, T, 7 + 3 tokens\n"
        "    -- prompt\n"
        "    User:\n"
        "    some words\n"
        "    -- completion\n"
        "    some words\n"
        "  action | self_check_input done, T, False\n"
        "input rail | self check input blocked, T\n"
        "bot | No.\n"
        "turn | by self check input blocked, T, 1 model call, 10 tokens\n"
    )


def told_dialog(settings: VerboseSettings) -> str:
    """What is printed of a turn of dialog: an intent, a flow with an action, a message."""
    out = io.StringIO()
    turn = TurnRecord(listener=VerboseLog(settings, file=out))
    step = turn.rail("dialog", "generate user intent")
    step.events = [{"type": "UserIntent", "intent": "ask price"}]
    own = ActionRecord("generate_user_intent", {}, 100.0, 100.5)
    step.listener("action", own)
    step.listener("action finished", own)
    step.finish()
    flow = turn.rail("dialog", "prices")
    action = ActionRecord("find price", {"of": "tea"}, 100.0, 100.5, return_value=3)
    flow.listener("action", action)
    flow.listener("action finished", action)
    flow.decisions += ["execute find price", "tell price"]
    flow.finish()
    message = turn.rail("generation", "generate bot message")
    found = ActionRecord("retrieve_relevant_chunks", {}, 100.0, 100.5, return_value="Tea costs 3.")
    message.listener("action", found)
    message.listener("action finished", found)
    message.finish()
    end = turn.rail("dialog", "prices")
    end.stopped()
    end.finish()
    turn.events.append({"type": "StartUtteranceBotAction", "script": "It costs 3."})
    turn.finish()
    return re.sub(r"\d+\.\d\d s", "T", re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3} \| ", "", out.getvalue()))


def test_a_dialog_is_told_by_its_intents_flows_and_actions():
    assert told_dialog(VerboseSettings()) == (
        "dialog | generate user intent\n"
        "user intent | ask price, T\n"
        "flow | prices\n"
        "  action | find price(of=tea)\n"
        "  action | find price done, T, 3\n"
        "bot intent | tell price\n"
        "generation | generate bot message\n"
        "  action | retrieve_relevant_chunks done, T, Tea costs 3.\n"
        "flow | prices\n"
        "flow | prices ends the turn\n"
        "bot | It costs 3.\n"
        "turn | done, T, 0 model calls\n"
    )


def test_simplified_a_dialog_is_told_by_intents_and_flows():
    assert told_dialog(VerboseSettings(simplify=True)) == (
        "user intent | ask price, T\n"
        "flow | prices\n"
        "bot intent | tell price\n"
        "flow | prices\n"
        "flow | prices ends the turn\n"
        "bot | It costs 3.\n"
        "turn | done, T, 0 model calls\n"
    )


def test_a_model_call_without_an_answer_is_not_called_done():
    out = io.StringIO()
    VerboseLog(file=out)("model call finished", LLMCallInfo(task="general", llm_model_name="m"))
    assert "m, task general ended early, 0.00 s\n" in out.getvalue()


def test_an_action_of_the_dialog_that_fails_is_told():
    out = io.StringIO()
    failed = ActionRecord("generate_user_intent", {}, 1.0, 2.0, failure="ValueError: no")
    VerboseLog(file=out)("action finished", failed)
    assert "generate_user_intent failed, 1.00 s, ValueError: no" in out.getvalue()


def test_without_model_calls_no_text_is_shown():
    told = played(VerboseSettings(llm_calls=False))
    assert "some words" not in told
    assert "No." not in told
    assert "self_check_input(text)" in told


def test_simplified_there_is_one_line_per_rail_call_and_message():
    told = played(VerboseSettings(simplify=True)).splitlines()
    assert [line.split(" | ")[0].strip() for line in told] == ["model", "input rail", "bot", "turn"]


def test_a_failed_action_says_why():
    out = io.StringIO()
    VerboseLog(file=out)("action finished", ActionRecord("a", {}, 1.0, 2.0, failure="ValueError: no"))
    assert "a failed, 1.00 s, ValueError: no" in out.getvalue()


@pytest.mark.parametrize(
    "text", ["[/foo] [/] [red]x[/red]", ":smile: ]][[", "a\x1b[31mred\x07\x00", "\ud800"]
)
def test_texts_are_never_interpreted(text):
    told = played(VerboseSettings(), text)
    assert "\x1b" not in told
    assert "\x07" not in told
    assert text.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\x00", "\\x00") in told


def test_very_long_texts_are_cut():
    told = played(VerboseSettings(), "x" * 50_000)
    assert "... (50000 characters)" in told
    assert len(told) < 50_000


def test_objects_whose_repr_raises_are_survived():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    out = io.StringIO()
    VerboseLog(file=out)("action", ActionRecord("a", {"x": Broken()}, 1.0))
    assert "<Broken instance" in out.getvalue()


def test_a_terminal_that_is_gone_is_survived():
    out = io.StringIO()
    out.close()
    VerboseLog(file=out)("turn finished", TurnRecord())


def test_a_reader_that_left_is_survived():
    writes = []

    class Left(io.StringIO):
        def write(self, text):
            writes.append(text)
            raise BrokenPipeError

    log = VerboseLog(file=Left())
    log("turn finished", TurnRecord())
    log("turn finished", TurnRecord())
    assert len(writes) == 1


def test_topics_of_no_interest_are_passed_over():
    out = io.StringIO()
    VerboseLog(file=out)("rail", "something else")
    assert out.getvalue() == ""


def test_nothing_goes_to_standard_output(capsys):
    turn = TurnRecord(listener=VerboseLog())
    turn.finish()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "turn | done" in captured.err


class TestSetVerbose:
    def test_it_chooses_for_the_process_and_takes_back(self):
        assert not verbose.verbose_settings().enabled
        set_verbose(True, llm_calls=True, simplify=True)
        assert verbose.verbose_settings() == VerboseSettings(True, True, True)
        set_verbose(True)
        assert "some words" not in played(None)
        set_verbose(False)
        assert verbose.verbose_settings() == VerboseSettings()

    def test_the_root_logger_is_left_alone(self):
        root = logging.getLogger()
        before = (root.level, list(root.handlers))
        set_verbose(True, debug=True, debug_level="DEBUG")
        package = logging.getLogger("nemoguardrails")
        assert (package.level, len(package.handlers)) == (logging.DEBUG, 1)
        set_verbose(True, debug=True)
        assert len(package.handlers) == 1
        set_verbose(False)
        assert (package.handlers, package.level) == ([], logging.NOTSET)
        assert (root.level, list(root.handlers)) == before


def test_rich_is_imported_only_when_something_is_printed():
    code = (
        "import sys; from nemoguardrails.logging.verbose import VerboseLog; log = VerboseLog(); "
        "assert 'rich' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
