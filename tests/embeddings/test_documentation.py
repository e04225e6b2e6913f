"""The Python and YAML in `docs/embeddings.md` work as printed, and its numbers are the measured ones."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nemoguardrails.config.models import Model
from nemoguardrails.config.services import CoreConfig
from nemoguardrails.embeddings.index import IndexItem
from nemoguardrails.embeddings.registry import SearchProviders

from .intents import accuracy

PAGE = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


class App:
    """Takes what `init(app)` registers."""

    def __init__(self) -> None:
        self.providers = SearchProviders()

    def register_embedding_search_provider(self, name: str, cls: Any) -> None:
        self.providers.register(name, cls)


def test_the_knowledge_base_and_the_engine_work_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CACHE_DIR", str(tmp_path))
    for code in blocks("python"):
        exec(compile(code, "docs/embeddings.md", "exec"), {"__name__": "page"})
    assert len(blocks("python")) == 3


async def test_the_users_search_works_as_printed() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(blocks("python")[-1], "docs/embeddings.md", "exec"), names)
    app = App()
    names["init"](app)
    index = app.providers.search_provider("words")
    await index.add_items([IndexItem("open an account"), IndexItem("I lost my card")])
    assert (await index.search("card lost", 1))[0].text == "I lost my card"


def test_the_sections_are_ones_that_a_configuration_takes() -> None:
    first, second = map(yaml.safe_load, blocks("yaml"))
    assert Model.model_validate(first["models"][0]).engine == "FastEmbed"
    section = CoreConfig.model_validate(second["core"]).embedding_search_provider
    assert SearchProviders().search_index(section).cache_config is section.cache


async def test_the_numbers_of_the_embedded_engine_are_the_measured_ones() -> None:
    measured = " | ".join(f"{100 * share:.1f} %" for share in await accuracy("hash"))
    assert f"| `hash` | {measured} |" in PAGE
