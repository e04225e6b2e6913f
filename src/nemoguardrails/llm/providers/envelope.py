"""A short cut through JSON: consecutive stream events that differ in their text alone; exact or not taken."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SENTINEL = "\u241f sentinel"
FREE_ATTEMPTS = 4

_read_value = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands before and after the text, quotes included, in an event."""

    head: str
    tail: str

    def text(self, data: str) -> str | None:
        """The text of an event in this envelope; `None` for any other event, which needs reading in full."""
        if not data.startswith(self.head) or not data.endswith(self.tail):
            return None
        try:
            text, end = _read_value(data, len(self.head))
        except ValueError:
            return None
        return text if text.__class__ is str and end == len(data) - len(self.tail) else None


class EnvelopeFinder:
    """Learns the envelope of a stream from events that were read in full.

    A JSON string exchanged for another changes nothing else of the document. So an envelope is right
    if the document with a sentinel in the text's place has the sentinel as its text, which is tried
    for each one. A provider whose events never repeat an envelope costs a few attempts, no more.

    Args:
        key: the key of the text, `content` or `text`.
        text_of: finds the text in a parsed event.
    """

    def __init__(self, key: str, text_of: Callable[[Any], Any]) -> None:
        self._opening = re.compile(rf'"{key}"\s*:\s*(?=")')
        self._text_of = text_of
        self.credit = FREE_ATTEMPTS
        """Attempts left; set it back to `FREE_ATTEMPTS` when an envelope fitted, since learning pays then."""

    def learn(self, data: str, text: str) -> Envelope | None:
        """The envelope of an event whose text is known, or `None` where none can be proved."""
        if self.credit <= 0:
            return None
        self.credit -= 1
        places = list(self._opening.finditer(data))
        if len(places) != 1:
            return None
        start = places[0].end()
        try:
            found, end = _read_value(data, start)
        except ValueError:
            return None
        head, tail = data[:start], data[end:]
        if found != text or self._text_of(json.loads(f'{head}"{_SENTINEL}"{tail}')) != _SENTINEL:
            return None
        return Envelope(head, tail)
