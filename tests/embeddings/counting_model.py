"""An embedding model for tests: counts letters, and remembers what it was asked, when and where."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
from typing import Any

from nemoguardrails.embeddings.providers import EmbeddingModel, register_embedding_provider


class CountingModel(EmbeddingModel):
    """Vectors of letter counts. Class attributes are reset by `fresh_engine`."""

    batches: list[list[str]]
    threads: set[int]
    made: int

    def __init__(self, model: str = "letters", **parameters: Any) -> None:
        type(self).made += 1
        type(self).threads.add(threading.get_ident())

    def encode(self, documents: list[str]) -> list[list[float]]:
        type(self).threads.add(threading.get_ident())
        type(self).batches.append(list(documents))
        return [[text.lower().count(chr(code)) + 0.1 for code in range(97, 123)] for text in documents]


def fresh_engine(name: str) -> type[CountingModel]:
    """A class of its own, registered under a name."""
    model = type("Counting", (CountingModel,), {"batches": [], "threads": set(), "made": 0})
    register_embedding_provider(model, name)
    return model
