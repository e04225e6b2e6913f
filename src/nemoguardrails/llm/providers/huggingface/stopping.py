"""The stopping criterion of a generation: asked after each token whether it was the last."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_MARGIN_TOKENS = 8
"""Decoded beyond the longest stop sequence: a character may take several tokens."""


class StopCriterion:
    """Ends a generation on request, or where a stop sequence is complete, and counts its tokens.

    Args:
        stops: the stop sequences.
        decode: token ids -> text; `None` where nobody can.

    Attributes:
        is_requested: the generation shall end with the next token.
    """

    def __init__(self, stops: Sequence[str], decode: Callable[[list[int]], str] | None) -> None:
        self._stops = tuple(stops)
        self._decode = decode
        self._tail = max(map(len, self._stops), default=0) + _MARGIN_TOKENS
        self._row: Any = None
        self._prompt_tokens = 0
        self._calls = 0
        self.is_requested = False

    def __call__(self, input_ids: Any = None, scores: Any = None, **kwargs: Any) -> bool:
        """Whether the generation ends here.

        Args:
            input_ids: (1, n_prompt + n_generated), the token just generated last.
        """
        self._calls += 1
        if input_ids is not None:
            self._row = input_ids[0]
            if self._calls == 1:
                self._prompt_tokens = len(self._row) - 1
        return self.is_requested or self._is_at_stop()

    @property
    def generated_tokens(self) -> int:
        """How many tokens were generated."""
        return self._calls if self._row is None else len(self._row) - self._prompt_tokens

    @property
    def last_token(self) -> int | None:
        """The id of the last token, where it is known."""
        return None if self._row is None else int(self._row[-1])

    def _is_at_stop(self) -> bool:
        if not self._stops or self._decode is None or self._row is None:
            return False
        count = min(self._tail, self.generated_tokens)
        ids = [int(one) for one in self._row[-count:]]
        text = self._decode(ids)
        return any(stop in text for stop in self._stops)
