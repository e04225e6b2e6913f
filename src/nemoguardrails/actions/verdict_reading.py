"""Reads an action's value as a verdict, where its flow does not."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Literal, TypeAlias

from .rail_outcome import outcome_of

ReadVerdict: TypeAlias = Literal["allow", "block", "transform", "undecided"]


def read_verdict(value: Any, output_mapping: Callable[[Any], bool] | None = None) -> ReadVerdict:
    """What a rail action's value says about the text.

    A `RailOutcome` speaks for itself. Otherwise `output_mapping` decides, true meaning block;
    without one, false and numbers below 0.5 block, true and other numbers allow. A tuple is read
    by its first item. Anything else, `None` included, is "undecided", which must not let the text
    pass.

    Errors of `output_mapping` are passed on.
    """
    outcome = outcome_of(value)
    if outcome is not None:
        return outcome.decision.value
    if isinstance(value, tuple) and value:
        return read_verdict(value[0], output_mapping)
    if output_mapping is not None:
        return "block" if output_mapping(value) else "allow"
    if isinstance(value, bool):
        return "allow" if value else "block"
    if isinstance(value, Real):
        return "allow" if float(value) >= 0.5 else "block"
    return "undecided"
