"""What `stream_async` and `stream_events_async` yield: text, events, metadata, reasoning, results."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import inspect
import warnings

import pytest

from guarded import HI, app, evented, inputs, output, streamed, tokens
from nemoguardrails.exceptions import InvalidStateError, StreamingNotSupportedError
from nemoguardrails.streaming.events import (
    Blocked,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCalls,
    Usage,
)
from nemoguardrails.streaming.handler import StreamingHandler
from nemoguardrails.testing import FakeLLMModel, TestChat
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction, UsageInfo

PASSES = "define subflow fine\n  pass\n"
REFUSES = """
define subflow no bombs
  if "bomb" in $user_message
    bot refuse to respond
    stop
"""
NOT_STREAMABLE = (
    "stream_async() cannot be used when output rails are configured but rails.output.streaming.enabled is "
    "False. Either set rails.output.streaming.enabled to True in your configuration, or use generate_async() "
    "instead of stream_async()."
)


def metadata(counts=None, finish="stop", **more):
    known = {"finish_reason": finish, "model_name": "fake"}
    return {"text": "", "metadata": {"response_metadata": known, "usage_metadata": counts, **more}}


class TestAtTheCall:
    async def test_it_is_an_async_generator_and_nothing_runs_yet(self):
        made = app(None, None, "never")
        stream = made.stream_async(prompt="hi")
        assert not inspect.iscoroutine(stream)
        assert not isinstance(stream, StreamingHandler)
        assert hasattr(stream, "aclose")
        assert made.llm.inference_count == 0
        await stream.aclose()

    @pytest.mark.parametrize("more", ["", "streaming: true"])
    @pytest.mark.parametrize("generator", [None, "given"])
    async def test_output_rails_need_streaming(self, more, generator):
        made = app(PASSES, f"rails:\n  output:\n    flows: [fine]\n{more}", "never")
        source = None if generator is None else tokens("a")
        with pytest.raises(StreamingNotSupportedError) as caught:
            made.stream_async(prompt="hi", generator=source)
        assert str(caught.value) == NOT_STREAMABLE

    @pytest.mark.parametrize("value", [True, False])
    async def test_the_old_name_of_metadata_warns_and_wins(self, value):
        made = app(None, None, "Hi")
        with pytest.warns(
            DeprecationWarning, match=r"include_generation_metadata .* 0\.22\.0.* include_metadata"
        ):
            stream = made.stream_async(
                prompt="hi", include_metadata=not value, include_generation_metadata=value
            )
        first, *_ = [chunk async for chunk in stream]
        assert first == ({"text": "Hi"} if value else "Hi")

    async def test_a_foreign_state(self):
        with pytest.raises(InvalidStateError):
            app(None, None, "never").stream_async(messages=HI, state={"events": 1})

    async def test_enabled_without_output_rails_changes_nothing(self):
        yaml = "rails:\n  output:\n    streaming: {enabled: true, chunk_size: 2, stream_first: false}\n"
        assert await streamed(app(None, yaml, "a b c d")) == ["a ", "b ", "c ", "d"]


class TestText:
    async def test_without_rails_chunks_come_as_they_are(self):
        assert await streamed(app(None, None, "Hello there my friend")) == [
            "Hello ",
            "there ",
            "my ",
            "friend",
        ]

    @pytest.mark.parametrize("first", [True, False])
    async def test_with_rails_that_pass_too(self, first):
        made = app(PASSES, output("fine", first=first), "Hello there my old friend")
        assert await streamed(made) == ["Hello ", "there ", "my ", "old ", "friend"]

    async def test_the_joined_stream_is_the_answer(self):
        for yaml in (None, "passthrough: true"):
            for text in ('  "Quoted answer"  ', "\n\n two lines\nhere\n", "plain", '"a" or "b"'):
                made = app(None, yaml, text, text)
                assert "".join(await streamed(made)) == await made.generate_async(prompt="hi")

    async def test_white_space_around_a_chat_answer_is_no_part_of_it(self):
        made = app(None, None, "\n an answer  ", "\n an answer  ")
        assert "".join(await streamed(made)) == "an answer"
        assert await made.generate_async(prompt="hi") == "an answer"

    async def test_no_empty_elements(self):
        llm = FakeLLMModel(llm_responses=[LLMResponse("")])
        assert await streamed(app(None, "passthrough: true", llm=llm)) == []

    async def test_a_message_of_an_input_rail_comes_first(self):
        made = app('define subflow warn\n  bot "Careful."\n', inputs("warn"), "The answer.")
        assert await streamed(made) == ["Careful.", "\n", "The ", "answer."]

    async def test_a_refusal_is_ordinary_text(self):
        made = app(REFUSES, inputs("no bombs"), "never")
        assert await streamed(made, "a bomb") == ["I'm sorry, I can't respond to that."]
        assert made.llm.inference_count == 0

    async def test_multimodal_content(self):
        content = [
            {"type": "text", "text": "what is"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "text", "text": "this"},
        ]
        made = app(None, "passthrough: true", "A cat.")
        assert await streamed(made, messages=[{"role": "user", "content": content}]) == ["A ", "cat."]
        assert made.llm.calls[0].prompt[0].content == content

    async def test_a_chat_that_streams(self):
        from nemoguardrails import RailsConfig

        chat = TestChat(RailsConfig.from_content(None, "models: []"), ["Hello you", "Fine"], streaming=True)
        chat.user("hi")
        await chat.bot_async("Hello you")
        chat.user("how are you?")
        await chat.bot_async("Fine")


class TestEvents:
    async def test_without_rails(self):
        assert await evented(app(None, None, "Hello you")) == [
            TextDelta("Hello "),
            TextDelta("you"),
            Finished("stop", "fake"),
        ]

    async def test_a_blocked_message(self):
        reply = "I'm sorry, I can't respond to that."
        assert await evented(app(REFUSES, inputs("no bombs"), "never"), "a bomb") == [
            Blocked("no bombs", stage="input", reply=reply),
            TextDelta(reply),
            Finished("stop"),
        ]

    async def test_usage_reasoning_and_tool_calls_pass_the_rails(self):
        call = ToolCall("1", function=ToolCallFunction("look", {"at": "x"}))
        answer = LLMResponse("a b", reasoning="hm", tool_calls=[call], usage=UsageInfo(1, 2, 3))
        for made in (
            app(None, "passthrough: true", llm=FakeLLMModel(llm_responses=[answer])),
            app(PASSES, output("fine", more="passthrough: true"), llm=FakeLLMModel(llm_responses=[answer])),
        ):
            assert await evented(made) == [
                ReasoningDelta("hm"),
                TextDelta("a "),
                TextDelta("b"),
                ToolCalls([call]),
                Usage(UsageInfo(1, 2, 3)),
                Finished("tool_calls", "fake"),
            ]

    async def test_rails_see_the_reasoning(self):
        seen = []

        async def note(context):
            seen.append(context.get("bot_thinking"))

        colang = "define subflow look\n  execute note\n"
        made = app(
            colang,
            output("look"),
            llm=FakeLLMModel(llm_responses=[LLMResponse("a", reasoning="because")] * 2),
            actions={"note": note},
        )
        await streamed(made)
        await made.generate_async(prompt="hi")
        assert seen == ["because", "because"]


class TestMetadata:
    async def test_usage_and_provider_fields(self):
        llm = FakeLLMModel(
            llm_responses=[LLMResponse("a", usage=UsageInfo(5, 2, 7), provider_metadata={"region": "x"})]
        )
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        for yaml in (None, output("fine")):
            llm.inference_count = 0
            assert await streamed(app(PASSES, yaml, llm=llm), include_metadata=True) == [
                {"text": "a"},
                metadata(usage, provider_metadata={"region": "x"}, usage=usage),
            ]

    async def test_unknown_is_none(self):
        made = app(PASSES, output("fine"))
        assert await streamed(made, include_metadata=True, generator=tokens("a")) == [
            {"text": "a"},
            {"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}},
        ]

    async def test_reasoning_and_tool_calls_on_request(self):
        call = ToolCall("1", function=ToolCallFunction("look", {"at": "x"}))
        llm = FakeLLMModel(llm_responses=[LLMResponse("a", reasoning="hm", tool_calls=[call])])
        got = await streamed(
            app(None, "passthrough: true", llm=llm),
            include_metadata=True,
            options={"stream": {"reasoning": True, "tool_calls": True}},
        )
        assert got == [
            {"text": "", "reasoning": "hm"},
            {"text": "a"},
            {**metadata(finish="tool_calls"), "tool_calls": [call.to_dict()]},
        ]

    async def test_a_refused_message(self):
        made = app(REFUSES, inputs("no bombs"), "never")
        assert await streamed(made, "a bomb", include_metadata=True) == [
            {"text": "I'm sorry, I can't respond to that."},
            {
                "text": "",
                "metadata": {"response_metadata": {"finish_reason": "stop"}, "usage_metadata": None},
            },
        ]


class TestResult:
    async def test_after_the_end(self):
        made = app(REFUSES, inputs("no bombs"), "Hello you")
        stream = made.stream_async(messages=HI, options={"log": {"activated_rails": True}}, state={})
        assert [chunk async for chunk in stream] == ["Hello ", "you"]
        got = await stream.result
        assert got.response == [{"role": "assistant", "content": "Hello you"}]
        assert [rail.name for rail in got.log.activated_rails] == ["no bombs", "generate user intent"]
        assert [event["type"] for event in got.state["events"]] == [
            "UtteranceUserActionFinished",
            "UserMessage",
            "StartUtteranceBotAction",
            "ContextUpdate",
        ]

    async def test_before_the_end_it_reads_on(self):
        made = app(None, None, "Hello you")
        stream = made.stream_events_async(messages=HI, options={})
        got = await stream.result
        assert got.response == [{"role": "assistant", "content": "Hello you"}]
        assert [event async for event in stream] == []

    async def test_of_a_stream_that_never_began(self):
        stream = app(None, None, "never").stream_async(prompt="hi")
        await stream.aclose()
        with pytest.raises(RuntimeError, match="never began"):
            await stream.result

    async def test_no_warning_where_nobody_asks(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await streamed(app(None, None, "a")) == ["a"]
