"""A thin streaming client for OpenAI-compatible servers, and the models that speak through it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ...exceptions import LLMAuthenticationError, LLMClientError
from ...types import LLMResponse, LLMResponseChunk, Prompt
from . import connections
from .http_errors import Endpoint
from .open_stream import OpenStream
from .openai_wire import Mode, request_body, request_path, response_from, unreadable
from .read_watch import TimeLimits
from .retries import RetryPlan, RetryPolicy
from .transport import Request, fetch

_CREDENTIAL_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "proxy-authorization"})
_SHORTEST_SECRET = 4

log = logging.getLogger(__name__)


class OpenAICompatibleClient:
    """What sends requests to one server. It opens connections when they are needed, per event loop.

    Args:
        base_url: the address that `/chat/completions` is appended to.
        api_key: sent as a bearer token; without one no `Authorization` header is sent.
        timeout: seconds for a whole answer (600).
        connect_timeout: seconds for making a connection (5).
        max_retries: how often a request is repeated that failed before its first chunk.
        custom_headers: sent with each request; they replace ours of the same name, whatever the case.
        custom_query: appended to the address.
        http_client: a session of the caller's, which is used as it is and never closed.
        first_token_timeout: seconds to the first event of a stream.
        idle_timeout: seconds between two events of a stream.
        retry_budget: seconds that all waiting before retries may take.
        trust_env: proxies and netrc of the environment are used.
        missing_key: the variable in which the server's key was looked for in vain; no request is sent then.
        sleep: waits before a retry; exchanged by tests.
        jitter: draws the delay of a retry between two bounds in seconds; exchanged by tests.

    Warns:
        UserWarning: a key would travel unencrypted to another machine.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        max_retries: int = 2,
        custom_headers: Mapping[str, str] | None = None,
        custom_query: Mapping[str, str] | None = None,
        http_client: aiohttp.ClientSession | None = None,
        *,
        first_token_timeout: float | None = None,
        idle_timeout: float | None = None,
        retry_budget: float = 10.0,
        trust_env: bool = False,
        missing_key: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] | None = None,
    ) -> None:
        self._url = URL(base_url.rstrip("/"))
        self._query = dict(custom_query or {})
        self._headers = _headers(api_key, custom_headers or {})
        self._secrets = _secrets(api_key, self._headers)
        self._limits = _limits(timeout, connect_timeout, first_token_timeout, idle_timeout)
        self._retries = RetryPolicy(max_retries, retry_budget, *([jitter] if jitter else []))
        self._http_client = http_client
        self._trust_env = trust_env
        self._missing_key = missing_key
        self._sleep = sleep
        if self._secrets:
            _warn_of_plain_http(self.base_url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    @property
    def base_url(self) -> str:
        """The server's address, without a user name and password."""
        return str(self._url.with_user(None))

    def endpoint(self, model_name: str, provider_name: str | None) -> Endpoint:
        """Who is asked, for the texts of errors."""
        return Endpoint(self.base_url, model_name, provider_name, self._secrets)

    async def complete(self, mode: Mode, body: Mapping[str, Any], endpoint: Endpoint) -> LLMResponse:
        """The whole answer to a request body.

        Raises:
            LLMClientError: the server failed, refused or could not be asked, also after retries.
        """
        request = self._request(mode, body, endpoint)
        plan = RetryPlan(self._retries)
        while True:
            try:
                answer = await fetch(await self._session(), request, self._limits.total_s)
                break
            except LLMClientError as error:
                await self._wait_or_raise(plan, error)
        try:
            data = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            text = answer.body.decode(errors="replace")
            raise unreadable("The server's answer is not JSON", text, endpoint) from error
        response = response_from(data, mode, endpoint)
        headers = {
            name.lower(): value for name, value in answer.headers.items() if "cookie" not in name.lower()
        }
        response.provider_metadata = {**(response.provider_metadata or {}), "response_headers": headers}
        return response

    async def stream(
        self, mode: Mode, body: Mapping[str, Any], endpoint: Endpoint
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The answer to a request body, chunk by chunk. Closing the generator cuts the connection.

        Raises:
            LLMClientError: the server failed, refused or could not be asked. Before the first chunk
                the request was repeated as `max_retries` allows; after it, never.
        """
        request = self._request(mode, body, endpoint)
        plan = RetryPlan(self._retries)
        while True:
            stream: OpenStream | None = None
            try:
                stream = await OpenStream.open(await self._session(), request, mode, self._limits)
                chunks = await stream.read()
                break
            except BaseException as error:
                if stream is not None:
                    stream.close()
                if not isinstance(error, LLMClientError):
                    raise
                await self._wait_or_raise(plan, error)
        try:
            while chunks:
                for chunk in chunks:
                    yield chunk
                chunks = await stream.read()
        finally:
            stream.close()

    async def aclose(self) -> None:
        """Gives up the connections of the running loop. A later request opens new ones."""
        await connections.release(self)

    async def _session(self) -> aiohttp.ClientSession:
        return self._http_client or await connections.session_for(self, trust_env=self._trust_env)

    def _request(self, mode: Mode, body: Mapping[str, Any], endpoint: Endpoint) -> Request:
        if self._missing_key is not None:
            raise LLMAuthenticationError(
                0,
                f"There is no API key: set the environment variable {self._missing_key}, or name another one "
                "in `api_key_env_var` of the model",
                model_name=endpoint.model_name,
                provider_name=endpoint.provider_name,
                base_url=self.base_url,
            )
        path = self._url.raw_path.rstrip("/") + request_path(mode)
        url = self._url.with_path(path, encoded=True, keep_query=True)
        if self._query:
            url = url.update_query(self._query)
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return Request(url, data, self._headers, endpoint, self._limits.connect_s)

    async def _wait_or_raise(self, plan: RetryPlan, error: LLMClientError) -> None:
        delay_s = plan.wait_s(error, now=time.time())
        if delay_s is None:
            raise error
        log.debug("Retry %d in %.2f s after status %d", plan.done, delay_s, error.status_code)
        await self._sleep(delay_s)


class OpenAIChatModel:
    """A model behind a client, by `/chat/completions`.

    Args:
        client: what sends the requests.
        model: the model's name at its provider.
        provider_name: the engine, for logs and errors.
        defaults: request parameters of every call; those of a call override them. The switch
            `include_usage_in_stream` (true) asks for the token counts of a stream.
    """

    mode: Mode = "chat"
    supports_tools = True

    def __init__(
        self, client: OpenAICompatibleClient, model: str, *, provider_name: str | None = None, **defaults: Any
    ) -> None:
        self.client = client
        self._model = model
        self._provider_name = provider_name
        self._defaults = defaults
        self._endpoint = client.endpoint(model, provider_name)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self._model!r}, provider_name={self._provider_name!r}, {self.client!r})"
        )

    @property
    def model_name(self) -> str:
        """The model's name at its provider."""
        return self._model

    @property
    def provider_name(self) -> str | None:
        """The engine."""
        return self._provider_name

    @property
    def provider_url(self) -> str | None:
        """The server's address."""
        return self.client.base_url

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The whole answer; `kwargs` are request parameters.

        Raises:
            LLMClientError: no usable answer came.
        """
        body = self._body(prompt, stop, kwargs, stream=False)
        return await self.client.complete(self.mode, body, self._endpoint)

    def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[LLMResponseChunk, None]:
        """The answer in chunks as they come; nothing is sent before the first one is asked for.

        Raises:
            LLMClientError: the request failed, or the stream did.
        """
        return self.client.stream(self.mode, self._body(prompt, stop, kwargs, stream=True), self._endpoint)

    async def aclose(self) -> None:
        """Gives up the connections of the running loop."""
        await self.client.aclose()

    def _body(
        self, prompt: Prompt, stop: list[str] | None, kwargs: Mapping[str, Any], *, stream: bool
    ) -> dict[str, Any]:
        parameters = {**self._defaults, **kwargs}
        include_usage = parameters.pop("include_usage_in_stream", True)
        return request_body(
            self._model,
            prompt,
            self.mode,
            stop=stop,
            parameters=parameters,
            stream=stream,
            include_usage=bool(include_usage),
        )


class OpenAITextModel(OpenAIChatModel):
    """A model behind a client, by `/completions`; arguments as `OpenAIChatModel`."""

    mode: Mode = "text"
    supports_tools = False


def _headers(api_key: str | None, custom: Mapping[str, str]) -> dict[str, str]:
    ours = {
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "sluice-guardrails",
    }
    if api_key:
        ours["Authorization"] = f"Bearer {api_key}"
    replaced = {name.lower() for name in custom}
    kept = {name: value for name, value in ours.items() if name.lower() not in replaced}
    return {**kept, **{name: str(value) for name, value in custom.items()}}


def _secrets(api_key: str | None, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not appear in any text: the key, and the credentials among the headers."""
    given = {api_key or ""}
    for name, value in headers.items():
        if name.lower() in _CREDENTIAL_HEADERS:
            given |= {value, value.rpartition(" ")[2]}
    return tuple(sorted((text for text in given if len(text) >= _SHORTEST_SECRET), key=len, reverse=True))


def _limits(
    timeout: float | None, connect: float | None, first_token: float | None, idle: float | None
) -> TimeLimits:
    given = {"total_s": timeout, "connect_s": connect, "first_token_s": first_token, "idle_s": idle}
    return TimeLimits(**{name: float(value) for name, value in given.items() if value is not None})


def _warn_of_plain_http(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not _is_local(parts.hostname or ""):
        warnings.warn(
            f"The API key for {base_url} would travel unencrypted: use https, or remove the key",
            UserWarning,
            stacklevel=4,
        )


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith((".local", ".localhost")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
