"""The embedded engine finds intents at least as often as it did when `docs/embeddings.md` was written."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import Counter

from .intents import Accuracy, accuracy, utterances


def test_the_set_has_25_intents_of_12_different_utterances() -> None:
    items = utterances()
    assert set(Counter(item.meta["intent"] for item in items).values()) == {12}
    assert len({item.text for item in items}) == 300


async def test_the_embedded_engine_keeps_its_accuracy() -> None:
    floor = Accuracy(first=0.32, among_five=0.69, misspelt=0.98)
    measured = await accuracy("hash")
    assert all(share >= least for share, least in zip(measured, floor, strict=True)), measured
