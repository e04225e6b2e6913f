"""Loads the Python files of a configuration folder as a real package under a unique name."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

from ..exceptions import ConfigurationError

_numbers = count(1)


class ConfigPackage:
    """The Python side of one configuration folder: `config.py`, `actions.py`, `actions/`.

    The folder becomes a package of its own, so its modules can import each other relatively
    (`from . import prices`), and two objects for the same folder share no module.

    Args:
        folder: the configuration folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.name = f"nemoguardrails_config_{next(_numbers)}"
        importlib.invalidate_caches()
        _add_package(self.name, self.folder)
        actions = self.folder / "actions"
        if actions.is_dir() and not (actions / "__init__.py").exists():
            # Left to itself, an import would take `actions.py` beside the folder for it.
            _add_package(f"{self.name}.actions", actions)

    def module(self, stem: str) -> ModuleType | None:
        """The module of the file `<stem>.py`, run at the first call; `None` if there is no file.

        Raises:
            ConfigurationError: the file cannot be run; names it, and keeps the cause.
        """
        file = self.folder / f"{stem}.py"
        if not file.is_file():
            return None
        if stem == "actions" and (self.folder / "actions").is_dir():
            return _loaded(file, f"{self.name}.actions-file", _run_file)
        return _loaded(file, f"{self.name}.{stem}", _import)

    def action_modules(self) -> Iterator[ModuleType]:
        """The modules of `actions.py` and of every file in `actions/`, at any depth, sorted.

        Raises:
            ConfigurationError: a file cannot be run; names it, and keeps the cause.
        """
        single = self.module("actions")
        if single is not None:
            yield single
        for file in sorted((self.folder / "actions").rglob("*.py")):
            relative = file.relative_to(self.folder).with_suffix("")
            if file.name != "__init__.py" and not any(part.startswith(".") for part in relative.parts):
                yield _loaded(file, ".".join((self.name, *relative.parts)), _import)


def _add_package(name: str, folder: Path) -> None:
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[name] = importlib.util.module_from_spec(spec)


def _loaded(file: Path, name: str, load: Callable[[str, Path], ModuleType]) -> ModuleType:
    try:
        return load(name, file)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{file} cannot be loaded: {what}. Mend the file or remove it.") from error


def _import(name: str, file: Path) -> ModuleType:
    return importlib.import_module(name)


def _run_file(name: str, file: Path) -> ModuleType:
    """For `actions.py` beside `actions/`: an import would find the folder."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {file}")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    return made
