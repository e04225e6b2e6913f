"""Runs a pattern check over a whole text: the text with the edits in place, or the block."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass

from .scan import Found, PatternCheck
from .verdict import Block


@dataclass(frozen=True, slots=True)
class Spliced:
    """What a check made of a whole text.

    Attributes:
        text: with the edits in place, up to the block if there is one.
        found: the matches, in order; in mode "block" the first alone.
        block: the block, if there is one.
    """

    text: str
    found: tuple[Found, ...]
    block: Block | None


def spliced(check: PatternCheck, text: str) -> Spliced:
    """The result of a fresh check on a whole text; what a stream of the text comes to."""
    progress, found = [check.feed(text)], [*check.found]
    if progress[0].block is None:
        progress.append(check.finish())
        found += check.found
    parts = []
    at = 0
    for edit in (edit for one in progress for edit in one.edits):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    parts.append(text[at : progress[-1].decided])
    return Spliced("".join(parts), tuple(found), progress[-1].block)
