"""Windows over a stream of tokens, as the public `RollingBuffer` cuts them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.rails.llm.buffer import BufferStrategy, ChunkBatch, RollingBuffer, get_buffer_strategy


async def tokens(count: int):
    for number in range(count):
        yield f"t{number} "


def windows(context: int, chunk: int, count: int) -> list[tuple[str, str]]:
    async def read():
        buffer = RollingBuffer(context, chunk)
        found = [
            tuple(" ".join(part).replace("t", "").split() for part in batch)
            async for batch in buffer(tokens(count))
        ]
        assert buffer.total_yielded == count
        return [(" ".join(seen), " ".join(new)) for seen, new in found]

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("context", "chunk", "count", "expected"),
    [
        (
            2,
            4,
            10,
            [("0 1 2 3", "0 1 2 3"), ("2 3 4 5", "4 5"), ("4 5 6 7", "6 7"), ("6 7 8 9", "8 9"), ("8 9", "")],
        ),
        (2, 4, 0, []),
        (2, 4, 3, [("0 1 2", "0 1 2")]),
        (2, 4, 4, [("0 1 2 3", "0 1 2 3"), ("2 3", "")]),
        (2, 4, 5, [("0 1 2 3", "0 1 2 3"), ("2 3 4", "4")]),
        (0, 2, 5, [("0 1", "0 1"), ("2 3", "2 3"), ("4", "4")]),
        (0, 2, 4, [("0 1", "0 1"), ("2 3", "2 3")]),
        (0, 0, 2, [("0", "0"), ("1", "1")]),
        (2, 2, 5, [("0 1", "0 1"), ("0 1 2", "2"), ("0 1 2 3", "3"), ("1 2 3 4", "4"), ("3 4", "")]),
    ],
)
def test_worked_examples(context, chunk, count, expected):
    assert windows(context, chunk, count) == expected


@settings(max_examples=60, deadline=None)
@given(chunk=st.integers(2, 9), data=st.data(), count=st.integers(1, 40))
def test_every_token_is_new_once_and_short_runs_lie_in_one_window(chunk, data, count):
    context = data.draw(st.integers(1, chunk - 1))
    found = windows(context, chunk, count)
    assert " ".join(new for _, new in found if new) == " ".join(map(str, range(count)))
    assert len(found) == (1 if count < chunk else 2 + (count - chunk) // (chunk - context))
    for start in range(count - context):
        run = set(map(str, range(start, start + context + 1)))
        assert any(run <= set(seen.split()) for seen, _ in found)


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((-1, -1), "buffer_context_size must be non-negative"),
        ((0, -1), "buffer_chunk_size must be non-negative"),
    ],
)
def test_negative_sizes_are_refused(sizes, text):
    with pytest.raises(ValueError, match=text):
        RollingBuffer(*sizes)


async def test_dicts_stand_for_their_text():
    async def source():
        yield {"text": "a", "metadata": {}}
        yield "b"

    batches = [batch async for batch in RollingBuffer(0, 2).process_stream(source())]
    assert batches == [ChunkBatch(["a", "b"], ["a", "b"])]


async def test_leaving_early_closes_the_source():
    closed = []

    async def source():
        try:
            while True:
                yield "a"
        finally:
            closed.append("yes")

    reading = RollingBuffer(1, 2)(source())
    await anext(reading)
    await reading.aclose()
    assert closed == ["yes"]


def test_settings_and_defaults():
    made = get_buffer_strategy(SimpleNamespace(context_size=3, chunk_size=7))
    assert isinstance(made, RollingBuffer)
    assert isinstance(made, BufferStrategy)
    assert (made.buffer_context_size, made.buffer_chunk_size) == (3, 7)
    assert (RollingBuffer().buffer_context_size, RollingBuffer().buffer_chunk_size) == (5, 10)
    assert made.format_chunks(["a", " b"]) == "a b"
