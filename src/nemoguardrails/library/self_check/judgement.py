"""Asks a model whether a text should be blocked: what the self-check rails have in common."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...actions.rail_outcome import RailOutcome
from ...config.rails_config import RailsConfig
from ...exceptions import RailFailedError
from ...llm.cache import LFUCache
from ...llm.judge import judged_call
from ...llm.taskmanager import LLMTaskManager
from ...types import LLMModel

MAX_TOKENS = 1024
"""Longest answer of the judge in tokens, where its prompt says nothing; judges that reason need room."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The model and the prompt of one self check.

    Args:
        task: `self_check_input` or `self_check_output`.
        variant: the check's own prompt `<task> $variant=<variant>`, and its own model if there is one.
        llm: the model that is asked where `llms` has none for the variant or the task.
        caches: caches of verdicts by type of model.
    """

    task: str
    variant: str | None
    config: RailsConfig
    tasks: LLMTaskManager
    llm: LLMModel | None
    llms: Mapping[str, LLMModel] | None = None
    caches: Mapping[str, LFUCache] | None = None

    async def judge(self, context: Mapping[str, Any], events: Sequence[Any] | None) -> RailOutcome:
        """The verdict; an answer that can't be read is a failure, treated as `on_error` says.

        Raises:
            LLMCallException: the model could not be called.
            ConfigurationError: the prompt does not render, or is too long for its `max_length`.
            RailFailedError: the answer can't be read, and `on_error` is "raise".
        """
        named = f"{self.task} $variant={self.variant}" if self.variant else self.task
        role, model = self._model()
        prompt = self.tasks.render_task_prompt(named, context, events)
        max_tokens = self.tasks.get_max_tokens(named) or MAX_TOKENS

        def read(answer: str) -> RailOutcome:
            return self._read(named, answer)

        outcome = await judged_call(
            model,
            prompt,
            read,
            task=named,
            cache=(self.caches or {}).get(role),
            keep=lambda read: not read.failed,
            stop=self.tasks.get_stop_tokens(named),
            llm_params={"temperature": self.config.lowest_temperature, "max_tokens": max_tokens},
        )
        return self._by_policy(outcome) if outcome.failed else outcome

    def _model(self) -> tuple[str, LLMModel | None]:
        """The type of the model that is asked, and the model."""
        models = self.llms or {}
        for role in (self.variant, self.task):
            if role is not None and role in models:
                return role, models[role]
        return "main", self.llm

    def _read(self, named: str, answer: str) -> RailOutcome:
        parser = None if self.tasks.has_output_parser(named) else "is_content_safe"
        try:
            reading = self.tasks.parse_task_output(named, answer, forced_output_parser=parser)
        except ValueError as error:
            return RailOutcome.failure(str(error))
        is_safe = reading[0] if isinstance(reading, list | tuple) and reading else reading
        if not isinstance(is_safe, bool) or getattr(reading, "undecided", False):
            return RailOutcome.failure("the judge's answer states no verdict")
        if is_safe:
            return RailOutcome.allow()
        violations = list(reading[1:]) if isinstance(reading, list | tuple) else []
        return RailOutcome.block("the judge says that it should be blocked", {"violations": violations})

    def _by_policy(self, outcome: RailOutcome) -> RailOutcome:
        policy = self.config.rails.config.failure_policy(self.task)
        if policy == "raise":
            raise RailFailedError(f"The rail's task `{self.task}` failed: {outcome.reason}")
        return RailOutcome.allow(outcome.reason, {"failed": True}) if policy == "pass" else outcome
