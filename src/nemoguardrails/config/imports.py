"""Finds what `import_paths` and Colang's `import` name, and reads imports from Colang texts."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..exceptions import ConfigurationError
from .sections import rail_packages

_HOUSE = Path(__file__).parents[1]
_STANDARD_LIBRARY = _HOUSE / "colang" / "stdlib"
_STANDARD_MODULES = frozenset(
    {"attention", "avatars", "core", "guardrails", "llm", "passthrough", "timing", "utils"}
)
_OPEN_PACKAGES = (("nemoguardrails", "library"), ("nemoguardrails", "colang"))

_IMPORT = re.compile(
    r"""^import[ \t]+(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'#]+))[ \t]*(?:\#.*)?$""", re.MULTILINE
)
_DEFINES = re.compile(r"^[ \t]*define[ \t]", re.MULTILINE)
_TEXT_BLOCK = re.compile(r'("""|\'\'\')[\s\S]*?\1')
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """What an import leads to: a folder, a `.co` file or a YAML file."""

    path: Path
    is_library: bool = False
    """It belongs to the house or to a plug-in: only its Colang files are meant."""


def resolve(given: str, importer: Path | None) -> Found:
    """Where an import leads.

    Looked for, in this order: beside the importing file, in the folders of `COLANGPATH`, in the standard
    library and the library of rails, in the working directory.

    Args:
        given: the path as written, with `/` or dots between its parts.
        importer: the folder of the file that imports; `None` if it is no file.

    Raises:
        ConfigurationError: it is nowhere; names the places.
    """
    spellings = dict.fromkeys((given, _with_slashes(given)))
    folders = [] if importer is None else [importer]
    folders += [Path(place) for place in os.environ.get("COLANGPATH", "").split(os.pathsep) if place]
    for folder in folders:
        for spelling in spellings:
            found = _in_folder(folder, spelling)
            if found is not None:
                return Found(found)
    for spelling in spellings:
        found = _in_library(spelling)
        if found is not None:
            return Found(found, is_library=True)
    for spelling in spellings:
        found = _in_folder(Path(), spelling)
        if found is not None:
            return Found(found)
    places = [str(folder) for folder in folders] + ["the standard library", "the working directory"]
    shown = _with_slashes(given).replace("/", ".") if not given.startswith((".", "/")) else given
    raise ConfigurationError(
        f"import path {shown!r} could not be resolved; looked in {', '.join(places)} "
        "(set COLANGPATH to add folders)"
    )


def imports_of(text: str) -> list[str]:
    """The paths that a Colang 2.x text imports, in order, as written."""
    return ["".join(found) for found in _IMPORT.findall(_TEXT_BLOCK.sub("", text))]


def is_1_0(text: str) -> bool:
    """Whether a text is Colang 1.0: outside of comments and block texts, a line starts with `define`."""
    return _DEFINES.search(_COMMENT.sub("", _TEXT_BLOCK.sub("", text))) is not None


def _with_slashes(given: str) -> str:
    if "/" in given or given.startswith(".") or given.endswith((".co", ".yml", ".yaml")):
        return given
    return given.replace(".", "/")


def _in_folder(folder: Path, spelling: str) -> Path | None:
    path = folder / Path(spelling).expanduser()
    for candidate in (path, path.with_name(f"{path.name}.co")) if path.name else (path,):
        if candidate.is_dir() or (candidate.is_file() and candidate.suffix in (".co", ".yml", ".yaml")):
            return candidate
    return None


def _in_library(spelling: str) -> Path | None:
    """A module of the standard library, or a part of a package that is open to imports."""
    parts = PurePosixPath(spelling).parts
    if not parts or ".." in parts or spelling.startswith("/"):
        return None
    if parts[:2] in _OPEN_PACKAGES:
        return _in_folder(_HOUSE, "/".join(parts[1:]))
    for location, module in rail_packages():
        package = tuple(module.split("."))
        if parts[: len(package)] == package:
            return _in_folder(location, "/".join(parts[len(package) :]) or ".")
    return _STANDARD_LIBRARY / f"{spelling}.co" if spelling in _STANDARD_MODULES else None
