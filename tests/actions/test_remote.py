"""Actions that run on an actions server, against a real server on the loopback interface."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from nemoguardrails.actions import action
from nemoguardrails.actions.dispatcher import CallScope, Dispatcher
from nemoguardrails.actions.registry import ActionRegistry
from nemoguardrails.actions.remote import ActionServer
from nemoguardrails.exceptions import ActionServerError, ConfigurationError


class Answering:
    """What the test server was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.tokens: list[str | None] = []
        self.connections: set[tuple] = set()
        self.answer: dict | str = {"status": "success", "result": None}
        self.status = 200
        self.delay: asyncio.Event | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.tokens.append(request.headers.get("Authorization"))
        self.connections.add(request.transport.get_extra_info("peername"))
        if self.delay:
            await self.delay.wait()
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """A running server."""
    answering = Answering()
    app = web.Application()
    app.router.add_post("/v1/actions/run", answering.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    answering.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield answering
    if answering.delay:
        answering.delay.set()
    await runner.cleanup()


@pytest.fixture
async def server(answering: Answering) -> AsyncIterator[ActionServer]:
    """A client of it."""
    server = ActionServer(answering.url + "/")
    yield server
    await server.aclose()


def dispatcher_for(server: ActionServer, tmp_path: Path) -> Dispatcher:
    registry = ActionRegistry(library=tmp_path)

    @action(name="local", is_system_action=True)
    async def local(context):
        return "here"

    @action(name="mine")
    async def mine():
        return "here"

    registry.register(local)
    registry.register(mine)
    return Dispatcher(registry, {"llm": "model"}, server)


async def test_all_but_system_actions_run_there_with_explicit_parameters_only(answering, server, tmp_path):
    dispatcher = dispatcher_for(server, tmp_path)
    answering.answer = {"status": "success", "result": {"any": ["json", 1]}}
    scope = CallScope(context={"x": 1}, keywords={"k": 1})
    assert (await dispatcher.run("local", {}, scope)).value == "here"
    assert (await dispatcher.run("mine", {"a": 1}, scope)).value == {"any": ["json", 1]}
    assert (await dispatcher.run("only_there", {}, scope)).value == {"any": ["json", 1]}
    assert answering.asked == [
        {"action_name": "mine", "action_parameters": {"a": 1}},
        {"action_name": "only_there", "action_parameters": {}},
    ]
    assert len(answering.connections) == 1


async def test_an_action_result_comes_back_as_one(answering, server, tmp_path):
    result = {"return_value": 1, "events": [{"type": "E"}], "context_updates": {"x": 2}}
    answering.answer = {"status": "success", "result": result}
    end = await dispatcher_for(server, tmp_path).run("mine", {}, CallScope())
    assert (end.value, list(end.events), end.context_updates) == (1, [{"type": "E"}], {"x": 2})


@pytest.mark.parametrize(
    ("status", "answer", "text"),
    [
        (500, {"status": "success", "result": 1}, "answered 500"),
        (200, {"status": "failed", "result": None}, "did not succeed"),
        (200, ["success"], "did not succeed"),
        (200, "not json", "JSONDecodeError"),
    ],
)
async def test_everything_else_is_a_failure(answering, server, tmp_path, status, answer, text):
    answering.status, answering.answer = status, answer
    end = await dispatcher_for(server, tmp_path).run("mine", {}, CallScope())
    assert end.kind == "raised"
    assert isinstance(end.error, ActionServerError)
    assert text in str(end.error)
    assert "'mine'" in str(end.error)


async def test_no_answer_in_time_is_a_failure(answering):
    answering.delay = asyncio.Event()
    server = ActionServer(answering.url, timeout_s=0.05)
    with pytest.raises(ActionServerError, match=r"no answer within 0\.05 s"):
        await server.run("mine", {})
    await server.aclose()


async def test_no_server_is_a_failure(unused_tcp_port):
    server = ActionServer(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ActionServerError, match="ClientConnectorError"):
        await server.run("mine", {})
    await server.aclose()


async def test_parameters_that_are_not_json_are_a_failure(server):
    with pytest.raises(ActionServerError, match="TypeError"):
        await server.run("mine", {"a": object()})


async def test_the_token_is_sent(answering, monkeypatch):
    monkeypatch.setenv("ACTIONS_TOKEN", "secret")
    server = ActionServer(answering.url, token_env_var="ACTIONS_TOKEN")
    await server.run("mine", {})
    await server.aclose()
    assert answering.tokens == ["Bearer secret"]


def test_a_token_that_is_not_set_is_an_error(monkeypatch):
    monkeypatch.delenv("ACTIONS_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="ACTIONS_TOKEN is not set"):
        ActionServer("http://localhost", token_env_var="ACTIONS_TOKEN")


async def test_closing_twice_is_allowed(server, answering):
    await server.run("mine", {})
    await server.aclose()
    await server.aclose()
    await server.run("mine", {})
    assert len(answering.asked) == 2
