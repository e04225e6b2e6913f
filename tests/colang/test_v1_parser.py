"""Colang 1.0 text to tree: all forms, alternative spellings, modifiers, meta."""

# SPDX-License-Identifier: Apache-2.0

import textwrap

import pytest

from nemoguardrails.colang.source import Span
from nemoguardrails.colang.v1_0 import nodes
from nemoguardrails.colang.v1_0.parser import parse, parse_body


def document(text):
    return parse(textwrap.dedent(text))


def flow(body, header="define flow x"):
    lines = [header, *("  " + line for line in textwrap.dedent(body).strip("\n").split("\n"))]
    (one,) = parse("\n".join(lines)).flows
    return one


def step(line):
    (one,) = flow(line).body
    return one


class TestMessages:
    def test_examples_of_an_intent(self):
        (one,) = document(
            """
            define user ask price
              "what does it cost"
              "how much is it" and "tell me the price"
              "the price of $thing"
              "[green tea](product), please"
              user ask about cost
            """
        ).user_messages
        assert one == nodes.UserMessage(
            "ask price",
            (
                "what does it cost",
                "how much is it tell me the price",
                "the price of {thing}",
                "{product}, please",
            ),
            ("ask about cost",),
            Span(2, 7),
        )

    def test_an_intent_without_body_is_its_own_example(self):
        (one,) = document("define user ask price").user_messages
        assert one.examples == ("ask price",)

    def test_texts_of_a_message_count_in_all_branches(self):
        (one,) = document(
            """
            define bot tell price:
              "It costs $price."
              if $x
                "first"
              else if $y
                "second"
              else
                "third"
            """
        ).bot_messages
        assert (one.name, one.texts) == ("tell price", ("It costs $price.", "first", "second", "third"))

    def test_a_text_may_stand_behind_the_name(self):
        (one,) = document('define bot greet "Hello."').bot_messages
        assert (one.name, one.texts) == ("greet", ("Hello.",))

    def test_a_text_over_lines_is_whole(self):
        (one,) = document('define bot x\n  "First line\n  second line"').bot_messages
        assert one.texts == ("First line\nsecond line",)

    def test_an_unquoted_line_of_a_message_is_a_warning(self):
        read = document('define bot x\n  "a"\n  forgotten quotes')
        assert read.warnings == ("main.co, line 3: 'forgotten quotes' is not quoted and no text of `bot x`",)

    def test_a_source_may_be_indented_as_a_whole(self):
        read = parse('\n    define user a\n      "b"\n\n    define flow c\n      user a\n    ')
        assert (read.user_messages[0].examples, read.flows[0].name) == (("b",), "c")


class TestFlows:
    def test_kinds_and_names(self):
        read = document(
            """
            define flow one
              bot a

            def subflow two:
                  bot a

            three words:
              bot a
            """
        )
        assert [(one.name, one.meta.is_subflow) for one in read.flows] == [
            ("one", False),
            ("two", True),
            ("three words", False),
        ]

    def test_a_flow_without_name_is_named_by_its_text(self):
        first, second = document("define flow\n  bot a\ndefine flow\n  bot b").flows
        again = flow("bot a", header="define flow")
        assert first.name == again.name != second.name
        assert not first.is_named

    def test_the_source_is_dedented_and_has_no_blank_lines(self):
        one = flow(
            """
            # greets
            user a   # remark

            if $x
              bot b
            """
        )
        assert one.source == "user a   # remark\nif $x\n  bot b"

    @pytest.mark.parametrize(
        ("modifiers", "meta"),
        [
            ("extension", nodes.FlowMeta(is_extension=True)),
            ("parallel", nodes.FlowMeta(allows_multiple=True)),
            ("recursive", nodes.FlowMeta(allows_multiple=True)),
            ("continuous", nodes.FlowMeta(is_interruptible=False)),
            ("noninterruptable", nodes.FlowMeta(is_interruptible=False)),
            ("non-interruptable", nodes.FlowMeta(is_interruptible=False)),
            ("test", nodes.FlowMeta(defines_messages=False)),
            ("sample", nodes.FlowMeta(defines_messages=False)),
            (
                "repair interruption response",
                nodes.FlowMeta(other=dict.fromkeys(("repair", "interruption", "response"), True)),
            ),
            ("parallel extension", nodes.FlowMeta(is_extension=True, allows_multiple=True)),
        ],
    )
    def test_modifiers(self, modifiers, meta):
        assert flow("bot a", header=f"define {modifiers} flow x").meta == meta

    def test_meta_block(self):
        one = flow(
            """
            meta
              priority: 3
              is_extension: True
              interruptable: false
              subflow: True
              allow_multiple: True
              note: "free: text"
            user a
            """
        )
        assert one.meta == nodes.FlowMeta(3.0, True, True, False, True, True, {"note": "free: text"})
        assert len(one.body) == 1

    @pytest.mark.parametrize("line", ["priority 1.5", 'meta {"priority": 1.5}', 'meta {"priority": "1.5"}'])
    def test_priority_on_one_line(self, line):
        assert flow(f"{line}\nuser a").meta.priority == 1.5

    def test_actions_are_skipped_and_imports_recorded(self):
        read = document(
            'import core\ninclude "a/b"\ndefine action x\n  anything goes\n    here\ndefine user y'
        )
        assert (read.imports, read.flows, len(read.user_messages)) == (("core", "a/b"), (), 1)

    def test_spans_cover_the_blocks(self):
        one = flow("user a\nif $x\n  bot b\n  bot c\nbot d")
        assert [statement.span for statement in one.body] == [Span(2, 2), Span(3, 5), Span(6, 6)]
        assert one.span == Span(1, 6)


class TestUserSteps:
    @pytest.mark.parametrize(
        ("line", "intents"),
        [
            ("user ask price", ("ask price",)),
            ("user says ask price", ("ask price",)),
            ("user ...", ("...",)),
            ("user something", ("...",)),
            ("user something else", ("...",)),
            ('user "how much?"', ("how much?",)),
            ("user 'tea or coffee'", ("tea or coffee",)),
            ('user "tea or coffee"', ("tea or coffee",)),
            ("user ask with $p", ("ask",)),
            ('user ask with p="v"', ("ask",)),
            ('user ask(p="v", q=3)', ("ask",)),
            ("user ask for $thing", ("ask",)),
            ("user ask for help", ("ask for help",)),
            ("user talk with staff", ("talk with staff",)),
            ("user a or user b", ("a", "b")),
            ("user a or\n    user says b or user c", ("a", "b", "c")),
            ("user größe ändern", ("größe ändern",)),
        ],
    )
    def test_forms(self, line, intents):
        (one,) = flow(line).body
        assert one.intents == intents

    def test_any_block(self):
        (one,) = flow("any\n  user a\n  user says b").body
        assert one.intents == ("a", "b")

    def test_parameters_below_a_step_are_read_and_dropped(self):
        first, second = flow("user a\n  n: 5\n  who: $name\nbot b").body
        assert (first.intents, second.name) == (("a",), "b")


class TestBotSteps:
    @pytest.mark.parametrize(
        ("line", "name", "texts"),
        [
            ("bot greet", "greet", ()),
            ("bot says greet", "greet", ()),
            ("bot ...", "...", ()),
            ("bot something else", "...", ()),
            ('bot greet "Hello."', "greet", ("Hello.",)),
            ('bot greet "She said \\"hi\\"."', "greet", ('She said \\"hi\\".',)),
            ('bot greet "C:\\"', "greet", ("C:\\",)),
            ("bot greet with $p, $q", "greet", ()),
            ("bot greet with n=5", "greet", ()),
            ('bot greet(p=$x, q="text")', "greet", ()),
            ('bot greet with q="text"', "greet", ()),
            ("bot $a.b", "$a.b", ()),
        ],
    )
    def test_named(self, line, name, texts):
        one = step(line)
        assert (one.name, one.texts, one.text, one.variable) == (name, texts, None, None)

    def test_texts_below(self):
        (one,) = flow('bot greet\n  "Hello."\n  "Hi."\n  quick_replies: "a", "b"').body
        assert one.texts == ("Hello.", "Hi.")

    def test_text_without_name(self):
        assert step('bot "Straight, $who."').text == "Straight, $who."

    def test_variable(self):
        assert step("bot $reply").variable == "reply"

    def test_the_comment_above_is_the_instruction(self):
        (one,) = flow("# Answer in\n# one word.\nbot answer").body
        assert one.instructions == "Answer in\none word."

    @pytest.mark.parametrize("line", ["stop", "abort", "bot stop"])
    def test_stop(self, line):
        assert isinstance(step(line), nodes.Stop)


class TestActionsAndEvents:
    @pytest.mark.parametrize("word", ["execute", "exec", "run"])
    def test_an_action_with_parameters_of_all_kinds(self, word):
        one = step(f'{word} look it up(1, -2.5, a="x, y", b=[1, $n], c={{"k": None}}, d=$p.items[0], e="$n")')
        values = one.arguments.evaluate({"n": 7, "p": {"items": ["first"]}})
        assert (one.action, one.result) == ("look it up", None)
        assert values == {
            "$1": 1,
            "$2": -2.5,
            "a": "x, y",
            "b": [1, 7],
            "c": {"k": None},
            "d": "first",
            "e": 7,
        }

    def test_what_a_parameter_refers_to_may_be_missing(self):
        one = step("execute send(to=$person.mail, cc=$nobody, bcc=$list[3], at=$nobody.at)")
        assert set(one.arguments.evaluate({"list": [1]}).values()) == {None}

    def test_a_text_from_the_context_is_never_a_reference(self):
        one = step('execute send(text=$user_message, price="$5 off")')
        context = {"user_message": "$secret", "secret": "s"}
        assert one.arguments.evaluate(context) == {"text": "$secret", "price": "$5 off"}

    @pytest.mark.parametrize(
        "form", ["execute a with k=1, l=$x", "execute a(k=1, l=$x)", "execute a(k=1)\n  l: $x"]
    )
    def test_forms_of_parameters(self, form):
        assert step(form).arguments.evaluate({"x": 2}) == {"k": 1, "l": 2}

    @pytest.mark.parametrize("form", ["$r = execute a", "$r = exec a", "$r = run a", "set r = execute a"])
    def test_a_result(self, form):
        one = step(form)
        assert (one.action, one.result) == ("a", "r")

    def test_a_generated_value(self):
        first, second = flow("# The number of people.\n$count = ...\n$when = ...").body
        assert (first.action, first.result) == ("generate_value", "count")
        assert first.arguments.evaluate({}) == {"instructions": "The number of people."}
        assert second.arguments.items == ()

    @pytest.mark.parametrize("words", ["create event", "new event", "infer event", "infer"])
    def test_creating_events(self, words):
        one = step(f'{words} Custom(value=$v, other="x", again="$v")')
        assert one.type == "Custom"
        assert one.arguments.evaluate({"v": "$w"}) == {"value": "$w", "other": "x", "again": "$w"}

    def test_waiting_for_an_event(self):
        one = step('event UserSilent(kind="long", n=2, who=$x, any="...")')
        assert (one.type, dict(one.properties)) == (
            "UserSilent",
            {"kind": "long", "n": 2, "who": "$x", "any": "..."},
        )
        assert dict(step("event UserSilent with kind='long'").properties) == {"kind": "long"}


class TestAssignments:
    @pytest.mark.parametrize("line", ["$x = 1 + 2", "set $x = 1 + 2", "set x = 1 + 2"])
    def test_forms(self, line):
        one = step(line)
        assert (one.variable, one.value.evaluate({})) == ("x", 3)

    @pytest.mark.parametrize(("line", "value"), [("$x += 5", 15), ("$x -= 2 * 3", 4), ("$x+=5", 15)])
    def test_increments(self, line, value):
        assert step(line).value.evaluate({"x": 10}) == value


class TestBlocks:
    def test_if_chains(self):
        (one,) = flow(
            """
            if $a:
              bot a
            else if $b
              bot b
            else if $c
              bot c
            else:
              bot d
            """
        ).body
        assert [case.condition.source for case in one.cases] == ["$a", "$b", "$c"]
        assert [case.span.line for case in one.cases] == [2, 4, 6]
        assert one.otherwise[0].name == "d"

    def test_else_belongs_to_the_if_of_its_level(self):
        (one,) = flow("if $a\n  if $b\n    bot b\nelse\n  bot c").body
        assert one.otherwise[0].name == "c"
        assert one.cases[0].body[0].otherwise == ()

    def test_loops(self):
        (one,) = flow("while $a\n  if $b\n    break\n  pass\n  continue").body
        assert [type(statement) for statement in one.body] == [nodes.If, nodes.Continue, nodes.Continue]

    def test_when_branches_form_one_choice(self):
        (one,) = flow(
            """
            when user agree or user accept
              bot a
            else when bot ...
              bot b
            when UserSilent(p="x")
              bot c
            else when event Other
              bot d
            when user says no
              bot e
            """
        ).body
        heads = [head for head, _ in one.branches]
        assert [type(head).__name__ for head in heads] == [
            "UserStep",
            "BotStep",
            "EventStep",
            "EventStep",
            "UserStep",
        ]
        assert heads[0].intents == ("agree", "accept")
        assert dict(heads[2].properties) == {"p": "x"}

    def test_a_dedent_between_two_levels_continues_the_outer_one(self):
        first, second = flow("if $a\n      bot a\n   bot b").body
        assert (first.cases[0].body[0].name, second.name) == ("a", "b")

    @pytest.mark.parametrize(
        ("lines", "target"),
        [
            ("label again\ngoto again", "again"),
            ("checkpoint a b\ngo to a b", "a b"),
            ('label l "value"\ngoto l', "l"),
        ],
    )
    def test_labels(self, lines, target):
        label, goto = flow(lines).body
        assert label.name == goto.name == target

    @pytest.mark.parametrize("line", ["return", "done", "return 1, 2"])
    def test_return(self, line):
        assert isinstance(step(line), nodes.Return)

    @pytest.mark.parametrize(
        ("line", "name", "values"),
        [
            ("do other thing", "other thing", {}),
            ("do other(k=5, l=$x)", "other", {"k": 5, "l": 1}),
            ("do other with k=5", "other", {"k": 5}),
            ("do other $k=5 $l='a b'", "other", {"k": "5", "l": "a b"}),
        ],
    )
    def test_do(self, line, name, values):
        one = step(line)
        assert (one.name, one.arguments.evaluate({"x": 1})) == (name, values)

    def test_do_with_a_computed_name(self):
        assert step("do $list[$i]").computed.evaluate({"list": ["a", "b"], "i": 1}) == "b"


def test_the_body_of_a_flow_alone():
    assert [type(one) for one in parse_body("bot one\nbot two", "temporary").body] == [nodes.BotStep] * 2
