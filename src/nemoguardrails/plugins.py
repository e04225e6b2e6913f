"""Finds plug-ins: sub-folders of a package and entry points; imports one when it is asked for."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib import metadata


def folders(package_folder: Path, marker: str) -> Iterator[Path]:
    """The folders below a package that hold a file named `marker`, at any depth, sorted."""
    yield from (found.parent for found in sorted(package_folder.rglob(marker)))


@cache
def entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    """The installed entry points of a group by name; nothing is imported."""
    from importlib import metadata

    return {point.name: point for point in metadata.entry_points(group=group)}


def load(group: str, name: str) -> Any | None:
    """The object behind an entry point, or `None` if nobody registered the name."""
    point = entry_points(group).get(name)
    return None if point is None else point.load()


def imported(path: str) -> Any:
    """The object at `package.module:attribute`, or the module where there is no colon."""
    module, _, attribute = path.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
