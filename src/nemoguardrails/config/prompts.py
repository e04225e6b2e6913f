"""The `instructions` and `prompts` sections."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ..exceptions import InvalidRailsConfigurationError
from .schema import ConfigSection


class Instruction(ConfigSection):
    """One entry of `instructions`; the first of type "general" is used in prompts."""

    type: str
    content: str


class MessageTemplate(ConfigSection):
    """One message of a chat prompt.

    Attributes:
        type: "system", "user", "assistant" or its alias "bot".
        content: a Jinja2 template.
    """

    type: str
    content: str


class TaskPrompt(ConfigSection):
    """One entry of `prompts`; exactly one of `content` and `messages` is given.

    Attributes:
        task: the task; for rails with a model it includes the argument, `task $model=name`.
        content: a Jinja2 template for one text.
        messages: message templates, or templates that render to a list of messages.
        models: restricts the prompt to `<engine>` or `<engine>/<model>`.
        mode: the `prompting_mode` it belongs to.
        output_parser: the name of an output parser.
        max_length: longest rendered prompt, in characters; `None` for no limit.
        max_tokens: longest completion, in the model's tokens.
        stop: texts at which the completion ends.
    """

    task: str
    content: str | None = None
    messages: list[MessageTemplate | str] | None = None
    models: list[str] | None = None
    output_parser: str | None = None
    max_length: int | None = Field(default=16_000, ge=1)
    mode: str | None = "standard"
    stop: list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _one_of_content_and_messages(cls, given: Any) -> Any:
        if isinstance(given, dict) and bool(given.get("content")) == bool(given.get("messages")):
            raise InvalidRailsConfigurationError(
                f"prompts, task {given.get('task')!r}: give either `content` or `messages`, and not both"
            )
        return given

    def templates(self) -> list[str]:
        """Its Jinja2 templates, in order."""
        messages = [one if isinstance(one, str) else one.content for one in self.messages or []]
        return messages if self.content is None else [self.content]
