"""Worker threads of a pipeline: so many at a time, the others in order."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import pytest

from huggingface_toys import WAIT_S, FakePipeline
from nemoguardrails.llm.providers.huggingface.lane import Lane, lane_of


class GatedJob:
    """Notes when it runs, and ends when it may."""

    def __init__(self, name: str, log: list[str], *, error: Exception | None = None) -> None:
        self.name, self.log, self.error = name, log, error
        self.begun, self.may_end, self.done = threading.Event(), threading.Event(), threading.Event()
        self.hurried = 0

    def run(self) -> None:
        self.log.append(self.name)
        self.begun.set()
        assert self.may_end.wait(WAIT_S)
        self.done.set()

    def hurry(self) -> None:
        self.hurried += 1


def test_jobs_run_one_at_a_time_in_the_order_they_came() -> None:
    log: list[str] = []
    lane = Lane(1)
    jobs = [GatedJob(name, log) for name in "abcd"]
    for job in jobs:
        lane.submit(job)
    for n, job in enumerate(jobs):
        assert job.begun.wait(WAIT_S)
        assert log == list("abcd")[: n + 1]
        job.may_end.set()
    assert jobs[-1].done.wait(WAIT_S)


def test_as_many_run_at_a_time_as_allowed() -> None:
    log: list[str] = []
    lane = Lane(2)
    jobs = [GatedJob(name, log) for name in "abc"]
    for job in jobs:
        lane.submit(job)
    assert jobs[0].begun.wait(WAIT_S)
    assert jobs[1].begun.wait(WAIT_S)
    assert not jobs[2].begun.is_set()
    jobs[1].may_end.set()
    assert jobs[2].begun.wait(WAIT_S)
    for job in jobs:
        job.may_end.set()
        assert job.done.wait(WAIT_S)


def test_a_job_that_is_withdrawn_never_runs() -> None:
    log: list[str] = []
    lane = Lane(1)
    first, second, third = (GatedJob(name, log) for name in "abc")
    for job in (first, second, third):
        lane.submit(job)
    lane.withdraw(second)
    lane.withdraw(second)
    first.may_end.set()
    third.may_end.set()
    assert third.done.wait(WAIT_S)
    assert log == ["a", "c"]


def test_a_job_that_others_wait_for_is_told_to_hurry() -> None:
    lane = Lane(1)
    first, second, third = (GatedJob(name, []) for name in "abc")
    lane.submit(first)
    assert first.begun.wait(WAIT_S)
    assert first.hurried == 0
    lane.submit(second)
    assert first.hurried == 1
    lane.submit(third)
    first.may_end.set()
    assert second.begun.wait(WAIT_S)
    assert second.hurried == 1
    second.may_end.set()
    third.may_end.set()
    assert third.done.wait(WAIT_S)
    assert third.hurried == 0


def test_the_thread_ends_when_nothing_waits_and_a_new_one_serves_the_next_job() -> None:
    lane = Lane(1)
    for name in "ab":
        job = GatedJob(name, [])
        job.may_end.set()
        lane.submit(job)
        assert job.done.wait(WAIT_S)
        for thread in threading.enumerate():
            if thread.name == "huggingface-pipeline":
                thread.join(WAIT_S)
        assert lane._threads == 0


def test_a_pipeline_has_one_lane_whoever_asks() -> None:
    pipeline = FakePipeline()
    lane = lane_of(pipeline, 1)
    assert lane_of(pipeline, 3) is lane
    assert lane.max_parallel == 3
    assert lane_of(FakePipeline(), 1) is not lane


def test_a_pipeline_that_cannot_be_a_key_is_served_as_well() -> None:
    class Unhashable(FakePipeline):
        __hash__ = None  # type: ignore[assignment]  # that is the point

    assert lane_of(Unhashable(), 2).max_parallel == 2


def test_a_lane_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="max_parallel must be 1 or more, not 0"):
        lane_of(FakePipeline(), 0)
