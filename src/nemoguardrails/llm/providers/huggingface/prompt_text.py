"""A prompt as the text that a pipeline continues, and its length in tokens."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....types import ChatMessage, Content, Prompt, Role

_SPEAKERS = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool"}


@dataclass(frozen=True, slots=True)
class PromptText:
    """The text, and whether a chat template made it, with the special tokens that belong to it."""

    text: str
    is_templated: bool = False


def prompt_text(prompt: Prompt, tokenizer: Any) -> PromptText:
    """The text of a prompt: by the tokenizer's chat template for messages, if it has one."""
    if isinstance(prompt, str):
        return PromptText(prompt)
    if getattr(tokenizer, "chat_template", None):
        return PromptText(_by_template(prompt, tokenizer), is_templated=True)
    return PromptText(_as_dialog(prompt))


def token_count(text: str, tokenizer: Any) -> int | None:
    """The length of a text in tokens, without special ones; `None` without a tokenizer."""
    if callable(encode := getattr(tokenizer, "encode", None)):
        try:
            return len(encode(text, add_special_tokens=False))
        except TypeError:
            # A tokenizer of another make, without special tokens.
            return len(encode(text))
    return len(tokenizer(text)["input_ids"]) if callable(tokenizer) else None


def _by_template(messages: Sequence[ChatMessage], tokenizer: Any) -> str:
    from jinja2 import TemplateError

    turns = [{"role": one.role.value, "content": _text(one.content)} for one in messages]
    try:
        return _rendered(turns, tokenizer)
    except TemplateError:
        if all(turn["role"] != "system" for turn in turns):
            raise
        return _rendered(_without_system(turns), tokenizer)


def _rendered(turns: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _without_system(turns: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The turns with instructions put before the user's words: some templates know no system role."""
    made: list[dict[str, str]] = []
    instructions: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            instructions.append(turn["content"])
        elif turn["role"] == "user" and instructions:
            made.append({"role": "user", "content": "\n\n".join([*instructions, turn["content"]])})
            instructions = []
        else:
            made.append(dict(turn))
    return [*made, {"role": "user", "content": "\n\n".join(instructions)}] if instructions else made


def _as_dialog(messages: Sequence[ChatMessage]) -> str:
    lines = []
    for message in messages:
        speaker = _SPEAKERS.get(message.role)
        text = _text(message.content)
        lines.append(f"{speaker}: {text}" if speaker else f"{text}\n")
    return "\n".join([*lines, "Assistant:"])


def _text(content: Content) -> str:
    if isinstance(content, list):
        return " ".join(
            str(part["text"]) for part in content if part.get("type") == "text" and "text" in part
        )
    return content or ""
