"""The socket where a rail plugs its settings model in: `rails.config.<section>`.

A rail's folder may hold a `settings.py` with a module-level `SECTIONS = {"<section>": Model}`. The
names are read from the text of the file; the module is imported when a configuration uses a section.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .. import plugins
from ..exceptions import InvalidRailsConfigurationError
from .schema import ConfigSection, UnknownKey, near_miss, unknown_keys, without_nulls

OnError: TypeAlias = Literal["block", "pass", "raise"]

SETTINGS_FILE = "settings.py"
_OTHER_SPELLINGS = {"private_ai_detection": "privateai"}


class RailSettings(ConfigSection):
    """What the settings of every rail may hold; models in a rail's `settings.py` may build on it.

    Attributes:
        on_error: what happens when the rail cannot decide; `None` takes `rails.config.defaults.on_error`.
        timeout: seconds per call to a service; `None` takes `rails.config.defaults.timeout`.
    """

    on_error: OnError | None = None
    timeout: float | None = Field(default=None, gt=0)


class RailDefaults(ConfigSection):
    """`rails.config.defaults`: what holds for every rail that does not say otherwise."""

    on_error: OnError = "block"
    timeout: float = Field(default=30.0, gt=0)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A `settings.py`: the module to import, its sections and the classes it defines."""

    module: str
    sections: tuple[str, ...]
    classes: tuple[str, ...]


class RailSections(BaseModel):
    """`rails.config`: one typed section per rail, as attributes.

    A section that the configuration does not have, but a rail knows, reads as the rail's defaults.
    A section that no rail knows keeps its raw data.
    """

    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, protected_namespaces=(), defer_build=True
    )

    defaults: RailDefaults = Field(default_factory=RailDefaults)

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        spelt, _ = canonical_sections(given)
        return {name: _validated(str(name), value) for name, value in spelt.items() if value is not None}

    @classmethod
    def unknown_keys(cls, given: object, path: tuple[str, ...]) -> Iterator[UnknownKey]:
        """The sections that no rail knows, and the keys that their rails do not know."""
        for name, value in given.items() if isinstance(given, Mapping) else ():
            here = (*path, str(name))
            model = _model_of(str(name))
            if model is not None:
                yield from unknown_keys(model, value, here)
            elif name not in _OTHER_SPELLINGS:
                yield UnknownKey(here, near_miss(str(name), ["defaults", *settings_files()]))

    def failure_policy(self, section: str) -> OnError:
        """What happens when the rail of that section cannot decide."""
        own = self._own(section, "on_error")
        return own if own in ("block", "pass", "raise") else self.defaults.on_error

    def timeout_s(self, section: str) -> float:
        """Seconds that one call of the rail of that section may take."""
        own = self._own(section, "timeout")
        return float(own) if isinstance(own, int | float) and own > 0 else self.defaults.timeout

    def __getattr__(self, name: str) -> Any:  # Any: the type is the rail's, unknown here
        try:
            return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers
        except AttributeError:
            model = None if name.startswith("_") else section_model(name)
            if model is None:
                raise
        return model()

    def _own(self, section: str, key: str) -> object:
        settings = (self.__pydantic_extra__ or {}).get(section)
        return settings.get(key) if isinstance(settings, Mapping) else getattr(settings, key, None)


def section_model(name: str) -> type[BaseModel] | None:
    """The settings model that a rail has for a section; imported now. `None` if no rail knows it.

    Raises:
        TypeError: the rail's `settings.py` does not give a model for the name.
    """
    file = settings_files().get(name)
    if file is None:
        return None
    model = plugins.imported(f"{file.module}:SECTIONS")[name]
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{file.module}: SECTIONS[{name!r}] must be a pydantic model, not {model!r}")
    return model


def settings_class(name: str) -> type[BaseModel] | None:
    """The class of that name in the `settings.py` of any rail; `None` if there is none."""
    for file in settings_files().values():
        if name in file.classes:
            return cast("type[BaseModel]", plugins.imported(f"{file.module}:{name}"))
    return None


@cache
def settings_files() -> dict[str, SettingsFile]:
    """Section name -> the file that knows it. Nothing of the library is imported, each file is read once.

    A section of the house wins over a plug-in's of the same name.
    """
    found: dict[str, SettingsFile] = {}
    for root, package in rail_packages():
        for folder in plugins.folders(root, SETTINGS_FILE):
            module = ".".join((package, *folder.relative_to(root).parts, Path(SETTINGS_FILE).stem))
            read = read_settings(module, (folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            for name in read.sections:
                found.setdefault(name, read)
    return found


def read_settings(module: str, text: str) -> SettingsFile:
    """What a `settings.py` holds, from its text alone: the literal keys of `SECTIONS` and its classes."""
    sections: tuple[str, ...] = ()
    classes: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            classes.append(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict) and any(
            isinstance(at, ast.Name) and at.id == "SECTIONS" for at in targets
        ):
            keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
            sections = tuple(key for key in keys if isinstance(key, str))
    return SettingsFile(module, sections, tuple(classes))


def rail_packages() -> Iterator[tuple[Path, str]]:
    """The folders that may hold rails, each with the name of its package: the library, then plug-ins."""
    house = Path(__file__).parents[1]
    yield house / "library", f"{house.name}.library"
    for point in plugins.entry_points("nemoguardrails.rails").values():
        spec = find_spec(point.module)
        for location in (spec.submodule_search_locations or []) if spec else []:
            yield Path(location), point.module


def canonical_sections(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Raw `rails.config` with its usual wrong spellings put right, and (key, remark) for each of them."""
    made, remarks = dict(given), list[tuple[str, str]]()
    for wrong, right in _OTHER_SPELLINGS.items():
        if wrong in made:
            value = made.pop(wrong)
            made.setdefault(right, value)
            remarks.append((wrong, f"the section is called `{right}`; read as that"))
    section = made.get("guardrails_ai")
    if isinstance(section, Mapping):
        made["guardrails_ai"] = _with_one_list_of_validators(section, remarks)
    return made, remarks


def _with_one_list_of_validators(
    section: Mapping[str, Any], remarks: list[tuple[str, str]]
) -> dict[str, Any]:
    made = dict(section)
    for side in ("input", "output"):
        value = made.get(side)
        if not isinstance(value, Mapping) or not isinstance(value.get("validators"), list):
            continue
        rest = {key: item for key, item in value.items() if key != "validators"}
        made.pop(side)
        if rest:
            made[side] = rest
        listed = list(made.get("validators") or [])
        made["validators"] = listed + [one for one in value["validators"] if one not in listed]
        remark = "validators stand in `guardrails_ai.validators`, for both sides; read as that"
        remarks.append((f"guardrails_ai.{side}.validators", remark))
    return made


def _model_of(name: str) -> type[BaseModel] | None:
    return RailDefaults if name == "defaults" else section_model(name)


def _validated(name: str, value: object) -> object:
    model = _model_of(name)
    if model is None or isinstance(value, BaseModel):
        return value
    try:
        return model.model_validate(without_nulls(model, value))
    except ValidationError as error:
        lines = []
        for one in error.errors(include_input=False, include_url=False):
            key = ".".join((name, *map(str, one["loc"])))
            lines.append(f"rails.config.{key}: {one['msg'].removeprefix('Value error, ')}")
        raise InvalidRailsConfigurationError("\n".join(lines)) from error
