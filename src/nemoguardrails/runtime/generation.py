"""Finds the bot's words: the answer of the main model, and the texts of bot messages."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..actions.dispatcher import CallScope
from ..colang.interpreter import Event, Say
from ..colang.v1_0.texts import has_references, render_text, unescape_newlines
from ..llm.answer_text import AnswerText
from ..llm.call import llm_call, stream_call
from ..llm.message_text import MessageText, message_text
from ..llm.taskmanager import LLMTaskManager
from ..llm.types import Task
from ..types import ChatMessage, LLMModel, LLMResponse, LLMResponseChunk
from .runner import Said
from .utterance import ModelWords

if TYPE_CHECKING:
    from .examples import Examples

PassthroughFunction = Callable[[dict[str, Any], list[Event]], Awaitable[Any]]

GENERATE_VALUE = "generate_value"
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
        new_examples: makes the examples for prompts, when they are first needed.
        pick: chooses one of several texts.
    """

    def __init__(
        self,
        tasks: LLMTaskManager,
        models: Models,
        bot_messages: Mapping[str, Sequence[str]],
        *,
        new_examples: Callable[[], Examples],
        passthrough: bool = False,
        pick: Callable[[Sequence[str]], str] = random.choice,
    ) -> None:
        self.tasks = tasks
        self.models = models
        self.bot_messages = bot_messages
        self._new_examples = new_examples
        self._examples: Examples | None = None
        self.passthrough = passthrough
        self.passthrough_fn: PassthroughFunction | None = None
        self._pick = pick

    @property
    def examples(self) -> Examples:
        """The examples for prompts."""
        if self._examples is None:
            self._examples = self._new_examples()
        return self._examples

    def predefined(self, name: str) -> str | None:
        """The text of a bot message that is defined, unrendered."""
        texts = self.bot_messages.get(name) or STANDARD_MESSAGES.get(name)
        return self._pick(texts) if texts else None

    async def say(self, say: Say, scope: CallScope) -> Said:
        """The words of a bot step: its own text, the predefined one, or what the model writes.

        Raises:
            LLMCallException: the model could not be called.
        """
        fixed = self.fixed(say)
        return fixed if fixed is not None else Said(await self._phrased(say, scope), trusted=False)

    def fixed(self, say: Say) -> Said | None:
        """The words of a bot step for which no model is needed."""
        if say.value is not None:
            return Said(unescape_newlines(say.value), trusted=False)
        text = say.text if say.text is not None else self.predefined(say.intent or "")
        return (
            None if text is None else Said(render_text(text, say.context), trusted=not has_references(text))
        )

    def answer(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        """The answer to a talk for which no dialog is defined, as the model's chunks.

        Raises:
            LLMCallException: while iterating.
            ValueError: at the call; the prompt cannot be rendered.
        """
        return self._passed_through(talk) if self.passthrough else self._general(talk)

    def answer_shape(self, *, streaming: bool) -> AnswerText | None:
        """Makes the model's words the answer; `None` where they are it."""
        return None if self.passthrough else AnswerText(first_at_once=streaming)

    def _general(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        tasks = self.tasks
        prompt = tasks.render_task_prompt(Task.GENERAL, context=talk.variables, events=talk.events)
        params: dict[str, Any] = {}
        if (most := tasks.get_max_tokens(Task.GENERAL)) is not None:
            params["max_tokens"] = most
        params.update(talk.llm_params or {})
        stop = tasks.get_stop_tokens(Task.GENERAL) or ["User:"]
        return _asked(self.models.for_task(Task.GENERAL.value), prompt, stop, params, talk)

    def _passed_through(
        self, talk: Talk, task: Task = Task.GENERAL
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        if self.passthrough_fn is not None:
            return self._from_function(talk)
        prompt = passed_through(talk.messages, talk.variables.get("user_message"))
        return _asked(self.models.for_task(task.value), prompt, None, talk.llm_params, talk, task)

    async def _from_function(self, talk: Talk) -> AsyncGenerator[LLMResponseChunk, None]:
        assert self.passthrough_fn is not None
        made = await self.passthrough_fn(talk.variables, talk.events)
        text, output = made if isinstance(made, tuple) else (made, None)
        talk.variables["passthrough_output"] = output
        yield LLMResponseChunk(delta_content=str(text), finish_reason="stop")

    async def message(self, talk: Talk, intent: str) -> ModelWords:
        """What the model writes for a bot message that has no text; its BotIntent is the talk's last event.

        Raises:
            ConfigurationError, ValueError: the prompt cannot be rendered.
        """
        task = Task.GENERATE_BOT_MESSAGE
        if self.passthrough:
            return ModelWords(lambda: self._passed_through(talk, task), action=task.value)
        prompt = await self._message_prompt(talk.events, talk.variables, intent)
        talk.variables["_last_bot_prompt"] = prompt
        parser = self.tasks.get_output_parser(task)
        shape = MessageText(empty=NO_ANSWER) if parser in _UNDERSTOOD else _Parsed(self.tasks)
        return ModelWords(lambda: self._asked(task, prompt, talk), shape, task.value)

    async def single_call(self, talk: Talk, said_last: str) -> AsyncGenerator[LLMResponseChunk, None]:
        """The reply with intent, next step and message, as the model's chunks."""
        task = Task.GENERATE_INTENT_STEPS_MESSAGE
        context = {**talk.variables, **await self.examples.of_users(said_last)}
        prompt = self.tasks.render_task_prompt(task, context=context, events=talk.events)
        params = {"temperature": self.tasks.config.lowest_temperature}
        return self._asked(task, prompt, talk, params)

    async def _message_prompt(
        self, events: Sequence[Event], variables: Mapping[str, Any], intent: str
    ) -> Any:
        context = {**variables, "examples": await self.examples.messages(intent)}
        return self.tasks.render_task_prompt(Task.GENERATE_BOT_MESSAGE, context=context, events=events)

    async def _phrased(self, say: Say, scope: CallScope) -> str:
        """What the model writes for a bot message of a rail."""
        task = Task.GENERATE_BOT_MESSAGE
        event = {"type": "BotIntent", "intent": say.intent, "instructions": say.instructions}
        prompt = await self._message_prompt([*scope.events, event], say.context, say.intent or "")
        answer = await llm_call(
            self.models.for_task(task.value), prompt, stop=self.tasks.get_stop_tokens(task), task=task.value
        )
        return message_text(str(self.tasks.parse_task_output(task, answer)), empty=NO_ANSWER)

    def _asked(
        self, task: Task, prompt: Any, talk: Talk, params: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """Asks the model of a task with the stop sequences and the length of its prompt."""
        given = dict(params or {})
        if (most := self.tasks.get_max_tokens(task)) is not None:
            given["max_tokens"] = most
        given.update(talk.llm_params or {})
        stop = self.tasks.get_stop_tokens(task)
        return _asked(self.models.for_task(task.value), prompt, stop, given, talk, task)


_UNDERSTOOD = (None, "bot_message", "verbose_v1")
"""Parsers whose work `MessageText` does on the fly."""


class _Parsed:
    """Reads a reply whole, with the parser that the user's prompt names."""

    def __init__(self, tasks: LLMTaskManager) -> None:
        self._tasks = tasks
        self._pieces: list[str] = []
        self.done = False

    def feed(self, piece: str) -> str:
        self._pieces.append(piece)
        return ""

    def finish(self) -> str:
        reply = self._tasks.parse_task_output(Task.GENERATE_BOT_MESSAGE, "".join(self._pieces))
        return message_text(str(reply), empty=NO_ANSWER)

    def broken_off(self) -> str:
        return ""


def passed_through(messages: Sequence[Mapping[str, Any]], user_message: Any) -> list[ChatMessage]:
    """The caller's messages as they go to the model; the last user message is what input rails made of it."""
    shown = [dict(one) for one in messages if one["role"] not in ("context", "event", "exception")]
    for message in reversed(shown):
        if message["role"] == "user":
            if user_message is not None:
                message["content"] = user_message
            break
    return [ChatMessage.from_dict(message) for message in shown]


def _asked(
    model: LLMModel | None,
    prompt: Any,
    stop: Sequence[str] | None,
    params: Mapping[str, Any] | None,
    talk: Talk,
    task: Task = Task.GENERAL,
) -> AsyncGenerator[LLMResponseChunk, None]:
    if talk.streaming:
        return stream_call(model, prompt, task=task.value, stop=stop, llm_params=params)
    return _whole(model, prompt, stop, params, task)


async def _whole(
    model: LLMModel | None,
    prompt: Any,
    stop: Sequence[str] | None,
    params: Mapping[str, Any] | None,
    task: Task,
) -> AsyncGenerator[LLMResponseChunk, None]:
    answer = await llm_call(model, prompt, stop, params, task=task.value)
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
