"""`generate_async(streaming_handler=...)`: a handler is given the answer as a stream would yield it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

from guarded import HI, app, inputs, output
from nemoguardrails.context import streaming_handler_var
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.streaming import StreamError, StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, UsageInfo

SORRY = "I'm sorry, I can't respond to that."
NO_BAD = """
define subflow no bad
  if "BAD" in $bot_message
    bot refuse to respond
    stop
"""


async def handled(made, handler=None, **arguments):
    """The elements that the handler yields, and what the call returns."""
    handler = handler or StreamingHandler()
    arguments = arguments or {"messages": HI}
    answer = await made.generate_async(streaming_handler=handler, **arguments)
    return [chunk async for chunk in handler], answer


async def test_tokens_and_the_answer():
    chunks, answer = await handled(app(None, None, "Hello there you"))
    assert chunks == ["Hello ", "there ", "you"]
    assert answer == {"role": "assistant", "content": "Hello there you"}


async def test_with_options_a_response():
    chunks, answer = await handled(app(None, None, "Hello you"), messages=HI, options={})
    assert (chunks, answer.response) == (["Hello ", "you"], [{"role": "assistant", "content": "Hello you"}])


async def test_windows_are_judged_before_the_handler_sees_them():
    chunks, answer = await handled(app(NO_BAD, output("no bad"), "a b c d BAD e"))
    assert chunks[:-1] == ["a ", "b ", "c ", "d "]
    assert isinstance(chunks[-1], StreamError)
    assert answer == {"role": "assistant", "content": SORRY}


async def test_without_streamed_output_rails_the_text_is_held_until_it_is_judged():
    yaml = "rails:\n  output:\n    flows: [no bad]\n"
    chunks, answer = await handled(app(NO_BAD, yaml, "a b BAD c"))
    assert [chunk.error["code"] for chunk in chunks] == ["content_blocked"]
    assert answer == {"role": "assistant", "content": SORRY}
    chunks, answer = await handled(app(NO_BAD, yaml, "a b c"))
    assert ("".join(chunks), answer["content"]) == ("a b c", "a b c")


async def test_a_refused_message():
    colang = "define subflow no\n  bot refuse to respond\n  stop\n"
    chunks, answer = await handled(app(colang, inputs("no"), "never"))
    assert (chunks, answer["content"]) == ([SORRY], SORRY)


async def test_metadata_ends_it_once():
    llm = FakeLLMModel(llm_responses=[LLMResponse("Hi", usage=UsageInfo(1, 2, 3))])
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    chunks, _ = await handled(app(None, None, llm=llm), StreamingHandler(include_metadata=True))
    assert chunks == [
        {"text": "Hi"},
        {
            "text": "",
            "metadata": {
                "response_metadata": {"finish_reason": "stop", "model_name": "fake"},
                "usage_metadata": usage,
                "usage": usage,
            },
        },
    ]


async def test_a_failure_is_an_element_and_raised():
    handler = StreamingHandler()
    made = app(None, None, llm=FakeLLMModel(llm_exception=RuntimeError("boom")))
    with pytest.raises(LLMCallException):
        await made.generate_async(messages=HI, streaming_handler=handler)
    (chunk,) = [chunk async for chunk in handler]
    assert chunk.error["message"] == "boom"


async def test_a_request_that_makes_no_sense_ends_the_handler():
    handler = StreamingHandler()
    with pytest.raises(ValueError, match="must not be empty"):
        await app(None, None, "never").generate_async(messages=[], streaming_handler=handler)
    assert [chunk async for chunk in handler] == []


async def test_cancelling_ends_the_handler():
    handler, waiting = StreamingHandler(), asyncio.Event()

    class Stalls(FakeLLMModel):
        async def stream_async(self, prompt, *, stop=None, **kwargs):
            async for chunk in super().stream_async(prompt):
                yield chunk
                waiting.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(
        app(None, "passthrough: true", llm=Stalls(["a b"])).generate_async(
            messages=HI, streaming_handler=handler
        )
    )
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [chunk async for chunk in handler] == ["a "]


async def test_a_later_call_gives_its_own_answer():
    made = app(None, None, "first", "second", "third")
    chunks, answer = await handled(made)
    assert (chunks, answer["content"]) == (["first"], "first")
    assert streaming_handler_var.get() is None
    assert await made.generate_async(messages=[{"role": "user", "content": "other"}]) == {
        "role": "assistant",
        "content": "second",
    }
    assert await app(None, None, "elsewhere").generate_async(messages=HI) == {
        "role": "assistant",
        "content": "elsewhere",
    }


async def test_actions_find_the_handler():
    seen = []

    async def look():
        seen.append(streaming_handler_var.get())

    handler = StreamingHandler()
    made = app("define subflow chk\n  execute look\n", inputs("chk"), "a", "b", actions={"look": look})
    await handled(made, handler)
    await made.generate_async(messages=HI)
    assert seen == [handler, None]
