"""Looks up what the user's documents say, before the bot speaks: one step for every way to an answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..actions.actions import ActionResult, action
from ..actions.dispatcher import ActionEnd, CallScope, Dispatcher
from .history import text_of

if TYPE_CHECKING:
    from ..kb.kb import KnowledgeBase

RETRIEVE = "retrieve_relevant_chunks"


@action(name=RETRIEVE, is_system_action=True)
async def retrieve_relevant_chunks(
    context: dict[str, Any], kb: KnowledgeBase | None = None, is_colang_2: bool = False
) -> ActionResult:
    """The chunks of the knowledge base nearest to the user's latest message, joined by line breaks.

    Sets `relevant_chunks`, the same as a list in `relevant_chunks_sep`, and the question in
    `retrieved_for`. Without a knowledge base or a message the variables stay as they are.
    """
    question = text_of(context.get("last_user_message"))
    if kb is None or not question:
        return ActionResult(context.get("relevant_chunks"))
    bodies = [chunk["body"] for chunk in await kb.search_relevant_chunks(question)]
    text = "\n".join(bodies)
    updates = {"relevant_chunks": text, "relevant_chunks_sep": bodies, "retrieved_for": question}
    return ActionResult(text, context_updates=updates)


class Retrieval:
    """The step before an answer.

    Args:
        params: what actions are given by name, the knowledge base `kb` among it.
        has_rails: rails judge what is found.
    """

    def __init__(self, dispatcher: Dispatcher, params: Mapping[str, Any], *, has_rails: bool) -> None:
        self._dispatcher = dispatcher
        self._params = params
        self._has_rails = has_rails

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to look up or to judge."""
        if self._has_rails or self._params.get("kb") is not None:
            return True
        found = self._dispatcher.registry.find(RETRIEVE)
        return found is None or found.action is not retrieve_relevant_chunks

    async def run(self, scope: CallScope) -> ActionEnd:
        """Looks up; the variables of the scope are changed in place."""
        end = await self._dispatcher.run(RETRIEVE, {}, scope)
        if end.kind == "done" and end.context_updates:
            scope.context.update(end.context_updates)
        return end
