"""The one reader of flow references: `name $key=value` and `name(key=value)`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import NoReturn

_KEY = re.compile(r"[A-Za-z_]\w*")
_BARE = re.compile(r"\$?[^\s\"'$]+")
_LEGACY_BARE = re.compile(r"[^\s\"',()]+")
_BLANKS = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class FlowReference:
    """A flow named in a list of rails, with its parameters.

    Attributes:
        name: the flow's name, words separated by one blank each.
        params: parameter name (without `$`) -> value, always text, quotes removed; in order.
        text: the reference as configured.
    """

    name: str
    params: dict[str, str] = field(default_factory=dict)
    text: str = ""


def parse_reference(text: str) -> FlowReference:
    """Reads a flow reference.

    Raises:
        ValueError: the text is not a reference; names the position (from 1) and the reason.
    """
    for position, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            _refuse(text, position, "control characters are not allowed")
    start = next((at for at, character in enumerate(text) if character in "$("), len(text))
    name = " ".join(text[:start].split())
    if not name:
        _refuse(text, 0, "the name of the flow is missing")
    if start == len(text):
        return FlowReference(name, {}, text)
    read = _read_variables if text[start] == "$" else _read_arguments
    return FlowReference(name, read(text, start), text)


def _read_variables(text: str, at: int) -> dict[str, str]:
    """Parameters of the form `$key=value`, separated by white space (a comma before it is tolerated)."""
    params: dict[str, str] = {}
    while at < len(text):
        if text[at] != "$":
            _refuse(text, at, "expected `$`, as in `$key=value`")
        key, at = _read_key(text, at + 1, params)
        if text[at : at + 1] != "=":
            _refuse(text, at, f"expected `=` directly after `${key}`")
        params[key], at = _read_value(text, at + 1, _BARE)
        following = _skip_blanks(text, at + (text[at : at + 1] == ","))
        if following == at < len(text):
            _refuse(text, at, "parameters are separated by white space")
        if text[at - 1] == "," and following < len(text):
            params[key] = _not_blank(params[key].rstrip(","), text, at - 1)
        at = following
    return params


def _read_arguments(text: str, at: int) -> dict[str, str]:
    """Parameters of the form `(key=value, other="v")`, up to the end of the text."""
    params: dict[str, str] = {}
    at = _skip_blanks(text, at + 1)
    while text[at : at + 1] != ")":
        key, at = _read_key(text, at + (text[at : at + 1] == "$"), params)
        at = _skip_blanks(text, at)
        if text[at : at + 1] != "=":
            _refuse(text, at, f"expected `=` after `{key}`")
        params[key], at = _read_value(text, _skip_blanks(text, at + 1), _LEGACY_BARE)
        at = _skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at = _skip_blanks(text, at + 1)
        elif text[at : at + 1] != ")":
            _refuse(text, at, "expected `,` or `)`")
    if text[at + 1 :].strip():
        _refuse(text, at + 1, "nothing may follow the closing `)`")
    return params


def _read_key(text: str, at: int, taken: dict[str, str]) -> tuple[str, int]:
    found = _KEY.match(text, at)
    if found is None:
        _refuse(text, at, "expected the name of a parameter")
    if found[0] in taken:
        _refuse(text, at, f"the parameter `{found[0]}` is given twice")
    return found[0], found.end()


def _read_value(text: str, at: int, bare: re.Pattern[str]) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote and quote in "\"'":
        end = text.find(quote, at + 1)
        if end < 0:
            _refuse(text, at, "the quote is never closed")
        return _not_blank(text[at + 1 : end], text, at), end + 1
    found = bare.match(text, at)
    return _not_blank(found[0] if found else "", text, at), at + len(found[0] if found else "")


def _not_blank(value: str, text: str, at: int) -> str:
    if not value.strip():
        _refuse(text, at, "the value is missing or blank")
    return value


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _refuse(text: str, at: int, reason: str) -> NoReturn:
    shape = "write `flow name`, or `flow name $key=value`"
    raise ValueError(f"flow reference {text!r}, position {at + 1}: {reason}; {shape}")
