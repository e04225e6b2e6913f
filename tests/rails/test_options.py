"""Options of a call, its response, and the log built from the record of a turn."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.exceptions import InvalidRailsConfigurationError
from nemoguardrails.logging.explain import LLMCallInfo
from nemoguardrails.logging.record import ActionRecord, RailRecord, TurnRecord
from nemoguardrails.rails.generation_log import activated_rails, generation_log, stats
from nemoguardrails.rails.llm import options as face
from nemoguardrails.rails.options import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationOptions,
    GenerationResponse,
    GenerationStats,
    LogOptions,
    RailOptions,
    RailsResult,
    RailStatus,
    RailType,
)


class TestOptions:
    def test_nothing_given_means_everything_on(self):
        options = GenerationOptions()
        assert options.rails == RailOptions()
        assert options.rails.input is True
        assert options.rails.dialog is True
        assert options.rails.strict_tools is False
        assert options.log == LogOptions()
        assert (options.llm_params, options.llm_output, options.output_vars) == (None, False, None)
        assert options.stream.reasoning is False

    def test_a_list_of_categories_switches_all_others_off(self):
        rails = GenerationOptions(rails=["input", "tool_output", "no such category"]).rails
        on = {name for name, value in rails.model_dump().items() if value}
        assert on == {"input", "tool_output"}

    def test_unknown_keys_are_ignored(self):
        assert GenerationOptions(nonsense=1, rails={"nonsense": 2}) == GenerationOptions()

    def test_wrong_values_are_refused(self):
        with pytest.raises(ValidationError):
            GenerationOptions(rails={"dialog": "perhaps"})

    def test_the_callers_dict_is_not_changed(self):
        given = {"rails": {"input": ["a"]}, "llm_params": {"temperature": 0.1}}
        before = json.dumps(given)
        GenerationOptions(**given)
        assert json.dumps(given) == before

    def test_what_a_stream_shows(self):
        options = GenerationOptions(stream={"reasoning": True, "tool_calls": True})
        assert options.stream.reasoning
        assert options.stream.tool_calls


class TestSelection:
    FLOWS = ("r one", "r two", "check $level=high", "check $level=low")

    def test_all_or_none(self):
        assert RailOptions().selected("input", self.FLOWS) == list(self.FLOWS)
        assert RailOptions(input=False).selected("input", self.FLOWS) == []
        assert RailOptions(input=[]).selected("input", self.FLOWS) == []

    def test_a_list_selects_exactly_those_in_the_order_of_the_configuration(self):
        assert RailOptions(output=["r two", "r one"]).selected("output", self.FLOWS) == ["r one", "r two"]

    def test_a_reference_or_the_name_of_its_flow(self):
        assert RailOptions(input=["check $level=low"]).selected("input", self.FLOWS) == ["check $level=low"]
        assert RailOptions(input=["check"]).selected("input", self.FLOWS) == list(self.FLOWS[2:])

    def test_an_unknown_name_is_an_error_that_names_it(self):
        with pytest.raises(InvalidRailsConfigurationError, match=r"rails\.input names `r three`.*`r one`"):
            RailOptions(input=["r one", "r three"]).selected("input", self.FLOWS)


class TestResponse:
    def test_everything_can_be_dumped(self):
        class Odd:
            def __str__(self):
                return "odd"

        executed = ExecutedAction(
            action_name="a", action_params={"x": Odd()}, return_value=RailOutcome.block("r", {"n": {1}})
        )
        rail = ActivatedRail(type="input", name="r", executed_actions=[executed])
        response = GenerationResponse(
            response=[{"role": "assistant", "content": ""}],
            tool_calls=[{"id": "1", "function": {"name": "f", "arguments": {}}}],
            log=GenerationLog(activated_rails=[rail], internal_events=[{"type": "E", "value": Odd()}]),
        )
        dumped = json.loads(response.model_dump_json())
        (action,) = dumped["log"]["activated_rails"][0]["executed_actions"]
        assert action["action_params"] == {"x": "odd"}
        assert action["return_value"]["decision"] == "block"
        assert action["return_value"]["metadata"] == {"n": [1]}
        assert dumped["log"]["internal_events"] == [{"type": "E", "value": "odd"}]
        assert executed.return_value.is_blocked
        assert "explain" not in dumped

    def test_result_of_a_check(self):
        result = RailsResult(status="blocked", content="no", rail="r")
        assert result.status is RailStatus.BLOCKED
        assert [RailType("input"), RailType("output")] == [RailType.INPUT, RailType.OUTPUT]

    def test_the_public_path_has_the_same_objects(self):
        assert face.GenerationOptions is GenerationOptions
        assert face.RailsResult is RailsResult


class TestSummary:
    def test_is_printed_in_the_known_form(self, capsys):
        call = LLMCallInfo(duration=0.56)
        log = GenerationLog(
            activated_rails=[
                ActivatedRail(
                    type="input",
                    name="self check input",
                    duration=0.564,
                    executed_actions=[ExecutedAction(action_name="self_check_input", llm_calls=[call])],
                ),
                ActivatedRail(type="dialog", name="greet", duration=0.0),
            ],
            stats=GenerationStats(
                input_rails_duration=1,
                dialog_rails_duration=2.01,
                generation_rails_duration=3,
                output_rails_duration=3.5,
                total_duration=10,
                llm_calls_duration=8,
                llm_calls_count=4,
                llm_calls_total_prompt_tokens=1000,
                llm_calls_total_completion_tokens=2000,
                llm_calls_total_tokens=3000,
            ),
        )
        log.print_summary()
        assert capsys.readouterr().out == (
            "\n# General stats\n\n"
            "- Total time: 10.00s\n"
            "  - [1.00s][10.0%]: INPUT Rails\n"
            "  - [2.01s][20.1%]: DIALOG Rails\n"
            "  - [3.00s][30.0%]: GENERATION Rails\n"
            "  - [3.50s][35.0%]: OUTPUT Rails\n"
            "  - [0.49s][4.9%]: Processing overhead \n"
            "- 4 LLM calls, 8.00s total duration, 1000 total prompt tokens, "
            "2000 total completion tokens, 3000 total tokens.\n"
            "\n# Detailed stats\n\n"
            "- [0.56s] INPUT (self check input): 1 actions (self_check_input), 1 llm calls [0.56s]\n"
            "- [0.00s] DIALOG (greet): 0 actions, 0 llm calls\n"
            "\n\n"
        )

    def test_an_empty_log_can_be_printed(self, capsys):
        GenerationLog().print_summary()
        assert "- Total time: 0.00s" in capsys.readouterr().out


def rail(kind, name, start, end=None, *, actions=(), decisions=(), stop=False) -> RailRecord:
    return RailRecord(kind, name, start, end, list(decisions), list(actions), stop)


def acted(name, start, end, *calls) -> ActionRecord:
    return ActionRecord(name, {}, start, end, llm_calls=list(calls))


class TestLog:
    def test_entries_in_order_with_their_times(self):
        turn = TurnRecord(100.0, 110.0)
        turn.rails = [
            rail("input", "inp", 100, 101, actions=[acted("act_in", 100, 101)], decisions=["execute act_in"]),
            rail("dialog", "greeting flow", 101),
            rail("generation", "generate bot message", 103, 104),
            rail("output", "outp", 108, 109),
        ]
        entries = activated_rails(turn)
        assert [(e.type, e.name, e.started_at, e.finished_at, e.duration) for e in entries] == [
            ("input", "inp", 100, 101, 1),
            ("dialog", "greeting flow", 101, 103, 2),
            ("generation", "generate bot message", 103, 108, 5),
            ("output", "outp", 108, 109, 1),
        ]
        assert entries[0].executed_actions[0].duration == 1
        assert entries[0].decisions == ["execute act_in"]

    def test_the_last_entry_ends_with_the_turn(self):
        turn = TurnRecord(100.0, 110.0, [rail("input", "inp", 104, stop=True, decisions=["stop"])])
        (entry,) = activated_rails(turn)
        assert (entry.finished_at, entry.stop, entry.decisions) == (110, True, ["stop"])

    def test_a_lone_general_call_makes_the_intent_step_a_generation(self):
        general, other = LLMCallInfo(task="general"), LLMCallInfo(task="generate_user_intent")
        for calls, kind in (([general], "generation"), ([other], "dialog"), ([general, other], "dialog")):
            turn = TurnRecord(1.0, 2.0)
            turn.rails = [rail("dialog", "generate user intent", 1, actions=[acted("g", 1, 2, *calls)])]
            assert activated_rails(turn)[0].type == kind

    def test_retrieval_rails_are_listed_under_the_generation(self):
        turn = TurnRecord(1.0, 9.0)
        turn.rails = [
            rail("dialog", "ask", 1, 2),
            rail(
                "retrieval", "mask", 2, 3, actions=[acted("mask_pii", 2, 3)], decisions=["execute mask_pii"]
            ),
            rail(
                "generation",
                "generate bot message",
                3,
                4,
                actions=[acted("gen", 3, 4)],
                decisions=["execute gen"],
            ),
        ]
        entries = activated_rails(turn)
        assert [entry.type for entry in entries] == ["dialog", "generation"]
        assert entries[1].decisions == ["execute mask_pii", "execute gen"]
        assert [action.action_name for action in entries[1].executed_actions] == ["mask_pii", "gen"]

    def test_without_generation_they_are_listed_under_the_last_entry(self):
        turn = TurnRecord(1.0, 9.0)
        turn.rails = [
            rail("dialog", "ask", 1, 2),
            rail("retrieval", "m", 2, 3, actions=[acted("mask", 2, 3)]),
        ]
        (entry,) = activated_rails(turn)
        assert [action.action_name for action in entry.executed_actions] == ["mask"]

    def test_a_retrieval_rail_that_ended_the_turn_is_seen(self):
        turn = TurnRecord(1.0, 9.0, [rail("retrieval", "check", 2, 3, stop=True)])
        assert [(e.type, e.stop) for e in activated_rails(turn)] == [("retrieval", True)]

    def test_figures(self):
        turn = TurnRecord(100.0, 110.0)
        turn.rails = [
            rail("input", "a", 100, 103),
            rail("input", "b", 101, 102),
            rail("input", "c", 104, 105),
        ]
        turn.llm_calls = [
            LLMCallInfo(duration=1.5, prompt_tokens=10, completion_tokens=5, total_tokens=15),
            LLMCallInfo(duration=None),
        ]
        made = stats(turn)
        assert made.input_rails_duration == 4
        assert made.output_rails_duration is None
        assert made.total_duration == 10
        assert (made.llm_calls_count, made.llm_calls_duration, made.llm_calls_total_tokens) == (2, 1.5, 15)
        assert (made.llm_calls_total_prompt_tokens, made.llm_calls_total_completion_tokens) == (10, 5)

    def test_only_what_was_asked_for(self):
        turn = TurnRecord(1.0, 9.0, [rail("input", "a", 1, 2)], [LLMCallInfo()], [{"type": "E"}])
        assert generation_log(turn, LogOptions()) is None
        rails = generation_log(turn, LogOptions(activated_rails=True))
        assert (len(rails.activated_rails), rails.llm_calls, rails.stats.llm_calls_count) == (1, None, 1)
        calls = generation_log(turn, LogOptions(llm_calls=True))
        assert (calls.activated_rails, len(calls.llm_calls), calls.stats.llm_calls_count) == ([], 1, 1)
        events = generation_log(turn, LogOptions(internal_events=True))
        assert (events.internal_events, events.stats) == ([{"type": "E"}], GenerationStats())
        history = generation_log(turn, LogOptions(colang_history=True), colang_history='user "hi"')
        assert history.colang_history == 'user "hi"'
