"""The conformance cases of Colang 1.0, as far as the rooms that exist today carry them."""

# SPDX-License-Identifier: Apache-2.0

import pytest

from colang_cases import Conversation, Expected, Stub, read_cases
from colang_dialog import Dialog, Result
from nemoguardrails.colang.load import parse_sources
from nemoguardrails.colang.source import ColangSyntaxError, SourceText

CASES = {case["name"]: case for case in read_cases()}

pytestmark = pytest.mark.skipif(not CASES, reason="the specification's cases are not beside the checkout")

PARSE_ERRORS = ("c1-a4", "c1-a5", "c1-a6")
REFUSED_BY_THE_CONFIGURATION = ("c1-87",)

NOT_FOR_THE_MACHINE_ALONE = ("c1-09", "c1-54", "c1-97", "c1-98")
"""Dialogs that are about prompts, parsing of replies or lookup of actions."""


def names(*prefixes):
    return [name for name in CASES if name.startswith(prefixes)] if prefixes else []


def is_dialog(case):
    """Whether the case is about flows of dialog, without rails or special modes."""
    config = case["config"].replace("enable_multi_step_generation: true", "")
    messages = "define user" in case["colang"] or all("event" in turn for turn in case["turns"])
    return bool(case["turns"]) and not config.strip() and messages


def is_for_the_machine(name):
    return is_dialog(CASES[name]) and not name.startswith(NOT_FOR_THE_MACHINE_ALONE)


@pytest.mark.parametrize("name", names(*PARSE_ERRORS))
def test_what_cannot_be_read_is_refused(name):
    case = CASES[name]
    with pytest.raises(ColangSyntaxError) as caught:
        parse_sources([SourceText("main.co", case["colang"])])
    if isinstance(case["load_error"], str):
        assert case["load_error"] in str(caught.value)
    assert "main.co" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(PARSE_ERRORS)])
def test_every_other_program_is_read_without_a_warning(name):
    assert parse_sources([SourceText("main.co", CASES[name]["colang"])]).warnings == ()


@pytest.mark.parametrize("name", names(*REFUSED_BY_THE_CONFIGURATION))
def test_what_cannot_work_is_refused(name):
    with pytest.raises(ValueError, match=CASES[name]["load_error"]):
        Conversation(CASES[name])


def stubs(case, calls):
    """The actions of a case as plain functions."""

    def function(stub):
        def run(**given):
            return Result(stub.value(given), stub.spec.get("context_updates"), stub.spec.get("events", ()))

        return run

    return {name: function(Stub(name, spec, calls)) for name, spec in (case.get("actions") or {}).items()}


@pytest.mark.parametrize("name", [name for name in CASES if is_for_the_machine(name)])
def test_dialogs_on_the_machine_alone(name):
    case, calls = CASES[name], []
    multi_step = "multi_step" in case["config"]
    talk = Dialog(case["colang"], case.get("llm_replies", ()), stubs(case, calls), multi_step=multi_step)
    talk.state.context.update(case.get("context") or {})
    for turn in case["turns"]:
        if "user" in turn:
            answer = talk.user(turn["user"], turn.get("context"))
        else:
            answer = talk.event(turn["event"], turn.get("context"))
        Expected(turn).check(answer, tasks=talk.tasks, actions=talk.ran)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name]["turns"]])
async def test_cases_through_llm_rails(name, streamed):
    conversation = Conversation(CASES[name], streamed=streamed)
    for turn in CASES[name]["turns"]:
        await conversation.turn(turn)
