"""The scripted model for users' tests."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMModel, LLMResponse, ToolCall, UsageInfo


async def test_answers_come_in_order_and_run_out():
    model = FakeLLMModel(["one", "two"])
    assert [(await model.generate_async("q")).content for _ in range(2)] == ["one", "two"]
    with pytest.raises(RuntimeError, match=r"^No responses available for query number 3"):
        await model.generate_async("q")
    assert model.inference_count == 3


async def test_what_was_asked_is_kept():
    model = FakeLLMModel(["one"])
    await model.generate_async("q", stop=["User:"], temperature=0.5)
    (call,) = model.calls
    assert (call.prompt, call.stop, call.params) == ("q", ["User:"], {"temperature": 0.5})


def test_it_is_a_model():
    model = FakeLLMModel()
    assert isinstance(model, LLMModel)
    assert (model.model_name, model.provider_name, model.provider_url) == ("fake", "test", None)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [("Hello  big world", ["Hello ", " ", "big ", "world"]), ("one", ["one"]), ("", []), ("end ", ["end "])],
)
async def test_streams_split_at_single_spaces(text, pieces):
    chunks = [chunk async for chunk in FakeLLMModel([text]).stream_async("q")]
    assert [chunk.delta_content for chunk in chunks[:-1]] == pieces
    assert (chunks[-1].delta_content, chunks[-1].finish_reason, chunks[-1].model) == (None, "stop", "fake")


async def test_whole_answers():
    call = ToolCall(id="1")
    model = FakeLLMModel(llm_responses=[LLMResponse("a b", reasoning="hm", tool_calls=[call])] * 2)
    whole = await model.generate_async("q")
    assert (whole.reasoning, whole.finish_reason) == ("hm", "tool_calls")
    chunks = [chunk async for chunk in model.stream_async("q")]
    assert [chunk.delta_reasoning for chunk in chunks if chunk.delta_reasoning] == ["hm"]
    assert chunks[-1].delta_tool_calls == [call]


@pytest.mark.parametrize("returned", [True, False])
async def test_usage_is_returned_when_asked_for(returned):
    usage = [{"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}]
    model = FakeLLMModel(["a", "b"], token_usage=usage, should_return_token_usage=returned)
    assert (await model.generate_async("q")).usage == (UsageInfo(1, 2, 3) if returned else None)
    assert (await model.generate_async("q")).usage is None


async def test_a_prepared_exception_is_raised_by_every_call():
    model = FakeLLMModel(["a"], llm_exception=ValueError("down"))
    with pytest.raises(ValueError, match="down"):
        await model.generate_async("q")
    with pytest.raises(ValueError, match="down"):
        await anext(model.stream_async("q"))
    assert model.inference_count == 2
