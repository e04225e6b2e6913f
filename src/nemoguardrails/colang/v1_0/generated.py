"""Steps that a model wrote, as a flow: what can be read of them, and what a model may do."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

from ..source import ColangSyntaxError
from . import nodes
from .instructions import Flow
from .lowering import lower
from .parser import parse_body


def allowed_body(text: str, name: str, actions: Collection[str]) -> str:
    """The lines of a model's reply that may run; empty if there are none.

    Lines that cannot be read are dropped from the end. Of the rest only `bot NAME`, `user` and `stop`
    stay, and the given actions.
    """
    return _allowed_part(_readable_part(text, name), name, actions)


def _readable_part(body: str, name: str) -> str:
    """The body up to the last line with which it can be read; empty if there is none."""
    rows = [row for row in body.split("\n") if row.strip()]
    while rows:
        text = "\n".join(rows)
        try:
            parse_body(text, name)
        except ColangSyntaxError as error:
            # Everything up to the line before the one at fault may be readable.
            rows = rows[: max(0, min(error.line - 2, len(rows) - 1))]
        else:
            return text
    return ""


def _allowed_part(body: str, name: str, allowed_actions: Collection[str]) -> str:
    """The statements of a readable body that a model may write, one per line or block."""
    if not body:
        return ""
    rows = body.split("\n")
    kept: list[str] = []
    for statement in parse_body(body, name).body:
        match statement:
            case nodes.BotStep(text=None) | nodes.UserStep() | nodes.Stop():
                allowed = True
            case nodes.ExecuteStep(action=action):
                allowed = action in allowed_actions
            case _:
                allowed = False
        if allowed:
            # The body stands below a header, so its first row is line 2.
            kept.extend(rows[statement.span.line - 2 : statement.span.end_line - 1])
    return "\n".join(kept)


@lru_cache(maxsize=128)
def generated_flow(body: str, name: str) -> Flow:
    """The flow of a body that `allowed_body` gave."""
    definition = parse_body(body, name)
    return lower(replace(definition, body=tuple(_as_written(one) for one in definition.body)), "generated")


def _as_written(statement: nodes.Statement) -> nodes.Statement:
    """The statement, without what only authors may do in a bot step: read variables, define texts."""
    if isinstance(statement, nodes.BotStep):
        name = statement.name if statement.variable is None else f"${statement.variable}"
        return replace(statement, name=name, variable=None, texts=())
    return statement
