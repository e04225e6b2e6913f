"""Which action a name stands for: built-in ones, the library's, plug-ins', the user's."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import plugins
from .actions import ActionMeta
from .folders import ConfigPackage

ENTRY_POINTS = "nemoguardrails.actions"
LIBRARY = Path(__file__).parent.parent / "library"
_DECLARED = re.compile(r"^@action\b(.*?)^(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"""\bname\s*=\s*(["'])(.+?)\1""")


@dataclass(slots=True)
class Registered:
    """One action under its name."""

    name: str
    action: Any
    """A function, a method, a class, or an object with `ainvoke`, `run` or `__call__`."""
    meta: ActionMeta | None

    @property
    def is_system(self) -> bool:
        """Whether it always runs in this process and is left out of the history for models."""
        return self.meta is not None and self.meta["is_system_action"]

    def instance(self) -> Any:
        """The action, a class being replaced by one instance of it at the first call."""
        if inspect.isclass(self.action):
            self.action = self.action()
        return self.action


class ActionRegistry(Mapping[str, Any]):
    """Actions by name.

    A name is found as written or else whatever its style: `some name`, `some_name`, `SomeName` and
    `SomeNameAction` are one. The user's actions win over plug-ins', and those over built-in ones and
    the library's; among the user's the latest wins. Library modules and
    plug-ins are imported when one of their actions is first asked for.

    As a mapping it is read-only and gives the actions themselves.
    """

    def __init__(self, *, library: Path = LIBRARY) -> None:
        self.version = 0
        """Grows with every change."""
        self._own = _Layer()
        self._built_in = _Layer()
        self._imported: dict[str, Registered] = {}
        self._library = library

    def register(self, action: Any, name: str | None = None) -> str:
        """Adds an action of the user and returns its name.

        The name is the one given, else that of `@action`, else `__name__`.

        Raises:
            ValueError: there is no name to go by.
        """
        return self._add(self._own, action, name)

    def register_built_in(self, action: Any, name: str | None = None) -> str:
        """Adds an action that anyone's action of the same name replaces."""
        return self._add(self._built_in, action, name)

    def register_module(self, module: ModuleType) -> None:
        """Adds the functions and classes of a module that are declared with `@action`.

        What the module imported comes first, so that its own definitions win.
        """
        for member in _declared_members(module):
            self.register(member)

    def register_folder(self, package: ConfigPackage) -> None:
        """Adds the actions of `actions.py` and `actions/` of a configuration folder.

        Raises:
            ConfigurationError: a file cannot be run; names it.
        """
        for module in package.action_modules():
            self.register_module(module)

    def find(self, name: str) -> Registered | None:
        """The action of a name, or `None`."""
        return (
            self._own.find(name)
            or self._plugged_in(name)
            or self._built_in.find(name)
            or self._of_library(name)
        )

    def __getitem__(self, name: str) -> Any:
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found.action

    def __iter__(self) -> Iterator[str]:
        names: dict[str, None] = {}
        library = library_actions(self._library)
        for source in (self._built_in.exact, library, plugins.entry_points(ENTRY_POINTS), self._own.exact):
            names.update(dict.fromkeys(source))
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def _add(self, layer: _Layer, action: Any, name: str | None) -> str:
        meta: ActionMeta | None = getattr(action, "action_meta", None)
        known = name or (meta["name"] if meta else None) or getattr(action, "__name__", None)
        if not known:
            raise ValueError(f"An action needs a name: register_action({action!r}, name=...)")
        layer.add(Registered(known, action, meta))
        self.version += 1
        return known

    def _plugged_in(self, name: str) -> Registered | None:
        found = _spelt_alike(name, plugins.entry_points(ENTRY_POINTS))
        return None if found is None else self._loaded(found, lambda: plugins.load(ENTRY_POINTS, found))

    def _of_library(self, name: str) -> Registered | None:
        places = library_actions(self._library)
        found = _spelt_alike(name, places)
        return None if found is None else self._loaded(found, lambda: plugins.imported(places[found]))

    def _loaded(self, name: str, load: Callable[[], Any]) -> Registered:
        """Keeps what was loaded, so that an action that is a class has one instance."""
        if name not in self._imported:
            action = load()
            self._imported[name] = Registered(name, action, getattr(action, "action_meta", None))
        return self._imported[name]


def spellings(name: str) -> tuple[str, ...]:
    """What a name is looked up as, most likely first: without style, and without the word Action."""
    plain = re.sub(r"[\s_-]+", "", name).lower()
    if name.endswith("Action") and len(name) > len("Action"):
        return plain.removesuffix("action"), plain
    return (plain,)


@cache
def library_actions(library: Path = LIBRARY) -> dict[str, str]:
    """The library's actions: name -> `module:attribute`; read from the files' text, nothing is imported."""
    found: dict[str, str] = {}
    for folder in plugins.folders(library, "actions.py"):
        parts = folder.relative_to(library.parent).parts
        module = ".".join(("nemoguardrails", *parts, "actions"))
        for arguments, attribute in _DECLARED.findall((folder / "actions.py").read_text("utf-8")):
            named = _NAMED.search(arguments)
            found[named[2] if named else attribute] = f"{module}:{attribute}"
    return found


class _Layer:
    """Actions of one standing, by exact name and by spelling."""

    def __init__(self) -> None:
        self.exact: dict[str, Registered] = {}
        self._alike: dict[str, Registered] = {}

    def add(self, action: Registered) -> None:
        self.exact[action.name] = action
        self._alike[spellings(action.name)[0]] = action

    def find(self, name: str) -> Registered | None:
        found = self.exact.get(name)
        if found is not None:
            return found
        return next((self._alike[key] for key in spellings(name) if key in self._alike), None)


def _spelt_alike(name: str, names: Mapping[str, Any]) -> str | None:
    if name in names:
        return name
    alike = {spellings(known)[0]: known for known in names}
    return next((alike[key] for key in spellings(name) if key in alike), None)


def _declared_members(module: ModuleType) -> list[Any]:
    members = [
        member
        for member in vars(module).values()
        if (inspect.isfunction(member) or inspect.isclass(member)) and "action_meta" in vars(member)
    ]
    return sorted(members, key=lambda member: member.__module__ == module.__name__)
