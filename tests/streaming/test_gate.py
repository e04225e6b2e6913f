"""What the gate does beside the promises of the contract: order of rails, failures, cancelling, observers."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar

import pytest

from nemoguardrails.streaming.events import Blocked, Failed, Finished, StreamEvent, TextDelta
from nemoguardrails.streaming.gate import CLOSE_GRACE_S, Policy, gate
from nemoguardrails.streaming.verdict import ALLOW, Block, Progress, Rewrite, StreamRail, Verdict
from stream_toys import (
    Checker,
    Source,
    allow,
    blocks_on,
    collect,
    joined,
    masks,
    texts,
    whole_rail,
    window_rail,
    word_rail,
)
from virtual_clock import WaitsForEver, run

HOLD = Policy(chunk_size=2, context_size=0, stream_first=False)
NUMBERED = texts("t0 ", "t1 ", "t2 ", "t3 ", "t4 ")


# ---------------------------------------------------------------- no rails, and rails that never wait


@pytest.mark.parametrize("rails", [[], [word_rail("zz"), word_rail("yy", "Y")]], ids=["none", "incremental"])
def test_without_a_rail_that_waits_there_is_no_task_and_tokens_stay_themselves(
    rails: list[StreamRail],
) -> None:
    async def watch() -> list[StreamEvent]:
        found = []
        async for event in gate(Source(NUMBERED)(), rails, Policy()):
            assert asyncio.all_tasks() == {asyncio.current_task()}
            found.append(event)
        return found

    *tokens, last = run(watch())
    assert all(token is sent for token, sent in zip(tokens, NUMBERED, strict=True))
    assert last == Finished()


def test_nothing_is_read_before_the_first_step() -> None:
    async def watch() -> int:
        source = Source(NUMBERED)
        stream = gate(source(), [window_rail(Checker(allow))], HOLD)
        await asyncio.sleep(1)
        await stream.aclose()
        return source.read

    assert run(watch()) == 0


@pytest.mark.parametrize("rails", [[], [word_rail("zz")], [window_rail(Checker(allow))]])
@pytest.mark.parametrize("last", [Blocked("inner"), Failed("broken")])
def test_a_source_may_end_itself(rails: list[StreamRail], last: Blocked | Failed) -> None:
    source = Source([*NUMBERED, last, TextDelta("more")])
    assert run(collect(source, rails, Policy())) == [*NUMBERED, last]
    assert source.closed


def test_an_input_block_of_the_source_passes_in_its_place() -> None:
    told = Blocked("check input", stage="input")
    events = run(collect(Source([told, *NUMBERED]), [window_rail(Checker(allow))], Policy()))
    assert events == [told, *NUMBERED, Finished()]


# ---------------------------------------------------------------- several rails


def test_one_after_the_other_a_block_spares_the_rails_behind() -> None:
    first, second = Checker(blocks_on("t2", "first")), Checker(allow)
    policy = Policy(chunk_size=2, context_size=0, stream_first=False, max_concurrent_checks=1)
    events = run(collect(Source(NUMBERED), [window_rail(first), window_rail(second)], policy))
    assert events == [*NUMBERED[:2], Blocked("first", reason="it says t2")]
    assert second.seen == ["t0 t1 "]


def test_side_by_side_the_first_to_block_wins_and_the_others_are_cancelled() -> None:
    slow, quick = Checker(blocks_on("t", "slow"), (5.0,)), Checker(blocks_on("t", "quick"), (1.0,))
    policy = Policy(2, 0, stream_first=False, parallel=True)

    async def watch() -> tuple[list[StreamEvent], float]:
        rails = [window_rail(slow), window_rail(quick)]
        return await collect(Source(NUMBERED), rails, policy), asyncio.get_running_loop().time()

    events, time = run(watch())
    assert events == [Blocked("quick", reason="it says t")]
    assert (time, slow.running) == (1.0, 0)


def test_of_rails_that_block_at_once_the_first_configured_is_named() -> None:
    rails = [window_rail(Checker(blocks_on("t", f"rail {index}"))) for index in range(4)]
    policy = Policy(2, 0, stream_first=False, parallel=True)
    assert run(collect(Source(NUMBERED), rails, policy)) == [Blocked("rail 0", reason="it says t")]


def test_a_text_of_one_window_meets_window_and_whole_rails_together_in_their_order() -> None:
    whole, window = Checker(blocks_on("t", "whole")), Checker(allow)
    rails = [whole_rail(whole), window_rail(window)]
    assert run(collect(Source(NUMBERED), rails, Policy(stream_first=False))) == [
        Blocked("whole", reason="it says t")
    ]
    assert window.seen == []


def test_text_before_a_block_still_passes_the_stages_behind() -> None:
    masker = Checker(masks("t", "T"), (3.0,))
    rails = [window_rail(Checker(blocks_on("t4", "judge"))), window_rail(masker, rewrites=True)]
    events = run(collect(Source(NUMBERED), rails, HOLD))
    assert (joined(events), events[-1]) == ("T0 T1 T2 T3 ", Blocked("judge", reason="it says t4"))


def test_a_stage_behind_that_blocks_earlier_text_is_the_one_that_is_named() -> None:
    rails = [
        window_rail(Checker(blocks_on("t4", "early stage"))),
        word_rail("t0", "T0"),
        window_rail(Checker(blocks_on("t2", "late stage"), (3.0,))),
    ]
    events = run(collect(Source(NUMBERED), rails, HOLD))
    assert (joined(events), events[-1]) == ("T0 t1 ", Blocked("late stage", reason="it says t2"))


def test_of_incremental_rails_of_one_stage_the_one_that_blocks_earlier_text_is_named() -> None:
    rails = [word_rail("bc"), word_rail("abcc")]
    for tokens in (texts("abcc"), texts("abc", "c"), texts("a", "b", "c", "c")):
        assert run(collect(Source(tokens), rails, HOLD)) == [Blocked("word abcc")]


def test_of_incremental_rails_that_block_at_one_place_the_first_configured_is_named() -> None:
    rails = [word_rail("bcb"), word_rail("bc")]
    for tokens in (texts("bcbc"), texts("bc", "bc")):
        assert run(collect(Source(tokens), rails, HOLD)) == [Blocked("word bcb")]
    assert run(collect(Source(texts("b", "c", "c")), rails, HOLD)) == [Blocked("word bc")]


def test_a_rewrite_of_two_tokens_is_one_piece_and_the_others_stay() -> None:
    rail = window_rail(Checker(masks("t1 t2", "X")), rewrites=True)
    events = run(collect(Source(NUMBERED), [rail], Policy()))
    assert events == [*texts("t0 ", "X ", "t3 ", "t4 "), Finished()]


# ---------------------------------------------------------------- rails that fail


async def rewrites_unasked(text: str) -> Verdict:
    return Rewrite(text.upper())


def test_a_judge_that_answers_with_another_text_blocks_and_says_how_to_rewrite() -> None:
    [event] = run(collect(Source(NUMBERED), [StreamRail("judge", "window", check=rewrites_unasked)], HOLD))
    assert isinstance(event, Blocked)
    assert event.failed
    assert "assign `$bot_message`" in str(event.error)


def test_a_judge_that_answers_with_the_same_text_allows_it() -> None:
    rail = window_rail(Checker(lambda text: Rewrite(text)))
    assert run(collect(Source(NUMBERED), [rail], HOLD)) == [*NUMBERED, Finished()]


class Odd:
    """An incremental rail that breaks its promises."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.count = 0

    def feed(self, text: str) -> Progress:
        if self.how == "raises" and "t2" in text:
            raise RuntimeError("boom")
        self.count += len(text)
        return Progress(self.count)

    def finish(self) -> Progress:
        if self.how == "raises at the end":
            raise RuntimeError("boom")
        return Progress(self.count)


@pytest.mark.parametrize("rewrites", [False, True])
@pytest.mark.parametrize(("how", "shown"), [("raises", "t0 t1 "), ("raises at the end", "t0 t1 t2 t3 t4 ")])
def test_an_incremental_rail_that_raises_blocks(how: str, shown: str, rewrites: bool) -> None:
    rail = StreamRail("odd", "incremental", rewrites=rewrites, start=lambda: Odd(how))
    *before, last = run(collect(Source(NUMBERED), [rail], HOLD))
    assert (joined(before), last) == (shown, Blocked("odd", failed=True, error="RuntimeError: boom"))


def test_an_incremental_judge_that_edits_blocks_before_its_edit() -> None:
    careless = word_rail("t2", "X")
    rail = StreamRail("judge", "incremental", start=careless.start)
    *before, last = run(collect(Source(NUMBERED), [rail], HOLD))
    assert joined(before) == "t0 t1 "
    assert isinstance(last, Blocked)
    assert last.failed


def test_a_check_that_is_cancelled_from_elsewhere_blocks_instead_of_hanging() -> None:
    async def cancelled(_: str) -> Verdict:
        raise asyncio.CancelledError

    [event] = run(collect(Source(NUMBERED), [StreamRail("odd", "window", check=cancelled)], HOLD))
    assert event == Blocked("odd", failed=True, error="CancelledError")


def test_a_source_that_is_cancelled_from_elsewhere_fails_instead_of_hanging() -> None:
    async def cancelled() -> AsyncIterator[StreamEvent]:
        yield TextDelta("a")
        raise asyncio.CancelledError("elsewhere")

    async def watch() -> list[StreamEvent]:
        return [event async for event in gate(cancelled(), [window_rail(Checker(allow))], HOLD)]

    *before, last = run(watch())
    assert joined(before) == "a"
    assert isinstance(last, Failed)
    assert isinstance(last.error, asyncio.CancelledError)


def test_an_observer_that_raises_is_heard_by_the_consumer() -> None:
    class Broken(Watcher):
        def progressed(self, read: int, released: int, cleared: int, held_chars: int) -> None:
            raise RuntimeError("observer")

    async def watch() -> None:
        async for _ in gate(Source(NUMBERED)(), [window_rail(Checker(allow))], HOLD, observer=Broken()):
            pass

    with pytest.raises(RuntimeError, match="observer"):
        run(watch())


# ---------------------------------------------------------------- closing


class Stubborn:
    """A source that does not end when it is cancelled, but only when it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def __call__(self) -> AsyncIterator[StreamEvent]:
        yield TextDelta("a")
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                pass


def test_a_source_that_ignores_cancelling_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> float:
        source = Stubborn()
        loop = asyncio.get_running_loop()
        stream = gate(source(), [window_rail(Checker(allow))], Policy())
        assert await anext(stream) == TextDelta("a")
        start = loop.time()
        await stream.aclose()
        waited = loop.time() - start
        source.let_go.set()
        for _ in range(5):
            await asyncio.sleep(0)
        return waited

    assert run(leave()) <= CLOSE_GRACE_S * 1.01
    assert "ignores that its stream was closed" in caplog.text


def test_a_source_that_answers_cancelling_with_one_more_delta_is_read_no_further() -> None:
    read = 0

    async def answering() -> AsyncIterator[StreamEvent]:
        nonlocal read
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass
            read += 1
            yield TextDelta("x")

    async def leave() -> int:
        stream = gate(answering(), [window_rail(Checker(allow))], Policy())
        await anext(stream)
        before = read
        await stream.aclose()
        return read - before

    assert run(leave()) <= 1


def test_a_stream_that_is_left_without_closing_is_closed_when_it_is_collected() -> None:
    async def leave() -> tuple[bool, int]:
        source, checker = Source(NUMBERED, hangs=True), Checker(allow, (100.0,))
        async for _ in gate(source(), [window_rail(checker)], Policy()):
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        return source.closed, checker.running

    assert run(leave()) == (True, 0)


def test_an_error_while_the_source_is_closed_is_not_told() -> None:
    async def grumpy() -> AsyncIterator[StreamEvent]:
        try:
            yield TextDelta("bad")
            yield TextDelta("more")
        finally:
            raise RuntimeError("no")

    async def watch() -> list[StreamEvent]:
        return [event async for event in gate(grumpy(), [word_rail("bad")], HOLD)]

    assert run(watch()) == [Blocked("word bad")]


def test_a_block_does_not_wait_for_a_source_that_hangs() -> None:
    async def watch() -> tuple[list[StreamEvent], float]:
        rail = window_rail(Checker(blocks_on("t1", "rail"), (1.0,)))
        found = await collect(Source(NUMBERED, hangs=True), [rail], Policy(2, 0))
        return found, asyncio.get_running_loop().time()

    events, time = run(watch())
    assert time == 1.0
    assert events == [*NUMBERED[:2], Blocked("rail", reason="it says t1", retract_from=0)]


def test_text_that_is_known_to_be_blocked_is_not_exposed_while_earlier_checks_run() -> None:
    checker = Checker(blocks_on("t4", "rail"), (9.0, 20.0, 1.0))
    source = Source(texts(*(f"t{index} " for index in range(8))), (0.0,) * 6 + (3.0,))
    policy = Policy(chunk_size=2, context_size=0, max_exposed_tokens=4)
    events = run(collect(source, [window_rail(checker)], policy))
    assert (joined(events), source.read) == ("t0 t1 t2 t3 ", 6)
    assert events[-1] == Blocked("rail", reason="it says t4")


def test_exposed_text_that_a_slow_consumer_has_not_taken_is_not_handed_out_after_the_block() -> None:
    rail = window_rail(Checker(blocks_on("t4", "rail"), (1.0,)))
    events = run(collect(Source(NUMBERED, hangs=True), [rail], Policy(5, 0), consumer=(5.0,)))
    assert events == [NUMBERED[0], Blocked("rail", reason="it says t4", retract_from=0)]


def test_a_hanging_check_and_a_hanging_source_leave_only_the_consumer_to_stop_them() -> None:
    async def for_ever(_: str) -> Verdict:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(WaitsForEver):
        run(collect(Source(NUMBERED), [StreamRail("stuck", "window", check=for_ever)], HOLD))


# ---------------------------------------------------------------- around the checks


seen_by: ContextVar[str] = ContextVar("seen_by", default="nobody")


def test_each_check_runs_in_the_context_of_the_consumer_and_cannot_change_that_of_others() -> None:
    found: list[str] = []

    async def check(text: str) -> Verdict:
        found.append(seen_by.get())
        seen_by.set("a rail")
        return ALLOW

    async def watch() -> None:
        seen_by.set("the turn")
        await collect(Source(NUMBERED), [StreamRail("rail", "window", check=check)], HOLD)
        assert seen_by.get() == "the turn"

    run(watch())
    assert found == ["the turn"] * 3


class Watcher:
    """Notes what an observer is told."""

    def __init__(self) -> None:
        self.checked: list[tuple[str, int, Verdict]] = []
        self.steps: list[tuple[int, int, int, int]] = []

    def window_checked(
        self, rail: str, text_len: int, started: float, finished: float, verdict: Verdict
    ) -> None:
        assert started <= finished
        self.checked.append((rail, text_len, verdict))

    def progressed(self, read: int, released: int, cleared: int, held_chars: int) -> None:
        self.steps.append((read, released, cleared, held_chars))


def observed(events: Sequence[StreamEvent], rails: list[StreamRail], policy: Policy) -> Watcher:
    async def watch() -> Watcher:
        watcher = Watcher()
        async for _ in gate(Source(events)(), rails, policy, observer=watcher):
            pass
        return watcher

    return run(watch())


def test_an_observer_hears_of_checks_and_of_what_is_held() -> None:
    block = Block("rail", reason="it says t4")
    watcher = observed(NUMBERED, [window_rail(Checker(blocks_on("t4", "rail")), "rail")], HOLD)
    assert watcher.checked == [("rail", 6, ALLOW), ("rail", 6, ALLOW), ("rail", 3, block)]
    assert watcher.steps[:2] == [(1, 0, 0, 3), (2, 0, 0, 6)]
    assert watcher.steps[-1] == (5, 4, 4, 3)


def test_an_observer_sees_what_is_exposed() -> None:
    watcher = observed(NUMBERED, [window_rail(Checker(allow))], Policy(2, 0))
    assert max(released - cleared for _, released, cleared, _ in watcher.steps) == 2
    assert watcher.steps[-1] == (5, 5, 5, 0)
