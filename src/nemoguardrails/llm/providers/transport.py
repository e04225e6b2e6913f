"""One HTTP request to a model's server: sent within its limits, failures turned into typed errors."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from ...exceptions import LLMConnectionError, LLMResponseValidationError, LLMTimeoutError
from .http_errors import Endpoint, error_from_response

if TYPE_CHECKING:
    from yarl import URL

MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A whole body and its HTTP headers."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and for whom."""

    url: URL
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    endpoint: Endpoint
    connect_s: float


async def send(session: aiohttp.ClientSession, request: Request) -> aiohttp.ClientResponse:
    """The server's answer, its body not read yet; the caller closes it.

    Raises:
        LLMClientError: the server answered with an error status, or could not be asked.
    """
    try:
        response = await session.post(
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=request.connect_s),
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise connection_error(error, request.endpoint) from error
    log.debug("%s answered with status %d", request.endpoint.base_url, response.status)
    if response.status == 200:
        return response
    try:
        body = await _error_body(response)
    finally:
        abort(response)
    raise error_from_response(response.status, body, dict(response.headers), request.endpoint)


async def fetch(session: aiohttp.ClientSession, request: Request, total_s: float) -> Answer:
    """The whole answer to a request that is not streamed.

    Raises:
        LLMClientError: as `send`; or the answer was not complete within `total_s` seconds.
    """
    try:
        async with asyncio.timeout(total_s):
            response = await send(session, request)
            try:
                return Answer(await read_body(response, request.endpoint), dict(response.headers))
            finally:
                abort(response)
    except TimeoutError as error:
        raise timeout_error(f"no answer within {total_s:g} s (`timeout`)", request.endpoint) from error


async def read_body(response: aiohttp.ClientResponse, endpoint: Endpoint) -> bytes:
    """The whole body.

    Raises:
        LLMResponseValidationError: it is larger than `MAX_BODY_BYTES`.
        LLMConnectionError: the connection broke off.
    """
    parts: list[bytes] = []
    size = 0
    try:
        while part := await response.content.readany():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise LLMResponseValidationError(
                    f"The server's answer is larger than {MAX_BODY_BYTES} bytes; it was given up",
                    model_name=endpoint.model_name,
                    provider_name=endpoint.provider_name,
                    base_url=endpoint.base_url,
                )
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, endpoint) from error
    return b"".join(parts)


def abort(response: aiohttp.ClientResponse) -> None:
    """Closes an answer and cuts its connection, unless the body's end has given that back already."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def connection_error(error: BaseException, endpoint: Endpoint) -> LLMConnectionError | LLMTimeoutError:
    """The typed error of a request that got no answer."""
    if isinstance(error, TimeoutError):
        return timeout_error("no connection was made in time (`connect_timeout`)", endpoint)
    made = LLMConnectionError(
        0,
        endpoint.clean(f"The model's server could not be reached: {error or type(error).__name__}"),
        model_name=endpoint.model_name,
        provider_name=endpoint.provider_name,
        base_url=endpoint.base_url,
    )
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL)):
        made.retryable = False
    return made


def timeout_error(why: str, endpoint: Endpoint) -> LLMTimeoutError:
    """The typed error of a server that took too long."""
    return LLMTimeoutError(
        0,
        f"The model's server took too long: {why}",
        model_name=endpoint.model_name,
        provider_name=endpoint.provider_name,
        base_url=endpoint.base_url,
    )


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """As much of an error's body as is worth reading."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < _MAX_ERROR_BYTES and (part := await response.content.readany()):
            parts.append(part)
            size += len(part)
    except (aiohttp.ClientError, OSError):
        log.debug("The body of an error answer broke off")
    return b"".join(parts)
