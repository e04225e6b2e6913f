"""One raw YAML content in today's spelling: unknown keys, legacy keys and typing errors, with remarks."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import InvalidRailsConfigurationError
from .models import canonical_parameters
from .rails_config import RailsConfig, normal_version
from .report import LoadReport
from .schema import near_miss, unknown_keys
from .sections import canonical_sections

_INTERNAL = frozenset({"colang_sources"})
_NO_EFFECT = {
    "embedding_search_provider": "has no effect here; move it under `core` or `knowledge_base`",
    "streaming": "has no effect; a call chooses to stream with `stream_async`",
    "raw_llm_call_action": "has no effect",
}


def normalised(given: Mapping[str, Any], label: str, report: LoadReport, *, strict: bool) -> dict[str, Any]:
    """A copy of one file's content with top-level keys that nobody knows moved to `custom_data`.

    Raises:
        InvalidRailsConfigurationError: a key under `rails` is misspelt; with `strict`, any unknown key.
    """
    known = RailsConfig.model_fields.keys() - _INTERNAL
    made = {key: value for key, value in given.items() if key in known}
    strays = {key: value for key, value in given.items() if key not in known and key not in _NO_EFFECT}
    for key in given.keys() & _NO_EFFECT.keys():
        report.inform("legacy", _NO_EFFECT[key], file=label, key=key)
    if made.get("colang_version") is not None:
        made["colang_version"] = normal_version(made["colang_version"])
    if isinstance(made.get("streaming"), Mapping):
        made["streaming"] = made["streaming"].get("enabled", False)
    if isinstance(made.get("import_paths"), str):
        made["import_paths"] = [made["import_paths"]]
    _read_sections(made, label, report)
    _note_models(made.get("models"), label, report)
    _note_tracing(made.get("tracing"), label, report)
    _check_keys(made, label, report, strict=strict)
    if strays:
        _take_strays(made, strays, label, report, strict=strict)
    return made


def _read_sections(made: dict[str, Any], label: str, report: LoadReport) -> None:
    rails = made.get("rails")
    sections = rails.get("config") if isinstance(rails, Mapping) else None
    if not isinstance(rails, Mapping) or not isinstance(sections, Mapping):
        return
    spelt, remarks = canonical_sections(sections)
    made["rails"] = {**rails, "config": spelt}
    for key, remark in remarks:
        report.warn("spelling", remark, file=label, key=f"rails.config.{key}")


def _note_models(models: object, label: str, report: LoadReport) -> None:
    for model in models if isinstance(models, list) else []:
        if not isinstance(model, Mapping):
            continue
        key = f"models, type {model.get('type')!r}"
        if "reasoning_config" in model:
            report.inform(
                "legacy",
                "`reasoning_config` has no effect; reasoning is always split off",
                file=label,
                key=key,
            )
        parameters = model.get("parameters")
        if isinstance(parameters, Mapping):
            for name, remark in canonical_parameters(str(model.get("engine")), parameters)[1]:
                report.inform("legacy", remark, file=label, key=f"{key}, parameters.{name}")


def _note_tracing(tracing: object, label: str, report: LoadReport) -> None:
    if isinstance(tracing, Mapping) and tracing.get("enabled"):
        remark = "this release has no tracing yet; nothing is traced"
        report.warn("no-effect", remark, file=label, key="tracing.enabled")


def _check_keys(made: Mapping[str, Any], label: str, report: LoadReport, *, strict: bool) -> None:
    errors: list[str] = []
    for unknown in unknown_keys(RailsConfig, made):
        guess = f"; did you mean `{unknown.meant}`?" if unknown.meant else ""
        if strict or (unknown.meant and unknown.path[0] == "rails"):
            errors.append(f"{label}: unknown key {unknown.key}{guess}")
        else:
            report.warn("unknown-key", f"nobody reads this key{guess}", file=label, key=unknown.key)
    if errors:
        raise InvalidRailsConfigurationError("\n".join(errors))


def _take_strays(
    made: dict[str, Any], strays: Mapping[str, Any], label: str, report: LoadReport, *, strict: bool
) -> None:
    for key in strays:
        meant = near_miss(str(key), RailsConfig.model_fields.keys() - _INTERNAL)
        guess = f"; did you mean `{meant}`?" if meant else ""
        if strict:
            raise InvalidRailsConfigurationError(
                f"{label}: unknown key {key}{guess} (data of your own belongs under `custom_data`)"
            )
        report.warn("unknown-key", f"an unknown key, kept in `custom_data`{guess}", file=label, key=str(key))
    custom = made.get("custom_data")
    if custom is None or isinstance(custom, Mapping):
        made["custom_data"] = {**{str(key): value for key, value in strays.items()}, **(custom or {})}
