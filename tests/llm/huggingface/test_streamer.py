"""The streamer: pieces of a thread as an asynchronous iterator that ends, once."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huggingface_toys import WAIT_S, WordTokenizer
from nemoguardrails.llm.providers.huggingface import AsyncTextIteratorStreamer
from nemoguardrails.llm.providers.huggingface.plain_streamer import PlainTextStreamer


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def write(streamer: AsyncTextIteratorStreamer, *pieces: str) -> None:
    for piece in pieces[:-1]:
        streamer.on_finalized_text(piece)
    streamer.on_finalized_text(pieces[-1], stream_end=True)


async def test_pieces_of_a_thread_arrive_in_order_and_the_iteration_ends() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    thread = in_thread(lambda: write(streamer, "Hel", "lo ", "", "world"))
    assert [piece async for piece in streamer] == ["Hel", "lo ", "world"]
    thread.join()
    with pytest.raises(StopAsyncIteration):
        await anext(streamer)
    assert streamer.text_queue.empty()


async def test_text_that_came_before_anybody_iterates_is_kept() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    in_thread(lambda: write(streamer, "early ", "text")).join()
    assert streamer.loop is None
    assert [piece async for piece in streamer] == ["early ", "text"]
    assert streamer.loop is asyncio.get_running_loop()


async def test_code_that_sets_the_loop_itself_loses_nothing() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    streamer.on_finalized_text("a")
    streamer.loop = asyncio.get_running_loop()
    write(streamer, "b", "c")
    assert [piece async for piece in streamer] == ["a", "b", "c"]


async def test_a_second_generation_can_be_read_from_the_same_streamer() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    for pieces in (["one"], ["two ", "three"], [""], ["four"]):
        thread = in_thread(lambda pieces=pieces: write(streamer, *pieces))  # type: ignore[misc]  # bound now
        assert [piece async for piece in streamer] == [piece for piece in pieces if piece]
        thread.join()


def test_the_same_streamer_serves_several_loops() -> None:
    streamer = AsyncTextIteratorStreamer(None)

    async def read(*pieces: str) -> list[str]:
        thread = in_thread(lambda: write(streamer, *pieces))
        found = [piece async for piece in streamer]
        thread.join()
        return found

    assert asyncio.run(read("a", "b")) == ["a", "b"]
    streamer.on_finalized_text("between loops ")
    assert asyncio.run(read("c")) == ["between loops ", "c"]


async def test_a_failure_is_raised_where_the_text_ends_and_once() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    streamer.on_finalized_text("begun")
    streamer.close(RuntimeError("out of memory"))
    assert await anext(streamer) == "begun"
    with pytest.raises(RuntimeError, match="out of memory"):
        await anext(streamer)
    with pytest.raises(StopAsyncIteration):
        await anext(streamer)


async def test_an_end_that_is_told_twice_ends_one_generation() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    write(streamer, "first")
    streamer.on_finalized_text("", stream_end=True)
    streamer.close()
    assert [piece async for piece in streamer] == ["first"]
    write(streamer, "second")
    assert [piece async for piece in streamer] == ["second"]


async def test_a_reader_is_released_when_the_generation_is_abandoned() -> None:
    streamer = AsyncTextIteratorStreamer(None)

    async def read() -> list[str]:
        return [piece async for piece in streamer]

    reader = asyncio.create_task(read())
    while streamer.loop is None:
        await asyncio.sleep(0)
    streamer.on_finalized_text("seen")
    streamer.abandon()
    streamer.on_finalized_text("dropped")
    assert await reader == ["seen"]


async def test_a_cancelled_reader_loses_no_text() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    waiting = asyncio.ensure_future(anext(streamer))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    write(streamer, "still ", "here")
    assert [piece async for piece in streamer] == ["still ", "here"]


async def test_the_generating_thread_waits_for_a_slow_reader() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    streamer.max_waiting = 3
    given_over: list[int] = []
    third = threading.Event()

    def generate() -> None:
        for n in range(10):
            streamer.on_finalized_text(f"{n} ")
            given_over.append(n)
            if n == 2:
                third.set()
        streamer.close()

    thread = in_thread(generate)
    assert await asyncio.to_thread(third.wait, WAIT_S)
    most_ahead, found = 0, []
    async for piece in streamer:
        found.append(piece)
        most_ahead = max(most_ahead, len(given_over) - len(found))
    thread.join()
    assert "".join(found) == "0 1 2 3 4 5 6 7 8 9 "
    assert most_ahead <= 3


@pytest.mark.parametrize("freed", ["hurry", "abandon"])
async def test_a_thread_that_waits_for_its_reader_can_be_freed(freed: str) -> None:
    streamer = AsyncTextIteratorStreamer(None)
    streamer.max_waiting = 1
    thread = in_thread(lambda: write(streamer, *"abcdef"))
    while not streamer._early:
        await asyncio.sleep(0)
    getattr(streamer, freed)()
    await asyncio.to_thread(thread.join, WAIT_S)
    assert not thread.is_alive()
    text = "".join([piece async for piece in streamer])
    assert text == "abcdef" if freed == "hurry" else "abcdef".startswith(text)


async def test_a_thread_with_a_loop_of_its_own_never_waits() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    streamer.max_waiting = 1
    write(streamer, *"abc")
    assert [piece async for piece in streamer] == ["a", "b", "c"]


async def test_code_that_writes_into_the_queue_can_end_with_the_stop_signal() -> None:
    streamer = AsyncTextIteratorStreamer(None)
    iterator = aiter(streamer)
    streamer.text_queue.put_nowait("by hand")
    streamer.text_queue.put_nowait(streamer.stop_signal)
    assert [piece async for piece in iterator] == ["by hand"]


def test_another_one_is_made_with_the_same_class_and_arguments() -> None:
    class Counted(AsyncTextIteratorStreamer):
        def __init__(self, tokenizer: Any, label: str, **decode_kwargs: Any) -> None:
            super().__init__(tokenizer, skip_prompt=True, **decode_kwargs)
            self.label = label

    tokenizer = WordTokenizer()
    first = Counted(tokenizer, "x", clean_up_tokenization_spaces=False)
    second = first.again()
    assert type(second) is Counted
    assert second is not first
    assert (second.tokenizer, second.label, second.skip_prompt) == (tokenizer, "x", True)
    assert second.decode_kwargs == {"clean_up_tokenization_spaces": False}
    assert second.text_queue is not first.text_queue


def test_special_tokens_are_left_out_unless_one_asks_for_them() -> None:
    class WithSpecials(WordTokenizer):
        all_special_ids = (0,)

    assert AsyncTextIteratorStreamer(WithSpecials()).decode_kwargs == {"skip_special_tokens": True}
    kept = AsyncTextIteratorStreamer(WithSpecials(), skip_special_tokens=False)
    assert kept.decode_kwargs == {"skip_special_tokens": False}
    assert AsyncTextIteratorStreamer(WordTokenizer()).decode_kwargs == {}


class Collected(PlainTextStreamer):
    def __init__(self, tokenizer: Any, skip_prompt: bool = False) -> None:
        super().__init__(tokenizer, skip_prompt)
        self.pieces: list[str] = []
        self.ends = 0

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.pieces.append(text)
        self.ends += stream_end


class LetterTokenizer:
    def decode(self, token_ids: Any, **kwargs: Any) -> str:
        return "".join(map(chr, token_ids))


@given(prompt=st.text("ab \n", max_size=5), answer=st.text("xyz \n.", max_size=30))
def test_without_transformers_tokens_become_text_that_joins_to_the_whole(prompt: str, answer: str) -> None:
    for skip_prompt in (True, False):
        streamer = Collected(LetterTokenizer(), skip_prompt)
        for _ in range(2):
            streamer.put([[ord(letter) for letter in prompt]])
            for letter in answer:
                streamer.put(ord(letter))
            streamer.end()
        expected = answer if skip_prompt else prompt + answer
        assert "".join(streamer.pieces) == expected * 2
        assert streamer.ends == 2


def test_without_transformers_only_whole_words_leave() -> None:
    streamer = Collected(LetterTokenizer())
    for letter in "one two":
        streamer.put(ord(letter))
    assert [piece for piece in streamer.pieces if piece] == ["one "]
    streamer.end()
    assert streamer.pieces[-1] == "two"


def test_without_transformers_a_batch_and_a_missing_tokenizer_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="not a batch of 2"):
        PlainTextStreamer(LetterTokenizer()).put([[1], [2]])
    with pytest.raises(ValueError, match="without a tokenizer"):
        PlainTextStreamer(None).put([1])
    plain = PlainTextStreamer(LetterTokenizer())
    plain.put([ord(letter) for letter in "hi"])
    plain.end()
    assert capsys.readouterr().out == "hi\n"
