"""Reads YAML texts within limits: libyaml dies of deep nesting, and a few aliases can stand for a world."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

if TYPE_CHECKING:
    from yaml import Event

MOST_LEVELS = 100
"""How deeply lists and mappings may nest."""

MOST_VALUES = 1_000_000
"""How many values a text may stand for, each alias counted as all that it names."""


def load_yaml(text: str) -> Any:
    """The plain data that a YAML text stands for.

    Raises:
        yaml.YAMLError: not YAML, or beyond the limits.
    """
    import yaml  # a configuration made in code never needs it

    check_limits(text)
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # safe, both of them


def check_limits(text: str) -> None:
    """Reads through a YAML text without building anything, in time linear in its length.

    Raises:
        yaml.YAMLError: not YAML; or it nests deeper than `MOST_LEVELS`, stands for more than `MOST_VALUES`
            values, or has an alias inside of what it names.
    """
    import yaml  # see load_yaml

    opening = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
    closing = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
    sizes: dict[str | None, int] = {}  # of what has an anchor; what has none is never asked for
    inside: list[tuple[str | None, int]] = []  # the containers around, with the values counted before each
    values = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, opening):
            inside.append((event.anchor, values))
            values += 1
        elif isinstance(event, closing):
            anchor, before = inside.pop()
            sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in inside):
                _refuse(event, f"the alias *{event.anchor} stands inside of what it names")
            values += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            sizes[event.anchor] = 1
        if len(inside) > MOST_LEVELS:
            _refuse(event, f"nested more than {MOST_LEVELS} levels deep")
        if values > MOST_VALUES:
            _refuse(event, f"it stands for more than {MOST_VALUES:,} values")


def _refuse(event: Event, problem: str) -> NoReturn:
    import yaml  # see load_yaml

    raise yaml.MarkedYAMLError(problem=problem, problem_mark=cast(Any, event.start_mark))
