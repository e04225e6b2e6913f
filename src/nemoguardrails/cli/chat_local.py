"""Chatting with rails in this process."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from functools import reduce
from operator import add
from textwrap import indent
from typing import Any

from ..config.rails_config import RailsConfig
from ..exceptions import LLMCallException, LLMClientError, RailFailedError, StreamingNotSupportedError
from ..logging.explain import LLMCallInfo
from ..rails.llmrails import LLMRails
from ..rails.options import GenerationLog, GenerationResponse
from ..streaming.events import Blocked, Failed, Finished, StreamEvent, TextDelta
from .bot import Message
from .problems import sentence

_ROLE_HEADING = re.compile(r"^\[cyan\](\w+)\[/\]$", re.MULTILINE)


class LocalBot:
    """Answers with an `LLMRails` of its own.

    Args:
        paths: folders or files of the configuration; several are joined, later ones win.
        verbose: the engine narrates each turn on standard error.

    Raises:
        ValueError: the configuration cannot be used.
        OSError: it cannot be read.
    """

    def __init__(self, paths: Sequence[str], *, verbose: bool = False) -> None:
        self._paths = list(paths)
        self._verbose = verbose
        self._loaded: list[LLMRails] = []
        self._rails = self._load()

    @property
    def name(self) -> str:
        """The folders of the configuration."""
        return " + ".join(self._paths)

    @property
    def exposed(self) -> int:
        """The exposure bound of the output rails."""
        output = self._rails.config.rails.output
        return output.streaming.exposure_bound if output.flows else 0

    def answer(self, messages: Sequence[Message], *, streaming: bool) -> AsyncGenerator[StreamEvent, None]:
        """The events of the answer; a model that cannot be asked is a `Failed`."""
        copied = [dict(message) for message in messages]
        if streaming:
            return self._rails.stream_events_async(messages=copied)
        return self._whole(copied)

    def require_streaming(self) -> None:
        """Makes sure that the output rails are enabled for streams."""
        output = self._rails.config.rails.output
        if output.flows and not output.streaming.enabled:
            raise StreamingNotSupportedError(
                "--streaming needs `rails.output.streaming.enabled: true` in config.yml for the output rails "
                f"({', '.join(output.flows)}); set it, or chat without --streaming"
            )

    def explain(self, *, in_full: bool) -> str:
        """The model calls of the last answer."""
        calls = self._rails.explain().llm_calls
        lines = [line for number, call in enumerate(calls, 1) for line in _described(number, call, in_full)]
        return "\n".join(lines) or "No model was called for the last answer."

    def reload(self) -> str:
        """Loads the configuration again."""
        self._rails = self._load()
        return f"Loaded {self.name} again."

    async def aclose(self) -> None:
        """Closes the connections to models, those of configurations loaded before as well."""
        for rails in self._loaded:
            await rails.aclose()

    def _load(self) -> LLMRails:
        configs = [RailsConfig.from_path(path) for path in self._paths]
        rails = LLMRails(reduce(add, configs), verbose=self._verbose)
        self._loaded.append(rails)
        return rails

    async def _whole(self, messages: list[dict[str, Any]]) -> AsyncGenerator[StreamEvent, None]:
        log = {"activated_rails": True}
        try:
            response = await self._rails.generate_async(messages=messages, options={"log": log})
        except (LLMCallException, LLMClientError, RailFailedError) as error:
            yield Failed(sentence(error), error=error)
            return
        assert isinstance(response, GenerationResponse)  # options were given
        said = response.response
        text = said if isinstance(said, str) else _text_of(said)
        blocked = _block_in(response.log)
        if blocked is not None and blocked.stage != "input":
            blocked.reply = text
            yield blocked
            return
        if blocked is not None:
            yield blocked
        if text:
            yield TextDelta(text)
        yield Finished()


def _text_of(messages: Sequence[dict[str, Any]]) -> str:
    contents = (message.get("content") for message in messages)
    return "\n".join(
        text if isinstance(text, str) else str((text or {}).get("message", "")) for text in contents
    )


def _block_in(log: GenerationLog | None) -> Blocked | None:
    for rail in log.activated_rails if log is not None else ():
        if rail.stop and rail.type in ("input", "output"):
            return Blocked(rail=rail.name, stage=rail.type)
    return None


def _described(number: int, call: LLMCallInfo, in_full: bool) -> list[str]:
    tokens = (
        f", {call.prompt_tokens or 0} + {call.completion_tokens or 0} tokens" if call.total_tokens else ""
    )
    cached = ", from the cache" if call.from_cache else ""
    line = (
        f"{number}. {call.task}: {call.llm_model_name}, {(call.duration or 0) * 1000:.0f} ms{tokens}{cached}"
    )
    if not in_full:
        return [line]
    return [line, "   asked:", _indented(call.prompt), "   answered:", _indented(call.completion)]


def _indented(text: str | None) -> str:
    """A prompt or an answer as a block; the headings of a prompt without their markup."""
    plain = _ROLE_HEADING.sub(r"\1:", (text or "").strip())
    return indent(plain, "     ")
