"""Folders to load, and a plug-in distribution that brings a settings section."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nemoguardrails import plugins
from nemoguardrails.config import sections
from nemoguardrails.config.rails_config import RailsConfig

PLUG_IN_SETTINGS = """
import re

from pydantic import BaseModel, Field, field_validator

LOADED = True


class PriceSide(BaseModel):
    patterns: list[str] = Field(default_factory=list)
    limit: int = 10

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns):
        for position, pattern in enumerate(patterns):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"pattern {position} is no regular expression: {error}") from error
        return patterns


class PriceCheck(BaseModel):
    input: PriceSide = Field(default_factory=PriceSide)
    output: PriceSide | None = None
    by_name: dict[str, PriceSide] = Field(default_factory=dict)
    on_error: str | None = None


SECTIONS = {"price_check": PriceCheck}
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A distribution whose rail has the section `price_check`; gives the module of its settings."""
    site = tmp_path / "site"
    package = site / "acme_rails" / "price"
    package.mkdir(parents=True)
    (site / "acme_rails" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text(PLUG_IN_SETTINGS)
    (package / "flows.co").write_text("flow price check\n  pass\n")
    info = site / "acme_rails-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rails\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[nemoguardrails.rails]\nacme = acme_rails\n")
    monkeypatch.syspath_prepend(str(site))
    _forget()
    yield "acme_rails.price.settings"
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    plugins.entry_points.cache_clear()
    sections.settings_files.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "acme_rails"]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Writes files of the given relative names into a configuration folder."""

    def write(files: dict[str, str], name: str = "config") -> Path:
        root = tmp_path / name
        for relative, text in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root

    return write


@pytest.fixture
def load(folder: Callable[[dict[str, str]], Path]) -> Callable[[dict[str, str]], RailsConfig]:
    """Loads a folder of the given files."""

    def loaded(files: dict[str, str]) -> RailsConfig:
        return RailsConfig.from_path(str(folder(files)))

    return loaded
