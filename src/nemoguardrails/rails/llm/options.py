"""The public home of the options of a call and of what it returns."""

# SPDX-License-Identifier: Apache-2.0

from ..options import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationOptions,
    GenerationResponse,
    GenerationStats,
    LogOptions,
    RailOptions,
    RailsResult,
    RailStatus,
    RailType,
    StreamOptions,
)

__all__ = [
    "ActivatedRail",
    "ExecutedAction",
    "GenerationLog",
    "GenerationOptions",
    "GenerationResponse",
    "GenerationStats",
    "LogOptions",
    "RailOptions",
    "RailStatus",
    "RailType",
    "RailsResult",
    "StreamOptions",
]
