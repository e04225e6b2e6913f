"""The push interface of streams: patterns, buffering, pipes, metadata, ends."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.context import streaming_handler_var
from nemoguardrails.streaming.handler import END_OF_STREAM, StreamingHandler


async def read(handler: StreamingHandler) -> list:
    return [element async for element in handler]


def queued(handler: StreamingHandler) -> list:
    return [handler.queue.get_nowait() for _ in range(handler.queue.qsize())]


async def pushed(handler: StreamingHandler, *chunks) -> list:
    for chunk in chunks:
        await handler.push_chunk(chunk)
    return await read(handler)


class TestPlain:
    async def test_everything_goes_through_empty_texts_included(self):
        handler = StreamingHandler()
        assert await pushed(handler, "", "a", "", END_OF_STREAM) == ["", "a", ""]
        assert handler.completion == "a"
        assert await handler.wait() == "a"

    async def test_none_is_the_end(self):
        assert await pushed(StreamingHandler(), "a", None) == ["a"]

    async def test_what_comes_after_the_end_is_ignored(self):
        handler = StreamingHandler()
        assert await pushed(handler, "a", END_OF_STREAM, "b", END_OF_STREAM) == ["a"]
        assert handler.completion == "a"
        assert handler.queue.empty()

    async def test_other_types_are_refused(self):
        with pytest.raises(TypeError, match=r"StreamingHandler\.push_chunk\(\) expects str, got int"):
            await StreamingHandler().push_chunk(3)

    async def test_a_waiting_consumer_gets_each_text_when_it_comes(self):
        handler = StreamingHandler()
        reading = asyncio.ensure_future(handler.__anext__())
        await asyncio.sleep(0)
        assert not reading.done()
        await handler.push_chunk("a")
        assert await reading == "a"

    def test_it_can_be_made_without_a_loop(self):
        one, two = StreamingHandler(), StreamingHandler()
        assert one.uid != two.uid

    async def test_printing(self, capsys):
        handler = StreamingHandler(enable_print=True)
        await handler.push_chunk("a")
        await handler.finish()
        assert capsys.readouterr().out == "\033[92ma\033[0m\n"


class TestPatterns:
    @pytest.mark.parametrize(
        ("prefix", "suffix", "stop", "chunks", "yielded"),
        [
            ("P: ", None, [], ["P", ": ", "x y"], ["x y"]),
            (None, '"', [], ["a b", '"'], ["a b"]),
            (None, "END", [], ["Hello WorldE", "N", "D"], ["Hello World"]),
            (None, '"', [], ["abc", '"', "def", '"'], ["abc", '"def']),
            ('  "', '"', [], ['  "abcdef"'], ["abcdef"]),
            (None, None, ["User:"], ["I like U", "S food"], ["I like US food"]),
            (None, None, ["User:"], ["Hi Us", "er: no"], ["Hi "]),
            (None, None, ["User:"], ["Hello ", "User:"], ["Hello "]),
            ('  "', None, [], ["abc"], ["abc"]),
            ('  "', '"', [], ["abc", '"'], ["abc"]),
            ("P", None, [], ["", "P", "", "x"], ["", "x"]),
            (None, "S", [], ["", "a", ""], ["a"]),
            (None, None, ["abc", "b"], ["xabcy"], ["x"]),
        ],
    )
    async def test_worked_examples(self, prefix, suffix, stop, chunks, yielded):
        handler = StreamingHandler()
        handler.set_pattern(prefix=prefix, suffix=suffix)
        handler.stop = stop
        assert await pushed(handler, *chunks, END_OF_STREAM) == yielded
        assert handler.completion == "".join(yielded)

    async def test_a_stop_string_ends_the_stream_at_once(self):
        handler = StreamingHandler()
        handler.stop = ["STOP"]
        await handler.push_chunk("a STOP b")
        assert handler.streaming_finished_event.is_set()
        assert await pushed(handler, "more", END_OF_STREAM) == ["a "]
        assert handler.queue.empty()

    async def test_held_text_can_be_seen(self):
        handler = StreamingHandler()
        handler.set_pattern(suffix="END")
        await handler.push_chunk("aE")
        await handler.push_chunk("N")
        assert handler.current_chunk == "aEN"
        assert handler.completion == ""

    async def test_finish_lets_held_text_out_and_clears_the_patterns(self):
        handler = StreamingHandler()
        handler.set_pattern(prefix="P", suffix="END")
        await handler.push_chunk("PaEND")
        await handler.finish()
        assert await read(handler) == ["a"]
        assert (handler.prefix, handler.suffix) == (None, None)

    async def test_finish_after_the_end_ends_again(self):
        handler = StreamingHandler()
        await handler.push_chunk(END_OF_STREAM)
        await handler.finish()
        assert queued(handler) == [END_OF_STREAM, END_OF_STREAM]

    async def test_dropping_a_pending_prefix_keeps_the_order(self):
        handler = StreamingHandler()
        handler.set_pattern(prefix="never")
        await handler.push_chunk("a")
        handler.set_pattern()
        assert await pushed(handler, "b", END_OF_STREAM) == ["ab"]

    def test_stop_none_is_no_stop(self):
        handler = StreamingHandler()
        handler.stop = None
        assert handler.stop == []

    @settings(max_examples=150, deadline=None)
    @given(
        text=st.text("ab:E", max_size=20),
        cuts=st.lists(st.integers(0, 20), max_size=6),
        pattern=st.sampled_from(["E", "ab", "a:", "aba"]),
        as_suffix=st.booleans(),
    )
    def test_the_text_does_not_depend_on_how_it_is_cut(self, text, cuts, pattern, as_suffix):
        bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
        pieces = [text[a:b] for a, b in pairwise(bounds)]

        async def streamed() -> str:
            handler = StreamingHandler()
            handler.suffix = pattern if as_suffix else None
            handler.stop = [] if as_suffix else [pattern]
            joined = "".join(await pushed(handler, *pieces, END_OF_STREAM))
            assert handler.completion == joined
            return joined

        assert asyncio.run(streamed()) == (
            text.removesuffix(pattern) if as_suffix else text.split(pattern)[0]
        )

    async def test_the_work_per_chunk_does_not_grow_with_the_stream(self):
        async def steps(tokens: int) -> int:
            handler = StreamingHandler()
            handler.stop = ["User:"]
            for _ in range(tokens):
                await handler.push_chunk("some words ")
            lines = 0

            def count(frame, event, argument):
                nonlocal lines
                lines += event == "line"
                return count

            sys.settrace(count)
            try:
                await handler.push_chunk("some words ")
            finally:
                sys.settrace(None)
            assert len(handler._emitted_end) < len("User:")
            return lines

        assert await steps(2000) == await steps(10)


class TestBuffering:
    async def test_the_first_lines_are_taken_when_the_next_has_begun(self):
        handler = StreamingHandler()
        await handler.enable_buffering()
        waiting = asyncio.ensure_future(handler.wait_top_k_nonempty_lines(2))
        await asyncio.sleep(0)
        for chunk in ("Line 1\n", "# Comment line\n", "Line 2\n"):
            await handler.push_chunk(chunk)
        assert not handler.top_k_nonempty_lines_event.is_set()
        await handler.push_chunk("Line 3\n")
        await handler.push_chunk("Line 4\n")
        assert await waiting == "Line 1\nLine 2"
        assert handler.buffer == "Line 3\nLine 4\n"
        assert handler.completion == ""

    async def test_lines_may_be_cut_anywhere_and_are_returned_as_they_are(self):
        handler = StreamingHandler(enable_buffer=True)
        for chunk in ("\n ", " on", "e\n  #", " two\nth", "ree\n", "four"):
            await handler.push_chunk(chunk)
        assert await handler.wait_top_k_nonempty_lines(2) == "  one\nthree"
        assert handler.buffer == "four"

    async def test_disabling_pushes_the_buffer_as_one_chunk(self):
        handler = StreamingHandler()
        await handler.enable_buffering()
        await handler.push_chunk("a")
        await handler.push_chunk("b")
        assert handler.buffer == "ab"
        await handler.disable_buffering()
        assert handler.buffer == ""
        assert await pushed(handler, "c", END_OF_STREAM) == ["ab", "c"]

    async def test_the_end_lets_the_buffer_out(self):
        handler = StreamingHandler(enable_buffer=True)
        assert await pushed(handler, "a", "b", END_OF_STREAM) == ["ab"]
        assert handler.completion == "ab"

    async def test_the_end_wakes_who_waits_for_lines_and_comes_after_the_rest(self):
        handler = StreamingHandler(enable_buffer=True)
        waiting = asyncio.ensure_future(handler.wait_top_k_nonempty_lines(2))
        await asyncio.sleep(0)
        for chunk in ("one\n", "rest", END_OF_STREAM):
            await handler.push_chunk(chunk)
        assert await waiting == "one\nrest"
        await handler.push_chunk("ignored")
        await handler.disable_buffering()
        assert await read(handler) == []

    async def test_the_rest_of_a_buffer_goes_through_the_patterns(self):
        handler = StreamingHandler(enable_buffer=True)
        waiting = asyncio.ensure_future(handler.wait_top_k_nonempty_lines(1))
        await asyncio.sleep(0)
        for chunk in ('user hi\n  "Hello', ' there"', END_OF_STREAM):
            await handler.push_chunk(chunk)
        assert await waiting == "user hi"
        handler.set_pattern(prefix='  "', suffix='"')
        await handler.disable_buffering()
        assert await read(handler) == ["Hello there"]

    async def test_finish_does_not_forget_the_buffer(self):
        handler = StreamingHandler(enable_buffer=True)
        await handler.push_chunk("a")
        await handler.finish()
        assert await read(handler) == ["a"]


class TestPipe:
    async def test_everything_goes_to_the_other_handler_in_order(self):
        first, second = StreamingHandler(), StreamingHandler()
        first.set_pipe_to(second)
        first.stop = ["STOP"]
        for chunk in ("a", "b", "STOP", "c"):
            await first.push_chunk(chunk)
        await first.push_chunk(END_OF_STREAM)
        assert first.queue.empty()
        assert await read(second) == ["a", "b"]
        assert first.streaming_finished_event.is_set()
        assert (first.completion, second.completion) == ("ab", "ab")

    async def test_metadata_goes_along(self):
        first, second = StreamingHandler(), StreamingHandler(include_metadata=True)
        first.set_pipe_to(second)
        await first.push_chunk("a", metadata={"response_metadata": {"model_name": "m"}})
        await first.push_chunk(END_OF_STREAM)
        elements = await read(second)
        assert elements[-1]["metadata"]["response_metadata"] == {"model_name": "m"}


class TestMetadata:
    async def test_elements_are_dicts_and_the_last_has_the_defaults(self):
        handler = StreamingHandler(include_metadata=True)
        assert await pushed(handler, "a", END_OF_STREAM) == [
            {"text": "a"},
            {"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}},
        ]

    async def test_metadata_accumulates_and_usage_is_shown_once(self):
        handler = StreamingHandler(include_metadata=True)
        await handler.push_chunk("a", metadata={"x": 1})
        await handler.push_chunk("b", metadata={"usage": {"total_tokens": 3}})
        await handler.push_chunk("c")
        await handler.push_chunk(END_OF_STREAM, metadata={"response_metadata": {"finish_reason": "stop"}})
        assert await read(handler) == [
            {"text": "a", "metadata": {"x": 1}},
            {"text": "b", "metadata": {"x": 1, "usage": {"total_tokens": 3}}},
            {"text": "c", "metadata": {"x": 1}},
            {
                "text": "",
                "metadata": {"x": 1, "response_metadata": {"finish_reason": "stop"}, "usage_metadata": None},
            },
        ]

    async def test_reading_by_hand_never_gives_the_end(self):
        handler = StreamingHandler(include_metadata=True)
        await handler.push_chunk("a")
        await handler.push_chunk(END_OF_STREAM)
        assert await anext(handler) == {"text": "a"}
        with pytest.raises(StopAsyncIteration):
            await anext(handler)

    def test_the_old_name_warns_and_wins(self):
        with pytest.warns(
            DeprecationWarning, match=r"include_generation_metadata.*0\.22\.0.*include_metadata"
        ):
            handler = StreamingHandler(include_metadata=True, include_generation_metadata=False)
        assert handler.include_metadata is False


class TestClosedLoop:
    @pytest.mark.parametrize("text", ["Event loop is closed", "another trouble"])
    async def test_only_a_closed_loop_is_forgiven(self, text):
        class Broken(asyncio.Queue):
            async def get(self):
                raise RuntimeError(text)

        handler = StreamingHandler()
        handler.queue = Broken()
        if text == "Event loop is closed":
            assert await anext(handler) is None
        else:
            with pytest.raises(RuntimeError, match=text):
                await anext(handler)


class Message:
    """What a LangChain chunk looks like."""

    def __init__(self, response_metadata=None, usage_metadata=None):
        self.message = self
        self.response_metadata = response_metadata
        self.usage_metadata = usage_metadata


class TestLangChainCallback:
    async def test_tokens_with_metadata_and_the_end(self):
        handler = StreamingHandler(include_metadata=True)
        await handler.on_chat_model_start({}, [])
        await handler.on_llm_start({}, [])
        await handler.on_llm_new_token("a", chunk=Message(), run_id=1)
        await handler.on_llm_new_token("", chunk=Message({"model_name": "m"}, {"total_tokens": 2}))
        await handler.on_llm_end(None, run_id=1)
        elements = await read(handler)
        assert elements[0] == {"text": "a"}
        assert elements[-1]["metadata"] == {
            "response_metadata": {"model_name": "m"},
            "usage_metadata": {"total_tokens": 2},
        }

    async def test_a_handler_that_a_generation_owns_is_not_ended(self):
        handler = StreamingHandler()
        handler.set_pattern(suffix="END")
        token = streaming_handler_var.set(handler)
        try:
            await handler.on_llm_new_token("aEN")
            await handler.on_llm_end(None)
        finally:
            streaming_handler_var.reset(token)
        assert queued(handler) == ["aEN"]
        assert not handler.streaming_finished_event.is_set()

    async def test_an_error_does_not_end_the_stream(self):
        handler = StreamingHandler()
        await handler.on_llm_error(ValueError())
        assert handler.queue.empty()

    def test_the_flags_of_the_callback_manager(self):
        names = ("llm", "chat_model", "chain", "agent", "retriever", "retry", "custom_event")
        flags = {name: getattr(StreamingHandler, f"ignore_{name}") for name in names}
        assert [name for name, ignored in flags.items() if not ignored] == ["llm", "chat_model"]
        assert (StreamingHandler.run_inline, StreamingHandler.raise_error) == (False, False)
