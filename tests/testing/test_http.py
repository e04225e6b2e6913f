"""The HTTP client for users' tests."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import aiohttp
import pytest

from nemoguardrails.testing import HTTPAnswer, RecordingHTTPClient


async def test_requests_are_recorded_and_answers_given_in_order():
    client = RecordingHTTPClient([{"a": 1}, HTTPAnswer(text="plain", status=404, headers={"X": "y"})])
    async with client.post("http://h/one", json={"q": 1}, headers={"K": "v"}, timeout=3) as response:
        assert (response.status, response.ok) == (200, True)
        assert await response.json() == {"a": 1}
        assert await response.read() == b'{"a": 1}'
        response.raise_for_status()
    response = await client.get("http://h/two", params={"p": 1})
    assert (response.status, response.ok, response.headers, await response.text()) == (
        404,
        False,
        {"X": "y"},
        "plain",
    )
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        response.raise_for_status()
    assert raised.value.status == 404
    first, second = client.requests
    assert (first.method, first.url, first.json, first.headers) == (
        "POST",
        "http://h/one",
        {"q": 1},
        {"K": "v"},
    )
    assert first.options == {"timeout": 3}
    assert (second.method, second.params) == ("GET", {"p": 1})


async def test_answers_may_be_errors_or_functions_of_the_request():
    client = RecordingHTTPClient([TimeoutError("slow"), lambda request: HTTPAnswer(json=request.json)])
    with pytest.raises(TimeoutError, match="slow"):
        await client.put("http://h")
    assert await (await client.patch("http://h", json=[1])).json() == [1]


async def test_without_answer_there_is_the_default_or_an_error():
    with pytest.raises(RuntimeError, match="No answer was prepared for request 1: DELETE http://h"):
        await RecordingHTTPClient().delete("http://h")
    client = RecordingHTTPClient(default=HTTPAnswer(json=1))
    assert [await (await client.get("http://h")).json() for _ in range(2)] == [1, 1]


async def test_closing_is_noted():
    async with RecordingHTTPClient() as client:
        assert not client.closed
    assert client.closed
