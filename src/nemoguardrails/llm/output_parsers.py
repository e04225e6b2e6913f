"""Reads the answers of tasks: a parser per name that a prompt's `output_parser` may give."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from .safety_answer import SafetyVerdict, grounded_verdict, safety_verdict
from .think import END, START

OutputParser: TypeAlias = Callable[[str], Any]

_THINK_BLOCK = re.compile(f"{START}.*?{END}", re.DOTALL)
_FENCED = re.compile(r"\A```\w*\s*\n(.*?)\n?```\Z", re.DOTALL)
_VERBOSE = (
    (re.compile(r"(?i)^user message: "), "user "),
    (re.compile(r"(?i)^user intent: "), "  "),
    (re.compile(r"(?i)^bot intent: "), "bot "),
    (re.compile(r"(?i)^bot message: "), "  "),
)


def user_intent(answer: str) -> str:
    """The intent, without the label `User intent: `."""
    return answer.strip().removeprefix("User intent: ")


def bot_intent(answer: str) -> str:
    """The step as Colang, `bot <intent>` for the label `Bot intent: `."""
    stripped = answer.strip()
    return f"bot {stripped.removeprefix(label)}" if stripped.startswith(label := "Bot intent: ") else stripped


def bot_message(answer: str) -> str:
    """The message as Colang: two spaces and the quoted text for the label `Bot message: `."""
    stripped = answer.strip()
    return f"  {stripped.removeprefix(label)}" if stripped.startswith(label := "Bot message: ") else stripped


def verbose_v1(answer: str) -> str:
    """Labelled lines as Colang history; the inverse of the filter of this name."""
    lines = []
    for line in answer.split("\n"):
        for label, colang in _VERBOSE:
            found = label.match(line)
            if found:
                line = colang + line[found.end() :]
                break
        lines.append(line)
    return "\n".join(lines)


def is_content_safe(answer: str) -> SafetyVerdict:
    """`[True]`, or `[False, violation...]`; an answer that can't be read is `[False]` and `undecided`."""
    return safety_verdict(answer)


def is_grounded(answer: str) -> SafetyVerdict:
    """`[True]` for grounded; an answer that can't be read is `[False]` and `undecided`."""
    return grounded_verdict(answer)


def nemoguard_parse_prompt_safety(answer: str) -> SafetyVerdict:
    """Reads JSON with `User Safety` and `Safety Categories`.

    Raises:
        ValueError: it is no JSON object with that key.
    """
    return _json_safety(answer, "User Safety")


def nemoguard_parse_response_safety(answer: str) -> SafetyVerdict:
    """Reads JSON with `Response Safety` and `Safety Categories`; errors as for the prompt's."""
    return _json_safety(answer, "Response Safety")


def nemotron_reasoning_parse_prompt_safety(answer: str) -> SafetyVerdict:
    """Reads the line `Prompt harm: harmful` or `unharmful` behind the reasoning; without it: harmful."""
    return _harm(answer, "prompt harm")


def nemotron_reasoning_parse_response_safety(answer: str) -> SafetyVerdict:
    """Reads the line `Response harm: harmful` or `unharmful` behind the reasoning; without it: harmful."""
    return _harm(answer, "response harm")


def nemotron_content_safety_parse_prompt_safety(answer: str) -> SafetyVerdict:
    """Reads the lines `User Safety: safe` or `unsafe` and `Safety Categories: a, b`.

    Raises:
        ValueError: reasoning that is never closed; the line is missing, unreadable or there twice.
    """
    return _line_safety(answer, "user safety")


def nemotron_content_safety_parse_response_safety(answer: str) -> SafetyVerdict:
    """Reads the lines `Response Safety: ...` and `Safety Categories: ...`; errors as for the prompt's."""
    return _line_safety(answer, "response safety")


def _json_safety(answer: str, key: str) -> SafetyVerdict:
    text = answer.strip()
    fenced = _FENCED.match(text)
    try:
        read = json.loads(fenced[1] if fenced else text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise ValueError(f"The judge's answer is not readable JSON: {error}") from error
    verdict = read.get(key) if isinstance(read, dict) else None
    if not isinstance(verdict, str):
        raise ValueError(f"The judge's answer has no text under {key!r}")
    if verdict.strip().lower() == "safe":
        return SafetyVerdict(True)
    return SafetyVerdict(False, _categories(str(read.get("Safety Categories") or "")))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key is there twice")
    return read


def _harm(answer: str, field: str) -> SafetyVerdict:
    found = _fields(_THINK_BLOCK.sub("", answer), field)
    return SafetyVerdict(bool(found) and all(value == "unharmful" for value in found))


def _line_safety(answer: str, field: str) -> SafetyVerdict:
    text = _THINK_BLOCK.sub("", answer)
    if START in text:
        raise ValueError("The judge's reasoning is never closed, so its answer is not there")
    for name in ("user safety", "response safety"):
        if len(_fields(text, name)) > 1:
            raise ValueError(f"The judge's answer states {name!r} more than once")
    stated = _fields(text, field)
    if not stated or stated[0] not in ("safe", "unsafe"):
        raise ValueError(f"The judge's answer has no line '{field}: safe' or '{field}: unsafe'")
    if stated[0] == "safe":
        return SafetyVerdict(True)
    categories = re.findall(r"(?im)^safety categories:[ \t]*(.*)$", text)
    return SafetyVerdict(False, _categories(categories[0] if categories else ""))


def _fields(text: str, name: str) -> list[str]:
    found = re.findall(rf"(?im)^{name}:[ \t]*(.*)$", text)
    return [value.strip().lower() for value in found]


def _categories(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


OUTPUT_PARSERS: dict[str, OutputParser] = {
    parser.__name__: parser
    for parser in (
        user_intent,
        bot_intent,
        bot_message,
        verbose_v1,
        is_content_safe,
        is_grounded,
        nemoguard_parse_prompt_safety,
        nemoguard_parse_response_safety,
        nemotron_reasoning_parse_prompt_safety,
        nemotron_reasoning_parse_response_safety,
        nemotron_content_safety_parse_prompt_safety,
        nemotron_content_safety_parse_response_safety,
    )
}
"""The parsers by name; `LLMTaskManager.register_output_parser` adds to a copy."""
