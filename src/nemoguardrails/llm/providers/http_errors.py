"""What a model's server answers when it fails, as typed errors: by HTTP status, and by events in a stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from ...exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMContextWindowError,
    LLMRateLimitError,
    LLMServerError,
    LLMTimeoutError,
    LLMUnsupportedParamsError,
    masked,
)

MAX_TEXT_CHARS = 1000
"""Longest text of an error that is kept; providers may answer with whole pages."""

RETRYABLE_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504})

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "api_error": 500,
    "server_error": 500,
    "overloaded_error": 503,
}
_CONTEXT_WINDOW = re.compile(
    r"(?i)context[_ ](length|window|size)|maximum context|too many (prompt[_ ])?tokens|prompt is too long"
    r"|prompt too long|input (is )?too long|too_many_prompt_tokens|maximum number of tokens"
    r"|reduce the length|length of all messages is too long"
)
_UNSUPPORTED = re.compile(
    r"(?i)unsupported[_ ](parameter|value|argument)|unknown[_ ](parameter|argument|field)"
    r"|unrecognized request argument"
    r"|(parameter|argument|option)s?\b.{0,60}\bnot supported|does not support (the )?(parameter|argument)"
    r"|unexpected keyword argument|extra (inputs|fields) (are )?not permitted"
)
_TAGS = re.compile(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who was asked, for the texts of errors; `secrets` are blanked out of them."""

    base_url: str
    model_name: str | None = None
    provider_name: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def clean(self, text: str) -> str:
        """The text without keys and at most `MAX_TEXT_CHARS` long."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = masked(text)
        return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}... (truncated)"


def error_from_response(
    status: int, body: bytes, headers: Mapping[str, str], endpoint: Endpoint
) -> LLMClientError:
    """The typed error of an HTTP answer with an error status; its body may be JSON, HTML or anything."""
    headers = {name.lower(): endpoint.clean(value) for name, value in headers.items()}
    text = body.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    details = _error_object(data)
    message = (
        _message(details) or _plain_text(text) or f"The server answered with status {status} and no text"
    )
    error = _typed(status, message, details, data if data is not None else text, endpoint, headers)
    error.retryable = _is_retryable(status, headers)
    if isinstance(error, LLMRateLimitError):
        error.retry_after_seconds = retry_after_s(headers, now=None)
    return error


def error_from_event(data: Mapping[str, Any], endpoint: Endpoint) -> LLMClientError:
    """The typed error of an `error` object inside a stream, or in an answer with status 200."""
    details = _error_object(data)
    status = _event_status(details)
    message = _message(details) or "The provider reported an error in the stream without a text"
    error = _typed(status, message, details, dict(data), endpoint, {})
    error.retryable = status in RETRYABLE_STATUSES
    return error


def error_class(status: int, message: str) -> type[LLMClientError]:
    """The class of error for an HTTP status and the provider's words."""
    if status in (401, 403):
        return LLMAuthenticationError
    if status == 429:
        return LLMRateLimitError
    if status == 408:
        return LLMTimeoutError
    if status in (400, 422):
        if _CONTEXT_WINDOW.search(message):
            return LLMContextWindowError
        if _UNSUPPORTED.search(message):
            return LLMUnsupportedParamsError
        return LLMBadRequestError
    return LLMServerError if status >= 500 else LLMClientError


def retry_after_s(headers: Mapping[str, str], *, now: float | None) -> float | None:
    """How many seconds the server asks to wait, from `retry-after-ms` or `retry-after` (seconds or a date).

    Args:
        now: Unix time to which a date is compared; `None` for the answer's own `Date` header.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    given = headers.get("retry-after")
    if given is None:
        return None
    if (seconds := _number(given)) is not None:
        return max(0.0, seconds)
    until = _date(given)
    since = now if now is not None else _date(headers.get("date", ""))
    return max(0.0, until - since) if until is not None and since is not None else None


def _typed(
    status: int,
    message: str,
    details: Mapping[str, Any],
    body: Any,
    endpoint: Endpoint,
    headers: Mapping[str, str],
) -> LLMClientError:
    kind, code, param = details.get("type"), details.get("code"), details.get("param")
    return error_class(status, f"{kind} {code} {message}")(
        status,
        endpoint.clean(message),
        endpoint.clean(str(kind)) if kind is not None else None,
        endpoint.clean(code) if isinstance(code, str) else code if isinstance(code, int) else None,
        endpoint.clean(str(param)) if param is not None else None,
        body=_clean_body(body, endpoint),
        response_headers=headers,
        model_name=endpoint.model_name,
        provider_name=endpoint.provider_name,
        base_url=endpoint.base_url,
    )


def _error_object(data: Any) -> Mapping[str, Any]:
    """The object that describes the error, whichever of the usual shapes the provider chose."""
    if isinstance(data, Sequence) and not isinstance(data, str) and data:
        data = data[0]
    if not isinstance(data, Mapping):
        return {}
    inner = data.get("error")
    if isinstance(inner, Mapping):
        return inner
    return {**data, "message": inner} if isinstance(inner, str) else data


def _message(details: Mapping[str, Any]) -> str:
    for key in ("message", "detail", "error_message", "msg"):
        found = details.get(key)
        if isinstance(found, str) and found.strip():
            return found.strip()
        if isinstance(found, (list, dict)) and found:
            return json.dumps(found, ensure_ascii=False)
    return ""


def _event_status(details: Mapping[str, Any]) -> int:
    for key in ("status_code", "code", "status"):
        number = _number(details.get(key))
        if number is not None and 400 <= number <= 599:
            return int(number)
    return _STATUS_OF_TYPE.get(str(details.get("type")), 500)


def _is_retryable(status: int, headers: Mapping[str, str]) -> bool:
    wish = headers.get("x-should-retry", "").lower()
    return wish == "true" if wish in ("true", "false") else status in RETRYABLE_STATUSES


def _plain_text(text: str) -> str:
    return " ".join(_TAGS.sub(" ", text).split()) if "<" in text else text.strip()


def _clean_body(body: Any, endpoint: Endpoint) -> Any:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    cleaned = endpoint.clean(text)
    if isinstance(body, str) or cleaned != text:
        return cleaned
    return body


def _number(given: Any) -> float | None:
    try:
        number = float(given)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _date(given: str) -> float | None:
    try:
        return parsedate_to_datetime(given).timestamp()
    except (TypeError, ValueError, IndexError):
        return None
