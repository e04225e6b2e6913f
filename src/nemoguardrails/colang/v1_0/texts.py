"""Renders the texts of messages: `$variables`, Jinja, and the escapes of newlines and quotes."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ... import operations

if TYPE_CHECKING:
    from jinja2 import Environment

_logger = logging.getLogger(__name__)

_Render: TypeAlias = Callable[[Mapping[str, Any]], str]

_PATH = r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[\d+\])*"
_REFERENCE = re.compile(rf"\$(?:\{{({_PATH})\}}|({_PATH})((?:\|[a-z]+)*))")
_JINJA = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_PART = re.compile(r"\.?([^\W\d]\w*)|\[(\d+)\]")
_DOLLAR_NAME = re.compile(r"\$([^\W\d]\w*)")
_NOTHING = object()
_PLAIN = (str, int, float, list, tuple, Mapping)


def render_text(text: str, context: Mapping[str, Any]) -> str:
    """The text as the user shall see it, its references replaced by values of the context.

    What cannot be resolved prints nothing; a value is never rendered itself. Never raises because
    of a text: where its Jinja parts fail, they print nothing.
    """
    return _compiled(text)(context)


def has_references(text: str) -> bool:
    """Whether values of the context may stand in the rendered text."""
    return _REFERENCE.search(text) is not None or _JINJA.search(text) is not None


def unescape_newlines(text: str) -> str:
    r"""The text with each pair `\n` as a newline: all that is done to a model's words."""
    return text.replace("\\n", "\n")


@lru_cache(maxsize=1024)
def _compiled(text: str) -> _Render:
    parts = _JINJA.split(text) if "{" in text else [text]
    needs_jinja = len(parts) > 1 or any(found[3] for found in _REFERENCE.finditer(text))
    plain = _scan("".join(parts[::2]))
    if not needs_jinja:
        return plain
    from jinja2 import TemplateError

    try:
        template = _environment().from_string(_template(parts))
    except (TemplateError, RecursionError, SyntaxError) as error:
        _logger.warning("A message text is no valid template and is used without its Jinja parts: %s", error)
        return plain

    def render(context: Mapping[str, Any]) -> str:
        try:
            return template.render(context)
        except (TemplateError, *operations.ERRORS_OF_VALUES):
            _logger.warning(
                "A message text failed to render and is used without its Jinja parts", exc_info=True
            )
            return plain(context)

    return render


def _scan(text: str) -> _Render:
    """Renders a text without Jinja parts: one scan from left to right, made once."""
    literals: list[str] = []
    paths: list[tuple[str, tuple[str | int, ...]]] = []
    at = 0
    for found in _REFERENCE.finditer(text):
        literals.append(_unescaped(text[at : found.start()]))
        paths.append(_split_path(found[1] or found[2]))
        at = found.end()
    last = _unescaped(text[at:])
    if not paths:
        return lambda context: last

    def render(context: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        for literal, (name, steps) in zip(literals, paths, strict=True):
            pieces.append(literal)
            pieces.append(_printed(context.get(name, _NOTHING), steps))
        pieces.append(last)
        return "".join(pieces)

    return render


def _template(parts: list[str]) -> str:
    """The text as a template: references become Jinja expressions, inside its tags too."""
    pieces: list[str] = []
    for number, part in enumerate(parts):
        if number % 2:
            pieces.append(_DOLLAR_NAME.sub(r"\1", part.replace('\\"', '"')))
            continue
        at = 0
        for found in _REFERENCE.finditer(part):
            pieces.append(_unescaped(part[at : found.start()]))
            pieces.append(f"{{{{ {found[1] or found[2]}{_known_filters(found[3] or '')} }}}}")
            at = found.end()
        pieces.append(_unescaped(part[at:]))
    return "".join(pieces)


def _known_filters(filters: str) -> str:
    names = filters.split("|")[1:]
    known = _environment().filters
    for number, name in enumerate(names):
        if name not in known:
            # What is no filter is the author's text again.
            unknown = "".join(f"|{other}" for other in names[number:])
            return "".join(f"|{other}" for other in names[:number]) + f" }}}}{unknown}{{{{ ''"
    return filters


def _split_path(path: str) -> tuple[str, tuple[str | int, ...]]:
    parts = [found[1] if found[1] else int(found[2]) for found in _PART.finditer(path)]
    return str(parts[0]), tuple(parts[1:])


def _printed(value: Any, steps: tuple[str | int, ...]) -> str:
    try:
        for step in steps:
            if isinstance(step, int):
                value = value[step]
            elif operations.is_forbidden(step):
                return ""
            elif isinstance(value, Mapping):
                value = value[step]
            else:
                value = operations.attribute(value, step)
    except (AttributeError, LookupError, TypeError):
        return ""
    return "" if value is _NOTHING else str(value)


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace('\\"', '"')


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import ChainableUndefined
    from jinja2.sandbox import SandboxedEnvironment

    class TextEnvironment(operations.LimitedOperators, SandboxedEnvironment):
        """A sandbox in which members of dicts are items, and only plain values have methods to call."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            if isinstance(obj, Mapping) and attribute in obj:
                return obj[attribute]
            return super().getattr(obj, attribute)

        def is_safe_callable(self, obj: Any) -> bool:
            owner = getattr(obj, "__self__", None)
            module = getattr(obj, "__module__", None) or type(obj).__module__
            is_known = isinstance(owner, _PLAIN) or obj is dict or module.startswith("jinja2.")
            return is_known and super().is_safe_callable(obj)

    return TextEnvironment(undefined=ChainableUndefined, keep_trailing_newline=True)
