"""The rail `self check input`: asks a model whether the user's message should be blocked."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....actions.actions import ActionResult, action
from ....actions.declaration import RailDeclaration
from ....actions.rail_outcome import RailOutcome
from ....config.rails_config import RailsConfig
from ....llm.cache import LFUCache
from ....llm.taskmanager import LLMTaskManager
from ....types import LLMModel
from ..judgement import Judge


@action(is_system_action=True)
async def self_check_input(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: dict[str, Any] | None = None,
    events: Sequence[Any] | None = None,
    llm: LLMModel | None = None,
    llms: Mapping[str, LLMModel] | None = None,
    model_caches: Mapping[str, LFUCache] | None = None,
    variant: str | None = None,
    user_message: Any = None,
) -> RailOutcome | ActionResult:
    """The verdict on the user's message; legacy value: whether it is allowed.

    A blocked message is also hidden from later prompts. An empty one is blocked.

    Args:
        variant: use the prompt `self_check_input $variant=<variant>`.
        user_message: a text or content parts; default: the variable of this name.

    Raises:
        LLMCallException, ConfigurationError, RailFailedError: there is no verdict; see `Judge.judge`.
    """
    variables = context or {}
    message = variables.get("user_message") if user_message is None else user_message
    if _is_empty(message):
        outcome = RailOutcome.block("the message is empty")
    else:
        judge = Judge("self_check_input", variant, config, llm_task_manager, llm, llms, model_caches)
        outcome = await judge.judge({**variables, "user_input": message}, events)
    if not outcome.is_blocked:
        return outcome
    return ActionResult(outcome, events=[{"type": "mask_prev_user_message", "intent": "blocked message"}])


def _is_empty(content: Any) -> bool:
    """Whether there is nothing to judge: neither a visible character nor a part that is no text."""
    if not isinstance(content, list):
        return not str(content or "").strip()
    return all(part.get("type") == "text" and not str(part.get("text", "")).strip() for part in content)


RAILS = (
    RailDeclaration(
        "self check input",
        needs="a prompt for the task self_check_input, and a model to ask",
        sends_text_out=True,
    ),
)
