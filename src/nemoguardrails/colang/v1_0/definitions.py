"""Parses the definitions of a source: messages, flows, and the lines between them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import re
from typing import Any

from ..lines import Line
from ..source import SourceText, Span
from . import nodes
from .cursor import Cursor
from .statements import BodyParser

_KINDS = ("user", "bot", "flow", "subflow", "action")
_REFUSED_KINDS = ("template", "topic", "snippet")
_MODIFIERS: dict[str, dict[str, Any]] = {
    "extension": {"is_extension": True},
    "parallel": {"allow_multiple": True},
    "recursive": {"allow_multiple": True},
    "continuous": {"interruptable": False},
    "noninterruptable": {"interruptable": False},
    "non-interruptable": {"interruptable": False},
    "interruption": {},
    "repair": {},
    "test": {"defines_messages": False},
    "sample": {"defines_messages": False},
    "response": {},
}
_ENTITY = re.compile(r"\[[^\[\]]*\]\(([^()]*)\)|\$([^\W\d]\w*)")
_BRANCH_WORDS = ("if", "else")


class DocumentParser:
    """Parses one source from top to bottom."""

    def __init__(self, source: SourceText):
        self._cursor = Cursor(source)
        self._path = source.path
        self._user: list[nodes.UserMessage] = []
        self._bot: list[nodes.BotMessage] = []
        self._flows: dict[str, nodes.FlowDefinition] = {}
        self._imports: list[str] = []
        self._warnings: list[str] = []

    def parse(self) -> nodes.Document:
        """The tree of the source.

        Raises:
            ColangSyntaxError: it cannot be read.
        """
        while self._cursor.peek() is not None:
            self._top_level(self._cursor.take())
        return nodes.Document(
            self._path,
            tuple(self._user),
            tuple(self._bot),
            tuple(self._flows.values()),
            tuple(self._imports),
            tuple(self._warnings),
        )

    def _top_level(self, line: Line) -> None:
        word, _, rest = line.text.partition(" ")
        if word in ("define", "def"):
            self._definition(line, rest.strip())
        elif word in ("import", "include") and rest:
            self._imports.append(rest.strip().strip("\"'"))
        elif not BodyParser(self._cursor).is_statement(line) and self._cursor.next_is_deeper(line):
            self._flow(line, line.text, {}, nodes.FlowMeta(), is_named=True)
        else:
            expected = "`define user`, `define bot`, `define flow` or `define subflow`"
            raise self._cursor.error(
                line, f"unexpected '{word}' outside of a definition", word=word, expected=expected
            )

    def _definition(self, line: Line, text: str) -> None:
        modifiers: list[str] = []
        word, _, rest = text.partition(" ")
        while word in _MODIFIERS:
            modifiers.append(word)
            word, _, rest = rest.strip().partition(" ")
        name = rest.strip()
        if word in _REFUSED_KINDS or word not in _KINDS:
            what = "is not supported" if word in _REFUSED_KINDS else "is unknown"
            expected = f"one of {', '.join(_KINDS)}; before flow and subflow also {', '.join(_MODIFIERS)}"
            raise self._cursor.error(line, f"`define {word}` {what}", word=word, expected=expected)
        if modifiers and word not in ("flow", "subflow"):
            raise self._cursor.error(line, f"`{modifiers[0]}` cannot stand before {word}", word=modifiers[0])
        if word == "user":
            self._user_message(line, name)
        elif word == "bot":
            self._bot_message(line, name)
        elif word == "action":
            self._skip_action(line)
        else:
            self._modified_flow(line, name, modifiers, is_subflow=word == "subflow")

    # -- messages

    def _user_message(self, line: Line, name: str) -> None:
        self._check_name(line, name, "user")
        examples: list[str] = []
        references: list[str] = []
        for below in self._body_lines(line):
            if below.is_text:
                examples.append(_example(below.text))
            else:
                references.append(below.text.removeprefix("user "))
        if not examples and not references:
            examples = [name]
        span = self._cursor.span(line)
        self._user.append(nodes.UserMessage(name, tuple(examples), tuple(references), span))

    def _bot_message(self, line: Line, name: str) -> None:
        texts: list[str] = []
        name, quote, inline = name.partition('"')
        if quote:
            if not inline.endswith('"'):
                raise self._cursor.error(line, "this text is never closed", word=quote + inline)
            texts.append(inline[:-1])
        name = name.strip()
        self._check_name(line, name, "bot")
        if not texts:
            self._cursor.body_indent(line, "define bot")
        for below in self._body_lines(line):
            if below.is_text:
                texts.append(below.text[1:-1])
            elif below.text.partition(" ")[0] not in _BRANCH_WORDS:
                where = f"{self._path}, line {below.number}"
                self._warnings.append(f"{where}: '{below.text}' is not quoted and no text of `bot {name}`")
        self._bot.append(nodes.BotMessage(name, tuple(texts), self._cursor.span(line)))

    def _body_lines(self, header: Line) -> list[Line]:
        lines: list[Line] = []
        while self._cursor.next_is_deeper(header):
            line = self._cursor.take()
            if lines and line.indent < lines[0].indent:
                raise self._cursor.error(
                    line, "this line is left of the first one of its block", word=line.text
                )
            lines.append(line)
        return lines

    def _check_name(self, line: Line, name: str, kind: str) -> None:
        if not name:
            raise self._cursor.error(line, f"`define {kind}` needs a name", word=kind)
        if "(" in name or "$" in name:
            where = f"{self._path}, line {line.number}"
            self._warnings.append(f"{where}: no step can name `{kind} {name}`: '(' and '$' begin parameters")

    # -- flows

    def _skip_action(self, line: Line) -> None:
        self._cursor.body_indent(line, "define action")
        while self._cursor.next_is_deeper(line):
            self._cursor.take()

    def _modified_flow(self, line: Line, name: str, modifiers: list[str], *, is_subflow: bool) -> None:
        properties: dict[str, Any] = {}
        for modifier in modifiers:
            properties.update(_MODIFIERS[modifier] or {modifier: True})
        self._flow(line, name, properties, nodes.FlowMeta(is_subflow=is_subflow), is_named=bool(name))

    def _flow(
        self, line: Line, name: str, properties: dict[str, Any], meta: nodes.FlowMeta, *, is_named: bool
    ) -> None:
        if line.is_text:
            raise self._cursor.error(line, "a text outside of a definition", word=line.text)
        first = self._cursor.peek()
        parser = BodyParser(self._cursor)
        body = parser.parse(line, f"flow '{name}'" if name else "this flow")
        span = self._cursor.span(line)
        source = self._cursor.text_between(Span(first.number if first else line.number, span.end_line))
        name = name or f"anonymous-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        if name in self._flows:
            other = self._flows[name].span.line
            what = f"flow '{name}'" if is_named else "a flow without a name and with this body"
            raise self._cursor.error(line, f"{what} is already defined in line {other}", word=name)
        properties = {**properties, **parser.meta}
        full = _meta(properties, meta)
        self._flows[name] = nodes.FlowDefinition(name, full, body, source, span, is_named)


def _meta(properties: dict[str, Any], meta: nodes.FlowMeta) -> nodes.FlowMeta:
    rest = dict(properties)
    return nodes.FlowMeta(
        priority=float(rest.pop("priority", 1.0)),
        is_subflow=bool(rest.pop("subflow", meta.is_subflow)),
        is_extension=bool(rest.pop("is_extension", False)),
        is_interruptible=bool(rest.pop("interruptable", True)),
        allows_multiple=bool(rest.pop("allow_multiple", False)),
        defines_messages=bool(rest.pop("defines_messages", True)),
        other=rest,
    )


def _example(text: str) -> str:
    """The example text of a quoted line: entities in braces, several parts joined by a blank."""
    parts = text[1:-1].split('" and "')
    return " ".join(
        _ENTITY.sub(lambda found: "{" + (found[1] or found[2] or "") + "}", part) for part in parts
    )
