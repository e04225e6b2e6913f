"""How often the nearest example has the right intent: the measure behind the table in `docs/embeddings.md`.

Run as a script it measures engines: `python tests/embeddings/intents.py hash SentenceTransformers=FOLDER`.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.index import IndexItem

DATA = Path(__file__).parent / "data" / "intents.yml"


class Accuracy(NamedTuple):
    """Shares of the utterances, each searched for among all the others."""

    first: float
    """The nearest example has the right intent."""
    among_five: float
    """One of the five nearest has it: these go into a prompt."""
    misspelt: float
    """The nearest example has it, where the utterance itself is an example and the query misspells it."""


def utterances() -> list[IndexItem]:
    """Every utterance with its intent."""
    read = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return [IndexItem(text, {"intent": intent}) for intent, texts in read.items() for text in texts]


def misspelt(text: str, chance: random.Random) -> str:
    """The text with a letter dropped, doubled or exchanged with the next in up to two of its longer words."""
    words = text.split()
    long = [place for place, word in enumerate(words) if len(word) >= 4] or [0]
    for place in chance.sample(long, min(2, len(long))):
        word = words[place]
        at = chance.randrange(len(word) - 1)
        changes = [word[at + 1 :], word[at + 1] + word[at] + word[at + 2 :], word[at] + word[at:]]
        words[place] = word[:at] + chance.choice(changes)
    return " ".join(words)


async def accuracy(engine: str, model: str | None = None) -> Accuracy:
    """Measures an engine on all utterances."""
    items, chance = utterances(), random.Random(7)
    index = BasicEmbeddingsIndex(model, engine)
    await index.add_items(items)
    first = among_five = right_misspelt = 0
    for item in items:
        others = [found for found in await index.search(item.text, 6) if found is not item][:5]
        first += others[0].meta == item.meta
        among_five += any(found.meta == item.meta for found in others)
        (found,) = await index.search(misspelt(item.text, chance), 1)
        right_misspelt += found.meta == item.meta
    return Accuracy(first / len(items), among_five / len(items), right_misspelt / len(items))


if __name__ == "__main__":
    for given in sys.argv[1:]:
        name, _, folder = given.partition("=")
        measured = asyncio.run(accuracy(name, folder or None))
        print(name, *(f"{share:.1%}" for share in measured))
