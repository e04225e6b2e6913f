"""Playing single flows, as rails are."""

# SPDX-License-Identifier: Apache-2.0

import textwrap

import pytest

from nemoguardrails.colang.interpreter import ColangRuntimeError, Emit, Execute, Limits, Played, Say
from nemoguardrails.colang.load import parse_sources
from nemoguardrails.colang.source import SourceText


def player(text, limits=None):
    return parse_sources([SourceText("x.co", textwrap.dedent(text))]).player(limits)


def flow(body):
    return "define subflow x\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "  ")


def shown(command):
    match command:
        case Execute(action=action, params=params):
            return (action, params) if params else action
        case Emit(event=event):
            return event
        case Say(intent=intent, text=text, value=value):
            return f"bot {intent}" if intent else f"value {value}" if value is not None else f'bot "{text}"'


def played(text, context=None, results=(), *, name="x", params=None, limits=None):
    """What the flow asked for, in order, and how it ended."""
    play = player(text, limits).play(name, {} if context is None else context, params)
    answers = iter(results)
    commands, answer = [], None
    try:
        while True:
            command = play.send(answer)
            commands.append(shown(command))
            answer = next(answers, None) if isinstance(command, Execute) else None
    except StopIteration as end:
        ended: Played = end.value
    return commands, ended.stopped


RAIL = flow(
    """
    $allowed = execute check(text=$user_message)
    if not $allowed
      bot refuse to respond
      stop
    """
)


def test_a_rail_lets_pass():
    context = {"user_message": "hi"}
    assert played(RAIL, context, [True]) == ([("check", {"text": "hi"})], False)
    assert context["allowed"] is True


def test_a_rail_blocks():
    assert played(RAIL, {"user_message": "x"}, [False]) == (
        [("check", {"text": "x"}), "bot refuse to respond"],
        True,
    )


def test_speaking_is_not_the_end():
    assert played(flow("bot warn\n$x = 1\nexecute log")) == (["bot warn", "log"], False)


def test_a_rewrite_stays_in_the_context():
    context = {"bot_message": "a"}
    assert played(flow('$bot_message = $bot_message + "!"'), context) == ([], False)
    assert context == {"bot_message": "a!"}


def test_loops_branches_and_jumps():
    context = {}
    assert played(
        flow(
            """
            $k = 0
            $log = ""
            while $k < 10
              $k = $k + 1
              if $k == 2
                continue
              else if $k == 5
                break
              else
                $log += "x"
            label again
            $k = $k + 1
            if $k < 8
              goto again
            bot report
            """
        ),
        context,
    ) == (["bot report"], False)
    assert context == {"k": 8, "log": "xxx"}


def test_pass_outside_of_a_loop_does_nothing():
    assert played(flow("pass\nbot a")) == (["bot a"], False)


def test_a_tuple_becomes_a_list():
    context = {}
    played(flow("$x = (1, 2)"), context)
    assert context == {"x": [1, 2]}


def test_check_and_return_end_the_flow_alone():
    text = (
        flow("do inner\nbot after")
        + "\ndefine subflow inner\n  check $go\n  bot inside\n  return\n  bot never"
    )
    assert played(text, {"go": False}) == (["bot after"], False)
    assert played(text, {"go": True}) == (["bot inside", "bot after"], False)


def test_stop_in_a_subflow_stops_the_rail():
    text = flow("do inner\nbot after") + "\ndefine subflow inner\n  stop"
    assert played(text) == ([], True)


def test_subflows_take_parameters_and_computed_names():
    text = (
        flow("do helper(n=$n)\ndo $which\ndo $list[1]\ndo helper $n=$5")
        + "\ndefine subflow helper\n  execute probe(n=$n)"
    )
    context = {"n": 1, "which": "helper(n=2, m='b c')", "list": ["", "helper $n='x y'"]}
    commands, _ = played(text, context)
    assert commands == [
        ("probe", {"n": 1}),
        ("probe", {"n": "2"}),
        ("probe", {"n": "x y"}),
        ("probe", {"n": "$5"}),
    ]
    assert context["m"] == "b c"


@pytest.mark.parametrize(
    "wait", ["user ...", "event UserSilent", "bot ...", "when user a\n  stop\nelse when user b\n  stop"]
)
def test_a_flow_that_waits_rests_there(wait):
    assert played(flow(f"bot a\n{wait}\nbot b")) == (["bot a"], False)


def test_events_and_texts():
    context = {"level": 3, "reply": "It is $5", "number": 5}
    commands, stopped = played(
        flow(
            """
            create event MyException(message="no", level=$level)
            bot "Straight $level."
            bot $reply
            bot $number
            bot $unknown
            stop
            """
        ),
        context,
    )
    assert commands == [
        {"type": "MyException", "message": "no", "level": 3},
        'bot "Straight $level."',
        "value It is $5",
        "value 5",
        "bot $unknown",
    ]
    assert stopped


def test_a_message_sees_the_values_of_its_step():
    play = player(flow("$n = 1\nbot a\n$n = 2\nbot a")).play("x", {})
    assert next(play).context["n"] == 1
    assert next(play).context["n"] == 2


def test_a_comment_goes_with_the_message():
    assert next(player(flow("# Be brief.\nbot a")).play("x", {})).instructions == "Be brief."


def test_a_command_knows_its_place():
    place = next(player(flow("$x = 1\nexecute a")).play("x", {})).place
    assert (place.file, place.line, place.flow) == ("x.co", 3, "x")


class TestParameters:
    TEXT = flow('$seen = $limit\nif $limit\n  execute a\n$limit = "changed"\n$other = 1')

    def test_they_are_visible_inside_alone(self):
        context = {"user_message": "m"}
        assert played(self.TEXT, context, params={"limit": "9"}) == (["a"], False)
        assert context == {"user_message": "m", "seen": "9", "other": 1}

    def test_what_they_hide_comes_back(self):
        context = {"limit": 5}
        played(self.TEXT, context, params={"limit": "9"})
        assert context["limit"] == 5

    def test_they_go_when_the_play_is_closed(self):
        context = {}
        play = player(self.TEXT).play("x", context, {"limit": "9"})
        next(play)
        assert context["limit"] == "9"
        play.close()
        assert context == {"seen": "9"}


class TestFailures:
    @pytest.mark.parametrize(
        ("body", "line", "message"),
        [
            ("bot a\n$n = $missing + 1", 3, "TypeError"),
            ("if $missing.x\n  stop", 2, "AttributeError: None has no attribute 'x'"),
            ("if $a\n  stop\nelse if $missing < 1\n  stop", 4, "TypeError"),
            ("check 1 / $zero", 2, "ZeroDivisionError"),
            ("do nowhere", 2, "there is no subflow 'nowhere'"),
            ("do $zero", 2, "TypeError: the name of a subflow must be a text, not 0"),
            ("do $bad", 2, "ValueError"),
        ],
    )
    def test_they_name_the_statement(self, body, line, message):
        with pytest.raises(ColangRuntimeError, match=message) as caught:
            played(flow(body), {"zero": 0, "bad": "a(b"})
        place = caught.value.place
        assert (place.file, place.line, place.flow) == ("x.co", line, "x")
        assert str(caught.value).startswith(f"x.co, line {line}, flow 'x': ")

    def test_an_unknown_flow_fails_while_playing(self):
        play = player(flow("stop")).play("nowhere", {})
        with pytest.raises(ColangRuntimeError, match="there is no flow 'nowhere'"):
            next(play)

    def test_errors_of_the_driver_pass_through(self):
        play = player(flow("execute a")).play("x", {})
        next(play)
        with pytest.raises(ValueError, match="mine"):
            play.throw(ValueError("mine"))


class TestLimits:
    def test_a_loop_that_does_nothing(self):
        with pytest.raises(ColangRuntimeError, match="more than 10000 steps"):
            played(flow("while True\n  $x = 1"))

    def test_a_loop_over_empty_subflows(self):
        with pytest.raises(ColangRuntimeError, match="more than 10000 steps"):
            played(flow("label again\ndo inner\ngoto again") + "\ndefine subflow inner\n  $x = 1")

    def test_endless_recursion(self):
        with pytest.raises(ColangRuntimeError, match="more than 50 levels"):
            played(flow("do x"))

    def test_deep_but_finite_recursion(self):
        context = {"d": 0}
        played(flow("$d += 1\nif $d < 50\n  do x"), context)
        assert context["d"] == 50

    def test_endless_talk(self):
        with pytest.raises(ColangRuntimeError, match="more than 300 actions"):
            played(flow("while True\n  bot more"))

    def test_they_can_be_set_and_long_work_within_them_is_fine(self):
        context = {"n": 0}
        text = flow("while $n < 100\n  $n += 1\n  execute a")
        assert len(played(text, context, limits=Limits(decisions=100, silent_steps=10))[0]) == 100
        with pytest.raises(ColangRuntimeError, match="more than 99 actions"):
            played(text, {"n": 0}, limits=Limits(decisions=99))


class TestWhatIsKnownBeforePlaying:
    TEXT = (
        flow("execute a\nif $x\n  $r = execute b\n  do other\ndo other(p=1)")
        + "\ndefine subflow other\n  $bot_message = 1\n  execute c\n  execute a\n  do x"
        + "\ndefine subflow straight\n  execute d"
        + "\ndefine subflow computed\n  do $name"
    )

    def test_assignments(self):
        known = player(self.TEXT)
        assert [
            name for name in ("bot_message", "r", "p", "x", "user_message") if known.assigns("x", name)
        ] == [
            "bot_message",
            "r",
            "p",
        ]
        assert not known.assigns("straight", "bot_message")
        assert known.assigns("computed", "bot_message")

    def test_actions(self):
        assert player(self.TEXT).actions("x") == ["a", "b", "c"]
        assert player(self.TEXT).actions("nowhere") == []

    def test_branches(self):
        known = player(self.TEXT)
        assert [known.branches(name) for name in ("x", "other", "straight", "computed")] == [
            True,
            True,
            False,
            True,
        ]
