"""Errors of the Colang 1.0 parser name file, line, word and what was expected."""

# SPDX-License-Identifier: Apache-2.0

import pytest

from nemoguardrails.colang.source import ColangParsingError, ColangSyntaxError
from nemoguardrails.colang.v1_0.parser import parse


def error(text):
    with pytest.raises(ColangSyntaxError) as caught:
        parse(text, "flows/a.co")
    return caught.value


def test_the_text_shows_place_line_caret_and_remedy():
    caught = error("define flow\n  user ask\n  shout loudly # now\n")
    assert (caught.file, caught.line, caught.column) == ("flows/a.co", 3, 3)
    assert caught.message == "unknown statement 'shout'"
    first, row, caret, expected = str(caught).split("\n")
    assert first == "flows/a.co, line 3: unknown statement 'shout'"
    assert row == "      shout loudly # now"
    assert caret == "      ^"
    assert expected.startswith("Expected one of: user, bot")


def test_it_is_a_value_error_with_an_alias():
    assert isinstance(error("x"), ValueError)
    assert ColangParsingError is ColangSyntaxError


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("elif $x", 1, "unknown statement 'elif'"),
        ("for $x in $y", 1, "unknown statement 'for'"),
        ("else", 1, "unknown statement 'else'"),
        ("user", 1, "a name is missing"),
        ("bot", 1, "a name is missing"),
        ("user a or b", 1, "each alternative repeats the word user"),
        ("user a as $v", 1, "a user step cannot be given a name with `as`"),
        ('bot "a" "b"', 1, "two texts on one line"),
        ('bot a "b" "c"', 1, "two texts on one line"),
        ('bot a "b', 1, "this text is never closed"),
        ("bot a\n    bot b", 2, "unexpected 'bot b'"),
        ("user a\n    bot b", 2, "'bot b' is no parameter"),
        ("stop\n    bot b", 2, "this line is indented, but the one above takes no body"),
        ("$x=1", 1, "this is no assignment"),
        ("$x, $y = do f", 1, "this is no assignment"),
        ("$x = do f", 1, "a subflow has no value to assign"),
        ("$a.b = 1", 1, "members cannot be assigned ('$a.b')"),
        ("if", 1, "an expression is missing"),
        ("if $x", 1, "if needs a body"),
        ("if $x\n    bot a\n  else\n  bot b", 3, "else needs a body"),
        ("if $x\n    bot a\n  else bot b\n    bot c", 3, "unexpected 'bot'"),
        ("when user a\n    bot b\n  else\n    bot c", 3, "unexpected `else`"),
        ("when no user a\n    bot b", 1, "'when no' is not supported"),
        ("when user a", 1, "when needs a body"),
        ("break", 1, "`break` stands outside of a loop"),
        ("goto nowhere", 1, "there is no label 'nowhere' in this flow"),
        ("label a\n  label a", 2, "label 'a' is already defined in line 2"),
        ("execute a(1+2)", 1, "'1 + 2' is no value of a parameter: only literals and variables are"),
        ("execute a(k=word)", 1, "'word' is no variable (write '$word') and no text (quote it)"),
        ("execute a(k=1, k=2)", 1, "parameter 'k' is given twice"),
        ("execute a(k=1", 1, "the parameters do not end the statement"),
        ("execute a\n    k 1", 2, "'k 1' is no parameter"),
        ("event", 1, "a name is missing"),
        ("event A B", 1, "'A B' is no type of an event"),
        ('event A("x")', 1, "a property of an event needs a name"),
        ("create A", 1, "unexpected 'A'"),
        ("do a $b", 1, "'a $b': expected key=value at '$b'"),
        ("stop now", 1, "unexpected 'now'"),
        ("priority high", 1, "'high' is no number"),
        ("meta [1]", 1, "this is no JSON object"),
        ("any\n    bot a", 2, "unexpected 'bot'"),
        ("if $x.__class__\n    bot a", 1, "'__class__': names must not begin with '_'"),
        ('"a text"', 1, "a text without a step"),
    ],
)
def test_statements(body, line, message):
    caught = error(f"define flow x\n  {body}\n")
    assert (caught.line, caught.message) == (line + 1, message)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("define flow x", 1, "flow 'x' needs a body"),
        ("define flow x\n\n", 1, "flow 'x' needs a body"),
        ("define flow", 1, "this flow needs a body"),
        ("define bot x", 1, "define bot needs a body"),
        ("define user", 1, "`define user` needs a name"),
        ("define action x", 1, "define action needs a body"),
        ("define topic x\n  a", 1, "`define topic` is not supported"),
        ("define fast flow x\n  bot a", 1, "`define fast` is unknown"),
        ("define", 1, "`define ` is unknown"),
        ("define parallel bot x\n  'a'", 1, "`parallel` cannot stand before bot"),
        ("define flow x\n    user a\n  bot b", 3, "this line is left of the body of flow 'x'"),
        ('define bot x\n    "a"\n  "b"', 3, "this line is left of the first one of its block"),
        ("define flow x\n  bot a\ndefine flow x\n  bot b", 3, "flow 'x' is already defined in line 1"),
        (
            "define flow\n  bot a\ndefine flow\n  bot a",
            3,
            "a flow without a name and with this body is already defined in line 1",
        ),
        ("bot a", 1, "unexpected 'bot' outside of a definition"),
        ("something else", 1, "unexpected 'something' outside of a definition"),
        ('define user x\n"a"\n  b', 2, "unexpected '\"a\"' outside of a definition"),
    ],
)
def test_definitions(text, line, message):
    caught = error(text)
    assert (caught.line, caught.message) == (line, message)


def test_tabs_are_pointed_out():
    assert "tabs do not count" in str(error("define flow x\n\tbot a"))


def test_nesting_is_bounded():
    text = "define flow x\n" + "".join(" " * depth + "if $a\n" for depth in range(1, 3000))
    assert error(text).message == "blocks are nested too deeply"


def test_of_a_huge_line_the_part_around_the_caret_is_shown():
    caught = error('define user a\n  "' + "x" * 1_000_000)
    assert len(str(caught)) < 500
    assert caught.line == 2

    caught = error("define flow\n  " + "y" * 1_000_000 + "\n")
    _, row, caret, *_ = str(caught).split("\n")
    assert row[len(caret) - 1] == "y"
    assert len(str(caught)) < 1_000
