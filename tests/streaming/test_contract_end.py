"""The promises of the stream contract, continued: stopping, wholeness, cost; on a virtual clock."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemoguardrails.streaming.events import (
    Blocked,
    Failed,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCalls,
    Usage,
)
from nemoguardrails.streaming.gate import Policy, gate
from nemoguardrails.streaming.verdict import ALLOW, StreamRail, Verdict
from nemoguardrails.types import ToolCall, UsageInfo
from stream_toys import (
    DELAYS,
    PIECES,
    POLICIES,
    SIZES,
    Checker,
    Source,
    allow,
    blocks_on,
    collect,
    joined,
    last_number,
    masks,
    numbered,
    texts,
    whole_rail,
    window_rail,
    word_rail,
)
from virtual_clock import run

# ---------------------------------------------------------------- 5: stop means stop


@given(
    st.integers(0, 30),
    st.integers(0, 12),
    POLICIES,
    st.sampled_from(["window", "whole", "rewriter", "stream", "none"]),
    st.sampled_from([(0.0,), (0.5, 0.0), (1.0, 3.0)]),
    st.sampled_from([0.0, 0.2, 7.0, 1e9]),
    st.booleans(),
)
def test_5_a_consumer_that_leaves_stops_everything_at_once(
    count: int,
    taken: int,
    policy: Policy,
    kind: str,
    delays: tuple[float, ...],
    check_delay: float,
    hangs: bool,
) -> None:
    """`aclose()` takes no time, closes the source, reads at most one delta more and leaves no task."""
    checker = Checker(allow, (check_delay,))
    rails = {
        "window": [window_rail(checker), window_rail(checker)],
        "whole": [whole_rail(checker)],
        "rewriter": [window_rail(checker, rewrites=True)],
        "stream": [word_rail("t3", "T3")],
        "none": [],
    }[kind]
    source = Source(numbered(count), delays, hangs=hangs)

    async def leave() -> None:
        loop = asyncio.get_running_loop()
        stream = gate(source(), rails, policy)
        try:
            async with asyncio.timeout(50):
                for _ in range(taken):
                    await anext(stream)
        except (StopAsyncIteration, TimeoutError):
            pass
        read, now = source.read, loop.time()
        await stream.aclose()
        assert loop.time() == now
        assert source.read <= read + 1
        assert source.closed or not source.times
        assert checker.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(leave())


@given(st.integers(1, 30), st.integers(0, 18), POLICIES, st.sampled_from([0.0, 0.2, 7.0]))
def test_5_cancelling_the_consumer_stops_everything_at_once(
    count: int, moment: int, policy: Policy, check_delay: float
) -> None:
    checker = Checker(allow, (check_delay,))
    source = Source(numbered(count), (0.5, 0.0), hangs=True)

    async def cancel() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(collect(source, [window_rail(checker)], policy))
        await asyncio.sleep(moment / 2 + 0.0123)  # nothing else happens at that time
        read, now = source.read, loop.time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() == now
        assert source.read <= read + 1
        assert checker.running == 0
        assert source.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(cancel())


@given(st.integers(10, 30), SIZES, st.booleans(), DELAYS, st.sampled_from([(0.0,), (0.5,), (0.0, 1.0)]))
def test_5_a_block_closes_the_source_and_the_checks_before_it_is_told(
    count: int,
    sizes: tuple[int, int],
    stream_first: bool,
    check_delays: list[float],
    delays: tuple[float, ...],
) -> None:
    slow = Checker(allow, (0.4,), closing_steps=3)
    strict = Checker(blocks_on("t5 ", "strict"), check_delays)
    source = Source(numbered(count), delays, hangs=True, closing_steps=3)
    policy = Policy(*sizes, stream_first=stream_first, parallel=True)

    async def watch() -> None:
        stream = gate(source(), [window_rail(strict), window_rail(slow)], policy)
        async for event in stream:
            if isinstance(event, Blocked):
                assert source.closed
                assert strict.running == slow.running == 0
                assert asyncio.all_tasks() == {asyncio.current_task()}
                return
        raise AssertionError("not blocked")

    run(watch())


@given(
    st.integers(100, 300),
    POLICIES,
    st.one_of(DELAYS, st.just([100.0] + [0.0] * 300)),
    st.sampled_from([(0.0,), (0.01,)]),
    st.sampled_from([(0.0,), (0.3,), (5.0, 0.0)]),
    st.booleans(),
)
@example(200, Policy(2, 0, buffer_tokens=1), [0.0], (0.01,), (5.0,), False)
@example(200, Policy(2, 0, max_concurrent_checks=2), [100.0] + [0.0] * 300, (0.0,), (0.0,), False)
def test_5_a_slow_consumer_or_rail_slows_the_source(
    count: int,
    policy: Policy,
    delays: list[float],
    source_delays: tuple[float, ...],
    consumer: tuple[float, ...],
    rewrites: bool,
) -> None:
    """So many tokens at most are read and not yet taken, whatever the length of the stream."""
    if policy.unit != "chunk":
        policy = Policy(policy.chunk_size, policy.context_size, policy.stream_first)
    source = Source(numbered(count), source_delays)
    rail = window_rail(Checker(allow, delays), rewrites=rewrites)
    window = policy.carried + policy.first_window
    bound = policy.buffer_tokens + (policy.max_concurrent_checks + 2) * window

    async def watch() -> int:
        taken = 0
        async for event in gate(source(), [rail], policy):
            assert source.read - taken <= bound
            taken += last_number(event.text) > 0 if isinstance(event, TextDelta) else 0
            await asyncio.sleep(consumer[taken % len(consumer)])
        return taken

    assert run(watch()) == count


@pytest.mark.parametrize("stream_first", [True, False])
def test_5_memory_does_not_grow_with_the_stream(stream_first: bool) -> None:
    count = 100_000
    source = Source(texts("token ") * count)
    policy = Policy(stream_first=stream_first)
    rails = [word_rail_of_constant_memory(), window_rail(QuietChecker(allow))]

    async def watch() -> tuple[int, int]:
        taken = most = 0
        source.times = NoTimes()
        async for event in gate(source(), rails, policy):
            if type(event) is TextDelta:
                taken += 1
                most = max(most, source.read - taken)
        return taken, most

    taken, most = run(watch())
    assert taken == count
    assert most <= policy.buffer_tokens + 6 * policy.chunk_size


class NoTimes(list[float]):
    def append(self, _: float) -> None:
        pass


class QuietChecker(Checker):
    async def __call__(self, text: str) -> Verdict:
        return ALLOW


def word_rail_of_constant_memory() -> StreamRail:
    from nemoguardrails.streaming.verdict import Progress

    class Passing:
        def __init__(self) -> None:
            self.count = 0

        def feed(self, text: str) -> Progress:
            self.count += len(text)
            return Progress(self.count)

        def finish(self) -> Progress:
            return Progress(self.count)

    return StreamRail("passing", "incremental", start=Passing)


# ---------------------------------------------------------------- 6: nothing lost, nothing invented

EXTRAS = st.sampled_from(
    [
        ReasoningDelta("hm"),
        ToolCallDelta(0, "call", "look", "{}"),
        ToolCalls([ToolCall("call")]),
        Usage(UsageInfo(1, 2, 3)),
    ]
)
EVENTS = st.lists(st.one_of(st.text("ab é😀\n", max_size=3).map(TextDelta), EXTRAS), max_size=30)
PASSING = st.sampled_from(["window", "whole", "rewriter", "stream", "stream rewriter", "whole rewriter"])


def passing(kind: str, delays: Sequence[float]) -> StreamRail:
    checker = Checker(allow, delays)
    return {
        "window": window_rail(checker),
        "whole": whole_rail(checker),
        "rewriter": window_rail(checker, rewrites=True),
        "stream": word_rail("zz"),
        "stream rewriter": word_rail("bz", "?"),
        "whole rewriter": whole_rail(checker, rewrites=True),
    }[kind]


@given(EVENTS, st.lists(PASSING, max_size=4), POLICIES, DELAYS, DELAYS, st.booleans())
def test_6_with_rails_that_pass_every_event_arrives_as_it_was(
    events: list[StreamEvent],
    kinds: list[str],
    policy: Policy,
    delays: list[float],
    consumer: list[float],
    usage_last: bool,
) -> None:
    """Text, token for token, reasoning, tool calls and usage, in their order; the finish comes last."""
    finish = Finished("stop", "a model")
    after: list[StreamEvent] = [finish, Usage(UsageInfo(4, 5, 9))] if usage_last else [finish]
    rails = [passing(kind, delays) for kind in kinds]
    source = Source([*events, *after], delays)
    found = run(collect(source, rails, policy, consumer))
    sent = [event for event in events if not (isinstance(event, TextDelta) and kinds and not event.text)]
    assert found == [*sent, *after[1:], finish]


@given(EVENTS, st.lists(PASSING, max_size=3), POLICIES, DELAYS)
def test_6_a_source_that_dies_is_told_after_what_was_cleared(
    events: list[StreamEvent], kinds: list[str], policy: Policy, delays: list[float]
) -> None:
    error = ConnectionError("gone, key sk-abcdefgh")
    source = Source(events, delays, error=error)
    *before, last = run(collect(source, [passing(kind, delays) for kind in kinds], policy))
    assert isinstance(last, Failed)
    assert (last.error, last.message) == (error, "gone, key sk-***")
    assert joined(before) == joined(events)
    assert not any(isinstance(event, Finished) for event in before)


@given(PIECES, st.sampled_from(["b", " ", "é", "ab"]), POLICIES, DELAYS)
def test_6_rewrites_alone_change_the_text(
    pieces: list[str], word: str, policy: Policy, delays: list[float]
) -> None:
    """Through every kind of rewriting rail, one behind the other, the text is the reference's."""
    rails = [
        word_rail(word, "X"),
        window_rail(Checker(allow, delays)),
        whole_rail(Checker(masks("X+", "Y"), delays), rewrites=True),
        word_rail("YY", "Z"),
    ]
    events = run(collect(Source(texts(*pieces), delays), rails, policy))
    expected = re.sub("X+", "Y", "".join(pieces).replace(word, "X")).replace("YY", "Z")
    assert joined(events) == expected
    assert isinstance(events[-1], Finished)


# ---------------------------------------------------------------- 7: cost


@given(
    st.integers(1, 60),
    st.integers(1, 8),
    st.floats(0.1, 3.0),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_7_the_latency_of_a_rail_is_paid_once(
    count: int, chunk: int, latency: float, stream_first: bool, parallel: bool, rails: int
) -> None:
    """The stream takes the source's time plus that of one window's rails, not that of each window."""
    source = Source(numbered(count), (0.25,))
    checks = [window_rail(Checker(allow, (latency,))) for _ in range(rails)]
    policy = Policy(
        chunk, 0, stream_first=stream_first, max_concurrent_checks=100, parallel=parallel, buffer_tokens=1000
    )

    async def total() -> float:
        await collect(source, checks, policy)
        return asyncio.get_running_loop().time()

    one_window = latency * (1 if parallel else rails)
    assert run(total()) == pytest.approx(count * 0.25 + one_window)


@given(st.integers(0, 300), SIZES, st.booleans(), st.booleans())
def test_7_windows_cost_the_text_and_their_context(
    count: int, sizes: tuple[int, int], rewrites: bool, stream_first: bool
) -> None:
    """Characters handed to a window rail: at most n * (1 + context / new text), and one window more."""
    checker = Checker(allow)
    policy = Policy(*sizes, stream_first=stream_first)
    source = Source(texts("four") * count)
    run(collect(source, [window_rail(checker, rewrites=rewrites)], policy))
    share = 1 + policy.carried / policy.stride
    most = 4 * (count * share + policy.carried + policy.first_window)
    assert sum(map(len, checker.seen)) <= most


@given(st.integers(1, 400), st.integers(1, 10), st.integers(0, 9))
def test_7_a_rail_that_rewrites_everything_costs_a_constant_factor(
    count: int, chunk: int, context: int
) -> None:
    checker = Checker(masks("[a-z]", "X"))
    source = Source(texts("four ") * count)
    events = run(
        collect(source, [window_rail(checker, rewrites=True)], Policy(chunk, min(context, chunk - 1)))
    )
    assert joined(events) == "XXXX " * count
    assert (
        sum(map(len, checker.seen)) <= 5 * count * 4 * max(chunk / (chunk - min(context, chunk - 1)), 1) + 500
    )
