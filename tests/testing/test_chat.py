"""The conversation for users' tests, against the real engine."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails import RailsConfig
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.testing import FakeLLMModel, TestChat
from nemoguardrails.types import UsageInfo

PLAIN = "models: []"


def chat(yaml: str = PLAIN, *args, **options) -> TestChat:
    return TestChat(RailsConfig.from_content("", yaml), *args, **options)


def test_a_conversation_in_both_notations():
    talk = chat(PLAIN, ["Hello!", "Fine."])
    talk >> "hi" << "Hello!"
    talk.user("how are you?")
    talk.bot({"role": "assistant", "content": "Fine."})
    assert [message["role"] for message in talk.history] == ["user", "assistant", "user", "assistant"]
    assert talk.llm.inference_count == 2


def test_a_wrong_answer_fails_the_test_and_shows_both():
    talk = chat(PLAIN, ["Hello!"])
    talk >> "hi"
    with pytest.raises(AssertionError, match=r"(?s)'Bye!'.*'Hello!'"):
        talk << "Bye!"


async def test_inside_a_loop():
    talk = chat(PLAIN, ["Hello!"])
    talk >> "hi"
    with pytest.raises(RuntimeError, match="bot_async"):
        talk << "Hello!"
    await talk.bot_async("Hello!")


async def test_streamed_answers():
    talk = chat(PLAIN, ["Hello big world"], streaming=True)
    talk >> "hi"
    await talk.bot_async("Hello big world")
    assert talk.history[-1] == {"role": "assistant", "content": "Hello big world"}


async def test_a_model_that_fails():
    talk = chat(PLAIN, llm_exception=ValueError("down"))
    talk >> "hi"
    with pytest.raises(LLMCallException, match="down"):
        await talk.bot_async("never")


async def test_the_callers_own_model_is_used():
    model = FakeLLMModel(["mine"])
    talk = chat(PLAIN, llm=model)
    talk >> "hi"
    await talk.bot_async("mine")
    assert talk.llm is model


@pytest.mark.parametrize(("engine", "returned"), [("openai", UsageInfo(1, 2, 3)), ("scripted", None)])
async def test_usage_comes_from_engines_that_give_it(engine, returned):
    yaml = f"models:\n- type: main\n  engine: {engine}\n  model: m\n"
    usage = [{"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}]
    talk = chat(yaml, ["Hello!"], token_usage=usage)
    assert (await talk.llm.generate_async("q")).usage == returned
