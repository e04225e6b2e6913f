"""The regex rail: its actions, and how it meets a stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...actions.actions import action
from ...actions.declaration import RailDeclaration
from ...actions.rail_outcome import RailOutcome, TransformTarget
from ...config.rails_config import RailsConfig
from ...streaming.patterns import PatternSet
from ...streaming.scan import PatternCheck
from ...streaming.splice import Spliced, spliced
from ...streaming.verdict import StreamCheck
from .settings import RegexSource

_TARGETS = {
    "input": TransformTarget.USER_MESSAGE,
    "output": TransformTarget.BOT_MESSAGE,
    "retrieval": TransformTarget.RELEVANT_CHUNKS,
}


@action(is_system_action=True, inline=True)
def detect_regex_pattern(source: str, text: str | None, config: RailsConfig) -> RailOutcome:
    """The verdict of the patterns of a source on a text.

    Legacy value: `{"is_match", "text", "detections"}`, the last being the patterns that match.

    Raises:
        ValueError: the source is not `input`, `output` or `retrieval`.
    """
    settings = _settings(config, source)
    text = text or ""
    result = _scan(settings, text)
    detections = _detections(settings, text) if result.found or result.block else []
    legacy = {"is_match": bool(detections), "text": text, "detections": detections}
    evidence = {"detections": detections}
    if result.block is not None and result.block.failed:
        return RailOutcome.failure(result.block.error, legacy={**legacy, "is_match": True})
    if result.block is not None:
        return RailOutcome.block(f"regex_detection.{source}: {result.block.reason}", evidence, legacy=legacy)
    if result.text != text:
        return RailOutcome.transform([(_TARGETS[source], result.text)], "masked", evidence, legacy=legacy)
    return RailOutcome.allow(legacy=legacy)


@action(is_system_action=True, inline=True)
def filter_chunks_by_regex(text: str | None, chunks: list[str] | None, config: RailsConfig) -> list[str]:
    """The retrieved chunks without those that match, or with the matches masked.

    Args:
        text: all chunks as one text; taken as the only chunk where `chunks` is missing.
    """
    settings = _settings(config, "retrieval")
    kept = []
    touched = False
    for chunk in chunks or [text or ""]:
        result = _scan(settings, chunk)
        touched = touched or result.block is not None or result.text != chunk
        if result.block is None:
            kept.append(result.text)
    if touched:
        return kept
    whole = _scan(settings, text or "")
    return [] if whole.block is not None else [whole.text]


def _settings(config: RailsConfig, source: str) -> RegexSource:
    if source not in _TARGETS:
        raise ValueError(f"source must be one of {', '.join(_TARGETS)}; got {source!r}")
    settings: RegexSource = getattr(config.rails.config.regex_detection, source)
    return settings


def _scan(settings: RegexSource, text: str) -> Spliced:
    return spliced(_check(settings, "", settings.compiled), text)


def _detections(settings: RegexSource, text: str) -> list[str]:
    alone = zip(settings.patterns, settings.each, strict=True)
    checks = ((pattern, spliced(_check(settings, "", only), text)) for pattern, only in alone)
    return [pattern for pattern, result in checks if result.found]


def _check(settings: RegexSource, rail: str, patterns: PatternSet) -> PatternCheck:
    return PatternCheck(
        patterns,
        mode=settings.action,
        rail=rail,
        normalize=settings.normalizes,
        time_limit_s=settings.timeout_ms / 1000,
    )


def _start(config: Any, params: dict[str, str]) -> Callable[[], StreamCheck]:
    settings = _settings(config, "output")
    return partial(_check, settings, "regex check output", settings.compiled)


def _masks(source: str, config: Any) -> bool:
    return _settings(config, source).action == "mask"


RAILS = (
    RailDeclaration("regex check input", "incremental", partial(_masks, "input"), settings="regex_detection"),
    RailDeclaration(
        "regex check output",
        "incremental",
        partial(_masks, "output"),
        start=_start,
        settings="regex_detection",
    ),
    RailDeclaration("regex check retrieval", "incremental", True, settings="regex_detection"),
)
