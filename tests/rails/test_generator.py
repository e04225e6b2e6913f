"""A caller's own source of tokens behind output rails."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from guarded import HI, app, evented, inputs, output, streamed, tokens
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.events import Failed, Finished, TextDelta, Usage
from nemoguardrails.types import UsageInfo

NO_BAD = """
define subflow no bad
  if "BAD" in $bot_message
    bot refuse to respond
    stop
"""
NOTHING = {"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}}


class Source:
    """A generator of tokens that knows how far it was read and whether it was closed."""

    def __init__(self, *pieces):
        self.pieces, self.read, self.closed = pieces, 0, False

    async def __call__(self):
        try:
            for piece in self.pieces:
                self.read += 1
                yield piece
        finally:
            self.closed = True


class TestWithoutOutputRails:
    async def test_the_generator_itself_comes_back(self):
        source = tokens("a", "b")
        made = app(None, None, "never")
        assert made.stream_async(messages=HI, generator=source) is source
        assert [token async for token in source] == ["a", "b"]
        assert made.llm.inference_count == 0

    async def test_with_metadata_dicts(self):
        got = await streamed(app(None, None), None, generator=tokens("a", "b"), include_metadata=True)
        assert got == [{"text": "a"}, {"text": "b"}, NOTHING]

    async def test_as_typed_events(self):
        got = await evented(app(None, None), None, generator=tokens("a", "b"))
        assert got == [TextDelta("a"), TextDelta("b"), Finished()]


class TestWithOutputRails:
    async def test_tokens_pass_as_they_are(self):
        made = app(NO_BAD, output("no bad"), "never")
        assert await streamed(made, None, generator=tokens("a ", "b ", "", None, "c")) == ["a ", "b ", "c"]
        assert made.llm.inference_count == 0
        assert made.explain().llm_calls == []

    async def test_a_block_closes_the_source(self):
        source = Source(*"abcd", "BAD", *"efghijklmnopqrstuvwxyz" * 10)
        got = await streamed(app(NO_BAD, output("no bad")), None, generator=source())
        assert "".join(got[:-1]) == "abcd"
        assert isinstance(got[-1], StreamError)
        assert source.closed
        assert source.read < 100

    async def test_rails_see_the_messages_and_their_context(self):
        seen = []

        async def look(context):
            seen.append((context["user_message"], context["name"], context["bot_message"]))
            return True

        made = app("define subflow chk\n  execute look\n", output("chk"), actions={"look": look})
        messages = [{"role": "context", "content": {"name": "Ann"}}, *HI]
        await streamed(made, None, messages=messages, generator=tokens("a", "b"))
        assert seen == [("hi", "Ann", "ab")]

    async def test_nothing_in_nothing_out(self):
        ran = []

        async def look():
            ran.append(True)

        made = app("define subflow chk\n  execute look\n", output("chk"), actions={"look": look})
        assert await streamed(made, None, generator=tokens()) == []
        assert ran == []

    async def test_an_error_of_the_generator_is_raised_after_the_text_before_it(self):
        source = tokens("a ", "b", KeyError("mine"))
        stream = app(NO_BAD, output("no bad")).stream_async(generator=source)
        assert [await anext(stream), await anext(stream)] == ["a ", "b"]
        with pytest.raises(KeyError, match="mine"):
            await anext(stream)

    async def test_with_typed_events_it_is_an_event(self):
        raised = KeyError("mine")
        got = await evented(app(NO_BAD, output("no bad")), None, generator=tokens("a", raised))
        assert got == [TextDelta("a"), Failed("'mine'")]
        assert got[1].error is raised

    async def test_other_elements_are_a_type_error(self):
        with pytest.raises(TypeError, match=r"^generator must yield strings, got int$"):
            await streamed(app(NO_BAD, output("no bad")), None, generator=tokens("a", 1))

    async def test_dicts_with_metadata(self):
        last = {
            "text": "",
            "metadata": {
                "response_metadata": {"finish_reason": "length", "model_name": "mine"},
                "usage_metadata": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            },
        }
        made = app(NO_BAD, output("no bad"))
        assert await evented(made, None, generator=tokens({"text": "a"}, last)) == [
            TextDelta("a"),
            Usage(UsageInfo(1, 2, 3)),
            Finished("length", "mine"),
        ]


class TestInputRails:
    COLANG = NO_BAD + "\ndefine subflow never\n  bot refuse to respond\n  stop\n"
    YAML = inputs("never") + output("no bad").replace("\nrails:\n", "")

    async def test_they_do_not_run_by_themselves(self):
        assert await streamed(app(self.COLANG, self.YAML), generator=tokens("a")) == ["a"]

    async def test_on_request_they_run_first_and_close_the_source(self):
        source = Source("a")
        generator = source()
        got = await streamed(
            app(self.COLANG, self.YAML), generator=generator, options={"rails": {"input": True}}
        )
        assert got == ["I'm sorry, I can't respond to that."]
        assert source.read == 0
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
