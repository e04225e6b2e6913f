"""The promises of the stream contract, one property each, named after its sections; on a virtual clock."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nemoguardrails.streaming.events import (
    Blocked,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
)
from nemoguardrails.streaming.gate import Policy, gate
from nemoguardrails.streaming.verdict import ALLOW, Block, StreamRail, Verdict
from stream_toys import (
    DELAYS,
    LETTERS,
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
    windows,
    word_rail,
)
from virtual_clock import run


def cut(text: str, places: Sequence[int]) -> list[StreamEvent]:
    """The text as tokens, cut at some places."""
    borders = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return texts(*(text[left:right] for left, right in itertools.pairwise(borders)))


# ---------------------------------------------------------------- 2: how a rail meets a stream

INCREMENTAL_RAILS = st.lists(
    st.one_of(
        st.sampled_from(["ab", "aab", "bcb", "cc", "bc", "abcc"]).map(word_rail),
        st.builds(word_rail, st.sampled_from(["ab", "aa", "abc"]), st.sampled_from(["", "X", "ba", "cab"])),
    ),
    min_size=1,
    max_size=4,
)


@given(LETTERS, st.lists(st.integers(0, 30)), INCREMENTAL_RAILS, st.booleans())
def test_2_split_invariance_of_incremental_rails(
    text: str, places: list[int], rails: list[StreamRail], stream_first: bool
) -> None:
    """However the source cuts its text, what comes out and was cleared, and the verdict, are the same."""

    def outcome(tokens: list[StreamEvent]) -> tuple[str, StreamEvent]:
        policy = Policy(chunk_size=100, stream_first=stream_first)
        *before, last = run(collect(Source(tokens), rails, policy))
        shown = joined(before)
        if isinstance(last, Blocked):
            shown = shown[: last.retract_from]
            last.retract_from = None
        return shown, last

    kinds = {rail.rewrites for rail in rails}
    # Exposed text that is still on its way through the stages behind a block is dropped, not finished.
    assume(not stream_first or len(kinds) == 1)
    assert outcome(cut(text, places)) == outcome(texts(text))


@given(
    st.lists(st.sampled_from(["#12", "#7890", "a", "bc", " ", "  ", "#", "d e", "#1", "34"]), max_size=40),
    st.integers(1, 12),
    st.integers(2, 8),
    st.data(),
    DELAYS,
    DELAYS,
)
def test_2_a_window_rail_rewrites_a_span_whole(
    words: list[str],
    chunk: int,
    context: int,
    data: st.DataObject,
    check_delays: list[float],
    source_delays: list[float],
) -> None:
    """What is recognisable within `context_size` tokens is replaced whole, for every size and cut."""
    text = "".join(words)
    pieces = re.findall(rf"(?s).{{1,{data.draw(st.integers(1, 3))}}}", text)
    checker = Checker(masks(r"#\d+", "<N>"), check_delays)
    policy = Policy(chunk_size=chunk, context_size=context, stream_first=data.draw(st.booleans()))
    events = run(
        collect(Source(texts(*pieces), source_delays), [window_rail(checker, rewrites=True)], policy)
    )
    assert joined(events) == re.sub(r"#\d+", "<N>", text)
    assert checker.most_running <= 1


@given(PIECES, SIZES, DELAYS, DELAYS, st.integers(1, 4))
def test_2_windows_of_one_stage_are_cut_by_rule_and_overlap_within_the_limit(
    pieces: list[str], sizes: tuple[int, int], check_delays: list[float], delays: list[float], most: int
) -> None:
    chunk, context = sizes
    checker = Checker(allow, check_delays)
    policy = Policy(chunk, context, max_concurrent_checks=most, stream_first=False)
    run(collect(Source(texts(*pieces), delays), [window_rail(checker)], policy))
    tokens = [piece for piece in pieces if piece]
    assert checker.seen == [
        "".join(tokens[start:end]) for start, _, end in windows(len(tokens), chunk, context)
    ]
    assert checker.most_running <= most


@given(PIECES, st.booleans(), DELAYS)
def test_2_a_whole_rail_sees_the_message_once_at_its_end(
    pieces: list[str], rewrites: bool, delays: list[float]
) -> None:
    source = Source(texts(*pieces), delays)
    checker = Checker(masks("b+", "X") if rewrites else allow, delays)
    events = run(collect(source, [whole_rail(checker, rewrites=rewrites)], Policy(stream_first=False)))
    text = "".join(pieces)
    assert checker.seen == ([text] if text else [])
    assert joined(events) == (re.sub("b+", "X", text) if rewrites else text)


# ---------------------------------------------------------------- 3: the exposure bound


class Witness(Checker):
    """A check on numbered tokens that knows how far it has let the stream pass without a gap."""

    def cleared(self) -> int:
        spans = []
        for text in self.allowed:
            numbers = [int(number) for number in re.findall(r"[tT](\d+)", text)]
            spans.append((numbers[0], numbers[-1] + 1))
        reach = 0
        for start, end in sorted(spans):
            if start <= reach:
                reach = max(reach, end)
        return reach


def hostile(kind: str) -> Callable[[str], Verdict]:
    def judge(text: str) -> Verdict:
        if kind == "raises" and "t13 " in text:
            raise RuntimeError("boom")
        return Block("hostile") if kind == "blocks" and "t17 " in text else ALLOW

    return judge


HOSTILE_DELAYS = st.lists(st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.0, 1000.0]), min_size=1, max_size=5)
WITNESSES = st.lists(
    st.tuples(st.sampled_from(["passes", "passes", "raises", "blocks"]), HOSTILE_DELAYS, st.booleans()),
    min_size=1,
    max_size=3,
)


@given(
    st.integers(0, 40),
    WITNESSES,
    POLICIES,
    DELAYS,
    DELAYS,
    st.sampled_from(["none", "stream", "window"]),
    st.booleans(),
)
def test_3_exposed_text_never_exceeds_its_bound(
    count: int,
    judges: list[tuple[str, list[float], bool]],
    policy: Policy,
    source_delays: list[float],
    consumer_delays: list[float],
    rewriter: str,
    asides: bool,
) -> None:
    """At every event, on hostile rails, sources and consumers: `released - cleared <= bound`."""
    if policy.max_window_chars == 5:
        policy = Policy(policy.chunk_size, policy.context_size, policy.stream_first)
    witnesses = [Witness(hostile(kind), delays) for kind, delays, _ in judges]
    rails = [
        whole_rail(witness) if is_whole else window_rail(witness)
        for witness, (_, _, is_whole) in zip(witnesses, judges, strict=True)
    ]
    if rewriter == "stream":
        rails.insert(len(rails) // 2, word_rail("t3", "T3"))
    if rewriter == "window":
        rails.insert(len(rails) // 2, window_rail(Checker(masks("t3", "T3"), source_delays), rewrites=True))
    bound = 0
    if policy.stream_first:
        bound = max(policy.chunk_size, 1) if policy.max_exposed_tokens is None else policy.max_exposed_tokens
    per_token = {"chunk": 1, "word": 1, "char": 3}[policy.unit]

    sent: list[StreamEvent] = []
    for token in numbered(count):
        sent += (token, ReasoningDelta("hm")) if asides else (token,)

    async def watch() -> str:
        shown = ""
        async with aclosing(gate(Source(sent, source_delays)(), rails, policy)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    shown += event.text
                    cleared = min(witness.cleared() for witness in witnesses)
                    assert (last_number(shown) - cleared) * per_token <= bound
                await asyncio.sleep(consumer_delays[len(shown) % len(consumer_delays)])
        return shown

    shown = run(watch())
    if rewriter != "none":
        assert "t3" not in shown, "what a rewriting rail has not decided never leaves"


@given(st.integers(1, 30), SIZES, st.integers(1, 4), DELAYS)
def test_3_hold_back_releases_a_token_only_after_it_was_judged_with_those_behind_it(
    count: int, sizes: tuple[int, int], hold_back: int, delays: list[float]
) -> None:
    witness = Witness(allow, delays)
    policy = Policy(*sizes, stream_first=False, hold_back=hold_back)

    async def watch() -> int:
        async for event in gate(Source(numbered(count))(), [window_rail(witness)], policy):
            if isinstance(event, TextDelta):
                token = last_number(event.text) - 1
                behind = range(token, min(token + hold_back + 1, count))
                assert any(all(f"t{number} " in text for number in behind) for text in witness.allowed)
        return len(witness.seen)

    assert run(watch()) >= 1


@given(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=3), st.integers(1, 20), st.booleans())
def test_3_with_stream_first_each_token_within_the_bound_goes_out_as_it_arrives(
    delays: list[float], count: int, slow_rail_first: bool
) -> None:
    source = Source(numbered(count), delays)
    rails = [window_rail(Checker(allow, (100.0,))), word_rail("zz")]
    policy = Policy(chunk_size=5, context_size=2)

    async def arrivals() -> list[float]:
        loop = asyncio.get_running_loop()
        stream = gate(source(), rails if slow_rail_first else rails[::-1], policy)
        return [loop.time() async for event in stream if isinstance(event, TextDelta)]

    assert run(arrivals())[:5] == source.times[:5]


# ---------------------------------------------------------------- 4: blocking


def first_block(
    tokens: Sequence[str], sizes: tuple[int, int], judges: Sequence[tuple[str, str]]
) -> tuple[int, str] | None:
    """Where the new part of the first window begins that a judge blocks, and the first judge that does."""
    for start, new, end in windows(len(tokens), *sizes):
        text = "".join(tokens[start:end])
        for name, word in judges:
            if word in text:
                return new, name
    return None


JUDGES = st.lists(st.sampled_from(["ab", "ca", "bb", "é", "a b"]), min_size=1, max_size=3, unique=True)


@given(PIECES, SIZES, JUDGES, st.booleans(), st.booleans(), DELAYS, DELAYS, DELAYS)
def test_4_a_block_ends_the_stream_and_no_later_verdict_overtakes_it(
    pieces: list[str],
    sizes: tuple[int, int],
    words: list[str],
    stream_first: bool,
    parallel: bool,
    check_delays: list[float],
    source_delays: list[float],
    consumer_delays: list[float],
) -> None:
    """The text cleared before, then one `Blocked` that says which rail and what to take back."""
    judges = [(f"rail {word}", word) for word in words]
    rails = [window_rail(Checker(blocks_on(word, name), check_delays), name) for name, word in judges]
    policy = Policy(*sizes, stream_first=stream_first, parallel=parallel)
    source = Source(texts(*pieces), source_delays)
    *before, last = run(collect(source, rails, policy, consumer_delays))
    assert all(isinstance(event, TextDelta) for event in before)
    shown, tokens = joined(before), [piece for piece in pieces if piece]
    expected = first_block(tokens, sizes, judges)
    if expected is None:
        assert isinstance(last, Finished)
        assert shown == "".join(tokens)
        return
    assert isinstance(last, Blocked)
    assert source.closed
    start, name = expected
    cleared = "".join(tokens[:start])
    if not parallel:
        assert (last.rail, last.reason) == (name, f"it says {name.removeprefix('rail ')}")
    if stream_first:
        assert shown.startswith(cleared)
        assert "".join(tokens).startswith(shown)
        assert last.retract_from == (len(cleared) if len(shown) > len(cleared) else None)
    else:
        assert (shown, last.retract_from) == (cleared, None)


class Broken(Exception):
    """What a rail raises in these tests."""


def breaks_on(word: str, how: str) -> Callable[[str], Any]:
    def judge(text: str) -> Any:
        if word not in text:
            return ALLOW
        if how == "raises":
            raise Broken("key sk-12345678 refused")
        return None

    return judge


@given(PIECES, SIZES, st.sampled_from(["raises", "nonsense"]), st.booleans(), st.booleans(), DELAYS)
def test_4_a_rail_that_fails_lets_nothing_through(
    pieces: list[str],
    sizes: tuple[int, int],
    how: str,
    parallel: bool,
    rewrites: bool,
    delays: list[float],
) -> None:
    rail = window_rail(Checker(breaks_on("b", how), delays), "broken", rewrites=rewrites)
    policy = Policy(*sizes, stream_first=False, parallel=parallel)
    rails = [window_rail(Checker(allow, delays)), rail]
    *before, last = run(collect(Source(texts(*pieces), delays), rails, policy))
    assert "b" not in joined(before)
    if not any("b" in piece for piece in pieces):
        assert isinstance(last, Finished)
        return
    assert isinstance(last, Blocked)
    assert last.failed
    assert last.rail == "broken"
    if how == "raises":
        assert last.error == "Broken: key sk-*** refused"


@given(LETTERS, st.lists(st.integers(0, 30)), st.booleans(), SIZES, DELAYS)
def test_4_incremental_and_window_rails_of_one_stage_block_in_the_order_of_the_text(
    text: str, places: list[int], stream_first: bool, sizes: tuple[int, int], delays: list[float]
) -> None:
    rails = [
        word_rail("abc", name="stream"),
        window_rail(Checker(blocks_on("cc", "window"), delays), "window"),
    ]
    source = Source(cut(text, places), delays)
    *before, last = run(collect(source, rails, Policy(*sizes, stream_first=stream_first)))
    shown = joined(before)
    assert text.startswith(shown)
    if isinstance(last, Finished):
        assert "abc" not in text
        assert shown == text
        return
    assert isinstance(last, Blocked)
    assert last.rail in {"stream", "window"}
    cleared = shown[: last.retract_from]
    assert "abc" not in cleared
    tokens = [event.text for event in source.events if isinstance(event, TextDelta)]
    window_block = first_block(tokens, sizes, [("window", "cc")])
    if last.rail == "window":
        assert window_block is not None
        assert cleared == "".join(tokens[: window_block[0]])[: len(cleared)]
