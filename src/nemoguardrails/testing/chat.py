"""A conversation with a configuration, for tests: say something, compare the answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from .fake_model import FakeLLMModel

if TYPE_CHECKING:
    from ..config.rails_config import RailsConfig
    from ..types import LLMModel

_ENGINES_WITH_USAGE = ("openai", "azure_openai", "nim")


class TestChat:
    """Plays a conversation against `LLMRails` with a scripted model.

    `chat.user("hi")` or `chat >> "hi"` says something; `chat.bot("Hello!")` or `chat << "Hello!"`
    lets the bot answer and compares. Inside a running event loop use `await chat.bot_async(...)`.

    Args:
        config: the configuration.
        llm_completions: the model's answers, in order.
        streaming: read the bot's answers from `stream_async`.
        llm_exception: is raised by every model call.
        token_usage: counts per call; returned if the configured engine is one that gives them.
        llm: the model to use instead of a scripted one.

    Attributes:
        app: the `LLMRails`.
        llm: the model.
        history: the messages so far.
    """

    __test__ = False

    def __init__(
        self,
        config: RailsConfig,
        llm_completions: Sequence[str] | None = None,
        streaming: bool = False,
        llm_exception: BaseException | None = None,
        token_usage: Sequence[Mapping[str, int]] | None = None,
        llm: LLMModel | None = None,
    ) -> None:
        from ..rails.llmrails import LLMRails

        if llm is None and (llm_completions is not None or llm_exception is not None):
            with_usage = any(model.engine in _ENGINES_WITH_USAGE for model in config.models)
            llm = FakeLLMModel(
                responses=llm_completions,
                llm_exception=llm_exception,
                token_usage=token_usage,
                should_return_token_usage=token_usage is not None and with_usage,
            )
        self.config = config
        self.llm = llm
        self.app = LLMRails(config, llm=llm)
        self.streaming = streaming
        self.history: list[dict[str, Any]] = []
        self.state: Any = None
        """Colang 2.x: the state of the conversation."""
        self._said: list[dict[str, Any]] = []

    def user(self, msg: str | dict[str, Any]) -> None:
        """The user says a text; Colang 2.x: or an event happens."""
        if self.config.colang_version == "1.0":
            self.history.append({"role": "user", "content": msg})
            return
        spoken = {"type": "UtteranceUserActionFinished", "final_transcript": msg}
        self._said.append(msg if isinstance(msg, dict) else spoken)

    def bot(self, expected: str | dict[str, Any]) -> None:
        """The bot answers, and the answer is the expected text or message.

        Raises:
            AssertionError: it is not.
            RuntimeError: an event loop is running.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self.bot_async(expected))
        else:
            raise RuntimeError("An event loop is running: use `await chat.bot_async(...)`.")

    async def bot_async(self, expected: str | dict[str, Any]) -> None:
        """As `bot`, inside a running event loop."""
        answer = await self._answer()
        found = answer if isinstance(expected, dict) else answer.get("content")
        assert found == expected, f"The bot should answer\n  {expected!r}\nbut answered\n  {found!r}"

    def __rshift__(self, msg: str | dict[str, Any]) -> TestChat:
        self.user(msg)
        return self

    def __lshift__(self, expected: str | dict[str, Any]) -> TestChat:
        self.bot(expected)
        return self

    async def _answer(self) -> dict[str, Any]:
        if self.config.colang_version != "1.0":
            return {"role": "assistant", "content": await self._played()}
        if self.streaming:
            pieces = [str(chunk) async for chunk in self.app.stream_async(messages=list(self.history))]
            message: dict[str, Any] = {"role": "assistant", "content": "".join(pieces)}
        else:
            message = cast("dict[str, Any]", await self.app.generate_async(messages=list(self.history)))
        self.history.append(message)
        return message

    async def _played(self) -> str:
        """Feeds what was said to the program and confirms each utterance, until the bot is silent."""
        spoken: list[str] = []
        events, self._said = self._said, []
        while events:
            output, self.state = await self.app.process_events_async(events, self.state)
            utterances = [event for event in output if event["type"] == "StartUtteranceBotAction"]
            spoken += [event["script"] for event in utterances]
            events = [confirmation for event in utterances for confirmation in _confirmed(event)]
        return "\n".join(spoken)


def _confirmed(utterance: Mapping[str, Any]) -> list[dict[str, Any]]:
    uid, script = utterance.get("action_uid"), utterance["script"]
    return [
        {"type": "UtteranceBotActionStarted", "action_uid": uid},
        {
            "type": "UtteranceBotActionFinished",
            "action_uid": uid,
            "final_script": script,
            "is_success": True,
        },
    ]
