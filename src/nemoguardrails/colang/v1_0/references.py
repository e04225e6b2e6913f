"""Reads references to flows that carry parameters: `name $key=value` and `name(key=value)`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_DOLLAR = re.compile(r"""\s+\$([^\W\d]\w*)\s*=\s*("[^"]*"|'[^']*'|[^\s"']\S*)""")
_PAIR = re.compile(r"""\s*\$?([^\W\d]\w*)\s*=\s*("[^"]*"|'[^']*'|[^,"']*)\s*(?:,|$)""")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a flow and the parameters given with it; their values are texts."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_reference(text: str) -> Reference:
    """Reads the reference.

    Raises:
        ValueError: no name, or parameters that cannot be read.
    """
    text = text.strip()
    dollar, paren = text.find("$"), text.find("(")
    starts = [at for at in (dollar, paren) if at >= 0]
    if not starts:
        reference = Reference(text)
    elif min(starts) == dollar:
        reference = Reference(text[:dollar].strip(), _pairs(_DOLLAR, " " + text[dollar:], text))
    elif text.endswith(")"):
        reference = Reference(text[:paren].strip(), _pairs(_PAIR, text[paren + 1 : -1], text))
    else:
        raise ValueError(f"'{text}': the closing ')' is missing")
    if not reference.name:
        raise ValueError(f"'{text}': the name of a flow is missing")
    return reference


def _pairs(pattern: re.Pattern[str], rest: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at = 0
    while rest[at:].strip():
        found = pattern.match(rest, at)
        if found is None:
            raise ValueError(f"'{text}': expected key=value at '{rest[at:].strip()}'")
        if found[1] in pairs:
            raise ValueError(f"'{text}': parameter '{found[1]}' is given twice")
        pairs[found[1]] = found[2].strip().strip("\"'")
        at = found.end()
    return pairs
