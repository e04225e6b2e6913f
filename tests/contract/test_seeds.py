"""Every Python snippet of the founding documents runs as it stands; a loopback server is the model."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import openai
import pytest

from guarded import NO_SECRETS, output
from loopback import Reply, ScriptedHTTPServer, SeenRequest, delta, eventwise, serving, sse, usage_event
from nemoguardrails import LLMRails, RailsConfig
from recordings import SHARED

SEEDS = sorted((SHARED / "seeds").glob("*.md"))
WORDS = ["The ", "capital ", "is ", "Paris."]
YAML = """
models:
  - type: main
    engine: openai
    model: gpt-4o
    parameters:
      base_url: {url}
      api_key: test
{more}
"""
OUTPUT_RAILS = output("no secrets")

pytestmark = pytest.mark.skipif(not SEEDS, reason="the founding documents (shared/seeds) are not here")


def snippets(pattern: str) -> list[str]:
    """The Python blocks of the documents that contain a text, dedented."""
    found = []
    for path in SEEDS:
        for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            if pattern in block:
                found.append(textwrap.dedent(block))
    return found


async def run(snippet: str, **names: Any) -> dict[str, Any]:
    """Runs a snippet whose top level may await, as in a notebook."""
    space: dict[str, Any] = {"__name__": "seed", **names}
    code = compile(snippet, "seed", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(code, space)
    if inspect.isawaitable(made):
        await made
    return space


def answer(request: SeenRequest) -> Reply:
    """A chat completion: as a stream of four tokens with usage, or whole."""
    if request.json().get("stream"):
        asks_for_usage = (request.json().get("stream_options") or {}).get("include_usage")
        usage = [usage_event(75, 9)] if asks_for_usage else []
        events = [*map(delta, WORDS), delta(finish="stop"), *usage]
        return Reply(eventwise(sse(*events)), headers={"Content-Type": "text/event-stream"})
    whole = {
        "id": "1",
        "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "".join(WORDS)}}],
        "usage": {"prompt_tokens": 75, "completion_tokens": 9, "total_tokens": 84},
    }
    return Reply([json.dumps(whole).encode()])


@pytest.fixture
async def server() -> AsyncIterator[ScriptedHTTPServer]:
    async with serving(choose=answer) as running:
        yield running


@contextmanager
def server_of_another_loop() -> Iterator[ScriptedHTTPServer]:
    """The server in a thread of its own, for snippets that use the synchronous methods."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    server = ScriptedHTTPServer(choose=answer)
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def config_for(server: ScriptedHTTPServer, more: str = "", colang: str | None = None) -> RailsConfig:
    return RailsConfig.from_content(colang, YAML.format(url=server.url, more=more))


async def test_simple_streaming(server: ScriptedHTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    found = snippets("async for chunk in app.stream_async(messages=history)")
    assert len(found) == 2
    for snippet in found:
        await run(snippet, config=config_for(server))
        assert capsys.readouterr().out == "".join(f"CHUNK: {word}\n" for word in WORDS)


async def test_legacy_streaming_key_changes_nothing(
    server: ScriptedHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for snippet in snippets("async for chunk in app.stream_async(messages=history)"):
        await run(snippet, config=config_for(server, "streaming: True"))
        assert capsys.readouterr().out.count("CHUNK: ") == len(WORDS)


async def test_handler_receives_tokens_and_the_call_returns_the_answer(
    server: ScriptedHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = snippets("asyncio.create_task(process_tokens())")
    assert len(found) == 2
    for snippet in found:
        space = await run(snippet, config=config_for(server), asyncio=asyncio)
        for _ in range(3):
            await asyncio.sleep(0)
        printed = capsys.readouterr().out
        assert [line for line in printed.splitlines() if line.startswith("CHUNK")] == [
            f"CHUNK: {word}" for word in WORDS
        ]
        assert space["result"] == {"role": "assistant", "content": "".join(WORDS)}


async def test_external_generator(server: ScriptedHTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = snippets("my_token_generator")
    for more, colang in (("", None), (OUTPUT_RAILS, NO_SECRETS)):
        await run(snippet, config=config_for(server, more, colang))
        assert capsys.readouterr().out == "CHUNK: Hello\nCHUNK:  \nCHUNK: world\nCHUNK: !\n"
    assert server.requests == []


async def test_a_client_of_another_library_as_generator(
    server: ScriptedHTTPServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (snippet,) = snippets("openai_streaming_generator")

    clients: list[openai.AsyncOpenAI] = []

    class ChatCompletion:
        """The entry point of the client's first major version, over the present client."""

        @staticmethod
        async def create(**arguments: Any) -> Any:
            clients.append(openai.AsyncOpenAI(base_url=server.url, api_key="test"))
            return await clients[-1].chat.completions.create(**arguments)

    monkeypatch.setitem(vars(openai), "ChatCompletion", ChatCompletion)
    folder = tmp_path / "config" / "with_output_rails"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(YAML.format(url=server.url, more=OUTPUT_RAILS))
    (folder / "rails.co").write_text(NO_SECRETS)
    monkeypatch.chdir(tmp_path)
    names = {"AsyncIterator": AsyncIterator, "RailsConfig": RailsConfig, "LLMRails": LLMRails}
    await run(snippet, messages=[{"role": "user", "content": "Tell me a story"}], **names)
    assert capsys.readouterr().out == "".join(WORDS)
    for client in clients:
        await client.close()


async def test_metadata_has_the_shape_of_the_documents(
    server: ScriptedHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = snippets("include_metadata=True):")
    messages = [{"role": "user", "content": "hi"}]
    await run(snippet, rails=LLMRails(config_for(server)), messages=messages)
    chunks = [ast.literal_eval(line) for line in capsys.readouterr().out.splitlines()]
    assert chunks[:-1] == [{"text": word} for word in WORDS]
    last = chunks[-1]
    assert last["text"] == ""
    assert last["metadata"]["response_metadata"] == {"finish_reason": "stop", "model_name": "test-model"}
    assert last["metadata"]["usage_metadata"] == {"input_tokens": 75, "output_tokens": 9, "total_tokens": 84}


async def test_the_documented_chunks_are_literals() -> None:
    (snippet,) = snippets('{"text": "Hello"}')
    space = await run(f"chunks = [\n{snippet.replace('}' + chr(10) + '{', '},' + chr(10) + '{')}]")
    assert [chunk["text"] for chunk in space["chunks"]] == ["Hello", "!", ""]


def test_log_of_the_model_calls_with_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = snippets("for llm_call in response.log.llm_calls")
    (summary,) = snippets("print_llm_calls_summary")
    with server_of_another_loop() as server:
        rails = LLMRails(config_for(server))
        space = {"rails": rails, "messages": [{"role": "user", "content": "hi"}]}
        exec(snippet, space)
        assert capsys.readouterr().out.splitlines() == [
            "Task: general",
            "Total tokens: 84",
            "Prompt tokens: 75",
            "Completion tokens: 9",
        ]
        exec(summary, space)
    assert "Summary: 1 LLM call(s) took" in capsys.readouterr().out
