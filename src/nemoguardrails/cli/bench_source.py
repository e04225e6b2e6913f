"""The stream that `bench stream` measures with: a text in tokens, paced, that notes when each was taken."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence

_TOKEN = re.compile(r"\s*\S{1,6}|\s+")
"""About what a model's tokens are: a short word with the space before it, or a part of a long one."""

_PROSE = (
    "The harbour wakes before the town does. First come the gulls, then the small boats with their "
    "lamps still lit, and at last the ferry, which is late as often as it is early. On the quay a woman "
    "sells bread from a cart; she knows every captain by name and most of their debts. When the wind "
    "turns to the west, the older men look up from their nets, say nothing, and begin to fold them. "
    "Visitors ask how they can tell. It is the smell, says one; it is the sound of the ropes, says "
    "another. The woman with the cart laughs at both, for she reads the forecast every morning at six. "
)


def tokens_of(text: str | None, count: int | None) -> list[str]:
    """The tokens of a stream.

    Args:
        text: what to cut; `None` for plain prose of ours, as long as it has to be.
        count: how many tokens; `None` for all of the text.
    """
    if text is None:
        wanted = count or 0
        pieces = _TOKEN.findall(_PROSE)
        return (pieces * (wanted // len(pieces) + 1))[:wanted]
    return _TOKEN.findall(text)[:count]


class Source:
    """A stream of tokens, each handed over when it is due; a late one does not delay the others.

    Args:
        pace_s: seconds between two tokens; with 0 all are due at once.

    Attributes:
        handed_at: when each token that was taken was handed over, in seconds of `time.perf_counter`.
        half_cpu_s: CPU time of the process when half of the tokens had been taken.
        closed: the stream was ended, by its end or from outside.
    """

    def __init__(self, tokens: Sequence[str], pace_s: float) -> None:
        self._tokens = tokens
        self._pace_s = pace_s
        self.handed_at: list[float] = []
        self.half_cpu_s = 0.0
        self.closed = False

    async def stream(self) -> AsyncGenerator[str, None]:
        """The tokens."""
        begin, half = time.perf_counter(), len(self._tokens) // 2
        try:
            for index, token in enumerate(self._tokens):
                if self._pace_s:
                    await asyncio.sleep(max(begin + (index + 1) * self._pace_s - time.perf_counter(), 0))
                if index == half:
                    self.half_cpu_s = time.process_time()
                self.handed_at.append(time.perf_counter())
                yield token
        finally:
            self.closed = True
