"""`rails.config`: sections that rails bring, found without importing them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys

import pytest
from pydantic import BaseModel

from nemoguardrails.config.rails import Rails
from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.config.sections import RailSections, canonical_sections, read_settings, section_model
from nemoguardrails.rails.llm import config as face


def of(text: str) -> RailsConfig:
    return RailsConfig.from_content(yaml_content=f"rails: {{config: {{{text}}}}}")


def test_a_section_is_typed_by_the_rail_that_brings_it(plug_in: str) -> None:
    section = of("price_check: {input: {patterns: [x], limit: 3}}").rails.config.price_check
    assert type(section).__name__ == "PriceCheck"
    assert section.input.limit == 3
    assert section.output is None


def test_an_absent_section_reads_as_the_rails_defaults(plug_in: str) -> None:
    config = of("")
    assert config.rails.config.price_check.input.limit == 10
    assert "price_check" not in config.model_dump()["rails"]["config"]


def test_a_module_of_settings_is_imported_only_when_its_section_is_used(plug_in: str) -> None:
    RailsConfig.from_content(yaml_content="rails: {input: {flows: [a]}}")
    of("defaults: {timeout: 3}, some_other_thing: {a: 1}")
    assert plug_in not in sys.modules
    of("price_check: {}")
    assert plug_in in sys.modules


def test_a_section_nobody_knows_is_kept_and_reported() -> None:
    config = of("entirely_mine: {a: 1}")
    assert config.rails.config.entirely_mine == {"a": 1}
    assert [(entry.code, entry.key) for entry in config.load_report] == [
        ("unknown-key", "rails.config.entirely_mine")
    ]
    with pytest.raises(AttributeError):
        of("").rails.config.entirely_mine  # noqa: B018


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("pricecheck: {}", "rails.config.pricecheck", "price_check"),
        ("price_chekc: {}", "rails.config.price_chekc", "price_check"),
        ("default: {}", "rails.config.default", "defaults"),
        ("defaults: {on_eror: pass}", "rails.config.defaults.on_eror", "on_error"),
        ("price_check: {inputt: {}}", "rails.config.price_check.inputt", "input"),
        ("price_check: {input: {pattern: [x]}}", "rails.config.price_check.input.pattern", "patterns"),
        ("price_check: {output: {limits: 1}}", "rails.config.price_check.output.limits", "limit"),
        ("price_check: {by_name: {a: {limt: 1}}}", "rails.config.price_check.by_name.a.limt", "limit"),
    ],
)
def test_a_misspelt_key_in_a_section_is_an_error(plug_in: str, text: str, key: str, meant: str) -> None:
    with pytest.raises(ValueError) as caught:
        of(text)
    assert f"unknown key {key}; did you mean `{meant}`?" in str(caught.value)


def test_an_unknown_key_of_a_section_is_reported(plug_in: str) -> None:
    config = of("price_check: {input: {something: 1}}")
    assert [entry.key for entry in config.load_report] == ["rails.config.price_check.input.something"]


def test_an_error_in_a_section_names_its_key(plug_in: str) -> None:
    with pytest.raises(ValueError) as caught:
        of("price_check: {input: {patterns: ['a', '(']}}")
    assert "rails.config.price_check.input.patterns: pattern 1 is no regular expression" in str(caught.value)
    assert "the YAML content" in str(caught.value)


def test_keys_without_value_in_a_section_count_as_absent(plug_in: str) -> None:
    section = of(
        "price_check: {input: {patterns: , limit: }, output: , by_name: {a: {limit: }}}"
    ).rails.config.price_check
    assert section.input.limit == 10
    assert section.by_name["a"].limit == 10


def test_sections_survive_dumps_copies_and_joining(plug_in: str) -> None:
    config = of("price_check: {input: {limit: 3}}, mine: {a: 1}")
    again = RailsConfig(**config.model_dump())
    from_json = RailsConfig.model_validate_json(config.model_dump_json())
    for copy in (
        again,
        from_json,
        config.model_copy(deep=True),
        config + of("price_check: {output: {limit: 4}}"),
    ):
        assert copy.rails.config.price_check.input.limit == 3
        assert copy.rails.config.mine == {"a": 1}
    assert (config + of("price_check: {output: {limit: 4}}")).rails.config.price_check.output.limit == 4


def test_a_section_can_be_given_as_its_model(plug_in: str) -> None:
    model = section_model("price_check")
    assert model is not None
    rails = Rails(config=RailSections(price_check=model()))
    assert rails.config.price_check.input.limit == 10


def test_what_happens_on_failure_is_asked_of_the_section_then_of_the_defaults(plug_in: str) -> None:
    sections = of(
        "defaults: {on_error: raise, timeout: 5}, price_check: {on_error: pass}, mine: {timeout: 2}"
    ).rails.config
    assert sections.failure_policy("price_check") == "pass"
    assert sections.failure_policy("another") == "raise"
    assert sections.timeout_s("mine") == 2.0
    assert sections.timeout_s("price_check") == 5.0
    nothing = of("").rails.config
    assert (nothing.failure_policy("x"), nothing.timeout_s("x")) == ("block", 30.0)


@pytest.mark.parametrize("text", ["on_error: maybe", "timeout: 0", "timeout: soon"])
def test_impossible_defaults_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rails\.config\.defaults\."):
        of(f"defaults: {{{text}}}")


def test_usual_wrong_spellings_are_put_right_with_a_warning() -> None:
    config = of("private_ai_detection: {server_endpoint: 'http://x'}")
    assert "private_ai_detection" not in config.model_dump()["rails"]["config"]
    assert (config.load_report[0].code, config.load_report[0].severity) == ("spelling", "warning")
    made, remarks = canonical_sections(
        {
            "guardrails_ai": {
                "input": {"validators": [{"name": "a"}], "x": 1},
                "output": {"validators": [{"name": "b"}]},
            }
        }
    )
    assert made == {"guardrails_ai": {"input": {"x": 1}, "validators": [{"name": "a"}, {"name": "b"}]}}
    assert [key for key, _ in remarks] == [
        "guardrails_ai.input.validators",
        "guardrails_ai.output.validators",
    ]


def test_names_are_read_from_the_text_of_a_settings_file() -> None:
    text = "class A: ...\nclass B: ...\nSECTIONS: dict[str, type] = {'a': A, 'b': B}\nOTHER = {'c': A}\n"
    read = read_settings("m", text)
    assert read.sections == ("a", "b")
    assert read.classes == ("A", "B")


def test_the_face_offers_the_classes_of_rails(plug_in: str) -> None:
    assert issubclass(face.PriceCheck, BaseModel)
    assert face.PriceSide().limit == 10
    with pytest.raises(AttributeError, match="NotThere"):
        face.NotThere  # noqa: B018


@pytest.mark.parametrize("name", face.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    assert getattr(face, name) is not None


def test_the_rails_of_the_house_bring_their_sections() -> None:
    section = of(
        "regex_detection: {input: {patterns: ['a+'], case_insensitive: true}}"
    ).rails.config.regex_detection
    assert section.input.patterns == ["a+"]
    assert section.output.patterns == []
    assert face.RegexDetection is type(section)
    with pytest.raises(ValueError, match="did you mean `regex_detection`"):
        of("regex_detetion: {}")
    with pytest.raises(ValueError, match=r"rails\.config\.regex_detection\.input.*patterns\[0\]"):
        of("regex_detection: {input: {patterns: ['(']}}")
