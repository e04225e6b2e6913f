"""What the rails of rails.co decide by."""

# SPDX-License-Identifier: Apache-2.0

import re

from nemoguardrails.actions import action

CARD_NUMBER = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
PROMISE = re.compile(r"\b(guarantee(d|s)?|can't lose|certain to (rise|grow))\b", re.IGNORECASE)


@action(name="count words")
def count_words(text: str) -> int:
    """How many words there are in a text."""
    return len(text.split())


@action(name="without card numbers")
def without_card_numbers(text: str) -> str:
    """The text with a mark in the place of everything that looks like the number of a card."""
    return CARD_NUMBER.sub("<card number>", text)


@action(name="makes promises")
def makes_promises(text: str) -> bool:
    """Whether a text promises what nobody knows."""
    return PROMISE.search(text) is not None
