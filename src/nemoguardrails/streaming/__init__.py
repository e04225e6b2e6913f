"""The sluice: knows text, not rails, models or Colang."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handler import END_OF_STREAM, StreamingHandler
    from .render import StreamError

__all__ = ["END_OF_STREAM", "StreamError", "StreamingHandler"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..plugins import imported

    home = "render" if name == "StreamError" else "handler"
    return imported(f"{__name__}.{home}:{name}")
