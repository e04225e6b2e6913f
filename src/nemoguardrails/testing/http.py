"""An HTTP client that sends nothing: it records requests and gives prepared answers."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request that would have been sent."""

    method: str
    url: str
    json: Any = None
    data: Any = None
    params: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """The other keyword arguments, such as `timeout`."""


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """A prepared answer: `json`, or `text` where that is given."""

    json: Any = None
    status: int = 200
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Script: TypeAlias = "HTTPAnswer | BaseException | Callable[[RecordedRequest], HTTPAnswer]"


class RecordingHTTPClient:
    """Stands in for an `aiohttp.ClientSession`; register it under the parameter `http_client`.

    Requests may be awaited or entered with `async with`. Their responses have `status`, `ok`,
    `reason`, `headers`, `url`, `json()`, `text()`, `read()`, `release()` and `raise_for_status()`.

    Args:
        answers: given in order, one per request: an `HTTPAnswer`, an exception to raise, or a
            function of the request. Any other value is the JSON of an answer with status 200.
        default: is given when the answers have run out.

    Attributes:
        requests: what would have been sent, in order.
        closed: whether `close` was called.
    """

    def __init__(self, answers: Iterable[Any] = (), *, default: Script | None = None) -> None:
        self._answers = [_script(answer) for answer in answers]
        self._default = default
        self.requests: list[RecordedRequest] = []
        self.closed = False

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        data: Any = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> _Exchange:
        """Records a request; awaiting or entering it gives the answer.

        Raises:
            RuntimeError: when awaited, if no answer was prepared.
        """
        made = RecordedRequest(method.upper(), str(url), json, data, params, dict(headers or {}), options)
        return _Exchange(lambda: self._answered(made))

    def get(self, url: str, **options: Any) -> _Exchange:
        """A `GET` request."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> _Exchange:
        """A `POST` request."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> _Exchange:
        """A `PUT` request."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> _Exchange:
        """A `PATCH` request."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> _Exchange:
        """A `DELETE` request."""
        return self.request("DELETE", url, **options)

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True

    async def __aenter__(self) -> RecordingHTTPClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _answered(self, request: RecordedRequest) -> RecordedResponse:
        self.requests.append(request)
        script = self._answers.pop(0) if self._answers else self._default
        if script is None:
            raise RuntimeError(
                f"No answer was prepared for request {len(self.requests)}: {request.method} {request.url}"
            )
        if isinstance(script, BaseException):
            raise script
        return RecordedResponse(script if isinstance(script, HTTPAnswer) else script(request), request.url)


class RecordedResponse:
    """The response to a recorded request."""

    def __init__(self, answer: HTTPAnswer, url: str) -> None:
        self._answer = answer
        self.status = answer.status
        self.ok = answer.status < 400
        self.reason = "OK" if self.ok else "Error"
        self.headers = dict(answer.headers)
        self.url = url

    async def text(self, encoding: str | None = None) -> str:
        """The body."""
        return json.dumps(self._answer.json) if self._answer.text is None else self._answer.text

    async def json(self, **options: Any) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(await self.text())

    async def read(self) -> bytes:
        """The body as bytes."""
        return (await self.text()).encode()

    def release(self) -> None:
        """Does nothing; there is no connection."""

    def raise_for_status(self) -> None:
        """Raises for a status of 400 and above.

        Raises:
            aiohttp.ClientResponseError: as a real response does.
        """
        if self.ok:
            return
        from aiohttp import ClientResponseError, RequestInfo
        from multidict import CIMultiDict, CIMultiDictProxy
        from yarl import URL

        info = RequestInfo(URL(self.url), "", CIMultiDictProxy(CIMultiDict()), URL(self.url))
        raise ClientResponseError(info, (), status=self.status, message=self.reason)

    async def __aenter__(self) -> RecordedResponse:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.release()


class _Exchange:
    """A request that is made when it is awaited or entered."""

    def __init__(self, make: Callable[[], Awaitable[RecordedResponse]]) -> None:
        self._make = make

    def __await__(self) -> Generator[Any, None, RecordedResponse]:
        return self._make().__await__()

    async def __aenter__(self) -> RecordedResponse:
        return await self._make()

    async def __aexit__(self, *error: object) -> None:
        return None


def _script(answer: Any) -> Script:
    if isinstance(answer, (HTTPAnswer, BaseException)) or callable(answer):
        return answer  # type: ignore[no-any-return]  # a callable is taken for a function of the request
    return HTTPAnswer(json=answer)
