"""Lists and reads the files of a configuration folder, in an order that is the same on every machine."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from .report import LoadReport
from .yaml_text import check_limits

if TYPE_CHECKING:
    from yaml import SafeLoader

IGNORE_FILE = ".railsignore"
YAML_SUFFIXES = (".yml", ".yaml")
ROOT_FILES = ("config.yml", "config.yaml")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns of a `.railsignore`; `file` is `None` where there is none."""

    file: Path | None = None
    patterns: tuple[str, ...] = ()

    @classmethod
    def nearest(cls, folder: Path) -> IgnoreRules:
        """The rules of the first `.railsignore` in the folder or in one above it."""
        start = folder.resolve()
        for place in (start, *start.parents):
            file = place / IGNORE_FILE
            if file.is_file():
                lines = (line.strip() for line in read_text(file, str(file)).splitlines())
                return cls(file, tuple(line for line in lines if line and not line.startswith("#")))
        return cls()

    def ignores(self, name: str) -> bool:
        """Whether a file is ignored, by its path relative to the folder, with `/` between the parts."""
        return any(_fits(name, pattern) for pattern in self.patterns)


def listed(folder: Path) -> list[str]:
    """The files of a folder at any depth: the root's `config.yml` first, then by relative path.

    Links to folders are followed, but none twice; what is hidden, as a `.venv`, is left out. Paths are
    relative, with `/` between the parts.
    """
    names = sorted(_walk(folder, "", set()))
    first = next((name for name in ROOT_FILES if name in names), None)
    return sorted(names, key=lambda name: (name != first, name))


def is_inside(name: str, folder: str) -> bool:
    """Whether a relative path lies in a folder, compared part by part."""
    parts = [part for part in PurePosixPath(folder.replace("\\", "/")).parts if part != "."]
    return bool(parts) and list(PurePosixPath(name).parts[: len(parts)]) == parts


def read_text(path: Path, label: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        ConfigurationError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigurationError(f"{label}: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{label}: the file is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error


def read_yaml(text: str, label: str, report: LoadReport) -> dict[str, Any]:
    """The mapping that a YAML text holds; an empty text is an empty mapping.

    Raises:
        ConfigurationError: not YAML, or not a mapping; names the file and the line.
    """
    import yaml  # a configuration made in code never needs it

    loader = _loader_class()(text)
    try:
        check_limits(text)
        found = loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
        raise ConfigurationError(f"{label}{line}: not valid YAML: {reason}") from error
    finally:
        loader.dispose()
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{label}: the top level must be a mapping of keys to values, not a {type(found).__name__}"
        )
    for key, line in loader.repeated:
        report.warn(
            "repeated-key",
            f"the key stands twice in one section (line {line}); the last counts",
            file=label,
            key=key,
        )
    return {str(key): value for key, value in found.items()}


def _fits(name: str, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatchcase(PurePosixPath(name).name, pattern)
    wanted = pattern.lstrip("/")
    if wanted.endswith("/"):
        wanted += "*"
    return fnmatchcase(name, wanted) or fnmatchcase(name, f"{wanted}/*")


def _walk(folder: Path, prefix: str, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        found = sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    for entry in found:
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", seen)
        elif entry.is_file():
            yield f"{prefix}{entry.name}"


@cache
def _loader_class() -> Any:
    """A safe YAML loader, in C where there is one, that notes keys standing twice in one mapping."""
    import yaml  # see read_yaml

    base: type[SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class NotingLoader(base):  # type: ignore[misc, valid-type]  # chosen at run time
        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.repeated: list[tuple[str, int]] = []

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        self.repeated.append((key.value, key.start_mark.line + 1))
                    seen.add(key.value)
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    return NotingLoader
