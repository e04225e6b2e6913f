"""Pytest fixtures; use them with `pytest_plugins = ["nemoguardrails.testing.fixtures"]`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from .chat import TestChat
from .fake_model import FakeLLMModel
from .http import HTTPAnswer, RecordingHTTPClient

try:
    from pytest_asyncio import fixture as _async_fixture
except ImportError:  # Another plugin runs the asynchronous tests.
    _async_fixture = pytest.fixture  # type: ignore[assignment]  # the same but for its `loop_scope`


@pytest.fixture
def fake_llm() -> Callable[..., FakeLLMModel]:
    """Makes a scripted model: `fake_llm("first answer", "second answer")`."""

    def make(*responses: str, **options: Any) -> FakeLLMModel:
        return FakeLLMModel(responses=responses, **options)

    return make


@pytest.fixture
def make_chat() -> Callable[..., TestChat]:
    """Makes a chat from a configuration or its texts: `make_chat(colang, yaml, ["an answer"])`.

    The first two arguments are the Colang and the YAML text; further ones are those of `TestChat`.
    """

    def make(colang: str | None, yaml: str | None, *args: Any, **options: Any) -> TestChat:
        from ..config.rails_config import RailsConfig

        return TestChat(RailsConfig.from_content(colang, yaml), *args, **options)

    return make


@pytest.fixture
def recording_http_client() -> RecordingHTTPClient:
    """An HTTP client without prepared answers; every request is answered with `{}`."""
    return RecordingHTTPClient(default=HTTPAnswer(json={}))


@_async_fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Fails a test that leaves a task running; use it in asynchronous tests."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    if left:
        names = "\n".join(f"  {task!r}" for task in left)
        pytest.fail(f"The test left tasks behind:\n{names}")
