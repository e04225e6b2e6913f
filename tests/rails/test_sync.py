"""The synchronous methods: for code without an event loop, and refused inside one."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from guarded import HI, app, inputs
from nemoguardrails.rails.options import RailStatus

REFUSES = 'define subflow chk\n  if "bomb" in $user_message\n    bot refuse to respond\n    stop\n'


def test_generate():
    made = app(None, None, "Hello", "again")
    assert made.generate(prompt="hi") == "Hello"
    assert made.generate(messages=HI, options={}).response == [{"role": "assistant", "content": "again"}]


def test_check():
    made = app(REFUSES, inputs("chk"))
    assert made.check([{"role": "user", "content": "a bomb"}]).status == RailStatus.BLOCKED


def test_in_worker_threads():
    made = app(None, None, *["ok"] * 8)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: made.generate(prompt=str(n)), range(8))) == ["ok"] * 8


def test_process_events_is_for_the_other_language():
    with pytest.raises(NotImplementedError, match=r"Colang 2\.x; with Colang 1\.0 use generate_events_async"):
        app(None, None).process_events([])


def test_errors_are_raised():
    with pytest.raises(ValueError, match="Either prompt or messages"):
        app(None, None).generate()


@pytest.mark.parametrize(
    ("name", "argument"), [("generate", "hi"), ("check", HI), ("generate_events", []), ("process_events", [])]
)
async def test_inside_a_running_loop(name, argument):
    with pytest.raises(RuntimeError) as caught:
        getattr(app(None, None, "never"), name)(argument)
    assert str(caught.value).startswith(
        f"You are using the sync `{name}` inside async code. You should replace with "
        f"`await {name}_async(...)`"
    )
