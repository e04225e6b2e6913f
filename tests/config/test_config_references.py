"""Flow references: what reads, what is refused, and that nothing else can happen."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.config.references import FlowReference, parse_reference
from nemoguardrails.rails.llm.config import RailsConfig


@pytest.mark.parametrize(
    ("text", "name", "params"),
    [
        ("self check input", "self check input", {}),
        ("  self   check  input ", "self check input", {}),
        (
            "content safety check input $model=content_safety",
            "content safety check input",
            {"model": "content_safety"},
        ),
        (
            'guardrailsai check input $validator="valid length"',
            "guardrailsai check input",
            {"validator": "valid length"},
        ),
        ("chk $lvl='mm' $other=2", "chk", {"lvl": "mm", "other": "2"}),
        ("chk $a=1, $b=2", "chk", {"a": "1", "b": "2"}),
        ("chk $token=abc==", "chk", {"token": "abc=="}),
        ("chk $text=$user_message", "chk", {"text": "$user_message"}),
        ("limit(max=9)", "limit", {"max": "9"}),
        ('name(key=value, other="v, w")', "name", {"key": "value", "other": "v, w"}),
        ("name($key = value)", "name", {"key": "value"}),
        ("name()", "name", {}),
        ("prüfe Eingabe", "prüfe Eingabe", {}),
    ],
)
def test_a_reference_is_read(text: str, name: str, params: dict[str, str]) -> None:
    assert parse_reference(text) == FlowReference(name, params, text)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "name of the flow"),
        ("   ", 1, "name of the flow"),
        ("$model=x", 1, "name of the flow"),
        ("chk\nother", 4, "control characters"),
        ("chk $a=1\x00", 9, "control characters"),
        ("chk $a = 1", 7, "expected `=` directly"),
        ("chk $a", 7, "expected `=` directly"),
        ("chk $a=", 8, "missing or blank"),
        ("chk $a= 1", 8, "missing or blank"),
        ("chk $a=''", 8, "missing or blank"),
        ("chk $a='  '", 8, "missing or blank"),
        ("chk $a=1 $a=2", 11, "given twice"),
        ("chk $a='x", 8, "never closed"),
        ("chk $a='x'y", 11, "separated by white space"),
        ("chk $a=1 b=2", 10, "expected `$`"),
        ("chk $=1", 6, "expected the name of a parameter"),
        ("chk(a=1", 8, "expected `,` or `)`"),
        ("chk(a=1) x", 9, "nothing may follow"),
        ("chk(1)", 5, "expected the name of a parameter"),
        ("chk(a=)", 7, "missing or blank"),
    ],
)
def test_a_malformed_reference_is_refused_with_its_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_reference(text)
    assert f"position {position}:" in str(caught.value)
    assert reason in str(caught.value)


@given(st.text(alphabet=st.sampled_from("ab $=()'\",\n\t1é"), max_size=30) | st.text(max_size=30))
def test_any_text_gives_a_reference_or_a_value_error(text: str) -> None:
    try:
        read = parse_reference(text)
    except ValueError:
        return
    assert read.text == text
    assert read.name.strip()
    assert all(value.strip() for value in read.params.values())


_words = st.text(alphabet="abcdefgh_", min_size=1, max_size=6)


@given(
    st.lists(_words, min_size=1, max_size=4),
    st.dictionaries(_words, st.text("xyz ,=$()'", min_size=1), max_size=4),
)
def test_what_is_written_in_quotes_comes_back(words: list[str], params: dict[str, str]) -> None:
    params = {key: value for key, value in params.items() if value.strip()}
    name = " ".join(words)
    variables = "".join(f' ${key}="{value}"' for key, value in params.items())
    arguments = ", ".join(f'{key}="{value}"' for key, value in params.items())
    assert parse_reference(name + variables).params == params
    assert parse_reference(f"{name}({arguments})").params == params


def test_a_malformed_reference_in_a_list_of_rails_names_the_key() -> None:
    with pytest.raises(ValueError, match=r"rails\.output\.flows\.1") as caught:
        RailsConfig.from_content(yaml_content="rails: {output: {flows: [a, 'b $c']}}")
    assert "expected `=`" in str(caught.value)
