"""The script of a scripted model: its entries, how they are read, and which one answers a request."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ...config.yaml_text import load_yaml
from ...exceptions import InvalidModelConfigurationError
from ...types import FinishReason

_WORD = re.compile(r"\S+\s*|\s+")
_GROUP = re.compile(r"\{(\d+)\}")


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Texts = Annotated[list[str], BeforeValidator(_as_list)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScriptedError(_Section):
    """A failure: an HTTP status (0: the connection breaks), and how many tokens come before it."""

    status: int = Field(default=500, ge=0, le=599)
    message: str = "scripted error"
    after_tokens: int = Field(default=0, ge=0)


class ScriptedUsage(_Section):
    """Token counts that are given instead of counted."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class ScriptedToolCall(_Section):
    """A tool call of the reply; without `id` it is numbered."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None


class ScriptedReply(_Section):
    """One entry of a script. Times in seconds.

    Args:
        when: a regular expression that is searched in the last message of the user.
        task: the task, or tasks, whose calls it answers.
        fallback: it answers what no other entry does.
        reply: the text, or texts that take turns; `{1}` is the first group of `when`.
        tokens: the pieces of the text, instead of `reply`; without them a piece is a word.
        delay_s: before the first piece.
        pace_s: between two pieces; or `tokens_per_second`.
    """

    when: re.Pattern[str] | None = None
    task: Texts = Field(default_factory=list)
    fallback: bool = False
    reply: Texts = Field(default_factory=list)
    tokens: list[str] | None = None
    reasoning: str | None = None
    tool_calls: list[ScriptedToolCall] = Field(default_factory=list)
    delay_s: float | None = Field(default=None, ge=0)
    pace_s: float | None = Field(default=None, ge=0)
    tokens_per_second: float | None = Field(default=None, gt=0)
    usage: ScriptedUsage | None = None
    error: ScriptedError | None = None
    finish_reason: FinishReason | None = None

    @model_validator(mode="after")
    def _says_something_once(self) -> ScriptedReply:
        if self.reply and self.tokens is not None:
            raise ValueError("give either `reply` or `tokens`")
        if not self.reply and self.tokens is None and self.error is None and not self.tool_calls:
            raise ValueError("give `reply`, `tokens`, `tool_calls` or `error`")
        if self.pace_s is not None and self.tokens_per_second is not None:
            raise ValueError("give either `pace_s` or `tokens_per_second`")
        return self

    @property
    def period_s(self) -> float | None:
        """Seconds between two pieces, if the entry says so."""
        return 1 / self.tokens_per_second if self.tokens_per_second else self.pace_s

    def matches(self, message: str, task: str | None) -> bool:
        """Whether the entry is for this request; a fallback is only asked when no other entry is."""
        return (not self.task or task in self.task) and (self.when is None or bool(self.when.search(message)))

    def pieces(self, message: str, turn: int) -> list[str]:
        """The pieces of the text of its `turn`-th use, counted from 0."""
        if self.tokens is not None:
            return list(self.tokens)
        text = self.reply[turn % len(self.reply)] if self.reply else ""
        found = self.when.search(message) if self.when else None
        if found is not None and found.re.groups:
            text = _GROUP.sub(lambda group: _group(found, int(group[1]), group[0]), text)
        return words(text)


def words(text: str) -> list[str]:
    """The text in words, each with the space after it; joined they are the text."""
    return _WORD.findall(text)


def read_script(parameters: Mapping[str, Any], engine: str, folder: Path | None) -> list[ScriptedReply]:
    """The entries that `parameters` give: inline (`replies`), in a file (`script`), or both, in this order.

    Raises:
        InvalidModelConfigurationError: something is missing or wrong; the text names file, entry and key.
    """
    where = f"models, engine {engine!r}"
    entries = _entries(parameters.get("replies"), f"{where}, `parameters.replies`")
    if parameters.get("script") is not None:
        path = Path(str(parameters["script"]))
        path = folder / path if folder is not None and not path.is_absolute() else path
        entries += _entries(_loaded(path, where), f"{where}, script {path.name}")
    if not entries:
        raise InvalidModelConfigurationError(f"{where}: give `parameters.replies` or `parameters.script`")
    return entries


def read_pacing(parameters: Mapping[str, Any], engine: str) -> ScriptedReply:
    """The times that `parameters` give for all entries, as an entry without a text.

    Raises:
        InvalidModelConfigurationError: a time is wrong.
    """
    given = {key: parameters[key] for key in ("delay_s", "pace_s", "tokens_per_second") if key in parameters}
    return _entry({"reply": "", **given}, f"models, engine {engine!r}, `parameters`")


def _loaded(path: Path, where: str) -> Any:
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidModelConfigurationError(
            f"{where}: cannot read the script {path}: {error.strerror}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidModelConfigurationError(f"{where}: the script {path} is not YAML: {error}") from error
    return content.get("replies") if isinstance(content, Mapping) else content


def _entries(given: Any, where: str) -> list[ScriptedReply]:
    if given is None:
        return []
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidModelConfigurationError(f"{where}: a list of replies is expected")
    if given and all(isinstance(entry, str) for entry in given):
        given = [{"reply": list(given)}]
    return [_entry(entry, f"{where}, entry {number}") for number, entry in enumerate(given, 1)]


def _entry(given: Any, where: str) -> ScriptedReply:
    content = {"reply": given} if isinstance(given, str) else given
    try:
        return ScriptedReply.model_validate(content)
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise InvalidModelConfigurationError(f"{where}: {'; '.join(faults)}") from None


def _fault(location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    return f"`{key}`: {message}" if key else message.removeprefix("Value error, ")


def _group(found: re.Match[str], number: int, as_written: str) -> str:
    return (found[number] or "") if number <= found.re.groups else as_written
