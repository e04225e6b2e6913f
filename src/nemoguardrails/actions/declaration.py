"""What a rail of the library says about itself: how it meets a stream, and what it needs."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..streaming.verdict import StreamCheck


@dataclass(frozen=True, slots=True)
class RailDeclaration:
    """One rail; an `actions.py` of the library lists them as `RAILS`.

    Functions are given the `RailsConfig`.
    """

    flow: str
    """The name of its flow, as in `regex check output`."""
    way: Literal["incremental", "window", "whole"] = "window"
    rewrites: bool | Callable[[Any], bool] = False
    """Whether it may change the text."""
    start: Callable[[Any, dict[str, str]], Callable[[], StreamCheck]] | None = None
    """Way "incremental": `(config, parameters of the flow)` -> what makes the state of one stream.
    Called once, when the configuration is assembled."""
    settings: str | None = None
    """The name of its section under `rails.config`."""
    refusal: str = "refuse to respond"
    """The bot message that its flow says when it blocks."""
    needs: str = ""
    """Packages, keys and services that it needs, in words."""
    sends_text_out: bool = False
    """Whether the text leaves this machine."""
