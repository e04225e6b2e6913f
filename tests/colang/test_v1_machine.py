"""The dialog of Colang 1.0: which flow acts on an event, who interrupts whom, and what a turn costs."""

# SPDX-License-Identifier: Apache-2.0

import sys
import textwrap

import pytest

from colang_dialog import NEUTRAL, Dialog, Result
from nemoguardrails.colang.interpreter import ColangRuntimeError, Limits
from nemoguardrails.colang.v1_0.state import State, state_from_json, state_to_json
from nemoguardrails.exceptions import InvalidStateError


def bots(*names):
    return "".join(f'define bot {name}\n  "{name.upper()}"\n' for name in names)


def dialog(flows, replies=(), actions=None, **options):
    """A dialog whose messages `a` to `g` read `A` to `G`."""
    return Dialog(bots(*"abcdefg") + textwrap.dedent(flows), replies, actions, **options)


class TestWhoDecides:
    def test_the_first_of_two_flows_on_one_intent(self):
        talk = dialog("define flow x\n  user hi\n  bot a\ndefine flow y\n  user hi\n  bot b", ["hi"])
        assert talk.user("hello") == "A"

    def test_the_higher_priority(self):
        talk = dialog(
            "define flow x\n  user hi\n  bot a\ndefine flow y\n  priority 2\n  user hi\n  bot b", ["hi"]
        )
        assert talk.user("hello") == "B"

    def test_the_model_before_flows_of_low_priority(self):
        flows = """
            define flow waits
              user order
              bot a
              user size
              bot b
            define flow low
              priority 0.8
              user hi
              bot c
            """
        talk = dialog(flows, ["order", "hi", "bot d", "size"])
        assert [talk.user("1"), talk.user("2"), talk.user("3")] == ["A", "D", "B"]

    def test_the_last_of_two_that_agreed_so_far(self):
        flows = "define flow x\n  user hi\n  bot a\n  bot b\ndefine flow y\n  user hi\n  bot a\n  bot c"
        assert dialog(flows, ["hi"]).user("hello") == "A\nC"

    def test_a_flow_on_a_bot_step(self):
        flows = "define flow x\n  user hi\n  bot a\ndefine flow y\n  bot a\n  bot b"
        assert dialog(flows, ["hi"]).user("hello") == "A\nB"

    def test_a_flow_on_a_step_of_the_model(self):
        assert dialog("define flow y\n  bot ...\n  bot b", ["hi", "bot a"]).user("hello") == "A\nB"

    def test_any_of_several_intents(self):
        flows = (
            "define flow x\n  user hi or user hello\n  bot a\n"
            "define flow y\n  any\n    user c\n    user d\n  bot b"
        )
        talk = dialog(flows, ["hello", "d", "hi"])
        assert [talk.user("1"), talk.user("2"), talk.user("3")] == ["A", "B", "A"]

    def test_a_wildcard_is_no_worse_than_a_name(self):
        talk = dialog("define flow x\n  user ...\n  bot a\ndefine flow y\n  user hi\n  bot b", ["hi", "x"])
        assert [talk.user("1"), talk.user("2")] == ["A", "A"]

    def test_something_is_a_wildcard_in_steps_and_a_word_in_names(self):
        flows = "define flow y\n  user ask something\n  bot b\ndefine flow x\n  user something\n  bot a"
        talk = dialog(flows, ["hi", "ask something", "ask ..."])
        assert [talk.user("1"), talk.user("2"), talk.user("3")] == ["A", "B", "B"]

    def test_no_second_instance_while_one_is_live(self):
        talk = dialog(
            "define flow x\n  user hi\n  bot a\n  user on\n  bot b", ["hi", "hi", "bot c", "on", "hi"]
        )
        assert [talk.user(str(n)) for n in range(4)] == ["A", "C", "B", "A"]

    def test_a_flow_does_not_restart_on_the_event_that_ends_it(self):
        talk = dialog("define flow x\n  user hi\n  bot a\n  user hi\n", ["hi", "hi", "bot b", "hi"])
        assert [talk.user(str(n)) for n in range(3)] == ["A", "B", "A"]


class TestInterrupting:
    def test_a_waiting_flow_comes_back_nested_to_any_depth(self):
        flows = """
            define flow one
              user one
              bot a
              user more one
              bot b
            define flow two
              user two
              bot c
              user more two
              bot d
            define flow three
              user three
              bot e
            """
        talk = dialog(flows, ["one", "two", "three", "more two", "more one"])
        assert [talk.user(str(n)) for n in range(5)] == ["A", "C", "E", "D", "B"]

    def test_the_inner_flow_must_end_first(self):
        flows = """
            define flow one
              user one
              bot a
              user more one
              bot b
            define flow two
              user two
              bot c
              user more two
              bot d
            """
        talk = dialog(flows, ["one", "two", "more one", "bot e", "more two", "more one"])
        assert [talk.user(str(n)) for n in range(5)] == ["A", "C", "E", "D", "B"]

    def test_a_flow_that_stood_on_another_step_is_gone(self):
        flows = "define flow x\n  user hi\n  bot a\n  bot b\ndefine flow y\n  priority 2\n  bot a\n  bot c"
        assert dialog(flows, ["hi"]).user("hello") == "A\nC"

    @pytest.mark.parametrize(
        ("inserted", "answer"),
        [("bot c", "A\nC\nB"), ("bot c\n  bot d", "A\nC\nD\nB"), ("bot c\n  execute f", "A\nC\nB")],
    )
    def test_an_extension_hands_control_back(self, inserted, answer):
        flows = f"define flow x\n  user hi\n  bot a\n  bot b\ndefine extension flow y\n  bot a\n  {inserted}"
        assert dialog(flows, ["hi"], {"f": lambda: None}).user("hello") == answer

    def test_a_continuous_flow_is_dropped(self):
        flows = (
            "define continuous flow x\n  user hi\n  bot a\n  user on\n  bot b\n"
            "define flow y\n  user bye\n  bot c"
        )
        talk = dialog(flows, ["hi", "bye", "on", "bot d"])
        assert [talk.user(str(n)) for n in range(3)] == ["A", "C", "D"]

    def test_stop_ends_the_turn_and_every_flow(self):
        flows = (
            "define flow x\n  user hi\n  bot a\n  user on\n  bot b\n"
            "define flow y\n  user bye\n  bot c\n  stop\n  bot d"
        )
        talk = dialog(flows, ["hi", "bye", "on", "bot e"])
        assert [talk.user(str(n)) for n in range(3)] == ["A", "C", "E"]

    def test_several_instances_where_allowed(self):
        talk = dialog("define parallel flow x\n  user hi\n  bot a\n  user on\n  bot b", ["hi", "hi", "on"])
        assert [talk.user(str(n)) for n in range(3)] == ["A", "A", "B"]
        assert len(talk.state.instances) == 1

    def test_live_flows_do_not_pile_up_without_end(self):
        talk = dialog("define parallel flow x\n  user hi\n  bot a\n  user on\n  bot b", ["hi"] * 150)
        assert {talk.user("hello") for _ in range(150)} == {"A"}
        assert len(talk.state.instances) <= 100


class TestSteps:
    def test_a_choice_prefers_the_exact_branch(self):
        flows = """
            define flow x
              user hi
              bot a
              when user ...
                bot b
              else when user yes
                bot c
              else when user no or user never
                bot d
              bot e
            """
        talk = dialog(flows, ["hi", "yes", "hi", "x", "hi", "never"])
        assert [talk.user(str(n)) for n in range(6)] == ["A", "C\nE", "A", "B\nE", "A", "D\nE"]

    def test_a_loop_over_a_choice(self):
        flows = """
            define flow x
              user hi
              while True
                bot a
                when user yes
                  break
                else when user no
                  continue
              bot b
            """
        talk = dialog(flows, ["hi", "no", "yes"])
        assert [talk.user(str(n)) for n in range(3)] == ["A", "A", "B"]

    def test_subflows_wait_for_the_user_too(self):
        flows = """
            define bot greet
              "Hello $who."
            define subflow ask name
              if not $who
                bot a
                user name
                $who = $last_user_message
            define flow x
              user hi
              do ask name
              bot greet
            """
        talk = dialog(flows, ["hi", "name", "hi"])
        assert [talk.user("hello"), talk.user("Ann"), talk.user("hello")] == ["A", "Hello Ann.", "Hello Ann."]

    def test_subflows_in_subflows_and_recursion(self):
        flows = """
            define subflow deep
              $d = $d + 1
              bot a
              if $d < 3
                do deep
              bot b
            define flow x
              user hi
              $d = 0
              do deep
              bot c
            """
        assert dialog(flows, ["hi"]).user("hello") == "A\nA\nA\nB\nB\nB\nC"

    def test_parameters_and_computed_names_of_subflows(self):
        flows = """
            define bot tell
              "$x/$y"
            define subflow helper
              bot tell
            define flow x
              user hi
              do helper(x=5, y=$last_user_message)
              $name = "helper $x=6"
              do $name
            """
        assert dialog(flows, ["hi"]).user("hello") == "5/hello\n6/hello"

    def test_a_text_has_the_values_of_its_step(self):
        flows = """
            define bot count
              "n=$n"
            define flow x
              user hi
              $n = 0
              while $n < 3
                bot count
                $n = $n + 1
              bot "end $n"
              bot $last_user_message
            """
        assert dialog(flows, ["hi"]).user("hello") == "n=0\nn=1\nn=2\nend 3\nhello"

    def test_a_condition_may_end_a_flow_before_it_acts(self):
        flows = "define flow x\n  user hi\n  check $vip\n  bot a\ndefine flow y\n  user hi\n  bot b"
        talk = dialog(flows, ["hi", "hi"])
        assert [talk.user("1", {"vip": True}), talk.user("2", {"vip": False})] == ["A", "B"]

    def test_nothing_happens_before_a_flow_starts(self):
        flows = """
            define flow x
              $n = 100
              if $n > 50
                user hi
              else
                user bye
              bot "$n"
            """
        talk = dialog(flows, ["other", "bot a", "bye", "bot b", "hi"])
        assert [talk.user("1"), talk.user("2")] == ["A", "B"]
        assert "n" not in talk.state.context
        assert talk.user("3") == "100"


class TestActionsAndEvents:
    def test_an_action_with_its_result_and_updates(self):
        flows = """
            define bot tell
              "$r/$status"
            define flow x
              user hi
              $r = execute work(text=$last_user_message)
              bot tell
            """
        talk = dialog(flows, ["hi"], {"work": lambda text: Result(text.upper(), {"status": "done"})})
        assert talk.user("hello") == "HELLO/done"

    def test_flows_that_agree_on_an_action_run_it_once(self):
        flows = (
            "define flow x\n  user hi\n  execute f\n  bot a\n"
            "define flow y\n  user hi\n  execute f\n  bot a\n  bot b"
        )
        talk = dialog(flows, ["hi"], {"f": lambda: None})
        assert (talk.user("hello"), len(talk.ran)) == ("A\nB", 1)

    def test_a_finished_action_starts_flows(self):
        flows = "define flow x\n  user hi\n  execute f\ndefine flow y\n  execute f\n  bot b"
        talk = dialog(flows, ["hi"], {"f": lambda: None})
        assert (talk.user("hello"), len(talk.ran)) == ("B", 1)

    def test_an_event_of_an_action_starts_a_flow(self):
        flows = (
            "define flow x\n  user hi\n  execute f\n"
            'define flow y\n  event Alarm\n  $n = $event.level\n  bot "level $n"'
        )
        talk = dialog(flows, ["hi"], {"f": lambda: Result(events=[{"type": "Alarm", "level": 3}])})
        assert talk.user("hello") == "level 3"

    def test_a_created_event_starts_a_flow_and_its_own_flow_goes_on(self):
        flows = """
            define flow x
              user hi
              $n = 5
              create event Custom(value=$n)
              bot a
            define flow other value
              event Custom(value=6)
              bot b
            define flow other type
              event Other
              bot c
            define extension flow other property
              event Custom(value=5, missing="x")
              bot d
            """
        assert dialog(flows, ["hi"]).user("hello") == "A"
        flows += """
            define extension flow reacts
              event Custom(value="...")
              bot e
            """
        assert dialog(flows, ["hi"]).user("hello") == "E\nA"

    def test_events_start_flows_and_move_them_on(self):
        flows = """
            define flow x
              event Silent(kind="long")
              bot a
              event Silent
              bot b
            define flow raw
              event UtteranceUserActionFinished(final_transcript="ping")
              bot c
            """
        talk = dialog(flows)
        assert talk.event({"type": "Silent", "kind": "short"}) == ""
        assert talk.event({"type": "Silent", "kind": "long"}) == "A"
        assert talk.event({"type": "Silent"}) == "B"
        assert (talk.user("ping"), talk.tasks) == ("C", [])

    def test_events_that_nobody_waits_for_change_nothing(self):
        talk = dialog("define flow x\n  user hi\n  bot a\n  user on\n  bot b", ["hi", "on"])
        assert [talk.user("1"), talk.event({"type": "Noise"}), talk.user("2")] == ["A", "", "B"]

    def test_a_flow_is_started_by_name_with_parameters(self):
        talk = dialog('define subflow x\n  bot "hello $who"')
        assert talk.event({"type": "start_flow", "flow_id": "x", "params": {"who": "Ann"}}) == "hello Ann"
        assert talk.event({"type": "start_flow", "flow_id": "nowhere"}) == NEUTRAL

    def test_generated_values(self):
        flows = 'define flow x\n  user hi\n  # How many.\n  $n = ...\n  bot "$n"'
        talk = dialog(flows, ["hi", '"42"'])
        assert (talk.user("hello"), talk.tasks) == ("42", ["generate_user_intent", "generate_value"])


class TestStepsOfAModel:
    def test_a_body_runs_as_a_flow_of_this_conversation(self):
        talk = dialog("", ["hi", "bot a\nuser on\nbot b\nthis is nothing\nbot c", "on"], multi_step=True)
        assert (talk.user("1"), list(talk.state.generated.values())) == ("A", ["bot a\nuser on\nbot b"])
        assert (talk.user("2"), talk.state.generated) == ("B", {})

    def test_it_can_neither_run_actions_nor_read_variables_nor_write_texts(self):
        body = 'execute destroy(path="/")\n$x = 1\nif True\n  bot b\nbot $api_key\nbot a "own words"'
        talk = dialog("", ["hi", body, "no"], {}, multi_step=True)
        assert talk.user("1", {"api_key": "k-1"}) == "no\nA"
        assert talk.ran == []

    def test_an_allowed_action_runs(self):
        talk = dialog("")
        reaction = talk.machine.start_generated(talk.state, "execute look(k=1)\nbot a", {"look"})
        assert (reaction.decision.command.action, reaction.decision.command.params) == ("look", {"k": 1})

    @pytest.mark.parametrize("body", ["", "nonsense", "nonsense\nbot a", "execute f", '"""', "  \n"])
    def test_nothing_readable_is_nothing(self, body):
        talk = dialog("")
        assert talk.machine.start_generated(talk.state, body) is None


class TestFailing:
    def test_an_expression_that_fails_names_its_place_and_resets_the_talk(self):
        talk = dialog("define flow x\n  user hi\n  bot a\n  $n = $missing + 1\n  bot b", ["hi", "hi"])
        assert talk.user("1") == NEUTRAL
        assert talk.state.instances == []
        machine, state = talk.machine, State()
        machine.step(state, {"type": "UserIntent", "intent": "hi"})
        with pytest.raises(ColangRuntimeError) as caught:
            machine.step(state, {"type": "BotIntent", "intent": "a"})
        assert (caught.value.place.file, caught.value.place.line) == ("main.co", 18)

    def test_a_turn_that_never_ends(self):
        talk = dialog("define flow x\n  user hi\n  while True\n    bot a", ["hi"], limits=Limits(decisions=5))
        assert talk.user("1") == "\n".join(["A"] * 5 + [NEUTRAL])

    def test_the_limit_is_for_one_turn(self):
        talk = dialog("define flow x\n  user hi\n  bot a\n  bot b", ["hi"] * 5, limits=Limits(decisions=2))
        assert [talk.user(str(n)) for n in range(5)] == ["A\nB"] * 5

    @pytest.mark.parametrize("body", ["while True\n    $x = 1", "do deep"])
    def test_silence_without_end(self, body):
        talk = dialog(f"define flow x\n  user hi\n  {body}\ndefine subflow deep\n  do deep", ["hi"])
        assert talk.user("1") == NEUTRAL


class TestState:
    FLOWS = "define flow x\n  user hi\n  do y\n  bot b\ndefine subflow y\n  bot a\n  user on"

    def waiting(self):
        talk = dialog(self.FLOWS, ["hi"])
        talk.user("hello")
        return talk

    def test_flows_that_changed_meanwhile_are_dropped_with_those_that_wait_for_them(self):
        talk = self.waiting()
        stored = state_to_json(talk.state, talk.program.flows)
        other = dialog(self.FLOWS + "\n  bot c").program
        assert state_from_json(stored, other.flows).instances == []
        assert len(state_from_json(stored, talk.program.flows).instances) == 2

    def test_values_that_are_no_data_are_left_out(self):
        talk = self.waiting()
        talk.state.context |= {
            "config": {},
            "object": object(),
            "nested": [{"a": (1,)}],
            "plain": [{"a": None}],
        }
        stored = state_to_json(talk.state, talk.program.flows)["context"]
        assert set(stored) == {"last_user_message", "last_bot_message", "plain"}

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data.pop("instances"),
            lambda data: data.update(version=2),
            lambda data: data.update(context=[1]),
            lambda data: data["instances"][0].update(status="flying"),
            lambda data: data["instances"][0].pop("at"),
        ],
    )
    def test_what_is_no_state_is_refused(self, damage):
        talk = self.waiting()
        stored = state_to_json(talk.state, talk.program.flows)
        damage(stored)
        with pytest.raises(InvalidStateError):
            state_from_json(stored, talk.program.flows)


def calls_of(function):
    """Function calls that something takes: its work, whatever the machine."""
    count = 0

    def count_call(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


class TestCost:
    FLOWS = "define flow x\n  user hi\n  $n = 1\n  execute f\n  bot a\n  user on\n  bot b\n"

    def test_a_turn_costs_the_same_however_long_the_talk_is(self):
        talk = dialog(self.FLOWS, ["hi", "on"] * 200, {"f": lambda: None})
        costs = [calls_of(lambda: talk.user("hello")) for _ in range(200)]
        assert costs[198:200] == costs[2:4]

    def test_flows_that_an_event_does_not_concern_cost_nothing(self):
        others = "".join(f"define flow other {n}\n  user other {n}\n  bot c\n" for n in range(500))
        few = dialog(self.FLOWS, ["hi"], {"f": lambda: None})
        many = dialog(self.FLOWS + others, ["hi"], {"f": lambda: None})
        assert calls_of(lambda: many.user("hello")) <= calls_of(lambda: few.user("hello")) + 10
