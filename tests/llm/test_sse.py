"""Server-sent events: every field, every line end, every way of cutting the bytes into packets."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.exceptions import LLMResponseValidationError
from nemoguardrails.llm.sse import ServerSentEvent, SSEReader


def read(*packets: bytes) -> list[ServerSentEvent]:
    reader = SSEReader()
    events = [event for packet in packets for event in reader.feed(packet)]
    return events + reader.finish()


def texts(*packets: bytes) -> list[str]:
    return [event.data for event in read(*packets)]


def bytewise(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\ndata: b\ndata:\n\n", ["a\nb\n"]),
        (b": comment\n\n:\n\ndata: a\n\n", ["a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\n\n\n\n\ndata: b\n\n", ["a", "b"]),
        (b"id: 7\nretry: 10\nother\ndata: a\n\n", ["a"]),
        (b"data\n\ndata: \n\n", ["", ""]),
        (b"data: a\n\ndata: b", ["a", "b"]),
        (b"data: a\n\ndata: b\n", ["a", "b"]),
        (b"data: data: a\n\n", ["data: a"]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_each_form_of_an_event_is_read_whole_and_bytewise(body: bytes, expected: list[str]) -> None:
    assert texts(body) == expected
    assert texts(*bytewise(body)) == expected


def test_an_event_has_its_name_and_the_next_one_has_not() -> None:
    events = read(b"event: error\ndata: a\n\nevent: lost\n\ndata: b\n\n")
    assert events == [ServerSentEvent("a", "error"), ServerSentEvent("b", "message")]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_other_line_separators_are_text(mark: str) -> None:
    body = f'data: {{"a": "x{mark}y"}}\n\n'.encode()
    assert texts(body) == texts(*bytewise(body)) == [f'{{"a": "x{mark}y"}}']


def test_the_events_of_a_packet_are_not_held_until_the_next() -> None:
    reader = SSEReader()
    assert [event.data for event in reader.feed(b"data: a\n\ndata: b\n\ndata: c")] == ["a", "b"]
    assert reader.feed(b"\n") == []
    assert [event.data for event in reader.feed(b"\n")] == ["c"]
    assert [event.data for event in reader.feed(b"data: d\r\r")] == ["d"]


@pytest.mark.parametrize(
    "packets",
    [[b"data: " + b"x" * 50] * 3, [b"data: xxxxxxxxxx\n"] * 10, [b"x" * 101], [b": " + b"x" * 99, b"y"]],
    ids=["a line without end", "an event without end", "one packet", "a comment without end"],
)
def test_an_endless_event_is_given_up(packets: list[bytes]) -> None:
    reader = SSEReader(max_event_bytes=100)
    with pytest.raises(LLMResponseValidationError, match="more than 100 bytes"):
        [reader.feed(packet) for packet in packets]


def test_many_small_events_are_no_large_one() -> None:
    reader = SSEReader(max_event_bytes=100)
    assert len(reader.feed(b"data: 12345678\n\n" * 1000)) == 1000


LINES = st.sampled_from(
    [
        b"data: {\"a\": 1}", b"data:x", b"data: x ", b"data", b": note", b"event: error", b"event:", b"", b"",
        "data: \u2028 é 😀".encode(), b"nonsense", b"data: [DONE]",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
BODIES = st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda pairs: b"".join(map(b"".join, pairs)))


def test_an_empty_packet_changes_nothing() -> None:
    assert texts(b"", b"data: a\r", b"", b"\ndata: b\n\n", b"") == ["a\nb"]


@settings(max_examples=300, deadline=None)
@given(body=BODIES, bom=st.booleans(), seed=st.integers(0, 2**32))
def test_the_events_do_not_depend_on_the_packets(body: bytes, bom: bool, seed: int) -> None:
    body = (b"\xef\xbb\xbf" if bom else b"") + body
    cuts = sorted(random.Random(seed).choices(range(len(body) + 1), k=4))
    packets = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(*packets) == read(body) == read(*bytewise(body))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1))
def test_what_was_written_is_read(contents: list[str]) -> None:
    body = "".join(f"data: {text}\n\n" for text in contents).encode()
    assert texts(body) == contents
