"""Chooses the prompt of a task: built-in ones, those of `PROMPTS_DIR`, those of the configuration."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from ..config.models import Model
from ..config.prompts import TaskPrompt
from ..config.rails_config import RailsConfig
from ..config.yaml_text import load_yaml
from ..exceptions import ConfigurationError, InvalidRailsConfigurationError

Style: TypeAlias = Literal["chat", "completion"]

_TEMPLATES = Path(__file__).with_name("templates")
_NO_MODELS, _EXACT, _PREFIX_OF_NAME, _NAME, _ENGINE, _ANYWHERE = 0.2, 1.0, 0.9, 0.8, 0.5, 0.4


class TaskReference(NamedTuple):
    """A task as flows and configurations write it: `task`, `task $model=name` or `task $variant=name`."""

    name: str
    argument: str | None = None
    value: str | None = None

    @classmethod
    def read(cls, task: str) -> TaskReference:
        """The parts of a written task."""
        name, found, rest = task.partition("$")
        argument, _, value = rest.partition("=")
        if not found:
            return cls(task.strip())
        return cls(name.strip(), argument.strip(), value.strip().strip("\"'"))


class PromptLibrary:
    """The prompts of one configuration; the choice for a task is made once."""

    def __init__(self, config: RailsConfig) -> None:
        self._config = config
        self._chosen: dict[str, TaskPrompt] = {}

    def chosen(self, task: str) -> TaskPrompt:
        """The best prompt for a task: the highest score, the last one among equals.

        Raises:
            ValueError: there is none; names the task and its model.
        """
        prompt = self._chosen.get(task)
        if prompt is None:
            prompt = self._chosen[task] = self._choice(task)
        return prompt

    def model_for(self, task: str) -> Model | None:
        """The model that does a task: that of its `$model` or `$variant`, of its own name, or `main`."""
        asked = TaskReference.read(task)
        for wanted in (asked.value, asked.name, "main"):
            for model in self._config.models:
                if wanted is not None and model.type == wanted:
                    return model
        return None

    def _choice(self, task: str) -> TaskPrompt:
        asked = TaskReference.read(task)
        model = self.model_for(task)
        name = f"{model.engine}/{model.model or ''}".lower() if model else "unknown"
        style: Style = "completion" if model and model.mode == "text" else "chat"
        candidates = self._candidates(asked, style)
        for wanted in (asked, _looser(asked)):
            scored = [
                (_score(prompt, name, self._config.prompting_mode or "standard"), at, prompt)
                for at, prompt in enumerate(candidates)
                if TaskReference.read(prompt.task) == wanted
            ]
            best = max(scored, key=lambda entry: entry[:2], default=None)
            if best is not None and best[0] > 0:
                return best[2]
        raise ValueError(
            f"There is no prompt for the task {task!r} and the model {name!r}; add one to `prompts`"
        )

    def _candidates(self, asked: TaskReference, style: Style) -> list[TaskPrompt]:
        built_in: Iterable[TaskPrompt] = ()
        if not asked.name.startswith("self_check_") or self._config.prompts_defaults:
            built_in = built_in_prompts(asked.name, style)
        return [*built_in, *_from_folder(os.environ.get("PROMPTS_DIR")), *(self._config.prompts or ())]


@cache
def built_in_prompts(task: str, style: Style) -> tuple[TaskPrompt, ...]:
    """Our own prompts for a task; only the file that holds them is read, once per process."""
    if task == "general":
        name = f"general.{style}.yml"
    elif task.startswith("generate_"):
        name = f"dialog.{style}.yml"
    elif task.startswith("self_check_"):
        name = "self_check.yml"
    else:
        return ()
    return tuple(prompt for prompt in _from_file(_TEMPLATES / name) if prompt.task == task)


def _looser(asked: TaskReference) -> TaskReference:
    """The task whose prompt serves where the task asked for has none of its own."""
    if asked.argument == "model":
        return TaskReference(asked.name)
    return TaskReference(asked.value) if asked.argument == "variant" and asked.value else asked


def _score(prompt: TaskPrompt, model: str, mode: str) -> float:
    """How well a prompt fits a model (`<engine>/<name>`) and a prompting mode; 0: not at all."""
    score = _NO_MODELS
    if prompt.models:
        score = next(filter(None, (_match(entry.lower(), model) for entry in prompt.models)), 0.0)
    own_mode = prompt.mode or "standard"
    if own_mode == mode:
        return score
    return score / 2 if own_mode == "standard" else 0.0


def _match(entry: str, model: str) -> float:
    name = model.partition("/")[2]
    if entry == model:
        return _EXACT
    if "/" in entry and name.startswith(entry) and name != entry:
        return _PREFIX_OF_NAME
    if ("/" in entry and name == entry) or model.endswith(f"/{entry}"):
        return _NAME
    if model.startswith(f"{entry}/"):
        return _ENGINE
    return _ANYWHERE if entry in model else 0.0


@cache
def _from_folder(folder: str | None) -> tuple[TaskPrompt, ...]:
    if not folder:
        return ()
    if not Path(folder).is_dir():
        raise ConfigurationError(f"PROMPTS_DIR names {folder!r}, which is no folder")
    return tuple(prompt for file in sorted(Path(folder).rglob("*.y*ml")) for prompt in _from_file(file))


@cache
def _from_file(file: Path) -> tuple[TaskPrompt, ...]:
    import yaml  # configurations made in code, with prompts of their own, never need it

    try:
        read = load_yaml(file.read_text(encoding="utf-8"))
        listed = (read or {}).get("prompts") or []
        return tuple(TaskPrompt.model_validate(entry) for entry in listed)
    except (yaml.YAMLError, ValueError, AttributeError) as error:
        raise InvalidRailsConfigurationError(f"{file}: not a readable list of prompts: {error}") from error
