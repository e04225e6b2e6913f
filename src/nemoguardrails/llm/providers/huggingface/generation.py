"""One generation of a pipeline: runs in a worker thread, is read and ended from the event loop."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....types import FinishReason, Prompt, UsageInfo
from .parameters import end_tokens, token_limit
from .prompt_text import prompt_text, token_count
from .stopping import StopCriterion

if TYPE_CHECKING:
    from .streamer import AsyncTextIteratorStreamer

_MAX_WAITING_PIECES = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What a pipeline is asked to do.

    Args:
        stops: stop sequences.
        parameters: keyword arguments of the pipeline's call.
    """

    pipeline: Callable[..., Any]
    prompt: Prompt
    stops: Sequence[str]
    parameters: Mapping[str, Any]

    @property
    def tokenizer(self) -> Any:
        """The pipeline's tokenizer, if it shows one."""
        return getattr(self.pipeline, "tokenizer", None)

    def settings(self) -> list[Any]:
        """Where parameters of the generation stand, the most important first."""
        model = getattr(self.pipeline, "model", None)
        return [
            self.parameters,
            self.parameters.get("generation_config"),
            getattr(self.pipeline, "_forward_params", None),
            getattr(self.pipeline, "_generate_kwargs", None),
            getattr(self.pipeline, "generation_config", None),
            getattr(model, "generation_config", None),
        ]


class Generation:
    """One answer in the making; must be made in a running loop.

    Args:
        streamer: takes the pieces, and belongs to this generation; `None`: the answer comes whole.
    """

    def __init__(self, order: Order, streamer: AsyncTextIteratorStreamer | None) -> None:
        self._order = order
        self._streamer = streamer
        decode = getattr(order.tokenizer, "decode", None)
        self._criterion = StopCriterion(order.stops, decode if callable(decode) else None)
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._input_tokens: int | None = None
        self._error: BaseException | None = None
        self._whole = ""
        if streamer is not None:
            streamer.max_waiting = _MAX_WAITING_PIECES

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yields the answer's pieces as they come; raises what the pipeline raised."""
        any_came = False
        if self._streamer is not None:
            async for piece in self._streamer:
                any_came = True
                yield piece
        await self._done
        if self._error is not None:
            raise self._error
        if self._whole and not any_came:
            yield self._whole

    def leave(self) -> None:
        """Nobody reads any more: the generation ends with its next token."""
        self._criterion.is_requested = True
        if self._streamer is not None:
            self._streamer.abandon()

    def usage(self, text: str) -> UsageInfo | None:
        """The tokens of the prompt and of the answer, whose text is given; `None` without a tokenizer."""
        read, written = self._input_tokens, self._written(text)
        return None if read is None or written is None else UsageInfo(read, written, read + written)

    def finish_reason(self, text: str) -> FinishReason:
        """`length` if the answer used all the tokens it was allowed."""
        settings, written = self._order.settings(), self._written(text)
        limit = token_limit(settings, self._input_tokens)
        if limit is None or written is None or written < limit:
            return "stop"
        ends = end_tokens([*settings, self._order.tokenizer])
        return "stop" if self._criterion.last_token in ends else "length"

    def run(self) -> None:
        """Generates; called in the worker thread."""
        try:
            if not self._criterion.is_requested:
                self._generate()
        except BaseException as error:  # noqa: BLE001 - the error is raised where the answer is read
            self._error = _portable(error)
        if self._streamer is not None:
            self._streamer.close(self._error)
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:
            # The loop is closed, so nobody waits.
            pass

    def hurry(self) -> None:
        """Another generation waits: this one does not wait for its reader."""
        if self._streamer is not None:
            self._streamer.hurry()

    def _generate(self) -> None:
        order = self._order
        prompt = prompt_text(order.prompt, order.tokenizer)
        self._input_tokens = token_count(prompt.text, order.tokenizer)
        arguments = dict(order.parameters)
        if getattr(order.pipeline, "task", None) == "text-generation":
            arguments.setdefault("return_full_text", False)
            if prompt.is_templated:
                # The template wrote the special tokens already.
                arguments.setdefault("add_special_tokens", False)
        arguments["stopping_criteria"] = [*(arguments.get("stopping_criteria") or ()), self._criterion]
        if self._streamer is not None:
            arguments["streamer"] = self._streamer
        self._whole = _generated_text(order.pipeline(prompt.text, **arguments))

    def _written(self, text: str) -> int | None:
        return self._criterion.generated_tokens or token_count(text, self._order.tokenizer)

    def _settle(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


def _generated_text(result: Any) -> str:
    """The text in what a pipeline returned: of the first answer, and there of the last message."""
    if isinstance(result, list):
        is_chat = bool(result) and isinstance(result[-1], Mapping) and "role" in result[-1]
        return _generated_text(result[-1 if is_chat else 0] if result else "")
    if isinstance(result, Mapping):
        keys = ("generated_text", "summary_text", "translation_text", "content")
        found = next((result[key] for key in keys if key in result), "")
        return _generated_text(found)
    return str(result or "")


def _portable(error: BaseException) -> BaseException:
    """The error as one that may cross into a coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    made = RuntimeError(f"The pipeline raised {type(error).__name__}: {error}")
    made.__cause__ = error
    return made
