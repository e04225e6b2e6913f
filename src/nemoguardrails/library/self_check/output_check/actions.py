"""The rail `self check output`: asks a model whether the bot's message should be blocked."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....actions.actions import action
from ....actions.declaration import RailDeclaration
from ....actions.rail_outcome import RailOutcome
from ....config.rails_config import RailsConfig
from ....llm.cache import LFUCache
from ....llm.taskmanager import LLMTaskManager
from ....types import LLMModel
from ..judgement import Judge


@action(is_system_action=True)
async def self_check_output(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: dict[str, Any] | None = None,
    events: Sequence[Any] | None = None,
    llm: LLMModel | None = None,
    llms: Mapping[str, LLMModel] | None = None,
    model_caches: Mapping[str, LFUCache] | None = None,
    variant: str | None = None,
    user_message: Any = None,
    bot_message: str | None = None,
    bot_thinking: str | None = None,
) -> RailOutcome:
    """The verdict on the bot's message; legacy value: whether it is allowed.

    An empty message is blocked; white space alone, as in a piece of a stream, is judged. The three
    messages default to the variables of their names.

    Args:
        variant: use the prompt `self_check_output $variant=<variant>`.
        bot_thinking: the reasoning behind the message.

    Raises:
        LLMCallException, ConfigurationError, RailFailedError: there is no verdict; see `Judge.judge`.
    """
    variables = context or {}
    message = variables.get("bot_message") if bot_message is None else bot_message
    if not message:
        return RailOutcome.block("the message is empty")
    asked = variables.get("user_message") if user_message is None else user_message
    thinking = variables.get("bot_thinking") if bot_thinking is None else bot_thinking
    values = {"user_input": asked or "", "bot_response": message, "bot_thinking": thinking or ""}
    judge = Judge("self_check_output", variant, config, llm_task_manager, llm, llms, model_caches)
    return await judge.judge({**variables, **values}, events)


RAILS = (
    RailDeclaration(
        "self check output",
        needs="a prompt for the task self_check_output, and a model to ask",
        sends_text_out=True,
    ),
)
