"""Finds the rails of the library and of installed plug-ins: flow name -> folder, flows, declarations."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .. import plugins

if TYPE_CHECKING:
    from ..actions.declaration import RailDeclaration

FLOWS_FILE = "flows.v1.co"
_DEFINED = re.compile(
    r"^define\s+(?:(?:parallel|extension)\s+)*(flow|subflow|bot)\s+(.+?)\s*:?\s*$", re.MULTILINE
)


@dataclass(frozen=True)
class RailFolder:
    """One folder of the library: its flows in Colang 1.0 and, when asked for, its module of actions."""

    path: Path
    module_name: str

    @cached_property
    def source(self) -> str:
        """The Colang text of its flows."""
        return (self.path / FLOWS_FILE).read_text(encoding="utf-8")

    @cached_property
    def flows(self) -> tuple[str, ...]:
        """The names of its flows, in order, found without parsing."""
        return tuple(name for kind, name in _DEFINED.findall(self.source) if kind != "bot")

    @cached_property
    def actions(self) -> ModuleType:
        """Its module of actions; imported on first use."""
        return importlib.import_module(f"{self.module_name}.actions")

    def declaration(self, flow: str) -> RailDeclaration | None:
        """What the folder declares about one of its flows."""
        declared: tuple[RailDeclaration, ...] = getattr(self.actions, "RAILS", ())
        return next((one for one in declared if one.flow == flow), None)


@cache
def catalogue() -> dict[str, RailFolder]:
    """Every library flow's name -> its folder; sorted by folder. Nothing is imported or parsed.

    A rail of the house wins over a plug-in's of the same name.
    """
    found: dict[str, RailFolder] = {}
    for folder in _folders():
        for name in folder.flows:
            found.setdefault(name, folder)
    return found


def _folders() -> Iterator[RailFolder]:
    package = Path(__file__).parents[1]
    for path in plugins.folders(package / "library", FLOWS_FILE):
        dotted = ".".join(path.relative_to(package).parts)
        yield RailFolder(path, f"{package.name}.{dotted}")
    for point in plugins.entry_points("nemoguardrails.rails").values():
        spec = find_spec(point.module)
        for location in (spec.submodule_search_locations or []) if spec else []:
            for path in plugins.folders(Path(location), FLOWS_FILE):
                parts = path.relative_to(location).parts
                yield RailFolder(path, ".".join((point.module, *parts)))
