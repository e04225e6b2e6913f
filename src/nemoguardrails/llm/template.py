"""Compiles the templates of prompts: plainly where that is enough, with sandboxed Jinja2 elsewhere."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import ConfigurationError
from ..operations import ERRORS_OF_VALUES, LimitedOperators
from .plain_template import Filters, PlainTemplate

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_ONE_EXPRESSION = re.compile(r"\s*\{\{(?![-+])((?:(?!\{\{|\}\}|\{%).)*)(?<![-+])\}\}\s*", re.DOTALL)
MOST_RENDERED = 10_000_000
"""Characters that a template may give."""


class Template(Protocol):
    """A compiled template."""

    variables: frozenset[str]
    """The variables that it may read."""
    is_expression: bool
    """It is exactly one `{{ ... }}`, so that `evaluate` gives its value."""

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, with the values filled in.

        Raises:
            ConfigurationError: the template does not fit its values.
        """
        ...

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """With `is_expression`: the value itself; errors as for `render`."""
        ...


class TemplateCompiler:
    """Compiles templates.

    Args:
        filters: the filters beside those of Jinja2.
        strict: printing a variable that is missing is an error, instead of nothing.
    """

    def __init__(self, filters: Filters, *, strict: bool) -> None:
        self._filters = filters
        self._strict = strict
        self._environment: SandboxedEnvironment | None = None

    def compiled(self, source: str) -> Template:
        """A template ready to render.

        Raises:
            ConfigurationError: a syntax error or an unknown filter; names the line.
        """
        plain = PlainTemplate.read(source, self._filters, strict=self._strict)
        if plain is not None:
            return plain
        if self._environment is None:
            self._environment = _environment(self._filters, strict=self._strict)
        return _JinjaTemplate(self._environment, source)


class _JinjaTemplate:
    """A template that Jinja2 renders."""

    def __init__(self, environment: SandboxedEnvironment, source: str) -> None:
        from jinja2 import TemplateError, TemplateSyntaxError, meta

        self._errors = (TemplateError, *ERRORS_OF_VALUES)
        found = _ONE_EXPRESSION.fullmatch(source)
        try:
            self.variables = frozenset(meta.find_undeclared_variables(environment.parse(source)))
            self._template = environment.from_string(source)
            self._expression = (
                environment.compile_expression(found[1], undefined_to_none=False) if found else None
            )
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"line {error.lineno}: {error.message}") from error
        except (RecursionError, SyntaxError) as error:  # of Jinja2, or of the code that it makes
            raise ConfigurationError("the template is nested too deeply") from error
        self.is_expression = found is not None

    def render(self, values: Mapping[str, Any]) -> str:
        parts: list[str] = []
        room = MOST_RENDERED
        try:
            for part in self._template.generate(values):
                parts.append(part)
                room -= len(part)
                if room < 0:
                    raise ValueError(f"it gives more than {MOST_RENDERED:,} characters")
            return "".join(parts)
        except self._errors as error:
            raise ConfigurationError(f"the template does not render: {error}") from error

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        assert self._expression is not None
        try:
            return self._expression(values)
        except self._errors as error:
            raise ConfigurationError(f"the template does not render: {error}") from error


def _environment(filters: Filters, *, strict: bool) -> SandboxedEnvironment:
    from jinja2 import Undefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class PromptEnvironment(LimitedOperators, ImmutableSandboxedEnvironment):
        """A sandbox whose operators cannot make endless numbers and texts."""

    class Missing(Undefined):
        """Missing variables may be tested, but neither printed nor looped over."""

        __str__ = __iter__ = __len__ = Undefined._fail_with_undefined_error

    environment = PromptEnvironment(undefined=Missing if strict else Undefined, autoescape=False)
    environment.filters.update(filters)
    return environment
