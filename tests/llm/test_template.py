"""Templates that need no Jinja2 render exactly as Jinja2 would; all others are sandboxed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from nemoguardrails.exceptions import ConfigurationError
from nemoguardrails.llm.plain_template import PlainTemplate
from nemoguardrails.llm.template import TemplateCompiler


def shout(value: object) -> str:
    return str(value).upper()


def cut(value: object, n: int) -> str:
    return str(value)[:n]


FILTERS = {"shout": shout, "cut": cut}
VALUES: dict[str, Any] = {"a": "some text", "b": None, "c": "", "d": ["x"], "e": 0, "f": "{{ a }}{% if a %}"}
PIECES = [
    "{{ a }}",
    "{{b}}",
    "{{ c | shout }}",
    "{{ a|cut( 3 )|shout }}",
    "{{ missing }}",
    "{{ missing | shout }}",
    "{{ f }}",
    "{% if a %}",
    "{% if b %}",
    "{% if missing %}",
    "{%if d%}",
    "{% endif %}",
    "{% else %}",
    "{{ a.title() }}",
    "{{- a }}",
    "{{ 'x' }}",
    "{# note #}",
    "{{ none }}",
    "text",
    "}}",
    "{",
    "\n",
    "\r\n",
    " ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_what_renders_plainly_renders_as_jinja_does(pieces: list[str]) -> None:
    source = "".join(pieces)
    plain = PlainTemplate.read(source, FILTERS, strict=False)
    if plain is None:
        return
    environment = Environment()
    environment.filters.update(FILTERS)
    assert plain.render(VALUES) == environment.from_string(source).render(VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "text",
        "{{ a }}",
        "x {{ a | shout | cut(2) }} y\n\n",
        "{% if a %}yes {{ a }}{% endif %}{% if c %}no{% endif %}",
        "{{ a }} { } }}",
    ],
)
def test_simple_templates_need_no_jinja(source: str) -> None:
    assert PlainTemplate.read(source, FILTERS, strict=False) is not None


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.b }}",
        "{{ a | upper }}",
        "{% for x in d %}{{ x }}{% endfor %}",
        "{% if a %}{% if b %}{% endif %}{% endif %}",
        "{{ a if b }}",
        "{# comment #}",
        "{{- a -}}",
        "{{ true }}",
        "{% if not %}x{% endif %}",
    ],
)
def test_all_else_is_left_to_jinja(source: str) -> None:
    assert PlainTemplate.read(source, FILTERS, strict=False) is None


@pytest.mark.parametrize("source", ["{{ a }}", " {{ d | list }}\n", "{{ d }}"])
def test_one_expression_gives_its_value(source: str) -> None:
    template = TemplateCompiler(FILTERS, strict=False).compiled(source)
    assert template.is_expression
    assert template.evaluate(VALUES) == (VALUES["a"] if "a" in source else ["x"])


@pytest.mark.parametrize(
    "source", ["{{ a }}{{ b }}", "x{{ a }}", "{{- d | list -}}", "{{ a }}{% if a %}{% endif %}"]
)
def test_more_than_one_expression_is_text(source: str) -> None:
    assert not TemplateCompiler(FILTERS, strict=False).compiled(source).is_expression


def test_the_variables_of_a_template_are_known() -> None:
    compiler = TemplateCompiler(FILTERS, strict=False)
    assert compiler.compiled("{{ a | shout }}{% if b %}{{ c }}{% endif %}").variables == {"a", "b", "c"}
    assert compiler.compiled("{{ a.b }}{% for x in c %}{{ x }}{% endfor %}").variables == {"a", "c"}


@pytest.mark.parametrize(
    "source",
    ["{{ missing }}", "{{ missing | shout }}", "{{ missing | upper }}", "{% for x in missing %}{% endfor %}"],
)
def test_a_strict_template_must_have_what_it_prints(source: str) -> None:
    template = TemplateCompiler(FILTERS, strict=True).compiled(source)
    with pytest.raises(ConfigurationError, match="missing"):
        template.render(VALUES)
    assert TemplateCompiler(FILTERS, strict=False).compiled(source).render(VALUES) == ""


@pytest.mark.parametrize(
    "source",
    [
        "{% if missing %}x{% endif %}",
        "{% if missing is defined %}x{% endif %}",
        "{{ missing | default('') }}",
    ],
)
def test_a_strict_template_may_ask_whether_a_variable_is_there(source: str) -> None:
    assert TemplateCompiler(FILTERS, strict=True).compiled(source).render(VALUES) == ""


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        TemplateCompiler(FILTERS, strict=False).compiled("x\n{% if %}")
    with pytest.raises(ConfigurationError, match="nope"):
        TemplateCompiler(FILTERS, strict=False).compiled("{{ a | nope }}")


@pytest.mark.parametrize("source", ["{{ a.__class__.__mro__ }}", "{{ d.append('y') }}"])
def test_a_template_cannot_leave_its_sandbox(source: str) -> None:
    with pytest.raises(ConfigurationError):
        TemplateCompiler(FILTERS, strict=False).compiled(source).render(VALUES)
    assert VALUES["d"] == ["x"]


def test_the_plain_chat_prompt_needs_neither_jinja_nor_the_parsers() -> None:
    code = (
        "import sys\n"
        "from nemoguardrails.config.rails_config import RailsConfig\n"
        "from nemoguardrails.llm.taskmanager import LLMTaskManager\n"
        "import nemoguardrails.llm.call\n"
        "LLMTaskManager(RailsConfig(models=[])).render_task_prompt('general', {}, [])\n"
        "print({'jinja2', 'nemoguardrails.llm.output_parsers', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
