"""Turns the raw chunks of a model into the chunks that the house sees: reasoning apart, stops obeyed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..types import FinishReason, LLMResponseChunk
from .stop import StopCutter
from .think import Split, ThinkSplitter


class ChunkShaper:
    """Splits `<think>` blocks off a stream of chunks and ends it at a stop sequence.

    Attributes:
        settled: chunks needn't go through `shape` any more.
        stopped: a stop sequence was met: the chunk just shaped is the last.
        passes: tells of a text whether its chunk needn't go through `shape`; `None`: ask `shape`.
    """

    __slots__ = ("_cutter", "_think", "passes", "settled", "stopped")

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._think = ThinkSplitter()
        self._cutter = StopCutter(stops) if stops else None
        self.settled = self.stopped = False
        self.passes: Callable[[str], bool] | None = None

    def shape(self, chunk: LLMResponseChunk) -> LLMResponseChunk | None:
        """The chunk to hand on; the very same where nothing changes, `None` where all is held back."""
        given = chunk.delta_content
        reasoning, text = self._fed(given or "", ended=chunk.finish_reason is not None)
        if self._think.settled:
            self.settled = self._cutter is None
            self.passes = None if self._cutter is None else self._cutter.passes
        if text == (given or "") and not reasoning and not self.stopped:
            return chunk
        return _changed(chunk, text, reasoning, "stop" if self.stopped else chunk.finish_reason)

    def finish(self) -> LLMResponseChunk | None:
        """What was held back when the stream ended without a finish reason, as a chunk."""
        reasoning, text = self._fed("", ended=True)
        if not text and not reasoning:
            return None
        return LLMResponseChunk(delta_content=text or None, delta_reasoning=reasoning or None)

    def _fed(self, given: str, *, ended: bool) -> Split:
        reasoning, text = self._think.feed(given)
        if ended:
            rest = self._think.finish()
            reasoning, text = reasoning + rest.reasoning, text + rest.text
        if self._cutter is not None:
            text = self._cutter.feed(text)
            self.stopped = self._cutter.stopped
            text += self._cutter.finish() if ended else ""
        return Split(reasoning, text)


def _changed(
    chunk: LLMResponseChunk, text: str, reasoning: str, finish: FinishReason | None
) -> LLMResponseChunk | None:
    reasoning = (chunk.delta_reasoning or "") + reasoning
    says_more = finish or chunk.delta_tool_calls or chunk.tool_call_fragments or chunk.usage
    if not (text or reasoning or says_more):
        return None
    return LLMResponseChunk(
        delta_content=text or None,
        delta_reasoning=reasoning or None,
        delta_tool_calls=chunk.delta_tool_calls,
        model=chunk.model,
        finish_reason=finish,
        request_id=chunk.request_id,
        usage=chunk.usage,
        provider_metadata=chunk.provider_metadata,
        tool_call_fragments=chunk.tool_call_fragments,
    )
