"""Every error of the house, in one tree.

ValueError
  ConfigurationError                    what the user configured cannot work
    InvalidModelConfigurationError
    InvalidRailsConfigurationError
      StreamingNotSupportedError        output rails, but streaming for them is off
      RailTypeNotConfiguredError        a rail type was asked for that has no flows
  InvalidStateError                     a malformed `state` argument
  ColangSyntaxError                     see colang/source.py
Exception
  ActionNotFoundError                   no action of that name
  RailFailedError                       a rail could not decide, and `on_error: raise` is set
  LLMCallException                      a model call failed; wraps the client's error
  LLMClientError                        what a model's server or the way to it answered
    LLMAuthenticationError              401, 403
    LLMRateLimitError                   429
    LLMBadRequestError                  400, 422
      LLMContextWindowError             the prompt is too long for the model
      LLMUnsupportedParamsError         the model does not know a parameter
    LLMServerError                      500 and above
    LLMTimeoutError                     408, or no answer in time
    LLMConnectionError                  no answer at all
      LLMStreamInterruptedError         a stream that ended without a finish
    LLMResponseValidationError          an answer that cannot be read
  StreamingCapacityExceededError
ImportError
  MissingExtraError                     an optional package is not installed
asyncio.QueueFull
  NonStreamingWorkQueueFullError
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from asyncio import QueueFull
from collections.abc import Mapping
from typing import Any

_KEY_SHAPES = re.compile(r"(?i)(?:(bearer\s+)|\b(sk-|nvapi-|AIza))[\w.~+/=-]{4,}")
_CREDENTIAL_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie", "set-cookie"})


def masked(text: str) -> str:
    """The text with everything that has the shape of an API key replaced by its prefix and `***`."""
    return _KEY_SHAPES.sub(lambda found: (found[1] or found[2]) + "***", text)


class ConfigurationError(ValueError):
    """What the user configured cannot work; the text names the key and the fix."""


class InvalidModelConfigurationError(ConfigurationError):
    """An entry of `models` cannot be used."""


class InvalidRailsConfigurationError(ConfigurationError):
    """The `rails` section, its flows or its prompts cannot work together."""


class StreamingNotSupportedError(InvalidRailsConfigurationError):
    """A stream was asked for with output rails configured but not enabled for streaming."""


class RailTypeNotConfiguredError(InvalidRailsConfigurationError):
    """`check` was asked for a type of rail that has no flows."""


class InvalidStateError(ValueError):
    """The `state` argument is not one that a call returned."""


class ActionNotFoundError(Exception):
    """No action is registered under the name a flow asked for."""


class ActionServerError(Exception):
    """The actions server could not be reached, or did not run the action."""


class RailFailedError(Exception):
    """A rail could not decide, and its section says `on_error: raise`."""


class LLMCallException(Exception):
    """A call to a model failed.

    Args:
        inner_exception: the error of the client, or a text.
        detail: what was being done, with model, provider and endpoint.
        status: the HTTP status of the model's server, if there was one.
    """

    def __init__(
        self, inner_exception: BaseException | str, detail: str | None = None, status: int | None = None
    ):
        self.inner_exception = inner_exception
        self.detail = detail
        self.status = status
        super().__init__(f"{detail or 'LLM Call Exception'}: {inner_exception}")


class LLMClientError(Exception):
    """A model's server answered with an error, or could not be asked.

    Args:
        status_code: the HTTP status; 0 where there was no answer.
        error_message: the provider's own words, keys masked.
        response_headers: kept without those that carry credentials.
    """

    retryable = False

    def __init__(
        self,
        status_code: int,
        error_message: str,
        error_type: str | None = None,
        error_code: str | int | None = None,
        param: str | None = None,
        body: Any = None,
        response_headers: Mapping[str, str] | None = None,
        model_name: str | None = None,
        provider_name: str | None = None,
        base_url: str | None = None,
    ):
        self.status_code = status_code
        self.error_message = masked(error_message)
        self.error_type = error_type
        self.error_code = error_code
        self.param = param
        self.body = body
        headers = (response_headers or {}).items()
        self.response_headers = {k: v for k, v in headers if k.lower() not in _CREDENTIAL_HEADERS}
        self.model_name = model_name
        self.provider_name = provider_name
        self.base_url = base_url
        super().__init__(self.error_message)

    def __str__(self) -> str:
        known = {"model": self.model_name, "provider": self.provider_name, "endpoint": self.base_url}
        parts = ", ".join(f"{key}={value}" for key, value in known.items() if value)
        return f"[{self.status_code}]{f' ({parts})' if parts else ''} {self.error_message}"


class LLMAuthenticationError(LLMClientError):
    """401 or 403: the key is missing, wrong or not allowed to do this."""


class LLMRateLimitError(LLMClientError):
    """429: too many requests; `retry_after_seconds` says how long to wait, where the server does."""

    retryable = True
    retry_after_seconds: float | None = None


class LLMBadRequestError(LLMClientError):
    """400 or 422: the server refuses the request as it stands."""


class LLMContextWindowError(LLMBadRequestError):
    """The prompt is longer than the model's context window."""


class LLMUnsupportedParamsError(LLMBadRequestError):
    """The model does not know one of the parameters."""


class LLMServerError(LLMClientError):
    """500 and above: the fault is the server's."""

    retryable = True


class LLMTimeoutError(LLMClientError):
    """408, or no answer within the time given (status 0)."""

    retryable = True


class LLMConnectionError(LLMClientError):
    """The server could not be reached, or the connection broke (status 0)."""

    retryable = True


class LLMStreamInterruptedError(LLMConnectionError):
    """A stream ended without a finish reason and without its end mark."""

    retryable = False


class LLMResponseValidationError(LLMClientError):
    """The answer cannot be read; `response_data` is what came."""

    def __init__(
        self,
        message: str,
        response_data: Any = None,
        model_name: str | None = None,
        provider_name: str | None = None,
        base_url: str | None = None,
    ):
        self.response_data = response_data
        super().__init__(
            0,
            message,
            body=response_data,
            model_name=model_name,
            provider_name=provider_name,
            base_url=base_url,
        )


class StreamingCapacityExceededError(Exception):
    """No further stream is taken on for now."""


class NonStreamingWorkQueueFullError(QueueFull):
    """No further request is taken on for now."""


class MissingExtraError(ImportError):
    """An optional package is needed; the text names the extra that brings it."""

    def __init__(self, what: str, extra: str):
        super().__init__(f"{what} needs an optional package: pip install 'sluice-guardrails[{extra}]'")
