"""Hostile YAML and templates end in a clear error; the process lives on."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.config.yaml_text import MOST_LEVELS, MOST_VALUES, check_limits, load_yaml
from nemoguardrails.exceptions import ConfigurationError, InvalidRailsConfigurationError
from nemoguardrails.kb.chunks import chunks_of
from nemoguardrails.llm.prompts import _from_file
from nemoguardrails.llm.template import TemplateCompiler
from nemoguardrails.testing import FakeLLMModel

DEEP = "[" * 1_000_000
NAMES = "abcdefghij"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in pairwise(NAMES)
)


def test_a_text_nested_a_million_deep_is_refused_in_a_process_that_lives_on() -> None:
    program = (
        "from nemoguardrails import RailsConfig\n"
        "try: RailsConfig.from_content(yaml_content='prompts: ' + '[' * 1_000_000)\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.returncode
    assert f"line 1: not valid YAML: nested more than {MOST_LEVELS} levels deep" in done.stdout


@pytest.mark.parametrize("text", [DEEP, "- " * 200_000 + "x", "{a: " * 200_000])
def test_nesting_has_a_limit(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="nested more than"):
        check_limits(text)


def test_up_to_the_limit_all_is_read() -> None:
    assert load_yaml("[" * MOST_LEVELS + "]" * MOST_LEVELS) is not None


def test_aliases_count_as_all_that_they_name() -> None:
    with pytest.raises(ValueError, match=f"line 6: not valid YAML: it stands for more than {MOST_VALUES:,}"):
        RailsConfig.from_content(yaml_content=LAUGHS)


def test_an_alias_of_its_own_container_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the alias \*a stands inside of what it names"):
        RailsConfig.from_content(yaml_content="custom_data: &a {again: *a}")


def test_ordinary_aliases_and_merges_work() -> None:
    read = load_yaml("base: &b {x: 1}\none: {<<: *b, y: 2}\ntwo: [*b, *b]")
    assert read == {"base": {"x": 1}, "one": {"x": 1, "y": 2}, "two": [{"x": 1}, {"x": 1}]}


def test_a_hostile_file_of_prompts_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prompts.yml"
    file.write_text(f"prompts: {DEEP}")
    with pytest.raises(InvalidRailsConfigurationError, match=r"prompts\.yml.*nested more than"):
        _from_file(file)


def test_the_hostile_metadata_of_a_document_count_as_text() -> None:
    assert chunks_of(f"```yaml\n{'[' * 50_000}\n```\n\n# Title\n\nText.\n")


def config(content: str) -> RailsConfig:
    written = json.dumps("{{ user_input }} " + content)
    return RailsConfig.from_content(
        yaml_content=f"""
            rails: {{input: {{flows: [self check input]}}}}
            prompts: [{{task: self_check_input, content: {written}}}]
        """
    )


@pytest.mark.parametrize(
    "content",
    [
        "{% if x %}" * 100_000,
        "{% if x %}" * 3_000 + "{% endif %}" * 3_000,
        "{{" * 500_000,
        "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
    ],
)
def test_a_template_nested_too_deeply_is_an_error_of_the_configuration(content: str) -> None:
    with pytest.raises(ValueError, match=r"self_check_input.*the template is nested too deeply"):
        config(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{{ 9 ** 9 ** 9 }}", "the power is too large"),
        ("{{ 'x' * 10 ** 10 }}", "10000000000 elements"),
        ("{{ '%0999999999d' % 1 }}", "the width of a format is too large"),
        ("{% for i in range(10 ** 6) %}x{% endfor %}", "Range too big"),
        (
            "{% for i in range(90000) %}{% for i in range(90000) %}xxxxxxxxx{% endfor %}{% endfor %}",
            "it gives more than 10,000,000 characters",
        ),
        ("{{ ''.__class__.__mro__[0] }}", "__class__"),
        ("{{ 1 + 'a' }}", "unsupported operand"),
    ],
)
def test_a_template_that_would_make_too_much_does_not_render(content: str, reason: str) -> None:
    template = TemplateCompiler({}, strict=False).compiled(f"{content} {{{{ user_input | upper }}}}")
    with pytest.raises(ConfigurationError, match=f"does not render: .*{reason}"):
        template.render({"user_input": "hi"})


async def test_such_a_template_fails_its_rail_closed() -> None:
    rails = LLMRails(config("{{ 9 ** 9 ** 9 }}"), llm=FakeLLMModel(responses=["No", "Hi"]))
    answer = await rails.generate_async(messages=[{"role": "user", "content": "hi"}])
    assert answer == {"role": "assistant", "content": "I'm sorry, an internal error has occurred."}
