"""The rails for sensitive data: their actions, and how they meet a stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from ...actions.actions import action
from ...actions.declaration import RailDeclaration
from ...actions.rail_outcome import MaskedText, RailOutcome, TransformTarget
from ...config.rails_config import RailsConfig
from ...streaming.scan import PatternCheck
from ...streaming.splice import Spliced, spliced
from ...streaming.verdict import StreamCheck
from .settings import SensitiveDataSource

_TARGETS = {
    "input": TransformTarget.USER_MESSAGE,
    "output": TransformTarget.BOT_MESSAGE,
    "retrieval": TransformTarget.RELEVANT_CHUNKS,
}


@action(is_system_action=True, inline=True)
def detect_sensitive_data(source: str, text: str | None, config: RailsConfig) -> RailOutcome:
    """Blocks a text that holds data of a type configured for the source.

    Legacy value: whether it does.

    Raises:
        ValueError: the source is not `input`, `output` or `retrieval`.
    """
    result = _scan(config, source, text or "", "mask")
    if result.block is not None:
        return RailOutcome.failure(result.block.error, legacy=True)
    if not result.found:
        return RailOutcome.allow(legacy=False)
    entities = dict(Counter(found.name for found in result.found))
    return RailOutcome.block(f"holds {', '.join(entities)}", {"entities": entities}, legacy=True)


@action(is_system_action=True, inline=True)
def mask_sensitive_data(source: str, text: str | None, config: RailsConfig) -> MaskedText:
    """The text with each piece of data of a type configured for the source masked.

    Raises:
        ValueError: the source is not `input`, `output` or `retrieval`.
        TimeoutError: a recogniser of the configuration took too long.
    """
    text = text or ""
    result = _scan(config, source, text, "mask")
    if result.block is not None:
        raise TimeoutError(f"sensitive_data_detection.recognizers: {result.block.error}")
    entities = dict(Counter(found.name for found in result.found))
    changed = result.text != text
    return RailOutcome.masked(_TARGETS[source], result.text, changed=changed, metadata={"entities": entities})


@action(is_system_action=True, inline=True)
def mask_sensitive_chunks(chunks: list[str] | None, config: RailsConfig) -> list[str] | None:
    """The retrieved chunks, each masked as the source `retrieval` says."""
    if chunks is None:
        return None
    return [str(mask_sensitive_data("retrieval", chunk, config)) for chunk in chunks]


def _scan(config: RailsConfig, source: str, text: str, mode: Literal["block", "mask"]) -> Spliced:
    return spliced(_check(_settings(config, source), mode, ""), text)


def _settings(config: RailsConfig, source: str) -> SensitiveDataSource:
    if source not in _TARGETS:
        raise ValueError(f"source must be one of {', '.join(_TARGETS)}; got {source!r}")
    settings: SensitiveDataSource = getattr(config.rails.config.sensitive_data_detection, source)
    return settings


def _check(settings: SensitiveDataSource, mode: Literal["block", "mask"], rail: str) -> PatternCheck:
    return PatternCheck(settings.compiled, mode=mode, rail=rail)


def _start(
    mode: Literal["block", "mask"], rail: str, config: Any, params: dict[str, str]
) -> Callable[[], StreamCheck]:
    return partial(_check, _settings(config, "output"), mode, rail)


def _declared(verb: Literal["detect", "mask"], source: str) -> RailDeclaration:
    flow = f"{verb} sensitive data on {source}"
    mode: Literal["block", "mask"] = "block" if verb == "detect" else "mask"
    return RailDeclaration(
        flow,
        "incremental",
        rewrites=verb == "mask",
        start=partial(_start, mode, flow) if source == "output" else None,
        settings="sensitive_data_detection",
        refusal="inform answer unknown",
    )


RAILS = (
    *(_declared("detect", source) for source in _TARGETS),
    *(_declared("mask", source) for source in _TARGETS),
)
