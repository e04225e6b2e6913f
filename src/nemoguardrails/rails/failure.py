"""Turns what went wrong in a turn into the error event that a consumer sees."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import json
import re
from typing import Any

from ..exceptions import LLMCallException, LLMClientError
from ..streaming.events import Failed
from ..streaming.render import presentable

_STATUS_TEXT = re.compile(r"^Error code: \d+ - (?=[{\[])")


def failed_event(error: BaseException) -> Failed:
    """The event for an exception: the provider's own words, without keys, addresses or endless texts."""
    inner: Any = error
    while isinstance(inner, LLMCallException):
        inner = inner.inner_exception
    message, code = _provider_words(inner)
    status = _status(error, inner)
    if status is not None:
        return Failed(message, "downstream_error", status, error=error)
    return Failed(message, "generation_error", code or "generation_failed", error=error)


def _provider_words(inner: Any) -> tuple[str, str | int | None]:
    if isinstance(inner, LLMClientError):
        return presentable(inner.error_message), inner.error_code
    text = presentable(str(inner))
    parsed = _parsed(text)
    if parsed is None:
        return text, None
    return str(parsed.get("message") or text), parsed.get("code")


def _parsed(text: str) -> dict[str, Any] | None:
    """The error object in a text of the form `Error code: 404 - {...}` (JSON or a Python literal)."""
    start = _STATUS_TEXT.match(text)
    if start is None:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text[start.end() :])
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        error = found.get("error", found) if isinstance(found, dict) else None
        return error if isinstance(error, dict) else None
    return None


def _status(error: BaseException, inner: Any) -> int | None:
    """The HTTP status: 400 to 599 as it is, another one as 500, `None` without an answer."""
    known = error.status if isinstance(error, LLMCallException) else None
    response = getattr(inner, "response", None)
    for found in (known, getattr(inner, "status_code", None), getattr(response, "status_code", None)):
        if isinstance(found, int) and found:
            return found if 400 <= found <= 599 else 500
    return None
