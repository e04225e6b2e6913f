"""Joins raw configurations: maps deeply, lists by their kind, single values by rank, with a report."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel, RootModel

from .report import LoadReport

Keys: TypeAlias = tuple[str, ...]

_CONCATENATED = frozenset({"instructions", "flows", "models", "prompts", "docs"})


@dataclass(frozen=True, slots=True)
class RawFile:
    """The raw content of one YAML file.

    Attributes:
        label: names it in errors.
        rank: of two values for one key the one of higher rank wins, at equal rank the later one.
    """

    label: str
    values: Mapping[str, Any]
    rank: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Joined:
    """The joined values, and which file the value of a key came from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Keys, RawFile] = field(default_factory=dict)

    def origin(self, keys: Keys) -> RawFile | None:
        """The file that gave the value at these keys, or the nearest value around it."""
        tried = (keys[:length] for length in range(len(keys), 0, -1))
        return next((self.origins[one] for one in tried if one in self.origins), None)


def join(files: Iterable[RawFile], report: LoadReport) -> Joined:
    """Joins files in the order in which they were visited; they stay as they are.

    `models`, `instructions`, `flows` and `docs` are concatenated in that order. `prompts` are
    concatenated by rising rank, since of two equally fitting prompts the last is used.
    """
    files = list(files)
    joined = Joined()
    for file in files:
        for key, value in file.values.items():
            if key != "prompts" or not isinstance(value, list):
                _add(joined, joined.values, (key,), value, file, report)
    prompts = [file for file in files if isinstance(file.values.get("prompts"), list)]
    for file in sorted(prompts, key=lambda one: one.rank):
        # A file that holds something else there is a conflict like any other.
        _add(joined, joined.values, ("prompts",), file.values["prompts"], file, report)
    return joined


def explicit(section: BaseModel) -> dict[str, Any]:
    """The values of a section that were set, or differ from the default, as raw data; secrets stay secret."""
    made = dict(section.__pydantic_extra__ or {})
    for name, info in type(section).model_fields.items():
        value = section.__dict__[name]
        is_set = name in section.model_fields_set or value != info.get_default(call_default_factory=True)
        if is_set and not info.exclude:
            made[name] = value
    return {name: _raw(value) for name, value in made.items()}


def _raw(value: Any) -> Any:
    if isinstance(value, RootModel):
        return _raw(value.root)
    if isinstance(value, BaseModel):
        return explicit(value)
    if isinstance(value, Mapping):
        return {key: _raw(item) for key, item in value.items()}
    return [_raw(item) for item in value] if isinstance(value, list) else value


def _add(
    joined: Joined, into: dict[str, Any], keys: Keys, value: object, file: RawFile, report: LoadReport
) -> None:
    key = keys[-1]
    old = into.get(key)
    if isinstance(value, list) and len(keys) == 1 and key in _CONCATENATED and isinstance(old, list | None):
        _extend(joined, key, value, file)
    elif value is None or old is None:
        if value is not None or key not in into:
            into[key] = _copied(value)
            joined.origins[keys] = file
    elif isinstance(old, dict) and isinstance(value, Mapping):
        for name, item in value.items():
            _add(joined, old, (*keys, str(name)), item, file, report)
    elif isinstance(old, list) and isinstance(value, list) and _is_union(keys):
        old.extend(one for one in value if one not in old)
    elif old != value:
        _settle(joined, into, keys, value, file, report)


def _extend(joined: Joined, key: str, items: list[Any], file: RawFile) -> None:
    if joined.values.get(key) is None:
        joined.values[key] = []
    for item in items:
        joined.origins[(key, str(len(joined.values[key])))] = file
        joined.values[key].append(_copied(item))


def _is_union(keys: Keys) -> bool:
    return keys == ("import_paths",) or (keys[0] == "rails" and keys[-1] == "flows")


def _settle(
    joined: Joined, into: dict[str, Any], keys: Keys, value: object, file: RawFile, report: LoadReport
) -> None:
    """Two files give different values for one key."""
    other = joined.origin(keys)
    winner, loser = file, other
    if other is not None and (keys == ("actions_server_url",) or file.rank < other.rank):
        winner, loser = other, file
    else:
        into[keys[-1]] = _copied(value)
        joined.origins[keys] = file
    where = loser.label if loser is not None else "another file"
    report.warn(
        "conflict", f"{where} gives another value, which is not used", file=winner.label, key=".".join(keys)
    )


def _copied(value: Any) -> Any:
    """Containers are copied, what they hold is not: it may be an object of the user's."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
