"""Turns tokens into text piece by piece: what the streamer builds upon where `transformers` is missing."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Decoder(Protocol):
    """The part of a tokenizer that a streamer needs."""

    def decode(self, token_ids: Sequence[int], /, **kwargs: Any) -> str:
        """The text of the tokens."""
        ...


class PlainTextStreamer:
    """Decodes tokens and hands on whole words, with the interface of `transformers.TextStreamer`.

    Args:
        tokenizer: decodes the tokens.
        skip_prompt: the first `put` after an end is the prompt, and is left out.
        decode_kwargs: go to each `decode`.
    """

    def __init__(self, tokenizer: Decoder | None, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.decode_kwargs = decode_kwargs
        self.next_tokens_are_prompt = True
        self._ids: list[int] = []
        self._given = 0

    def put(self, value: Any) -> None:
        """Takes the next tokens: an integer, a list, or a tensor with one row."""
        is_prompt, self.next_tokens_are_prompt = self.next_tokens_are_prompt, False
        if is_prompt and self.skip_prompt:
            return
        self._ids += _row(value)
        text = self._text()
        # A word may still change with the token that follows it.
        end = max(text.rfind(" "), text.rfind("\n")) + 1
        piece = text[self._given : end]
        if text.endswith("\n"):
            self._ids, self._given = [], 0
        elif end > self._given:
            self._given = end
        self.on_finalized_text(piece)

    def end(self) -> None:
        """Hands on the rest of the text and ends it."""
        rest = self._text()[self._given :] if self._ids else ""
        self._ids, self._given, self.next_tokens_are_prompt = [], 0, True
        self.on_finalized_text(rest, stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Takes a piece of the text that won't change any more; here it is printed."""
        print(text, end="\n" if stream_end else "", flush=True)

    def _text(self) -> str:
        if self.tokenizer is None:
            raise ValueError("The streamer was made without a tokenizer and cannot decode tokens")
        return self.tokenizer.decode(self._ids, **self.decode_kwargs)


def _row(value: Any) -> list[int]:
    ids = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(ids, int):
        return [ids]
    if ids and isinstance(ids[0], list | tuple):
        if len(ids) > 1:
            raise ValueError(f"A streamer takes one answer at a time, not a batch of {len(ids)}")
        ids = ids[0]
    return [int(one) for one in ids]
