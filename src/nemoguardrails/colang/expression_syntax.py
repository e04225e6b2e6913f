"""Text of an expression -> Python's tree, with `$variables` under stand-in names."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import re

MAX_LENGTH = 10_000
MAX_NESTING = 150
_MAX_BRACKETS = 30
_SLOT = "_variable_"
SLOTS = re.compile(rf"{_SLOT}\d+")
"""Matches a stand-in name."""

_TOKEN = re.compile(
    r"""(?P<quote>[A-Za-z]{0,2}(?:"{3}|'{3}|"|'))|\$(?P<variable>[^\W\d]\w*)|(?P<word>\w+)|.""", re.S
)
_IN_BRACES = re.compile(r"\$([^\W\d]\w*)")
_ESCAPES = frozenset("\n\\'\"abfnrtvxNuU01234567")


class ExpressionError(ValueError):
    """An expression that cannot be compiled; the text says why, without a place."""


def parsed(text: str, *, call: bool = False) -> tuple[ast.expr, dict[str, str]]:
    """The tree, and the variables by the stand-in names that they have in it.

    Args:
        call: whether the text is what stands between the parentheses of a call.

    Raises:
        ExpressionError: the text is no expression of Python, or is too long or too deep.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}")
    names: dict[str, str] = {}
    python = _rewritten(text.strip(), names)
    try:
        tree = ast.parse(f"_({python}\n)" if call else python, mode="eval").body
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ExpressionError(f"'{text.strip()}' cannot be read: {reason}") from error
    except (RecursionError, MemoryError) as error:
        raise ExpressionError("the expression is nested too deeply") from error
    _check_nesting(tree)
    return tree, {slot: name for name, slot in names.items()}


def _check_nesting(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ExpressionError("the expression is nested too deeply")


def _rewritten(text: str, names: dict[str, str]) -> str:
    """The text as Python: each variable outside of quotes has a stand-in name."""
    parts: list[str] = []
    at, depth = 0, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None  # the last alternative takes any character
        at = found.end()
        token = found[0]
        if quote := found["quote"]:
            literal, at = _literal(text, at, quote, names)
            parts.append(literal)
            continue
        if variable := found["variable"]:
            token = names.setdefault(variable, f"{_SLOT}{len(names)}")
        elif token.startswith("_"):
            raise ExpressionError(f"'{token}': names must not begin with '_'")
        depth += (token in "([{") - (token in ")]}")
        if depth > _MAX_BRACKETS:
            raise ExpressionError("the expression is nested too deeply")
        parts.append(token)
    return "".join(parts)


def _literal(text: str, at: int, opening: str, names: dict[str, str]) -> tuple[str, int]:
    """A quoted text whose content starts at `at`, as Python would have it, and where it ends."""
    prefix = opening.rstrip("\"'").lower()
    quote = opening[len(prefix) :]
    parts = [opening]
    while not text.startswith(quote, at):
        if at >= len(text):
            raise ExpressionError(f"'{text}' cannot be read: a text is never closed")
        if text[at] == "\\" and at + 1 < len(text):
            known = "r" in prefix or text[at + 1] in _ESCAPES
            # An unknown escape means itself, and Python warns about it; doubling says so openly.
            parts.append(text[at : at + 2] if known else "\\" + text[at : at + 2])
            at += 2
        else:
            parts.append(text[at])
            at += 1
    literal = "".join(parts) + quote
    if "f" in prefix:
        literal = _with_variables_in_braces(literal, names)
    return literal, at + len(quote)


def _with_variables_in_braces(literal: str, names: dict[str, str]) -> str:
    parts: list[str] = []
    depth, at = 0, 0
    while at < len(literal):
        if literal.startswith(("{{", "}}"), at) and depth == 0:
            parts.append(literal[at : at + 2])
            at += 2
        elif depth and (found := _IN_BRACES.match(literal, at)):
            parts.append(names.setdefault(found[1], f"{_SLOT}{len(names)}"))
            at = found.end()
        else:
            depth = max(0, depth + (literal[at] == "{") - (literal[at] == "}"))
            parts.append(literal[at])
            at += 1
    return "".join(parts)
