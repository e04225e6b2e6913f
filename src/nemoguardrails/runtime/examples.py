"""Finds the examples of a configuration that are nearest to a text, for the prompts of the dialog."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..colang.v1_0.program import Message, Program
from ..embeddings.index import IndexItem, nearest
from ..embeddings.single_flight import SingleFlight

if TYPE_CHECKING:
    from ..colang.v1_0.instructions import Flow
    from ..embeddings.index import EmbeddingsIndex

NewIndex: TypeAlias = "Callable[[], EmbeddingsIndex]"

WANTED = 5
"""Examples of a prompt."""

_LINES_PER_FLOW = 4
_ASKS_FOR_A_VALUE = "= ..."


class Examples:
    """Examples of what users say, of what the bot says, and of flows; each indexed at its first use.

    Args:
        program: what the user wrote; the library's messages and flows are no examples, and neither are
            bot messages where nothing is said about users.
        new_index: makes an empty index.
    """

    def __init__(self, program: Program, new_index: NewIndex) -> None:
        flows = [flow for flow in program.flows.values() if not flow.is_system]
        self._users = _Index(lambda: _texts(program.user_messages), new_index)
        bots = program.bot_messages if program.user_messages else {}
        self._bots = _Index(lambda: _intents(bots), new_index)
        self._flows = _Index(lambda: _lines(flows), new_index)

    async def build(self) -> None:
        """Makes everything searchable that is not yet."""
        for index in (self._users, self._bots, self._flows):
            await index.made()

    async def intent(self, text: str, *, threshold: float | None) -> str | None:
        """The intent of the nearest example of what users say; `None` below the threshold."""
        found = await self._users.search(text, 1, threshold)
        return found[0].meta["intent"] if found else None

    async def of_users(self, text: str) -> dict[str, str]:
        """What users say: `examples` as Colang, the nearest last, and their `potential_user_intents`."""
        found = await self._users.search(text, WANTED)
        return {
            "examples": _joined(f'user "{item.text}"\n  {item.meta["intent"]}' for item in found),
            "potential_user_intents": ", ".join(dict.fromkeys(item.meta["intent"] for item in found)),
        }

    async def messages(self, intent: str) -> str:
        """What the bot says for similar intents, as Colang, the nearest last."""
        found = await self._bots.search(intent, WANTED)
        return _joined(f'bot {item.text}\n  "{item.meta["text"]}"' for item in found)

    async def flows(self, text: str) -> str:
        """Similar flows as Colang, the nearest last; none that asks for a value."""
        found = await self._flows.search(text, WANTED * _LINES_PER_FLOW)
        sources = dict.fromkeys(item.meta["source"] for item in found)
        return _joined(list(sources)[:WANTED])


class _Index:
    """An index that is made when it is first searched, once."""

    def __init__(self, items: Callable[[], Iterable[IndexItem]], new_index: NewIndex) -> None:
        self._items = items
        self._new_index = new_index
        self._made: EmbeddingsIndex | None = None
        self._is_made = False
        self._flight = SingleFlight()

    async def search(self, text: str, count: int, threshold: float | None = None) -> Sequence[IndexItem]:
        index = await self.made()
        return [] if index is None else await nearest(index, text, count, threshold)

    async def made(self) -> EmbeddingsIndex | None:
        if not self._is_made:
            async with self._flight.turn():
                if not self._is_made:
                    self._made = await self._filled()
                    self._is_made = True
        return self._made

    async def _filled(self) -> EmbeddingsIndex | None:
        items = list(self._items())
        if not items:
            return None
        index = self._new_index()
        await index.add_items(items)
        await index.build()
        return index


def _texts(messages: Mapping[str, Message]) -> Iterator[IndexItem]:
    for message in messages.values():
        for text in message.texts:
            yield IndexItem(text, {"intent": message.name})


def _intents(messages: Mapping[str, Message]) -> Iterator[IndexItem]:
    for message in messages.values():
        for text in message.texts:
            yield IndexItem(message.name, {"text": text})


def _lines(flows: Iterable[Flow]) -> Iterator[IndexItem]:
    for flow in flows:
        if _ASKS_FOR_A_VALUE in flow.source:
            continue
        for line in flow.source.splitlines():
            if line.strip():
                yield IndexItem(line.strip(), {"source": flow.source})


def _joined(nearest_first: Iterable[str]) -> str:
    return "\n\n".join(reversed(list(nearest_first)))
