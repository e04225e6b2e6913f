"""The providers behind HTTP: what is sent, what is read, and what happens when a server fails."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loopback import Reply, ScriptedHTTPServer, serving, whole
from nemoguardrails.embeddings.basic import BasicEmbeddingsIndex
from nemoguardrails.embeddings.index import IndexItem
from nemoguardrails.embeddings.providers.http import HTTPEmbeddingModel, close_connections
from nemoguardrails.embeddings.providers.registry import provider_class
from nemoguardrails.exceptions import (
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

KEY = "test-key-1234"
VECTORS = [[1.0, 0.0], [0.0, 1.0]]
TEXTS = ["first", "second"]

OPENAI = {"data": [{"index": 1, "embedding": VECTORS[1]}, {"index": 0, "embedding": VECTORS[0]}]}
COHERE = {"embeddings": {"float": VECTORS}}
GOOGLE = {"embeddings": [{"values": vector} for vector in VECTORS]}


@pytest.fixture(autouse=True)
async def no_connection_is_left() -> AsyncIterator[None]:
    yield
    await close_connections()


@pytest.fixture(autouse=True)
def no_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "NVIDIA", "COHERE", "CO", "GOOGLE", "GEMINI", "AZURE_OPENAI"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


def reply(answer: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Reply(whole(body), status=status, headers={"content-type": "application/json", **named})


def model_at(
    server: ScriptedHTTPServer, engine: str = "openai", name: str | None = "m", **options: Any
) -> Any:
    return provider_class(engine)(name, base_url=server.url, api_key=KEY, **options)


@pytest.mark.parametrize(
    ("engine", "answer", "options", "path", "header", "documents", "queries"),
    [
        (
            "openai",
            OPENAI,
            {"dimensions": 2},
            "/v1/embeddings",
            ("authorization", f"Bearer {KEY}"),
            {"model": "m", "input": TEXTS, "encoding_format": "float", "dimensions": 2},
            {},
        ),
        (
            "nim",
            OPENAI,
            {},
            "/v1/embeddings",
            ("authorization", f"Bearer {KEY}"),
            {
                "model": "m",
                "input": TEXTS,
                "encoding_format": "float",
                "input_type": "passage",
                "truncate": "END",
            },
            {"input_type": "query"},
        ),
        (
            "AzureOpenAI",
            OPENAI,
            {"api_version": "2024-10-21"},
            "/v1/openai/deployments/m/embeddings?api-version=2024-10-21",
            ("api-key", KEY),
            {"input": TEXTS, "encoding_format": "float"},
            {},
        ),
        (
            "cohere",
            COHERE,
            {"truncate": "END"},
            "/v1/v2/embed",
            ("authorization", f"Bearer {KEY}"),
            {
                "model": "m",
                "texts": TEXTS,
                "input_type": "search_document",
                "embedding_types": ["float"],
                "truncate": "END",
            },
            {"input_type": "search_query"},
        ),
        (
            "cohere",
            COHERE,
            {"input_type": "classification"},
            "/v1/v2/embed",
            ("authorization", f"Bearer {KEY}"),
            {"model": "m", "texts": TEXTS, "input_type": "classification", "embedding_types": ["float"]},
            {},
        ),
    ],
)
async def test_requests_and_answers(
    engine: str,
    answer: Any,
    options: dict[str, Any],
    path: str,
    header: tuple[str, str],
    documents: dict[str, Any],
    queries: dict[str, Any],
) -> None:
    async with serving(reply(answer)) as server:
        model = model_at(server, engine, **options)
        assert await model.encode_async(TEXTS) == VECTORS
        assert await model.encode_queries_async(TEXTS) == VECTORS
        stored, searched = server.requests
        assert (stored.method, stored.path) == ("POST", path)
        assert stored.headers[header[0]] == header[1]
        assert stored.json() == documents
        assert searched.json() == {**documents, **queries}
        assert model.embedding_size == 2


async def test_googles_requests_name_task_and_size_for_each_text() -> None:
    async with serving(reply(GOOGLE)) as server:
        model = model_at(server, "google", "gemini-embedding-001", output_dimensionality=2)
        assert await model.encode_async(TEXTS) == VECTORS
        await model.encode_queries_async(TEXTS)
        stored, searched = server.requests
        assert stored.path == "/v1/models/gemini-embedding-001:batchEmbedContents"
        assert stored.headers["x-goog-api-key"] == KEY
        assert stored.json()["requests"][1] == {
            "model": "models/gemini-embedding-001",
            "taskType": "RETRIEVAL_DOCUMENT",
            "outputDimensionality": 2,
            "content": {"parts": [{"text": "second"}]},
        }
        assert {one["taskType"] for one in searched.json()["requests"]} == {"RETRIEVAL_QUERY"}


async def test_many_texts_go_in_several_requests_over_one_connection() -> None:
    def answer(request: Any) -> Reply:
        texts = request.json()["input"]
        return reply({"data": [{"index": i, "embedding": [float(text)]} for i, text in enumerate(texts)]})

    async with serving(choose=answer) as server:
        vectors = await model_at(server).encode_async([str(number) for number in range(200)])
        assert vectors == [[float(number)] for number in range(200)]
        assert [len(request.json()["input"]) for request in server.requests] == [96, 96, 8]
        assert server.connections == 1


async def test_models_share_the_connections_of_a_loop() -> None:
    async with serving(reply(OPENAI)) as server:
        await model_at(server).encode_async(TEXTS)
        await model_at(server, "nim").encode_async(TEXTS)
        assert server.connections == 1


def test_each_loop_has_its_own_connections_and_they_end_with_it() -> None:
    async def once() -> int:
        async with serving(reply(OPENAI)) as server:
            await model_at(server).encode_async(TEXTS)
            return server.connections

    assert [asyncio.run(once()) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, LLMBadRequestError),
        (401, LLMAuthenticationError),
        (403, LLMAuthenticationError),
        (404, LLMClientError),
        (422, LLMBadRequestError),
    ],
)
async def test_a_refusal_is_a_typed_error_and_is_not_repeated(
    status: int, kind: type[LLMClientError]
) -> None:
    async with serving(reply({"error": {"message": f"no entry for {KEY}"}}, status)) as server:
        with pytest.raises(kind) as caught:
            await model_at(server).encode_async(TEXTS)
        assert type(caught.value) is kind
        assert "no entry for ***" in str(caught.value)
        assert f"[{status}] (model=m, provider=openai" in str(caught.value)
        assert KEY not in str(caught.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, LLMRateLimitError), (500, LLMServerError), (503, LLMServerError)]
)
async def test_what_may_pass_is_repeated(status: int, kind: type[LLMClientError]) -> None:
    busy = reply({"message": "busy"}, status, retry_after="0")
    async with serving(busy, busy, reply(OPENAI)) as server:
        assert await model_at(server).encode_async(TEXTS) == VECTORS
        assert len(server.requests) == 3
    async with serving(busy) as server:
        with pytest.raises(kind, match="busy"):
            await model_at(server, max_retries=1).encode_async(TEXTS)
        assert len(server.requests) == 2


async def test_a_server_that_does_not_answer_in_time() -> None:
    async with serving(Reply(gates={0: asyncio.Event()}, packets=[b"late"])) as server:
        with pytest.raises(LLMTimeoutError, match=r"0\.05 s"):
            await model_at(server, timeout=0.05, max_retries=0).encode_async(TEXTS)


async def test_a_server_that_cannot_be_reached_or_breaks_off() -> None:
    async with serving(Reply(packets=[b'{"data": ['], ending="cut")) as server:
        model = model_at(server, max_retries=0)
        with pytest.raises(LLMConnectionError):
            await model.encode_async(TEXTS)
    with pytest.raises(LLMConnectionError):
        await model.encode_async(TEXTS)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"<html>hello</html>", "is not JSON"),
        ({"object": "list"}, "has no embeddings"),
        ([], "has no embeddings"),
        ({"data": [{"index": 0, "embedding": "AAAA"}] * 2}, "has no embeddings"),
        ({"data": OPENAI["data"][:1]}, "does not hold 2 embeddings"),
        ({"data": [{"index": 0, "embedding": []}] * 2}, "does not hold 2 embeddings"),
    ],
)
async def test_an_answer_of_another_shape_is_refused(answer: Any, fault: str) -> None:
    async with serving(reply(answer)) as server:
        with pytest.raises(LLMResponseValidationError, match=fault):
            await model_at(server).encode_async(TEXTS)


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with serving(reply(OPENAI)) as other, serving(reply(b"", 307, location=other.url)) as server:
        with pytest.raises(LLMClientError):
            await model_at(server).encode_async(TEXTS)
        assert other.requests == []


@pytest.mark.parametrize(
    ("engine", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("nim", "NVIDIA_API_KEY"),
        ("cohere", "COHERE_API_KEY"),
        ("google", "GOOGLE_API_KEY"),
    ],
)
def test_a_missing_key_names_the_variable_and_a_set_one_is_taken(
    engine: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidModelConfigurationError, match=variable):
        provider_class(engine)()
    with pytest.raises(InvalidModelConfigurationError, match="MY_KEY"):
        provider_class(engine)(api_key_env_var="MY_KEY")
    monkeypatch.setenv(variable, KEY)
    assert isinstance(provider_class(engine)(), HTTPEmbeddingModel)


async def test_an_own_server_needs_no_key_and_the_key_can_stand_in_a_variable_of_any_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    async with serving(reply(OPENAI)) as server:
        await provider_class("openai")("m", base_url=server.url).encode_async(TEXTS)
        await provider_class("openai")("m", base_url=server.url, api_key_env_var="MY_KEY").encode_async(TEXTS)
        assert "authorization" not in server.requests[0].headers
        assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


async def test_azure_takes_address_version_and_key_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    azure = provider_class("azure")
    with pytest.raises(InvalidModelConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        azure("deployment")
    async with serving(reply(OPENAI)) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url + "/")
        with pytest.raises(InvalidModelConfigurationError, match="AZURE_OPENAI_API_VERSION"):
            azure("deployment")
        monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "v1")
        with pytest.raises(InvalidModelConfigurationError, match="AZURE_OPENAI_API_KEY"):
            azure("deployment")
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        with pytest.raises(InvalidModelConfigurationError, match="no model is named"):
            azure()
        await azure("my deployment").encode_async(TEXTS)
        assert server.requests[0].path == "/v1/openai/deployments/my%20deployment/embeddings?api-version=v1"
        assert server.requests[0].headers["api-key"] == KEY


def test_known_sizes_cost_no_call_and_unknown_ones_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert provider_class("openai")("text-embedding-3-large").embedding_size == 3072
    assert provider_class("cohere")("embed-english-light-v3.0", api_key=KEY).embedding_size == 384
    assert provider_class("google")(api_key=KEY).embedding_size == 3072

    async def probed() -> tuple[ScriptedHTTPServer, int]:
        async with serving(reply({"data": [{"index": 0, "embedding": [1, 2, 3]}]})) as server:
            model = model_at(server)
            with pytest.raises(RuntimeError, match="await encode_async"):
                _ = model.embedding_size
            return server, await asyncio.to_thread(lambda: model.embedding_size)

    server, size = asyncio.run(probed())
    assert (size, len(server.requests)) == (3, 1)


async def test_a_search_tells_documents_from_the_query_and_asks_once_for_each() -> None:
    def answer(request: Any) -> Reply:
        texts = request.json()["texts"]
        return reply({"embeddings": {"float": [[1.0, float(len(text))] for text in texts]}})

    async with serving(choose=answer) as server:
        parameters = {"base_url": server.url, "api_key": KEY}
        index = BasicEmbeddingsIndex("m", "cohere", parameters)
        await index.add_items([IndexItem("a"), IndexItem("a long text")])
        assert server.requests == []
        assert [item.text for item in await index.search("b", 1)] == ["a"]
        kinds = [request.json()["input_type"] for request in server.requests]
        assert kinds == ["search_document", "search_query"]
        assert KEY not in index.choice.identity()
        assert KEY not in repr(index.choice)
