"""`LLMTaskManager`: renders the prompt of a task and reads the model's answer to it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..config.prompts import TaskPrompt
from ..config.rails_config import RailsConfig
from ..exceptions import ConfigurationError
from .filters import FILTERS, text_of
from .prompts import PromptLibrary
from .template import Template, TemplateCompiler
from .types import Task, is_dialog_task, task_name

Message: TypeAlias = dict[str, Any]
Rendered: TypeAlias = "str | list[Message]"

if TYPE_CHECKING:
    from .output_parsers import OutputParser

_PART_TYPES = frozenset(
    {"text", "image_url", "image", "input_text", "input_image", "input_audio", "audio", "file", "video_url"}
)
_SHORT_HISTORY = 400
"""Events below which a prompt is rendered whole before anything is counted."""
_TURNS_TO_TRY_FIRST = 64


class PromptTooLongError(ConfigurationError):
    """A prompt is longer than its `max_length` and nothing in it may be left out."""


class _Item(NamedTuple):
    """One part of a prompt: a message of a type, or (type `None`) a list of messages."""

    type: str | None
    template: Template


class _Compiled(NamedTuple):
    """A prompt ready to render; `text` where it is one text, else `items`."""

    prompt: TaskPrompt
    text: Template | None
    items: tuple[_Item, ...]
    variables: frozenset[str]


class LLMTaskManager:
    """The prompts of a configuration, with the filters, parsers and values that may be added to them.

    Attributes:
        config: the configuration.
        prompt_context: values, or functions giving them, by the variable they fill in.
    """

    def __init__(self, config: RailsConfig) -> None:
        self.config = config
        self.prompt_context: dict[str, Any] = {}
        self._parsers: dict[str, OutputParser] | None = None
        self._filters: dict[str, Callable[..., Any]] = dict(FILTERS)
        self._library = PromptLibrary(config)
        self._compiled: dict[str, _Compiled] = {}
        self._compilers: dict[bool, TemplateCompiler] = {}
        sample = config.sample_conversation or ""
        self._standard: dict[str, Any] = {
            "general_instructions": _general_instructions(config),
            "sample_conversation": sample,
            "sample_conversation_two_turns": sample,
        }

    @property
    def output_parsers(self) -> dict[str, OutputParser]:
        """The parsers by name; entries may be added."""
        if self._parsers is None:
            from .output_parsers import OUTPUT_PARSERS

            self._parsers = dict(OUTPUT_PARSERS)
        return self._parsers

    def render_task_prompt(
        self,
        task: str | Task,
        context: Mapping[str, Any] | None = None,
        events: Sequence[Any] | None = None,
        force_string_to_message: bool = False,
    ) -> Rendered:
        """The prompt of a task: a text, or messages `{"type", "content"}`.

        A prompt longer than its `max_length` loses whole turns, oldest first; the caller's system
        messages and the newest user message stay. What a rail judges is never shortened. In prompts
        of rails a variable that nothing supplies is an error.

        Args:
            context: values for the template.
            events: the conversation; the template sees it as `history`.
            force_string_to_message: a text becomes one user message.

        Raises:
            ConfigurationError: the template doesn't compile or render; `PromptTooLongError` if too long.
            ValueError: there is no prompt for the task.
        """
        name = task_name(task)
        compiled = self._compiled.get(name) or self._compile(name)
        history = events or ()
        values = self._values(compiled.variables, context or {}, history)
        limit = compiled.prompt.max_length
        rendered = _rendered(compiled, values) if limit is None else _within(compiled, values, limit)
        if force_string_to_message and isinstance(rendered, str):
            return [{"type": "user", "content": rendered}]
        return rendered

    def parse_task_output(
        self, task: str | Task, output: str, forced_output_parser: str | None = None
    ) -> Any:
        """What the prompt's parser (or the forced one) makes of an answer; without a parser the answer.

        Raises:
            ValueError: the answer cannot be read by a parser that must read it.
        """
        name = forced_output_parser or self._library.chosen(task_name(task)).output_parser
        parser = self.output_parsers.get(name) if name else None
        return output if parser is None else parser(output)

    def has_output_parser(self, task: str | Task) -> bool:
        """Whether the task's prompt names a parser."""
        return self._library.chosen(task_name(task)).output_parser is not None

    def get_output_parser(self, task: str | Task) -> str | None:
        """The name of the parser that the task's prompt asks for."""
        return self._library.chosen(task_name(task)).output_parser

    def get_stop_tokens(self, task: str | Task) -> list[str] | None:
        """The stop sequences of the task's prompt."""
        return self._library.chosen(task_name(task)).stop

    def get_max_tokens(self, task: str | Task) -> int | None:
        """The longest completion that the task's prompt asks for, in tokens."""
        return self._library.chosen(task_name(task)).max_tokens

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> None:
        """Adds a filter for templates under a name, by default its own."""
        self._filters[name or filter_fn.__name__] = filter_fn
        self._compiled.clear()
        self._compilers.clear()

    def register_output_parser(self, output_parser: OutputParser, name: str) -> None:
        """Adds an output parser."""
        self.output_parsers[name] = output_parser

    def register_prompt_context(self, name: str, value_or_fn: Any) -> None:
        """Adds a value for templates, or a function that is called for it at each rendering.

        It overrides a value of the same name that the context gives.
        """
        self.prompt_context[name] = value_or_fn

    def _compile(self, task: str) -> _Compiled:
        prompt = self._library.chosen(task)
        is_strict = not is_dialog_task(task)
        compiler = self._compilers.get(is_strict)
        if compiler is None:
            compiler = self._compilers[is_strict] = TemplateCompiler(self._filters, strict=is_strict)
        try:
            text = compiler.compiled(prompt.content) if prompt.content is not None else None
            items = tuple(
                _Item(None, compiler.compiled(one))
                if isinstance(one, str)
                else _Item(one.type, compiler.compiled(one.content))
                for one in prompt.messages or ()
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"prompts, task {task!r}: {error}") from error
        templates = [item.template for item in items] if text is None else [text]
        names = frozenset[str]().union(*(template.variables for template in templates))
        self._compiled[task] = _Compiled(prompt, text, items, names)
        return self._compiled[task]

    def _values(
        self, names: frozenset[str], context: Mapping[str, Any], history: Sequence[Any]
    ) -> dict[str, Any]:
        """The variables of a template; what the configuration itself says can't be set by the context."""
        values: dict[str, Any] = {}
        for name in names:
            if name in self.prompt_context:
                given = self.prompt_context[name]
                values[name] = given() if callable(given) else given
            elif name == "history":
                values[name] = history
            elif name in self._standard:
                values[name] = self._standard[name]
            elif name in context:
                values[name] = context[name]
        return values


def _general_instructions(config: RailsConfig) -> str:
    return next((one.content for one in config.instructions or () if one.type == "general"), "")


def _rendered(compiled: _Compiled, values: Mapping[str, Any]) -> Rendered:
    try:
        if compiled.text is not None:
            content = _content(compiled.text, values)
            return content if isinstance(content, str) else [{"type": "user", "content": content}]
        messages: list[Message] = []
        for item in compiled.items:
            if item.type is None:
                messages += _listed(item.template, values)
            elif (content := _content(item.template, values)) and not _is_blank(content):
                messages.append({"type": item.type, "content": content})
        return messages
    except ConfigurationError as error:
        raise ConfigurationError(f"prompts, task {compiled.prompt.task!r}: {error}") from error


def _listed(template: Template, values: Mapping[str, Any]) -> list[Message]:
    messages = template.evaluate(values) if template.is_expression else None
    if not isinstance(messages, list):
        raise ConfigurationError(
            "a template among the messages must be one expression that gives a list of messages, "
            'such as "{{ history | to_chat_messages }}"'
        )
    return messages


def _content(template: Template, values: Mapping[str, Any]) -> str | list[Message]:
    """The content of a message: a text, or parts where a value is made of parts."""
    parts = {name: value for name, value in values.items() if _is_parts(value)}
    if not parts:
        return template.render(values)
    if template.is_expression:
        value = template.evaluate(values)
        return value if _is_parts(value) else str(value)
    # A mark that no text can contain stands for the parts while the text around them is rendered.
    marks = {f"\0{secrets.token_hex(8)}\0": value for value in parts.values()}
    text = template.render({**values, **dict(zip(parts, marks, strict=True))})
    return _spliced(text, marks)


def _spliced(text: str, marks: Mapping[str, list[Message]]) -> str | list[Message]:
    pieces = re.split(f"({'|'.join(map(re.escape, marks))})", text)
    if len(pieces) == 1:
        return text
    content: list[Message] = []
    for piece in pieces:
        if piece in marks:
            content += marks[piece]
        elif piece.strip():
            content.append({"type": "text", "text": piece})
    return content


def _is_parts(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(part, Mapping) and part.get("type") in _PART_TYPES for part in value)
    )


def _is_blank(content: str | list[Message]) -> bool:
    return isinstance(content, str) and content.isspace()


def _length(rendered: Rendered) -> int:
    """Characters of the texts; an image counts as its short placeholder."""
    if isinstance(rendered, str):
        return len(rendered)
    return sum(len(text_of(message.get("content"))) for message in rendered)


def _within(compiled: _Compiled, values: dict[str, Any], limit: int) -> Rendered:
    """The prompt with as many of the newest turns as fit.

    Their number is doubled until they are too many and then found by halving, so that the work
    depends on what fits and not on how long the conversation is.
    """
    history = values.get("history") or ()
    starts = _turn_starts(history) if len(history) >= _SHORT_HISTORY else []
    too_many = len(starts) + 1
    if not starts:
        whole = _rendered(compiled, values)
        if _length(whole) <= limit:
            return whole
        starts = _turn_starts(history)
        too_many = len(starts)
    longest: Rendered | None = None
    fitting, count = 0, min(_TURNS_TO_TRY_FIRST, max(too_many // 2, 1))
    while too_many - fitting > 1:
        rendered = _rendered(compiled, {**values, "history": _newest(history, starts[-count])})
        if _length(rendered) <= limit:
            longest, fitting = rendered, count
        else:
            too_many = count
        is_open = too_many > len(starts)
        count = min(2 * fitting, len(starts)) if is_open else (fitting + too_many) // 2
    if longest is None:
        raise PromptTooLongError(
            f"The prompt of the task {compiled.prompt.task!r} exceeds max length of {limit} characters even "
            f"without history; raise `max_length` in `prompts`, or refuse longer messages"
        )
    return longest


def _turn_starts(history: Sequence[Any]) -> list[int]:
    """Where the turns begin, at what the user said (before or after the input rails); 0 is always one."""
    starts: list[int] = [0] if history else []
    awaits_message = False
    for at, event in enumerate(history):
        kind = event.get("type") if isinstance(event, dict) else getattr(event, "name", None)
        if kind == "UtteranceUserActionFinished" or (kind == "UserMessage" and not awaits_message):
            starts += [at] if at else []
        if kind in ("UtteranceUserActionFinished", "UserMessage"):
            awaits_message = kind != "UserMessage"
    return starts


def _newest(history: Sequence[Any], first: int) -> Sequence[Any]:
    """The events from `first` on, and before them the caller's system messages."""
    if first == 0:
        return history
    kept = [
        event for event in history[:first] if isinstance(event, dict) and event.get("type") == "SystemMessage"
    ]
    return [*kept, *history[first:]]
