"""Message texts: references, Jinja parts, escapes."""

# SPDX-License-Identifier: Apache-2.0

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.colang.v1_0.texts import has_references, render_text, unescape_newlines


class Order:
    id = 77
    _secret = "s"

    def cancel(self):
        raise AssertionError("called")


CONTEXT = {
    "order": {"id": 77, "items": ["pen", "ink"], "buyer": {"name": "Ada"}},
    "object": Order(),
    "name": "X",
    "name_full": "Y",
    "price": 3,
    "nothing": None,
    "markup": "{{ name }} $name \\n",
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        (
            "Order $order.id for $name costs {{ price * 2 }} ($order.items[1]).",
            "Order 77 for X costs 6 (ink).",
        ),
        ("x $missing y {{ missing }} z", "x  y  z"),
        ("$name and $name_full cost $5", "X and Y cost $5"),
        ("Dear $name\\nyours, $name_full: ok", "Dear X\nyours, Y: ok"),
        ('Say \\"cheese\\" now', 'Say "cheese" now'),
        ("${name}s and ${order.buyer.name}'s", "Xs and Ada's"),
        ("$name:$price", "X:3"),
        ("a $ b $", "a $ b $"),
        ("$name.", "X."),
        ("$nothing", "None"),
        ("$order.items", "['pen', 'ink']"),
        ("$order.missing $order.items[9] $nothing.x $name.x $price[0]", "    "),
        ("$object.id/$object._secret/$object.cancel/$name.upper", "77///"),
        ("$markup", "{{ name }} $name \\n"),
        ("{{ markup }}", "{{ name }} $name \\n"),
        ("$name|lower and $name|no_filter", "x and X|no_filter"),
        ("{% if price > 2 %}$name{% else %}cheap{% endif %}", "X"),
        ("{% for item in order['items'] %}$item;{% endfor %}", "pen;ink;"),
        ("{{ order.items[0] }} {{ $name }}", "pen X"),
        ("{{ order.a.b.c }}{{ object.cancel.__globals__ }}{{ object._secret }}|", "|"),
        ('{{ \\"a\\n\\" }}', "a\n"),
        ("{{ name.lower() }}{% for i in range(2) %}{{ i }}{% endfor %}", "x01"),
        ("{ not } {} a { b", "{ not } {} a { b"),
        ("ends with a newline\\n", "ends with a newline\n"),
        ("", ""),
    ],
)
def test_rendering(text, rendered):
    assert render_text(text, CONTEXT) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{ broken $name",
        "{{ 1 / 0 }}$name",
        "{{ object.cancel() }}$name",
        "{% if %}$name{% endif %}",
        "{{ price.upper() }}$name",
        "{% for %}$name",
    ],
)
def test_a_text_never_fails(text):
    assert render_text(text, CONTEXT).endswith("X")


@given(st.text(st.sampled_from('$name{}%|.[0]\\" #x'), max_size=30))
def test_no_text_fails(text):
    render_text(text, CONTEXT)


@given(st.text(max_size=30))
def test_a_value_is_printed_as_it_is(value):
    assert render_text("<$x>", {"x": value}) == f"<{value}>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$x", True), ("${x}", True), ("{{ x }}", True), ("$5 {x} $", False), ("plain", False)],
)
def test_texts_with_variables_are_told_apart(text, expected):
    assert has_references(text) is expected


def test_words_of_a_model_only_have_their_newlines_unescaped():
    assert unescape_newlines('a\\nb $x {{ y }} \\"') == 'a\nb $x {{ y }} \\"'
