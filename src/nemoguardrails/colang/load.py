"""Sources -> program; the only file of this room that reads files."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from .lines import has_definitions
from .source import ColangSyntaxError, Source, SourceText
from .v1_0 import nodes
from .v1_0.parser import parse
from .v1_0.program import Program, program_of

_OTHER_LANGUAGE = re.compile(r"^(?:flow|@\w+|activate|match|start|await)\b", re.MULTILINE)
_DEFINITION = re.compile(r"^[ \t]*def(?:ine)?[ \t]", re.MULTILINE)


def parse_sources(sources: Sequence[Source], version: str = "1.0") -> Program:
    """The program that the sources make together; their order decides where two define the same name.

    A source that is no Colang 1.0 is skipped with a warning. Comments and blank lines alone are nothing.

    Args:
        sources: in order of precedence, the first one first.
        version: "1.0"; programs of 2.x have a loader of their own.

    Raises:
        ColangSyntaxError: a source cannot be read; names file, line and what was expected.
        ValueError: another version.
    """
    if version != "1.0":
        raise ValueError(f"parse_sources reads Colang 1.0, not {version}")
    warnings: list[str] = []
    documents = [document for source in sources if (document := _document(source, warnings)) is not None]
    return program_of(documents, warnings)


def library_program(path: str | Path) -> Program:
    """The program of one Colang file, or of all `*.v1.co` files below a folder in sorted order.

    It is read once per process.

    Raises:
        ColangSyntaxError: a file cannot be read as Colang 1.0.
        OSError: a file cannot be read.
    """
    return _library_program(str(Path(path).resolve()))


@lru_cache(maxsize=256)
def _library_program(path: str) -> Program:
    root = Path(path)
    files: Iterable[Path] = sorted(root.rglob("*.v1.co")) if root.is_dir() else [root]
    return parse_sources([SourceText(str(file), file.read_text(encoding="utf-8")) for file in files])


def _document(source: Source, warnings: list[str]) -> nodes.Document | None:
    if has_definitions(source.text):
        return parse(source.text, source.path)
    if _OTHER_LANGUAGE.search(source.text):
        warnings.append(f"{source.path}: skipped, it is no Colang 1.0 (it looks like Colang 2.x)")
        return None
    try:
        return parse(source.text, source.path)
    except ColangSyntaxError as error:
        # Whoever writes `def` means this language, so the error is theirs.
        if _DEFINITION.search(source.text):
            raise
        warnings.append(f"{source.path}: skipped, it holds no definition and cannot be read: {error}")
        return None
