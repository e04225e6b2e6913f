"""The knowledge base finds chunks, is built once, and keeps vectors in a file that may be damaged."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nemoguardrails.config.services import EmbeddingSearchProvider, KnowledgeBaseConfig
from nemoguardrails.embeddings.index import EmbeddingsIndex, IndexItem
from nemoguardrails.embeddings.providers import EmbeddingModel, register_embedding_provider
from nemoguardrails.exceptions import ConfigurationError
from nemoguardrails.kb.kb import KnowledgeBase, cache_folder

CARDS = (
    "# Cards\n## Lost cards\nA lost card is blocked within a minute.\n## Fees\nA gold card costs 60 a year."
)
LOANS = "```\nsource: loans.md\n```\n# Loans\nA car can be financed over five years."


class LetterModel(EmbeddingModel):
    """Counts letters; remembers how many texts it saw."""

    seen: list[str]

    def __init__(self, model: str = "letters", **parameters: Any) -> None:
        self.name = model

    def encode(self, documents: list[str]) -> list[list[float]]:
        type(self).seen += documents
        return [[text.lower().count(chr(code)) + 0.1 for code in range(97, 123)] for text in documents]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLUICE_CACHE_DIR", str(tmp_path))
    LetterModel.seen = []
    register_embedding_provider(LetterModel, "kb-letters")
    return tmp_path


def section(engine: str = "hash", **more: Any) -> KnowledgeBaseConfig:
    parameters = {"embedding_engine": engine, **more}
    return KnowledgeBaseConfig(embedding_search_provider=EmbeddingSearchProvider(parameters=parameters))


async def test_the_nearest_chunks_come_first_with_title_body_and_metadata() -> None:
    kb = KnowledgeBase([CARDS, LOANS], section())
    found = await kb.search_relevant_chunks("my card is lost", max_results=2)
    assert found[0] == {"title": "Cards - Lost cards", "body": "A lost card is blocked within a minute."}
    assert len(found) == 2
    (loan,) = await kb.search_relevant_chunks("finance a car", max_results=1)
    assert loan["source"] == "loans.md"


async def test_what_a_caller_changes_stays_with_the_caller() -> None:
    kb = KnowledgeBase([LOANS], section())
    (await kb.search_relevant_chunks("car"))[0]["title"] = "changed"
    assert (await kb.search_relevant_chunks("car"))[0]["title"] == "Loans"


async def test_no_documents_find_nothing() -> None:
    assert await KnowledgeBase([], section()).search_relevant_chunks("anything") == []


async def test_concurrent_first_searches_build_once() -> None:
    kb = KnowledgeBase([CARDS, LOANS], section("kb-letters", embedding_model="once"))
    await asyncio.gather(*(kb.search_relevant_chunks("car") for _ in range(20)))
    assert sum(text.startswith("# ") for text in LetterModel.seen) == 3


def test_one_knowledge_base_serves_several_event_loops() -> None:
    kb = KnowledgeBase([CARDS], section())

    async def search_twice() -> list[dict[str, Any]]:
        return (await asyncio.gather(*(kb.search_relevant_chunks("gold fees", 1) for _ in range(2))))[0]

    assert asyncio.run(search_twice()) == asyncio.run(search_twice())


async def test_vectors_are_taken_from_the_file_the_next_time() -> None:
    first = await KnowledgeBase([CARDS], section("kb-letters")).search_relevant_chunks("card")
    LetterModel.seen = []
    again = await KnowledgeBase([CARDS], section("kb-letters")).search_relevant_chunks("card")
    assert again == first
    assert LetterModel.seen == ["card"]


@pytest.mark.parametrize("change", [{"embedding_model": "other"}, {"embedding_parameters": {"size": 2}}])
async def test_another_model_or_parameter_has_a_file_of_its_own(folder: Path, change: dict[str, Any]) -> None:
    await KnowledgeBase([CARDS], section("kb-letters", embedding_model="one")).build()
    await KnowledgeBase([CARDS], section("kb-letters", **{"embedding_model": "one", **change})).build()
    assert len(list(folder.rglob("*.npz"))) == 2


async def test_a_new_key_does_not_compute_everything_anew(folder: Path) -> None:
    for key in ("first", "second"):
        parameters = {"api_key": key}
        await KnowledgeBase([CARDS], section("kb-letters", embedding_parameters=parameters)).build()
    assert len(list(folder.rglob("*.npz"))) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "rows"])
async def test_a_damaged_file_is_made_anew(folder: Path, damage: str) -> None:
    import numpy as np

    expected = await KnowledgeBase([CARDS], section()).search_relevant_chunks("lost card")
    (path,) = folder.rglob("*.npz")
    sound = path.read_bytes()
    middle = len(sound) // 2
    if damage == "rows":
        np.savez(path, vectors=np.zeros((9, 2), np.float32))
    else:
        path.write_bytes(
            {
                "empty": b"",
                "cut": sound[:middle],
                "flipped": sound[:middle] + bytes([sound[middle] ^ 255]) + sound[middle + 1 :],
                "text": b"not numbers",
            }[damage]
        )
    assert await KnowledgeBase([CARDS], section()).search_relevant_chunks("lost card") == expected
    assert path.read_bytes() == sound
    assert not list(folder.rglob("*.part"))


async def test_a_folder_that_cannot_be_written_costs_a_warning_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "file").write_text("in the way")
    monkeypatch.setenv("SLUICE_CACHE_DIR", str(folder / "file"))
    assert await KnowledgeBase([CARDS], section()).search_relevant_chunks("lost card")
    assert "not kept" in caplog.text


def test_the_user_has_a_cache_folder_unless_one_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == folder
    monkeypatch.delenv("SLUICE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == Path("/somewhere/sluice")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/sluice")


class ShortTextsFirst(EmbeddingsIndex):
    """A user's search, of the kind that takes no threshold."""

    def __init__(self) -> None:
        self.items: list[IndexItem] = []

    async def add_item(self, item: IndexItem) -> None:
        self.items.append(item)

    async def search(self, text: str, max_results: int) -> list[IndexItem]:  # type: ignore[override]  # so they are written
        return sorted(self.items, key=lambda item: len(item.text))[:max_results]


async def test_a_search_of_the_users_own_is_used() -> None:
    kb = KnowledgeBase([CARDS, LOANS], KnowledgeBaseConfig(), lambda section: ShortTextsFirst())
    assert [chunk["title"] for chunk in await kb.search_relevant_chunks("x", 1)] == ["Cards - Fees"]


async def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'no-such' is unknown.*FastEmbed.*hash"):
        await KnowledgeBase([CARDS], section("no-such")).search_relevant_chunks("x")
