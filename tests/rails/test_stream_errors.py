"""A model or a request that fails while a stream runs."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from guarded import HI, app, evented, inputs, output, streamed
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.exceptions import (
    LLMCallException,
    LLMConnectionError,
    LLMContextWindowError,
    LLMRateLimitError,
)
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.events import Failed, TextDelta
from nemoguardrails.testing import FakeLLMModel
from scripted_model import StreamingModel

PASSES = "define subflow fine\n  pass\n"


def error(message, type_="generation_error", code="generation_failed"):
    return {"message": message, "type": type_, "param": None, "code": code}


class TestModels:
    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (RuntimeError("boom"), error("boom")),
            (LLMRateLimitError(429, "slow down"), error("slow down", "downstream_error", 429)),
            (LLMContextWindowError(400, "too long"), error("too long", "downstream_error", 400)),
            (LLMConnectionError(0, "gone"), error("gone")),
            (
                RuntimeError("Error code: 404 - {'error': {'message': 'no such model', 'code': 'missing'}}"),
                error("no such model", code="missing"),
            ),
            (
                RuntimeError('Error code: 404 - {"message": "no such model"}'),
                error("no such model"),
            ),
            (
                RuntimeError("see https://host.test/v1?a=1 with sk-abcdefghijklmnop and bearer abcdefgh"),
                error("see [redacted-url] with sk-*** and bearer ***"),
            ),
            (RuntimeError("x" * 500), error("x" * 400 + "... (truncated)")),
        ],
    )
    async def test_one_error_element(self, raised, expected):
        for colang, yaml in ((None, None), (PASSES, output("fine"))):
            made = app(colang, yaml, llm=FakeLLMModel(llm_exception=raised))
            (element,) = await streamed(made)
            assert isinstance(element, StreamError)
            assert (element.error, element.kind) == (expected, "failed")

    async def test_with_metadata(self):
        made = app(None, None, llm=FakeLLMModel(llm_exception=RuntimeError("boom")))
        element, last = await streamed(made, include_metadata=True)
        assert element["error"] == error("boom")
        assert last == {"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}}

    @pytest.mark.parametrize("first", [True, False])
    async def test_the_text_before_it_stays(self, first):
        model = StreamingModel("a ", "b ", "c ", "d ", "e ", "f", RuntimeError("boom"))
        got = await streamed(app(PASSES, output("fine", first=first), llm=model))
        assert got[:-1] == ["a ", "b ", "c ", "d ", "e ", "f"]
        assert got[-1].error == error("boom")

    async def test_no_rail_sees_the_error(self):
        seen = []

        async def look(text):
            seen.append(text)
            return True

        colang = "define subflow chk\n  execute look(text=$bot_message)\n"
        model = StreamingModel("a ", "b", RuntimeError("boom"))
        await streamed(app(colang, output("chk"), llm=model, actions={"look": look}))
        assert seen == ["a b"]

    async def test_a_rail_that_blocks_the_rest_comes_before_the_error(self):
        colang = 'define subflow chk\n  if "b" in $bot_message\n    bot refuse to respond\n    stop\n'
        model = StreamingModel("a ", "b", RuntimeError("boom"))
        (element,) = await streamed(app(colang, output("chk"), llm=model))
        assert element.error["code"] == "content_blocked"

    async def test_the_typed_event_carries_the_exception(self):
        raised = RuntimeError("boom")
        got = await evented(app(None, None, llm=FakeLLMModel(llm_exception=raised)))
        assert got == [Failed("boom")]
        assert isinstance(got[0].error, LLMCallException)
        assert got[0].error.inner_exception is raised

    async def test_without_a_model(self):
        (element,) = await streamed(LLMRails(RailsConfig.from_content(None, "models: []")))
        assert element.error == error("No LLM provided to llm_call()")

    async def test_never_a_finish_after_it(self):
        got = await evented(app(None, None, llm=StreamingModel("a", RuntimeError("boom"))))
        assert got == [TextDelta("a"), Failed("boom")]


class TestRequests:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "Either prompt or messages must be provided."),
            ({"prompt": "a", "messages": HI}, "Only one of prompt or messages can be provided."),
            ({"messages": []}, "messages must not be empty: give at least one user message."),
            ({"prompt": "a", "options": "log"}, "options must be a dict or GenerationOptions"),
        ],
    )
    async def test_what_makes_no_sense_is_one_error_element(self, arguments, message):
        made = app(None, None, "never")
        (element,) = await streamed(made, None, **arguments)
        assert element.error == error(message)
        with_metadata = await streamed(made, None, include_metadata=True, **arguments)
        assert [one.get("error") for one in with_metadata] == [error(message), None]
        assert made.llm.inference_count == 0

    async def test_invalid_option_values(self):
        for metadata in (False, True):
            elements = await streamed(
                app(None, None, "never"), options={"log": "all"}, include_metadata=metadata
            )
            assert len(elements) == 1 + metadata
            assert "log" in str(elements[0])

    async def test_input_rails_do_not_run_on_it(self):
        ran = []

        async def note():
            ran.append(True)

        made = app("define subflow chk\n  execute note\n", inputs("chk"), actions={"note": note})
        await streamed(made, None, messages=[{"role": "user"}])
        assert ran == []
