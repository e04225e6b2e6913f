"""What all sections of a configuration share: null means absent, and which keys a section does not know."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ConfigDict, RootModel, model_validator

Path: TypeAlias = tuple[str, ...]


class ConfigSection(BaseModel):
    """A section of a configuration: a key without a value counts as absent, errors never show values."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _null_counts_as_absent(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or all(value is not None for value in given.values()):
            return given
        return {key: value for key, value in given.items() if value is not None or _takes_null(cls, key)}


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that its section does not have.

    Attributes:
        path: the keys that lead to it, itself last.
        meant: the known key that it is probably a misspelling of.
    """

    path: Path
    meant: str | None

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


def unknown_keys(model: type[BaseModel], given: object, path: Path = ()) -> Iterator[UnknownKey]:
    """The keys of raw data that a section and the sections in it do not have, in order.

    A section that keeps any key reports only probable misspellings. A section that finds its fields
    by other means has a class method `unknown_keys(given, path)`, which is asked instead.
    """
    own = getattr(model, "unknown_keys", None)
    if own is not None:
        yield from own(given, path)
        return
    if issubclass(model, RootModel):
        yield from _inside(model.model_fields["root"].annotation, given, path)
        return
    if not isinstance(given, Mapping):
        return
    known = _fields(model)
    for key, value in given.items():
        here = (*path, str(key))
        if key in known:
            yield from _inside(known[key], value, here)
            continue
        meant = near_miss(str(key), known)
        if meant or model.model_config.get("extra") != "allow":
            yield UnknownKey(here, meant)


def without_nulls(model: type[BaseModel], given: object) -> Any:
    """A copy of raw data without the empty keys that a section, or one inside it, cannot take."""
    if issubclass(model, RootModel):
        return _without_nulls(model.model_fields["root"].annotation, given)
    if not isinstance(given, Mapping):
        return given
    known = _fields(model)
    return {
        key: _without_nulls(known.get(key), value)
        for key, value in given.items()
        if value is not None or _takes_null(model, key)
    }


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """The known name within one or two typing errors of `word` (one, for names of up to four letters)."""
    spelt = word.lower().replace("-", "_")
    near = [(_typing_errors(spelt, name), name) for name in known if abs(len(spelt) - len(name)) <= 2]
    fitting = [(errors, name) for errors, name in near if errors <= (2 if len(name) > 4 else 1) < len(spelt)]
    return min(fitting)[1] if fitting else None


@cache
def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Every name under which a field may be given -> its annotation."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        choices = info.validation_alias
        aliases = choices.choices if isinstance(choices, AliasChoices) else [choices, info.alias]
        for spelling in (name, *aliases):
            if isinstance(spelling, str):
                found[spelling] = info.annotation
    return found


@cache
def _takes_null(model: type[BaseModel], key: str) -> bool:
    """Whether null is a value of the field; true for keys that are no field."""
    fields = _fields(model)
    return key not in fields or _admits_none(fields[key])


def _admits_none(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _admits_none(get_args(annotation)[0])
    return annotation is Any or NoneType in get_args(annotation)


def _inside(annotation: Any, value: object, path: Path) -> Iterator[UnknownKey]:
    for model, item, keys in _sections_in(annotation, value):
        yield from unknown_keys(model, item, (*path, *keys))


def _sections_in(annotation: Any, value: object) -> Iterator[tuple[type[BaseModel], object, Path]]:
    """The sections that a raw value holds by its annotation, each with its raw data and the way to it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, value, ()
    elif origin is Annotated or origin in (Union, UnionType):
        for choice in arguments[:1] if origin is Annotated else arguments:
            yield from _sections_in(choice, value)
    elif origin is list and isinstance(value, list):
        for position, item in enumerate(value):
            yield from _keyed(str(position), arguments[0], item)
    elif origin is dict and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _keyed(str(key), arguments[1], item)


def _keyed(key: str, annotation: Any, item: object) -> Iterator[tuple[type[BaseModel], object, Path]]:
    for model, raw, keys in _sections_in(annotation, item):
        yield model, raw, (key, *keys)


def _without_nulls(annotation: Any, value: object) -> Any:
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    if isinstance(value, list):
        inner = get_args(annotation)[0] if get_origin(annotation) is list else None
        return [_without_nulls(inner, item) for item in value]
    if get_origin(annotation) is dict and isinstance(value, Mapping):
        return {key: _without_nulls(get_args(annotation)[1], item) for key, item in value.items()}
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return without_nulls(annotation, value) if is_section else value


def _typing_errors(one: str, other: str) -> int:
    """Edit distance in which swapping two neighbours counts once."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one):
        last, before, row = before, row, [i + 1]
        for j, b in enumerate(other):
            cost = min(before[j + 1] + 1, row[j] + 1, before[j] + (a != b))
            if i and j and a == other[j - 1] and one[i - 1] == b:
                cost = min(cost, last[j - 1] + 1)
            row.append(cost)
    return row[-1]
