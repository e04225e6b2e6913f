"""Finds the bot's words: the answer of the main model, and the texts of bot messages."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..actions.dispatcher import CallScope
from ..colang.interpreter import Event, Say
from ..colang.v1_0.texts import has_references, render_text
from ..llm.call import llm_call, stream_call
from ..llm.taskmanager import LLMTaskManager
from ..llm.types import Task
from ..types import ChatMessage, LLMModel, LLMResponse, LLMResponseChunk
from .runner import Said

PassthroughFunction = Callable[[dict[str, Any], list[Event]], Awaitable[Any]]

REFUSE = "refuse to respond"
INTERNAL_ERROR = "inform internal error occurred"
NO_ANSWER = "I'm not sure what to say."
STANDARD_MESSAGES: Mapping[str, Sequence[str]] = {
    REFUSE: ("I'm sorry, I can't respond to that.",),
    INTERNAL_ERROR: ("I'm sorry, an internal error has occurred.",),
    "inform answer unknown": ("I don't know the answer to that.",),
}
"""Bot messages that exist without being defined; a definition replaces them."""


class Models(Protocol):
    """The models of a configuration."""

    main: LLMModel | None

    def for_task(self, task: str) -> LLMModel | None:
        """The model that is configured for a task, else the main one."""
        ...


@dataclass(slots=True)
class Talk:
    """What an answer is made from."""

    messages: Sequence[Mapping[str, Any]]
    """The caller's messages."""
    events: list[Event]
    """The conversation so far, the user's latest message (after input rails) included."""
    variables: dict[str, Any]
    """The context variables."""
    llm_params: Mapping[str, Any] | None = None
    streaming: bool = True
    """Ask the model to stream; otherwise the whole answer comes as one chunk."""
    extra: dict[str, Any] = field(default_factory=dict)


class Generation:
    """Answers and bot messages of one configuration.

    Args:
        bot_messages: predefined texts by name.
        pick: chooses one of several texts.
    """

    def __init__(
        self,
        tasks: LLMTaskManager,
        models: Models,
        bot_messages: Mapping[str, Sequence[str]],
        *,
        passthrough: bool = False,
        pick: Callable[[Sequence[str]], str] = random.choice,
    ) -> None:
        self.tasks = tasks
        self.models = models
        self.bot_messages = bot_messages
        self.passthrough = passthrough
        self.passthrough_fn: PassthroughFunction | None = None
        self._pick = pick

    def predefined(self, name: str) -> str | None:
        """The text of a bot message that is defined, unrendered."""
        texts = self.bot_messages.get(name) or STANDARD_MESSAGES.get(name)
        return self._pick(texts) if texts else None

    async def say(self, say: Say, scope: CallScope) -> Said:
        """The words of a bot step: its own text, the predefined one, or what the model writes.

        Raises:
            LLMCallException: the model could not be called.
        """
        if say.value is not None:
            return Said(say.value, trusted=False)
        text = say.text if say.text is not None else self.predefined(say.intent or "")
        if text is not None:
            return Said(render_text(text, say.context), trusted=not has_references(text))
        return Said(await self._phrased(say, scope), trusted=False)

    def answer(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        """The answer to a talk for which no dialog is defined, as the model's chunks.

        Raises:
            LLMCallException: while iterating.
            ValueError: at the call; the prompt cannot be rendered.
        """
        if not self.passthrough:
            return self._general(talk)
        return self._passed_through(talk) if self.passthrough_fn is None else self._from_function(talk)

    def _general(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        tasks = self.tasks
        prompt = tasks.render_task_prompt(Task.GENERAL, context=talk.variables, events=talk.events)
        params: dict[str, Any] = {}
        if (most := tasks.get_max_tokens(Task.GENERAL)) is not None:
            params["max_tokens"] = most
        params.update(talk.llm_params or {})
        stop = tasks.get_stop_tokens(Task.GENERAL) or ["User:"]
        return _asked(self.models.for_task(Task.GENERAL.value), prompt, stop, params, talk)

    def _passed_through(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        prompt = passed_through(talk.messages, talk.variables.get("user_message"))
        return _asked(self.models.for_task(Task.GENERAL.value), prompt, None, talk.llm_params, talk)

    async def _from_function(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        assert self.passthrough_fn is not None
        made = await self.passthrough_fn(talk.variables, talk.events)
        text, output = made if isinstance(made, tuple) else (made, None)
        talk.variables["passthrough_output"] = output
        yield LLMResponseChunk(delta_content=str(text), finish_reason="stop")

    async def _phrased(self, say: Say, scope: CallScope) -> str:
        """What the model writes for a bot message that has no text."""
        task = Task.GENERATE_BOT_MESSAGE
        events = [
            *scope.events,
            {"type": "BotIntent", "intent": say.intent, "instructions": say.instructions},
        ]
        context = {"examples": "", "relevant_chunks": "", **say.context}
        prompt = self.tasks.render_task_prompt(task, context=context, events=events)
        answer = await llm_call(
            self.models.for_task(task.value), prompt, stop=self.tasks.get_stop_tokens(task), task=task.value
        )
        return bot_message_in(str(self.tasks.parse_task_output(task, answer))) or NO_ANSWER


def passed_through(messages: Sequence[Mapping[str, Any]], user_message: Any) -> list[ChatMessage]:
    """The caller's messages as they go to the model; the last user message is what input rails made of it."""
    shown = [dict(one) for one in messages if one["role"] not in ("context", "event", "exception")]
    for message in reversed(shown):
        if message["role"] == "user":
            if user_message is not None:
                message["content"] = user_message
            break
    return [ChatMessage.from_dict(message) for message in shown]


def bot_message_in(reply: str) -> str:
    """The message in a model's reply to the task of phrasing it: unquoted, up to the next user line."""
    lines: list[str] = []
    for line in reply.strip().splitlines():
        stripped = line.strip()
        if stripped.startswith("user"):
            break
        if stripped:
            lines.append(stripped)
        if stripped.endswith('"'):
            break
    text = "\n".join(lines)
    if text.startswith('"'):
        text = text[1:].removesuffix('"')
    return text.replace("\\n", "\n")


def _asked(
    model: LLMModel | None,
    prompt: Any,
    stop: Sequence[str] | None,
    params: Mapping[str, Any] | None,
    talk: Talk,
) -> AsyncGenerator[LLMResponseChunk, None]:
    task = Task.GENERAL.value
    if talk.streaming:
        return stream_call(model, prompt, task=task, stop=stop, llm_params=params)
    return _whole(model, prompt, stop, params)


async def _whole(
    model: LLMModel | None, prompt: Any, stop: Sequence[str] | None, params: Mapping[str, Any] | None
) -> AsyncGenerator[LLMResponseChunk, None]:
    answer = await llm_call(model, prompt, stop, params, task=Task.GENERAL.value)
    response: LLMResponse = answer  # type: ignore[assignment]  # an LLMText has the attributes of a response
    yield LLMResponseChunk(
        delta_content=str(answer) or None,
        delta_reasoning=response.reasoning,
        delta_tool_calls=response.tool_calls,
        model=response.model,
        finish_reason=response.finish_reason,
        request_id=response.request_id,
        usage=response.usage,
        provider_metadata=response.provider_metadata,
    )
