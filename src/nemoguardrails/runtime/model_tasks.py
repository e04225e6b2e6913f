"""The model tasks of a dialog that nobody sees: intent, next step, value; as actions that users replace."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..actions.actions import ActionResult, action
from ..actions.registry import ActionRegistry
from ..colang.interpreter import Event
from ..llm.call import llm_call
from ..llm.types import Task
from .generation import GENERATE_VALUE, Generation
from .history import text_of
from .replies import intent_in, next_step_in, value_in

GENERATE_INTENT = "generate_user_intent"
GENERATE_NEXT_STEPS = "generate_next_steps"


class ModelTasks:
    """The tasks of one configuration.

    Args:
        generation: the models, prompts and examples.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._config = generation.tasks.config

    def register(self, registry: ActionRegistry) -> None:
        """Adds the tasks as built-in actions."""
        for task in (self.generate_user_intent, self.generate_next_steps, self.generate_value):
            registry.register_built_in(task)

    @action(name=GENERATE_INTENT, is_system_action=True)
    async def generate_user_intent(self, events: Sequence[Event], context: dict[str, Any]) -> ActionResult:
        """Adds the UserIntent behind the user's latest message."""
        text = text_of(context.get("user_message"))
        intent = await self._nearest_intent(text)
        if intent is None:
            intent = await self._asked_intent(text, events, context)
        return ActionResult(events=[{"type": "UserIntent", "intent": intent}])

    @action(name=GENERATE_NEXT_STEPS, is_system_action=True)
    async def generate_next_steps(self, events: Sequence[Event], context: dict[str, Any]) -> ActionResult:
        """Adds the BotIntent that comes next, or starts a flow of the steps that come next."""
        task = Task.GENERATE_NEXT_STEPS
        latest = next((one["intent"] for one in reversed(events) if one["type"] == "UserIntent"), "")
        examples = await self._generation.examples.flows(f"user {latest}")
        reply = await self._reply(task, {**context, "examples": examples}, events)
        if self._config.enable_multi_step_generation:
            event = {"type": "start_flow", "flow_id": "generated", "flow_body": reply}
        else:
            event = {"type": "BotIntent", "intent": next_step_in(reply)}
        return ActionResult(events=[event])

    @action(name=GENERATE_VALUE, is_system_action=True)
    async def generate_value(
        self, events: Sequence[Event], context: dict[str, Any], instructions: str = "", var_name: str = ""
    ) -> str:
        """The value of a variable, found in the conversation.

        Args:
            instructions: what to look for.
            var_name: how the prompt calls it; default: the variable that the flow assigns.
        """
        name = var_name or (events[-1].get("action_result_key") if events else "") or "value"
        examples = await self._generation.examples.flows(instructions or name)
        given = {**context, "examples": examples, "instructions": instructions, "var_name": name}
        return value_in(await self._reply(Task.GENERATE_VALUE, given, events))

    async def _nearest_intent(self, text: str) -> str | None:
        """The intent of the nearest example, where that is configured to be enough."""
        how = self._config.rails.dialog.user_messages
        if not how.embeddings_only:
            return None
        limit = how.embeddings_only_similarity_threshold
        nearest = await self._generation.examples.intent(text, threshold=limit)
        return how.embeddings_only_fallback_intent if nearest is None else nearest

    async def _asked_intent(self, text: str, events: Sequence[Event], context: Mapping[str, Any]) -> str:
        given = {**context, **await self._generation.examples.of_users(text)}
        return intent_in(await self._reply(Task.GENERATE_USER_INTENT, given, events))

    async def _reply(self, task: Task, context: Mapping[str, Any], events: Sequence[Event]) -> str:
        generation, tasks = self._generation, self._generation.tasks
        prompt = tasks.render_task_prompt(task, context=context, events=events)
        params: dict[str, Any] = {"temperature": self._config.lowest_temperature}
        if (most := tasks.get_max_tokens(task)) is not None:
            params["max_tokens"] = most
        model, stop = generation.models.for_task(task.value), tasks.get_stop_tokens(task)
        answer = await llm_call(model, prompt, stop, params, task=task.value)
        return str(tasks.parse_task_output(task, answer))
