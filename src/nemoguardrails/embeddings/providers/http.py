"""Embedding models behind HTTP: one small JSON client, with retries and typed errors, for every provider."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ...exceptions import (
    InvalidModelConfigurationError,
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMConnectionError,
    LLMRateLimitError,
    LLMResponseValidationError,
    LLMServerError,
    LLMTimeoutError,
)
from .base import EmbeddingModel

if TYPE_CHECKING:
    import aiohttp

MAX_TEXTS = 96
"""How many texts one request carries at most; the providers' own limits begin there."""

_MAX_ERROR_CHARS = 500
_MAX_WAIT_S = 30.0
_RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504})
_ERRORS: Mapping[int, type[LLMClientError]] = {
    400: LLMBadRequestError,
    401: LLMAuthenticationError,
    403: LLMAuthenticationError,
    408: LLMTimeoutError,
    422: LLMBadRequestError,
    429: LLMRateLimitError,
}


class Call(NamedTuple):
    """One request: its path below the base URL, and its body."""

    path: str
    body: Mapping[str, Any]


class HTTPEmbeddingModel(EmbeddingModel):
    """A provider's model; a subclass says how a request and an answer look.

    Args:
        model: the name of the model at the provider.
        api_key: the key; else the environment variable `api_key_env_var`, else the provider's own one.
        base_url: another server of the same protocol, which then may need no key.
        timeout: seconds for one request.
        max_retries: how often a request is repeated that may go through later.
        batch_size: texts in one request, at most.
        default_headers: sent with each request.
        options: further keys of the request's body, as the provider names them.

    Raises:
        InvalidModelConfigurationError: no model or no key is given where the provider needs one.
    """

    default_base_url: ClassVar[str] = ""
    key_variables: ClassVar[tuple[str, ...]] = ()
    known_sizes: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: str | None = None,
        api_key_env_var: str | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
        batch_size: int = MAX_TEXTS,
        default_headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        name = model or self.default_model
        if not name:
            raise InvalidModelConfigurationError(
                f"embeddings, engine {self.engine_name}: no model is named; set `model`"
            )
        self.model = name
        self._base_url = (base_url or self.default_base_url).rstrip("/")
        self._key = self._found_key(api_key, api_key_env_var, is_needed=base_url is None)
        self._timeout_s = timeout
        self._max_retries = max_retries
        self._batch_size = max(1, min(batch_size, MAX_TEXTS))
        self._headers = dict(default_headers or {})
        self._options = options
        self._size = self.known_sizes.get(name) if base_url is None and not self._sets_size() else None

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        """One vector for each text, in their order.

        Raises:
            LLMClientError: the server answered with an error, not as it should, or not at all.
        """
        return await self._encoded(documents, is_query=False)

    async def encode_queries_async(self, queries: list[str]) -> list[list[float]]:
        """As `encode_async`, for texts that are searched for."""
        return await self._encoded(queries, is_query=True)

    def _request(self, texts: Sequence[str], *, is_query: bool) -> Call:
        """How the provider is asked for the vectors of some texts."""
        raise NotImplementedError

    def _vectors(self, answer: Any) -> list[list[float]]:
        """The vectors in the provider's answer, in the order of the texts.

        May raise `LookupError`, `TypeError` or `ValueError` for an answer of another shape.
        """
        raise NotImplementedError

    def _key_headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def _sets_size(self) -> bool:
        """Whether the options ask for vectors of a size that is not the model's own."""
        return any("dimension" in name for name in self._options)

    def _found_key(self, given: str | None, variable: str | None, *, is_needed: bool) -> str | None:
        variables = (variable,) if variable else self.key_variables
        key = given or next((value for name in variables if (value := os.environ.get(name))), None)
        if key is None and (is_needed or variable):
            raise InvalidModelConfigurationError(
                f"embeddings, engine {self.engine_name}: no API key; set {' or '.join(variables)} in the "
                "environment, or `api_key_env_var` to the variable that holds it"
            )
        return key

    async def _encoded(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._batch_size):
            part = texts[start : start + self._batch_size]
            vectors += self._read(await self._answer(self._request(part, is_query=is_query)), len(part))
        if vectors:
            self._size = len(vectors[0])
        return vectors

    def _read(self, answer: Any, count: int) -> list[list[float]]:
        try:
            vectors = [[float(number) for number in vector] for vector in self._vectors(answer)]
        except (LookupError, TypeError, ValueError) as error:
            raise self._unreadable(answer, "has no embeddings where they belong") from error
        if len(vectors) != count or len({len(vector) for vector in vectors}) > 1 or not all(vectors):
            raise self._unreadable(answer, f"does not hold {count} embeddings of one size")
        return vectors

    async def _answer(self, call: Call) -> Any:
        for attempt in range(self._max_retries):
            try:
                return await self._asked(call)
            except LLMClientError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(_pause_s(error, attempt))
        return await self._asked(call)

    async def _asked(self, call: Call) -> Any:
        import aiohttp

        session = await _session()
        keys = self._key_headers(self._key) if self._key else {}
        try:
            async with session.post(
                self._base_url + call.path,
                json=call.body,
                headers={**keys, **self._headers},
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except TimeoutError as error:
            raise self._failed(LLMTimeoutError, 0, f"No answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(LLMConnectionError, 0, f"{type(error).__name__}: {error}") from error
        if response.status != 200:
            raise self._refused(response.status, body, response.headers)
        try:
            return json.loads(body)
        except ValueError as error:
            raise self._unreadable(body.decode(errors="replace"), "is not JSON") from error

    def _refused(self, status: int, body: bytes, headers: Mapping[str, str]) -> LLMClientError:
        kind = _ERRORS.get(status, LLMServerError if status >= 500 else LLMClientError)
        error = self._failed(kind, status, _message(body) or "The server gave no reason", headers)
        error.retryable = status in _RETRYABLE
        return error

    def _failed(
        self, kind: type[LLMClientError], status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> LLMClientError:
        return kind(
            status,
            text.replace(self._key, "***") if self._key else text,
            response_headers=headers,
            model_name=self.model,
            provider_name=self.engine_name,
            base_url=self._base_url,
        )

    def _unreadable(self, answer: Any, fault: str) -> LLMResponseValidationError:
        return LLMResponseValidationError(
            f"The answer of the embedding server {fault}",
            response_data=answer,
            model_name=self.model,
            provider_name=self.engine_name,
            base_url=self._base_url,
        )


class _Pool:
    """The connections of one event loop; they are closed with it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._guard = self._until_closed(loop)
        await anext(self._guard)

    async def close(self) -> None:
        await self._guard.aclose()

    async def _until_closed(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """A loop closes the generators that were begun on it: that is the only sign of its end."""
        try:
            yield
        finally:
            _pools.pop(loop, None)
            await self.session.close()


_pools: dict[asyncio.AbstractEventLoop, _Pool] = {}


async def close_connections() -> None:
    """Closes the connections of the running loop; the next request opens new ones."""
    pool = _pools.get(asyncio.get_running_loop())
    if pool is not None:
        await pool.close()


async def _session() -> aiohttp.ClientSession:
    """The session of the running loop. It holds no keys and no cookies, so all models share it."""
    import aiohttp

    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None or pool.session.closed:
        for ended in [other for other in _pools if other.is_closed()]:
            _pools.pop(ended).session.detach()
        pool = _pools[loop] = _Pool(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)
        )
        await pool.open(loop)
    return pool.session


def _pause_s(error: LLMClientError, attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, else twice as long each time."""
    named = {name.lower(): value for name, value in error.response_headers.items()}.get("retry-after", "")
    try:
        asked_s = float(named)
    except ValueError:
        asked_s = 0.5 * 2**attempt
    return min(max(asked_s, 0.0), _MAX_WAIT_S)


def _message(body: bytes) -> str:
    """The words of an error, where the body has them in one of the usual places."""
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        return text[:_MAX_ERROR_CHARS]
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    return (found if isinstance(found, str) else json.dumps(found))[:_MAX_ERROR_CHARS]
