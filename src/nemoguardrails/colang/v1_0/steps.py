"""Parses the steps that stand on one line: `user`, `bot`, `event`, `execute`, `create event`, `do`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from typing import Any

from ..expressions import Arguments, Expression
from ..lines import Line
from . import nodes
from .cursor import Cursor, is_field, mask_texts
from .references import read_reference

_ALTERNATIVE = re.compile(r"\sor\s+(?=\S)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_SINGLE_QUOTED = re.compile(r"'[^']*'")
_VARIABLE = re.compile(r"\$([^\W\d]\w*)")
_EVENT_TYPE = re.compile(r"[^\W\d][\w.]*")
_CAPTURE = re.compile(r"\sas\s+\$[^\W\d]\w*$")
_FIRST_PARAMETER = re.compile(r"\(|\$|\s(?:with|for)\s(?=\$|[^\W\d]\w*\s*=(?!=))")


def parse_head(cursor: Cursor, line: Line, text: str) -> nodes.Head:
    """What a `when` waits for: `user ...`, `bot ...`, `event ...`, or the bare type of an event.

    Raises:
        ColangSyntaxError: anything else.
    """
    word, _, rest = text.partition(" ")
    if word == "user":
        return parse_user(cursor, line, rest)
    if word == "bot":
        return parse_bot(cursor, line, rest, with_block=False)
    if word in ("flow", "no", "any"):
        raise cursor.error(
            line, f"'when {word}' is not supported", word=word, expected="user, bot or event after `when`"
        )
    return parse_event(cursor, line, rest if word == "event" else text, with_block=False)


def parse_user(cursor: Cursor, line: Line, text: str) -> nodes.UserStep:
    """What follows the word `user`.

    Raises:
        ColangSyntaxError: no name, or an alternative that does not repeat `user`.
    """
    first, *others = _split_alternatives(text)
    intents = [_intent(cursor, line, first)]
    for other in others:
        word, _, rest = other.partition(" ")
        if word != "user":
            raise cursor.error(
                line, "each alternative repeats the word user", word=other, expected=f"`or user {other}`"
            )
        intents.append(_intent(cursor, line, rest))
    return nodes.UserStep(tuple(intents), cursor.span(line))


def _split_alternatives(text: str) -> list[str]:
    if _SINGLE_QUOTED.fullmatch(text):
        return [text]
    masked = mask_texts(text)
    parts: list[str] = []
    start = 0
    for found in _ALTERNATIVE.finditer(masked):
        parts.append(text[start : found.start()])
        start = found.end()
    return [*parts, text[start:]]


def _intent(cursor: Cursor, line: Line, text: str) -> str:
    text = text.removeprefix("says ").strip()
    if text in ("...", "something", "something else"):
        return nodes.WILDCARD
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if _CAPTURE.search(text):
        raise cursor.error(line, "a user step cannot be given a name with `as`", word=" as $")
    return _name_only(cursor, line, text)


def _name_only(cursor: Cursor, line: Line, text: str) -> str:
    """The name; parameters of `user` and `bot` steps must be readable, and have no effect."""
    named = cursor.named(line, text)
    cursor.arguments(line, named.parameters)
    return named.name


def parse_bot(cursor: Cursor, line: Line, text: str, *, with_block: bool = True) -> nodes.BotStep:
    """What follows the word `bot`, with the texts below it.

    Raises:
        ColangSyntaxError: no name and no text, two texts on one line, or a block of something else.
    """
    text = text.removeprefix("says ").strip()
    comment = line.comment
    if text in ("...", "something", "something else"):
        return nodes.BotStep(cursor.span(line), name=nodes.WILDCARD, instructions=comment)
    if text.startswith('"'):
        return nodes.BotStep(cursor.span(line), text=_one_text(cursor, line, text), instructions=comment)
    if variable := _VARIABLE.fullmatch(text):
        return nodes.BotStep(cursor.span(line), variable=variable[1], instructions=comment)
    name, own_text = _name_and_text(cursor, line, text)
    texts = [own_text] if own_text is not None else []
    if with_block:
        texts += _texts_below(cursor, line)
    return nodes.BotStep(cursor.span(line), name=name, texts=tuple(texts), instructions=comment)


def _name_and_text(cursor: Cursor, line: Line, text: str) -> tuple[str, str | None]:
    quoted = text.find('"')
    if quoted > 0:
        before = text[:quoted]
        if "(" not in before and cursor.named(line, f"{before}_").parameters is None:
            return before.strip(), _one_text(cursor, line, text[quoted:])
    return _name_only(cursor, line, text), None


def _one_text(cursor: Cursor, line: Line, text: str) -> str:
    if len(text) < 2 or not text.endswith('"'):
        raise cursor.error(
            line, "this text is never closed", word=text, expected='a " at the end of the line'
        )
    if len(_QUOTED.findall(text)) > 1 and not _QUOTED.sub("", text).strip():
        raise cursor.error(
            line, "two texts on one line", word=text, expected="one text per line, below the step"
        )
    return text[1:-1]


def _texts_below(cursor: Cursor, line: Line) -> list[str]:
    texts: list[str] = []
    while cursor.next_is_deeper(line):
        below = cursor.take()
        if below.is_text:
            texts.append(below.text[1:-1])
        elif not is_field(below.text):
            expected = "quoted texts or `key: value` lines below a bot step"
            raise cursor.error(below, f"unexpected '{below.text}'", word=below.text, expected=expected)
    return texts


def parse_event(cursor: Cursor, line: Line, text: str, *, with_block: bool = True) -> nodes.EventStep:
    """What follows the word `event`, or a `when`.

    Raises:
        ColangSyntaxError: no type, or properties that are no literals.
    """
    named = cursor.named(line, text)
    kind = _event_type(cursor, line, named.name)
    arguments = (cursor.arguments_and_fields if with_block else cursor.arguments)(line, named.parameters)
    properties: dict[str, Any] = {}
    properties = {}
    for name, value in arguments.items:
        if name.startswith("$"):
            raise cursor.error(
                line, "a property of an event needs a name", word=value.source, expected="key=value"
            )
        properties[name] = value.source if value.variables else value.evaluate({})
    return nodes.EventStep(kind, properties, cursor.span(line))


def _event_type(cursor: Cursor, line: Line, name: str) -> str:
    if not _EVENT_TYPE.fullmatch(name):
        raise cursor.error(
            line, f"'{name}' is no type of an event", word=name, expected="one word, as in `event UserSilent`"
        )
    return name


def parse_create_event(cursor: Cursor, line: Line, text: str) -> nodes.CreateEvent:
    """What follows `create event`.

    Raises:
        ColangSyntaxError: no type, or parameters that cannot be read.
    """
    named = cursor.named(line, text)
    kind = _event_type(cursor, line, named.name)
    arguments = cursor.arguments_and_fields(line, named.parameters)
    return nodes.CreateEvent(kind, arguments, cursor.span(line))


def parse_execute(cursor: Cursor, line: Line, text: str, result: str | None) -> nodes.ExecuteStep:
    """What follows the word `execute`.

    Raises:
        ColangSyntaxError: no name, or parameters that are neither literals nor variables.
    """
    named = cursor.named(line, text)
    if '"' in named.name or "$" in named.name:
        raise cursor.error(
            line, f"'{named.name}' is no name of an action", word=named.name, expected="name(key=value)"
        )
    arguments = cursor.arguments_and_fields(line, named.parameters)
    return nodes.ExecuteStep(named.name, arguments, result, cursor.span(line))


def parse_generation(cursor: Cursor, line: Line, result: str) -> nodes.ExecuteStep:
    """`$result = ...`: the model finds the value, as the comment above the line says."""
    arguments = Arguments()
    if line.comment:
        arguments = Arguments((("instructions", _constant(line.comment)),))
    return nodes.ExecuteStep("generate_value", arguments, result, cursor.span(line))


def parse_do(cursor: Cursor, line: Line, text: str) -> nodes.Do:
    """What follows the word `do`.

    Raises:
        ColangSyntaxError: no name, or parameters that cannot be read.
    """
    if text.startswith("$"):
        return nodes.Do(cursor.span(line), computed=cursor.expression(line, text))
    if (found := _FIRST_PARAMETER.search(text)) and found[0] == "$":
        # As rails are configured: name $key=value $other=value.
        try:
            reference = read_reference(text)
        except ValueError as error:
            raise cursor.error(line, str(error), word="$", expected="`do name $key=value`") from error
        items = tuple((key, _constant(value)) for key, value in reference.parameters.items())
        return nodes.Do(cursor.span(line), name=reference.name, arguments=Arguments(items))
    named = cursor.named(line, text)
    return nodes.Do(
        cursor.span(line), name=named.name, arguments=cursor.arguments_and_fields(line, named.parameters)
    )


def _constant(text: str) -> Expression:
    return Expression(text, lambda context: text, frozenset(), True)
