"""Which error an answer becomes, and how long its server asks to wait."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from nemoguardrails.exceptions import (
    LLMBadRequestError,
    LLMClientError,
    LLMContextWindowError,
    LLMRateLimitError,
    LLMServerError,
    LLMTimeoutError,
    LLMUnsupportedParamsError,
)
from nemoguardrails.llm.providers.http_errors import Endpoint, error_from_response, retry_after_s
from nemoguardrails.llm.providers.retries import RetryPlan, RetryPolicy

HERE = Endpoint("http://127.0.0.1/v1", "m", "openai", ("top-secret",))


def error(status: int, message: str = "no", **headers: str) -> LLMClientError:
    return error_from_response(status, json.dumps({"error": {"message": message}}).encode(), headers, HERE)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 8192 tokens.", LLMContextWindowError),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", LLMContextWindowError),
        (422, "Input is too long for requested model", LLMContextWindowError),
        (400, "Unsupported parameter: 'max_tokens'", LLMUnsupportedParamsError),
        (400, "Unrecognized request argument supplied: top_k", LLMUnsupportedParamsError),
        (422, "unknown field `seed`", LLMUnsupportedParamsError),
        (400, "The context of this remark is unclear", LLMBadRequestError),
        (408, "too slow", LLMTimeoutError),
        (404, "maximum context length", LLMClientError),
        (529, "overloaded", LLMServerError),
    ],
)
def test_status_and_words_decide_the_class(status: int, message: str, kind: type[LLMClientError]) -> None:
    assert type(error(status, message)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "250", "retry-after": "2"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:10 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_wait_may_be_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=100.0) == seconds


def test_without_a_clock_the_answers_own_date_counts() -> None:
    dates = {"Retry-After": "Thu, 01 Jan 1970 00:02:10 GMT", "Date": "Thu, 01 Jan 1970 00:02:00 GMT"}
    limited = error(429, **dates)
    assert isinstance(limited, LLMRateLimitError)
    assert limited.retry_after_seconds == 10.0


def test_a_wait_of_more_than_a_minute_is_passed_on() -> None:
    plan = RetryPlan(RetryPolicy(budget_s=1000.0))
    assert plan.wait_s(error(429, **{"retry-after": "61"}), now=0.0) is None
    assert plan.wait_s(error(429, **{"retry-after": "60"}), now=0.0) == 60.0


def test_credentials_leave_no_trace() -> None:
    told = error(400, "key top-secret or sk-abcdef12", authorization="top-secret", x="top-secret")
    assert "secret" not in f"{told} {told.body} {told.response_headers}".replace("sk-***", "")
    assert "abcdef12" not in f"{told} {told.body}"
