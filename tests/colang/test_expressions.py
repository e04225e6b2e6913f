"""Expressions: what they compute, what they refuse, and how large results may grow."""

# SPDX-License-Identifier: Apache-2.0

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.colang.expression_syntax import ExpressionError
from nemoguardrails.colang.expressions import compile_arguments, compile_expression, compile_value


class Verdict:
    """Stands for the result of an action."""

    colang_methods = frozenset({"get"})

    def __init__(self, **values):
        self.__dict__.update(values)

    def get(self, name, default=None):
        return self.__dict__.get(name, default)

    def delete_everything(self):
        raise AssertionError("called")


CONTEXT = {
    "a": 1,
    "text": "London",
    "list": [1, [2, 3]],
    "people": [{"name": "Bo"}],
    "verdict": Verdict(is_blocked=True, score=0.25),
    "größe": 5,
    "items": {"get": "key", "x": 1},
}


def evaluate(text):
    return compile_expression(text).evaluate(CONTEXT)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$a", 1),
        ("$unset", None),
        ("not $unset", True),
        ("$größe + 1", 6),
        ("$text.upper()", "LONDON"),
        ("$text[0:3]", "Lon"),
        ("$text[::-1]", "nodnoL"),
        ("$text[-1]", "n"),
        ("len($text)", 6),
        ('"on" in $text', True),
        ('"on" not in $text', False),
        ("$people[0].name", "Bo"),
        ('$people[0]["name"]', "Bo"),
        ("$people[0].age", None),
        ("$items.get", "key"),
        ('$items.get("y", 2)', 2),
        ("$items.keys()", ["get", "x"]),
        ("$list.index(1)", 0),
        ("$verdict.is_blocked", True),
        ('$verdict.get("score") < 0.5', True),
        ("$a == 1 and not $unset", True),
        ("$unset or $text", "London"),
        ("$unset and $text", None),
        ("1 < $a + 1 < 3", True),
        ("1 < $a < 3", False),
        ("$unset is None", True),
        ("$a is not None", True),
        ('"yes" if $a > 3 else "no"', "no"),
        ("7 // 2 + 7 % 4 - 2 ** 3 / 4", 4.0),
        ("-$a + +$a + ~$a", -2),
        ("6 & 3 | 8 ^ 1", 11),
        ("1 << 4 >> 2", 4),
        ("[$a, 2]", [1, 2]),
        ("($a, 2)", (1, 2)),
        ("{'k': $a}", {"k": 1}),
        ("f'{$a} of {$text!r:>10} costs $5 {{x}}'", "1 of   'London' costs $5 {x}"),
        ('f"${$a}"', "$1"),
        ('"cost $a"', "cost $a"),
        ("'it\\'s' + \"\\n\"", "it's\n"),
        (r"'\d+\.'", r"\d+\."),
        (r"r'\n'", r"\n"),
        ('"%s-%03d" % ($text, $a)', "London-001"),
        ('"a,b".split(",", maxsplit=1)', ["a", "b"]),
        ("True", True),
    ],
)
def test_values(text, value):
    assert evaluate(text) == value


def test_an_unset_variable_differs_from_a_text_with_a_dollar():
    assert compile_expression("'$a' + $text").variables == {"text"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "word",
        "$a b",
        "$a; $b",
        "$a = 1",
        "($x := 1)",
        "lambda: 1",
        "[x for x in $list]",
        "{1, 2}",
        "[*$list]",
        "{**$items}",
        "print(1)",
        "open('/etc/passwd')",
        "$verdict.__class__",
        "$text.format(1)",
        "$text.format_map($items)",
        "$verdict.func_code",
        "$verdict.f_globals",
        "__import__('os')",
        "_variable_0",
        "f'{__import__}'",
        "f'{word}'",
        "b'bytes'",
        "...",
        "await $x",
        "$list[0](1)",
        "len(*$list)",
        "len(**$items)",
        "'never closed",
        "'\\N{no such name}'",
        "1" * 20_000,
        "(" * 50 + ")" * 50,
        "$a" + ".b" * 2_000,
        "not " * 3_000 + "$a",
    ],
)
def test_what_is_not_allowed_is_refused_when_compiling(text):
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("$unset + 1", TypeError),
        ("$unset.name", AttributeError),
        ("$verdict.missing", AttributeError),
        ("$verdict.delete_everything", AttributeError),
        ("$verdict.delete_everything()", AttributeError),
        ("$a.real", AttributeError),
        ("$text.upper", AttributeError),
        ("$list.append(1)", AttributeError),
        ("$items.pop('x')", AttributeError),
        ("1 / 0", ZeroDivisionError),
        ("$list[9]", IndexError),
        ("$items['y']", KeyError),
    ],
)
def test_what_fails_while_evaluating(text, error):
    with pytest.raises(error):
        evaluate(text)


@pytest.mark.parametrize(
    "text",
    [
        "'x' * 100001",
        "100001 * 'x'",
        "[0] * 100001",
        "'x' * 100000 + 'x'",
        "10 ** 400001",
        "2 ** (2 ** 40)",
        "1 << 4000001",
        "'%99999d' % 1",
        "'%*d' % (9, 1)",
        "f'{1:>99999}'",
        "'x'.ljust(100001)",
        "'\t'.expandtabs(100001)",
        "('a' * 1000).replace('a', 'b' * 1000)",
        "('a' * 1000).join(['b'] * 1000)",
    ],
)
def test_results_have_a_size_limit(text):
    with pytest.raises(ValueError):
        evaluate(text)


def test_own_functions_replace_len():
    assert compile_expression("double($a)", functions={"double": lambda x: 2 * x}).evaluate(CONTEXT) == 2
    with pytest.raises(ExpressionError, match="double"):
        compile_expression("len($a)", functions={"double": lambda x: 2 * x})


def test_values_of_parameters_are_literals_and_references():
    assert compile_value("$people[0].name").evaluate(CONTEXT) == "Bo"
    assert compile_value('"$people[0].name"').evaluate(CONTEXT) == "Bo"
    assert compile_value('"$people and more"').evaluate(CONTEXT) == "$people and more"
    for text in ("$a + 1", "len($a)", "$a == 1", "word", "not $a", "$list[0:1]", "$text.upper()", "-'x'"):
        with pytest.raises(ExpressionError):
            compile_value(text)


def test_each_call_gets_its_own_containers():
    arguments = compile_arguments("tags=['a'], more={'k': []}")
    first = arguments.evaluate({})
    first["tags"].append("b")
    first["more"]["k"].append("c")
    assert arguments.evaluate({}) == {"tags": ["a"], "more": {"k": []}}


def test_a_list_of_parameters_cannot_leave_its_parentheses():
    for text in ("1) + f(2", "1)(2", "*$a", "**$a", "k=1, k=2", "a for a in $b"):
        with pytest.raises(ExpressionError):
            compile_arguments(text)


@given(st.text(st.sampled_from("$ab_1.()[]{}'\"+-*/%<>=!,: \\fnotr\n"), max_size=40))
def test_any_text_compiles_or_is_refused(text):
    try:
        compile_expression(text)
    except ExpressionError:
        pass


@given(
    st.integers(-99, 99),
    st.integers(-99, 99),
    st.sampled_from(["+", "-", "*", "==", "<", ">=", "!=", "&", "|"]),
)
def test_operators_mean_what_they_mean_in_python(left, right, sign):
    expected = compile_expression(f"{left} {sign} {right}").evaluate({})
    assert compile_expression(f"$l {sign} $r").evaluate({"l": left, "r": right}) == expected
