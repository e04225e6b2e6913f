"""Folder, YAML and Colang text -> `RailsConfig`: visits, imports, joins, validates and reports."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from ..exceptions import InvalidRailsConfigurationError
from .files import ROOT_FILES, YAML_SUFFIXES, IgnoreRules, is_inside, listed, read_text, read_yaml
from .imports import imports_of, is_1_0, resolve
from .merge import Joined, RawFile, explicit, join
from .normalise import normalised
from .rails_config import ColangSource, Origin, RailsConfig, normal_version
from .report import LoadReport

_DOCUMENTS = "kb"
_VERSIONS = ("1.0", "2.x")


def load_path(config_path: str | os.PathLike[str], strict: bool) -> RailsConfig:
    """See `RailsConfig.from_path`."""
    given = os.fspath(config_path)
    if "," in given or given != given.strip():
        raise ValueError(f"config paths cannot contain commas or begin or end with white space: {given!r}")
    path = Path(given)
    visit = _Visit(strict)
    if path.is_dir():
        visit.folder(path, given.rstrip("/") or given, 0, "user")
    elif path.is_file() and path.suffix in YAML_SUFFIXES:
        visit.yaml(path, given, 0)
    else:
        raise ValueError(f"invalid config path {given!r}: neither a folder nor a .yml or .yaml file")
    return visit.config(config_path=given)


def load_content(
    colang_content: str | None, yaml_content: str | None, config: Mapping[str, Any] | None, strict: bool
) -> RailsConfig:
    """See `RailsConfig.from_content`."""
    visit = _Visit(strict)
    if config:
        visit.values(config, "the `config` argument", None, (0, 0))
    if yaml_content:
        label = "the YAML content"
        visit.values(read_yaml(yaml_content, label, visit.report), label, None, (0, 0))
    if colang_content:
        visit.colang(ColangSource("main.co", colang_content), None, 0)
    return visit.config(config_path=None)


def load_sum(left: RailsConfig, right: RailsConfig) -> RailsConfig:
    """See `RailsConfig.__add__`."""
    _check_joinable(left, right)
    report = LoadReport([*left.load_report, *right.load_report])
    paths = [config.config_path for config in (left, right) if config.config_path]
    sides = (("the left configuration", left), ("the right configuration", right))
    joined = join([RawFile(label, _set_values(config)) for label, config in sides], report)
    for key in ("models", "prompts", "instructions", "docs", "flows"):
        items = joined.values.get(key)
        if isinstance(items, list):
            joined.values[key] = [item for at, item in enumerate(items) if item not in items[:at]]
    joined.values["config_path"] = ",".join(paths) or None
    sources = list(dict.fromkeys([*right.colang_sources, *left.colang_sources]))
    made = _validated(joined, sources, report)
    if sources:
        _read_program(made)
    return made


@dataclass(frozen=True, slots=True)
class _FoundSource:
    """A Colang text, the folder its imports are relative to, and how many imports lead to it."""

    source: ColangSource
    folder: Path | None
    depth: int


@dataclass(slots=True)
class _Visit:
    """One load: what was found so far, and what is still to be imported."""

    strict: bool
    report: LoadReport = field(default_factory=LoadReport)
    _files: list[RawFile] = field(default_factory=list)
    _sources: list[_FoundSource] = field(default_factory=list)
    _docs: list[dict[str, str]] = field(default_factory=list)
    _imports: deque[tuple[str, Path | None, int]] = field(default_factory=deque)
    _imported: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def values(
        self, given: Mapping[str, Any], label: str, folder: Path | None, rank: tuple[int, int]
    ) -> None:
        """Takes the raw content of one YAML file, and notes what it imports."""
        made = normalised(given, label, self.report, strict=self.strict)
        self._files.append(RawFile(label, made, rank))
        paths = made.get("import_paths")
        for path in paths if isinstance(paths, list) else []:
            self._imports.append((str(path), folder, 1 - rank[0]))

    def yaml(self, path: Path, shown: str, depth: int) -> None:
        """Takes one YAML file."""
        if self._is_new(path):
            self.values(
                read_yaml(read_text(path, shown), shown, self.report), shown, path.parent, (-depth, 0)
            )

    def colang(self, source: ColangSource, folder: Path | None, depth: int) -> None:
        """Takes one Colang text."""
        self._sources.append(_FoundSource(source, folder, depth))

    def folder(self, folder: Path, shown: str, depth: int, origin: Origin) -> None:
        """Takes a configuration folder whole."""
        if not self._is_new(folder):
            return
        names = self._not_ignored(folder, shown)
        root = names[0] if names and names[0] in ROOT_FILES else None
        raw, documents = self._read_all(
            folder, shown, [name for name in names if name.endswith(YAML_SUFFIXES)]
        )
        if documents != _DOCUMENTS and not any(is_inside(name, documents) for name in names):
            message = f"there is no document in the folder {documents!r} of the configuration"
            self.report.warn("no-documents", message, file=shown, key="knowledge_base.folder")
        for name in names:
            path, label = folder / name, f"{shown}/{name}"
            if is_inside(name, documents):
                self._document(path, label)
            elif raw.get(name) is not None:
                self.values(raw[name] or {}, label, path.parent, (-depth, int(name == root)))
            elif name.endswith(".co") and self._is_new(path):
                self.colang(ColangSource(label, read_text(path, label), origin), path.parent, depth)

    def config(self, config_path: str | None) -> RailsConfig:
        """Follows the imports, joins what was found and validates it."""
        joined = self._follow()
        version = normal_version(joined.values.get("colang_version") or "1.0")
        if version not in _VERSIONS:
            raise InvalidRailsConfigurationError(
                f"unsupported colang version {version!r}; `colang_version` takes {' or '.join(_VERSIONS)}"
            )
        values = joined.values
        values.setdefault("models", [])
        if values["models"] is None:
            values["models"] = []
        if self._docs:
            values["docs"] = [*(values.get("docs") or []), *self._docs]
        values["config_path"] = config_path
        values["imported_paths"] = {**(values.get("imported_paths") or {}), **self._imported}
        made = _validated(joined, self._by_precedence(version), self.report)
        if made.colang_sources:
            _read_program(made)
        self.report.log()
        return made

    def _follow(self) -> Joined:
        """Imports until nothing new turns up: YAML first, then Colang, which may bring YAML again."""
        read = 0
        while True:
            while self._imports:
                self._import(*self._imports.popleft())
            joined = join(self._files, LoadReport())
            if normal_version(joined.values.get("colang_version")) == "2.x":
                for found in self._sources[read:]:
                    paths = imports_of(found.source.text)
                    self._imports.extend((path, found.folder, found.depth + 1) for path in paths)
                read = len(self._sources)
            if not self._imports:
                return join(self._files, self.report)

    def _import(self, given: str, importer: Path | None, depth: int) -> None:
        found = resolve(given, importer)
        self._imported.setdefault(given, str(found.path))
        shown = str(found.path)
        if found.is_library:
            return  # The parser brings the modules of the house itself, parsed once per process.
        if found.path.is_dir():
            self.folder(found.path, shown, depth, "imported")
        elif found.path.suffix in YAML_SUFFIXES:
            self.yaml(found.path, shown, depth)
        elif self._is_new(found.path):
            source = ColangSource(shown, read_text(found.path, shown), "imported")
            self.colang(source, found.path.parent, depth)

    def _is_new(self, path: Path) -> bool:
        real = os.path.realpath(path)
        is_new = real not in self._seen
        self._seen.add(real)
        return is_new

    def _read_all(
        self, folder: Path, shown: str, names: list[str]
    ) -> tuple[dict[str, dict[str, Any] | None], str]:
        """The content of the YAML files that are no documents, by name, and the folder of documents."""
        raw: dict[str, dict[str, Any] | None] = {}
        documents = _DOCUMENTS
        for name in names:
            if not is_inside(name, documents):
                raw[name] = self._raw(folder, shown, name)
            if name in ROOT_FILES:
                documents = _documents_folder(raw)
        documents = _documents_folder(raw)
        for name in names:
            if name not in raw and not is_inside(name, documents):
                raw[name] = self._raw(folder, shown, name)
        return raw, documents

    def _raw(self, folder: Path, shown: str, name: str) -> dict[str, Any] | None:
        """The content of a YAML file; `None` if it was read before, on another way."""
        if not self._is_new(folder / name):
            return None
        label = f"{shown}/{name}"
        return read_yaml(read_text(folder / name, label), label, self.report)

    def _not_ignored(self, folder: Path, shown: str) -> list[str]:
        names = [name for name in listed(folder) if name.endswith((*YAML_SUFFIXES, ".co", ".md"))]
        rules = IgnoreRules.nearest(folder)
        if rules.file is None:
            return names
        is_elsewhere = rules.file.parent != folder.resolve()
        if is_elsewhere:
            message = f"the ignore file {rules.file} outside the configuration is used"
            self.report.warn("ignore-file-elsewhere", message, file=shown)
        note = self.report.warn if is_elsewhere else self.report.inform
        for name in names:
            if rules.ignores(name):
                note("ignored-file", f"ignored because of {rules.file}", file=f"{shown}/{name}")
        return [name for name in names if not rules.ignores(name)]

    def _document(self, path: Path, label: str) -> None:
        if path.suffix == ".md":
            self._docs.append({"format": "md", "content": read_text(path, label)})

    def _by_precedence(self, version: str) -> list[ColangSource]:
        """The Colang texts, those first whose definitions win: the importer's; of a folder's, the later."""
        ordered = sorted(enumerate(self._sources), key=lambda pair: (pair[1].depth, -pair[0]))
        sources = [found.source for _, found in ordered]
        return [source for source in sources if version == "1.0" or self._is_2_x(source)]

    def _is_2_x(self, source: ColangSource) -> bool:
        if not is_1_0(source.text):
            return True
        message = "skipped: the text is Colang 1.0, but `colang_version` is 2.x"
        self.report.warn("other-language", message, file=source.path, key="colang_version")
        return False


def _documents_folder(raw: Mapping[str, Mapping[str, Any] | None]) -> str:
    """The folder of documents that the files of one folder name: the root file, else the last."""
    named: dict[str, str] = {}
    for name, values in raw.items():
        section = (values or {}).get("knowledge_base")
        folder = section.get("folder") if isinstance(section, Mapping) else None
        if isinstance(folder, str) and folder.strip():
            named[name] = folder.strip()
    root = next((named[name] for name in ROOT_FILES if name in named), None)
    return root or next(reversed(named.values()), _DOCUMENTS)


def _read_program(config: RailsConfig) -> None:
    """Parses the Colang texts now, so that their errors are errors of loading, and shows what they define."""
    if config.colang_version != "1.0":
        return  # Programs of 2.x are put together with the standard library by the runtime.
    program = config.program
    for warning in program.warnings:
        config.load_report.warn("colang", warning)
    told = config.__dict__  # Written past pydantic: what Colang defines was not set in YAML.
    for kind, defined in (("user_messages", program.user_messages), ("bot_messages", program.bot_messages)):
        told[kind] = {**told[kind], **{name: list(message.texts) for name, message in defined.items()}}
    told["flows"] = [flow for flow in told["flows"] if "elements" in flow]
    told["flows"] += [{"id": name, "source_code": flow.source} for name, flow in program.flows.items()]


def _set_values(config: RailsConfig) -> dict[str, Any]:
    made = explicit(config)
    for key in ("instructions", "sample_conversation"):
        if key not in config.model_fields_set:
            made.pop(key, None)
    made.pop("config_path", None)
    return made


def _check_joinable(left: RailsConfig, right: RailsConfig) -> None:
    for model in left.models:
        for other in right.models:
            if model.type != other.type:
                continue
            if model.engine != other.engine:
                raise ValueError(
                    f"configurations can only be joined with the same engine for the same model type; "
                    f"type {model.type!r} has {model.engine!r} and {other.engine!r}"
                )
            if model.model != other.model:
                raise ValueError(
                    f"configurations can only be joined with the same model for the same model type; "
                    f"type {model.type!r} has {model.model!r} and {other.model!r}"
                )
    servers = {config.actions_server_url for config in (left, right) if config.actions_server_url}
    if len(servers) > 1:
        raise ValueError("configurations can only be joined with the same `actions_server_url`")


def _validated(joined: Joined, sources: list[ColangSource], report: LoadReport) -> RailsConfig:
    try:
        made = RailsConfig.model_validate({**joined.values, "colang_sources": sources})
    except ValidationError as error:
        _fail(error, joined)
    report.extend(made.load_report)
    made._report = report  # The loader is the only other author of the report.
    return made


def _fail(error: ValidationError, joined: Joined) -> NoReturn:
    """Raises the error again with the names of the files, and without the values, which may be secret."""
    lines: list[InitErrorDetails] = []
    labels: dict[str, None] = {}
    for one in error.errors(include_url=False, include_input=False):
        location = tuple(str(part) for part in one["loc"])
        origin = joined.origin(location) if location else None
        if origin is not None:
            labels[origin.label] = None
        lines.append(InitErrorDetails(type=one["type"], loc=one["loc"], input=None, ctx=one.get("ctx", {})))
    title = f"RailsConfig ({', '.join(labels)})" if labels else "RailsConfig"
    raise ValidationError.from_exception_data(title, lines, hide_input=True) from None
