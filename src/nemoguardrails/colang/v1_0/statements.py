"""Parses the bodies of flows: blocks, branches, loops, labels."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..lines import Line
from . import nodes, steps
from .cursor import Cursor

MAX_NESTING = 50
_ASSIGNMENT = re.compile(
    r"\$(?P<name>[^\W\d][\w.]*)(?: (?P<plain>=) |\s*(?P<sign>[+-])=\s*)(?P<value>.+)", re.S
)
_SET = re.compile(r"\$?(?P<name>[^\W\d][\w.]*) = (?P<value>.+)", re.S)
_CALL = re.compile(r"(?:execute|exec|run) (.+)", re.S)
_META_LINE = re.compile(r"([\w-]+)\s*:?\s*(.*)", re.S)
_STATEMENTS = (
    "user, bot, event, any, execute, create event, $variable = ..., if, while, when, do, goto, label, break, "
    "continue, check, return or stop"
)
_REMEDIES = {
    "elif": "`else if`",
    "for": "`while`",
    "foreach": "`while`",
    "await": "`execute`",
    "send": "`create event`",
    "else": "an `if` or a `when` before it, in the same block",
}


class BodyParser:
    """Parses the body of one flow; `meta` holds what its meta lines say."""

    def __init__(self, cursor: Cursor):
        self._cursor = cursor
        self.meta: dict[str, Any] = {}
        self._labels: dict[str, Line] = {}
        self._gotos: list[tuple[str, Line]] = []
        self._depth = 0
        self._loops = 0

    def parse(self, header: Line, what: str) -> tuple[nodes.Statement, ...]:
        """The statements below the header.

        Raises:
            ColangSyntaxError: no body, or a line that cannot be read.
        """
        indent = self._cursor.body_indent(header, what)
        body = self._block(header, what)
        following = self._cursor.peek()
        if following is not None and header.indent < following.indent < indent:
            raise self._cursor.error(
                following, f"this line is left of the body of {what}", word=following.text
            )
        for name, line in self._gotos:
            if name not in self._labels:
                raise self._cursor.error(line, f"there is no label '{name}' in this flow", word=name)
        return body

    def is_statement(self, line: Line) -> bool:
        """Whether the line begins like a statement of a flow."""
        return line.text.startswith(("$", '"')) or _first_word(line.text)[0] in self._STATEMENTS

    def _block(self, owner: Line, what: str) -> tuple[nodes.Statement, ...]:
        indent = self._cursor.body_indent(owner, what)
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._cursor.error(
                owner, "blocks are nested too deeply", expected=f"at most {MAX_NESTING} levels"
            )
        body: list[nodes.Statement] = []
        deepest = indent
        while (line := self._cursor.peek()) is not None and line.indent >= indent:
            if line.indent > deepest:
                raise self._cursor.error(
                    line, "this line is indented, but the one above takes no body", word=line.text
                )
            statement = self._statement(self._cursor.take(), indent)
            if statement is not None:
                body.append(statement)
            # A dedent may land between the levels of this block and of the one that it closes.
            following = self._cursor.peek()
            is_block = isinstance(statement, (nodes.If, nodes.While, nodes.When))
            deepest = following.indent if is_block and following is not None else max(indent, line.indent)
        self._depth -= 1
        return tuple(body)

    def _statement(self, line: Line, indent: int) -> nodes.Statement | None:
        word, rest = _first_word(line.text)
        if word == "if":
            return self._if(line, rest, indent)
        if word == "when":
            return self._when(line, rest, indent)
        if line.text.startswith("$"):
            return self._assignment(line)
        if line.is_text:
            expected = "a text behind `bot`, or indented below it"
            raise self._cursor.error(line, "a text without a step", word=line.text, expected=expected)
        parse = self._STATEMENTS.get(word)
        if parse is None:
            expected = _REMEDIES.get(word, f"one of: {_STATEMENTS}")
            raise self._cursor.error(line, f"unknown statement '{word}'", word=word, expected=expected)
        return parse(self, line, rest)

    # -- steps

    def _user(self, line: Line, rest: str) -> nodes.Statement:
        step = steps.parse_user(self._cursor, line, rest)
        self._cursor.arguments_and_fields(line, None)
        return step

    def _bot(self, line: Line, rest: str) -> nodes.Statement:
        step = steps.parse_bot(self._cursor, line, rest)
        return nodes.Stop(step.span) if step.name == "stop" else step

    def _event(self, line: Line, rest: str) -> nodes.Statement:
        return steps.parse_event(self._cursor, line, rest)

    def _any(self, line: Line, rest: str) -> nodes.Statement:
        self._nothing(line, rest)
        indent = self._cursor.body_indent(line, "any")
        intents: list[str] = []
        while (below := self._cursor.peek()) is not None and below.indent >= indent:
            self._cursor.take()
            word, name = _first_word(below.text)
            if word != "user":
                raise self._cursor.error(
                    below, f"unexpected '{word}'", word=word, expected="`user NAME` in an `any` block"
                )
            intents.extend(steps.parse_user(self._cursor, below, name).intents)
        return nodes.UserStep(tuple(intents), self._cursor.span(line))

    def _execute(self, line: Line, rest: str) -> nodes.Statement:
        return steps.parse_execute(self._cursor, line, rest, None)

    def _create(self, line: Line, rest: str) -> nodes.Statement:
        word, kind = _first_word(rest)
        if word != "event":
            raise self._cursor.error(line, f"unexpected '{rest}'", word=rest, expected="the word `event`")
        return steps.parse_create_event(self._cursor, line, kind)

    def _infer(self, line: Line, rest: str) -> nodes.Statement:
        return steps.parse_create_event(self._cursor, line, rest.removeprefix("event "))

    def _do(self, line: Line, rest: str) -> nodes.Statement:
        return steps.parse_do(self._cursor, line, rest)

    # -- assignments

    def _assignment(self, line: Line) -> nodes.Statement:
        found = _ASSIGNMENT.fullmatch(line.text)
        if found is None:
            expected = "`$name = value`, with blanks around `=` and one variable before it"
            raise self._cursor.error(line, "this is no assignment", word=line.text, expected=expected)
        name, value = found["name"], found["value"].strip()
        if found["sign"]:
            value = f"${name} {found['sign']} ({value})"
        return self._assigned(line, name, value)

    def _set(self, line: Line, rest: str) -> nodes.Statement:
        found = _SET.fullmatch(rest)
        if found is None:
            raise self._cursor.error(line, "this is no assignment", word=rest, expected="`set $name = value`")
        return self._assigned(line, found["name"], found["value"].strip())

    def _assigned(self, line: Line, name: str, value: str) -> nodes.Statement:
        if "." in name:
            raise self._cursor.error(
                line, f"members cannot be assigned ('${name}')", word=name, expected="a plain variable"
            )
        if value == "...":
            return steps.parse_generation(self._cursor, line, name)
        if call := _CALL.fullmatch(value):
            return steps.parse_execute(self._cursor, line, call[1], name)
        if value.startswith("do "):
            expected = "`do NAME`; a subflow answers through variables"
            raise self._cursor.error(line, "a subflow has no value to assign", word="do ", expected=expected)
        return nodes.Assign(name, self._cursor.expression(line, value), self._cursor.span(line))

    # -- branches and loops

    def _if(self, line: Line, rest: str, indent: int) -> nodes.Statement:
        cases = [self._case(line, rest, "if")]
        otherwise: tuple[nodes.Statement, ...] = ()
        while (following := self._following(indent, "else")) is not None:
            word, condition = _first_word(_first_word(following.text)[1])
            if word == "if":
                cases.append(self._case(self._cursor.take(), condition, "else if"))
            elif word:
                expected = "`else if E` or `else`"
                raise self._cursor.error(following, f"unexpected '{word}'", word=word, expected=expected)
            else:
                otherwise = self._block(self._cursor.take(), "else")
                break
        return nodes.If(tuple(cases), otherwise, self._cursor.span(line))

    def _case(self, line: Line, condition: str, what: str) -> nodes.Case:
        test = self._cursor.expression(line, condition)
        return nodes.Case(test, self._block(line, what), self._cursor.span(line))

    def _when(self, line: Line, rest: str, indent: int) -> nodes.Statement:
        branches = [self._branch(line, rest)]
        while True:
            following = self._following(indent, "when")
            if following is not None:
                head = _first_word(following.text)[1]
            else:
                following = self._following(indent, "else")
                if following is None:
                    break
                word, head = _first_word(_first_word(following.text)[1])
                if word != "when":
                    expected = "`else when`: a `when` has no plain `else`"
                    raise self._cursor.error(following, "unexpected `else`", word="else", expected=expected)
            branches.append(self._branch(self._cursor.take(), head))
        return nodes.When(tuple(branches), self._cursor.span(line))

    def _branch(self, line: Line, head: str) -> tuple[nodes.Head, tuple[nodes.Statement, ...]]:
        return steps.parse_head(self._cursor, line, head), self._block(line, "when")

    def _following(self, indent: int, word: str) -> Line | None:
        """The next line, if it belongs to a block of this indentation and begins with the word."""
        line = self._cursor.peek()
        if line is None or line.indent < indent or _first_word(line.text)[0] != word:
            return None
        return line

    def _while(self, line: Line, rest: str) -> nodes.Statement:
        condition = self._cursor.expression(line, rest)
        self._loops += 1
        body = self._block(line, "while")
        self._loops -= 1
        return nodes.While(condition, body, self._cursor.span(line))

    def _break(self, line: Line, rest: str) -> nodes.Statement:
        self._nothing(line, rest)
        if not self._loops:
            raise self._cursor.error(
                line, "`break` stands outside of a loop", word="break", expected="`while` around it"
            )
        return nodes.Break(self._cursor.span(line))

    def _continue(self, line: Line, rest: str) -> nodes.Statement:
        self._nothing(line, rest)
        return nodes.Continue(self._cursor.span(line))

    # -- labels and ends

    def _label(self, line: Line, rest: str) -> nodes.Statement:
        name = rest.split('"', 1)[0].strip()
        if not name:
            raise self._cursor.error(line, "a label needs a name", word=line.text)
        if name in self._labels:
            first = self._labels[name].number
            raise self._cursor.error(line, f"label '{name}' is already defined in line {first}", word=name)
        self._labels[name] = line
        return nodes.Label(name, self._cursor.span(line))

    def _goto(self, line: Line, rest: str) -> nodes.Statement:
        if not rest:
            raise self._cursor.error(line, "goto needs the name of a label", word=line.text)
        self._gotos.append((rest, line))
        return nodes.Goto(rest, self._cursor.span(line))

    def _go(self, line: Line, rest: str) -> nodes.Statement:
        word, name = _first_word(rest)
        if word != "to":
            raise self._cursor.error(
                line, "unknown statement 'go'", word="go", expected="`go to NAME` or `goto NAME`"
            )
        return self._goto(line, name)

    def _check(self, line: Line, rest: str) -> nodes.Statement:
        return nodes.Check(self._cursor.expression(line, rest), self._cursor.span(line))

    def _return(self, line: Line, rest: str) -> nodes.Statement:
        return nodes.Return(self._cursor.span(line))

    def _stop(self, line: Line, rest: str) -> nodes.Statement:
        self._nothing(line, rest)
        return nodes.Stop(self._cursor.span(line))

    def _nothing(self, line: Line, rest: str) -> None:
        if rest:
            raise self._cursor.error(line, f"unexpected '{rest}'", word=rest, expected="the end of the line")

    # -- meta

    def _priority(self, line: Line, rest: str) -> None:
        self.meta["priority"] = self._number(line, rest)

    def _meta(self, line: Line, rest: str) -> None:
        if rest:
            self.meta.update(self._json(line, rest))
            if "priority" in self.meta:
                self.meta["priority"] = self._number(line, str(self.meta["priority"]))
            return
        indent = self._cursor.body_indent(line, "meta")
        while (below := self._cursor.peek()) is not None and below.indent >= indent:
            self._cursor.take()
            found = _META_LINE.fullmatch(below.text)
            if found is None:
                raise self._cursor.error(
                    below, "this is no property", word=below.text, expected="`key: value`"
                )
            key, text = found[1], found[2].strip()
            self.meta[key] = self._number(below, text) if key == "priority" else _literal(text)

    def _json(self, line: Line, text: str) -> dict[str, Any]:
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise self._cursor.error(
                line, "this is no JSON object", word=text, expected='`meta {"key": value}`'
            )
        return read

    def _number(self, line: Line, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            reason = f"'{text}' is no number"
            raise self._cursor.error(line, reason, word=text, expected="a number") from error

    _STATEMENTS: Mapping[str, Callable[..., nodes.Statement | None]] = {
        "user": _user,
        "bot": _bot,
        "event": _event,
        "any": _any,
        "execute": _execute,
        "exec": _execute,
        "run": _execute,
        "create": _create,
        "new": _create,
        "infer": _infer,
        "do": _do,
        "set": _set,
        "if": _if,
        "when": _when,
        "while": _while,
        "break": _break,
        "continue": _continue,
        "pass": _continue,
        "label": _label,
        "checkpoint": _label,
        "goto": _goto,
        "go": _go,
        "check": _check,
        "return": _return,
        "done": _return,
        "stop": _stop,
        "abort": _stop,
        "priority": _priority,
        "meta": _meta,
    }


def _first_word(text: str) -> tuple[str, str]:
    word, _, rest = text.partition(" ")
    return word, rest.strip()


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.strip("'\"")
