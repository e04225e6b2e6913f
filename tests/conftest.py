"""Hypothesis profiles, and a check that no asynchronous test leaves a task behind."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile("quick", max_examples=60, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("nightly", max_examples=3000, deadline=None, suppress_health_check=_QUIET)
# For tests/streaming/mutants.py, which only asks whether a test fails.
settings.register_profile(
    "mutants",
    max_examples=200,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=_QUIET,
)
_NIGHTLY = "nightly" if os.environ.get("SLUICE_NIGHTLY") == "1" else "quick"
settings.load_profile(os.environ.get("SLUICE_PROFILE", _NIGHTLY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests that run in a loop get the fixture: it would start a loop for the others."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_task_is_left")


@pytest_asyncio.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
