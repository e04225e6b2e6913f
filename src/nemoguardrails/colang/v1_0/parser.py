"""Text of Colang 1.0 -> syntax tree."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ..source import SourceText
from . import nodes
from .definitions import DocumentParser


def parse(text: str, path: str = "main.co") -> nodes.Document:
    """The syntax tree of a source; the time it takes grows with the length of the text.

    Raises:
        ColangSyntaxError: the text cannot be read; names file, line and what was expected.
    """
    return DocumentParser(SourceText(path, text)).parse()


def parse_body(text: str, name: str, path: str = "generated") -> nodes.FlowDefinition:
    """A flow made of statements that stand for themselves, as a model writes them.

    Raises:
        ColangSyntaxError: the text cannot be read.
    """
    indented = "\n".join(f"  {row}" for row in text.split("\n"))
    (flow,) = parse(f"define flow {name}\n{indented}", path).flows
    return flow
