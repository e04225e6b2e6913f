"""Holds the limits of size: no function over 60 lines, no file over 600; `__init__.py` only re-exports."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES, FILE_LINES = 60, 600
ROOT = Path(__file__).parents[2]


def too_large(path: Path, text: str) -> Iterator[str]:
    """What in a file is larger than allowed, one line of text each."""
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines (limit {FILE_LINES})"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines (limit {FUNCTION_LINES})"


def more_than_re_exports(path: Path, text: str) -> Iterator[str]:
    """What an `__init__.py` defines itself; a lazy `__getattr__` and `__dir__` are re-exports too."""
    for node in ast.parse(text).body:
        named = isinstance(node, ast.FunctionDef) and node.name in {"__getattr__", "__dir__"}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not named:
            yield f"{path}:{node.lineno}: __init__.py defines {node.name}"


def main() -> int:
    found: list[str] = []
    for folder in ("src", "tests", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text, shown = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
            found += too_large(shown, text)
            if path.name == "__init__.py" and folder == "src":
                found += more_than_re_exports(shown, text)
    print("\n".join(found) or "sizes: every function and file is within its limit")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
