"""The fixtures for users' tests, run in a test suite of their own."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

pytest_plugins = ["pytester"]


def test_the_fixtures_do_what_they_say(pytester):
    pytester.makeconftest('pytest_plugins = ["nemoguardrails.testing.fixtures"]')
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        """
        import asyncio

        async def test_model(fake_llm):
            assert (await fake_llm("one").generate_async("q")).content == "one"

        async def test_http(recording_http_client):
            assert await (await recording_http_client.get("http://h")).json() == {}

        async def test_clean(no_task_left_behind):
            await asyncio.create_task(asyncio.sleep(0))

        kept = []

        async def test_leaky(no_task_left_behind):
            kept.append(asyncio.create_task(asyncio.Event().wait()))
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*The test left tasks behind:*"])
