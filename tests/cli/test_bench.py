"""`nemoguardrails bench stream`: its figures are the stream's, and its promises the contract's."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nemoguardrails.cli.bench_report import TOLERANCE_MS, Measured, Rail, rows_of, table_of
from nemoguardrails.cli.bench_runs import Left, Run, Watched, rails_for, run_and_leave, run_whole
from nemoguardrails.cli.bench_source import Source, tokens_of
from nemoguardrails.config.rails import OutputRailsStreamingConfig
from nemoguardrails.streaming.events import Blocked

from .running import RAILS, REPLIES, run_here, write_config

TOKENS = ["one ", "two ", "three ", "four "]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "bot")


def measured(
    run: Run, *, rails: Sequence[Rail] = (), streaming: dict[str, Any] | None = None, pace_s: float = 0.01
) -> Measured:
    """What would be printed of a run."""
    return Measured(
        tokens=TOKENS,
        pace_s=pace_s,
        rails=rails,
        streaming=OutputRailsStreamingConfig(**(streaming or {})),
        paced=run,
        bursts=[],
        alone_s=0,
        left=Left(0.001, 1, 2, 0),
        is_prose=True,
    )


def run_of(
    *, handed: Sequence[float], first: float, ended: float, held: Sequence[int], exposed: int = 0
) -> Run:
    source = Source(TOKENS, 0.01)
    source.handed_at = list(handed)
    watched = Watched(held_chars=list(held), exposed=exposed, released_at=[first] * len(handed))
    return Run(source, watched, "".join(TOKENS), first, ended)


def row(shown: Measured, measure: str) -> tuple[str, str, bool | None]:
    [found] = [row for row in rows_of(shown) if row.measure == measure]
    return found.figure, found.promise, found.holds


class TestSource:
    @pytest.mark.parametrize("text", ["", "a", "Hello  world,\n\nof incomprehensibilities. ", "漢字 é"])
    def test_tokens_joined_are_the_text(self, text: str) -> None:
        assert "".join(tokens_of(text, None)) == text

    def test_prose_is_as_long_as_it_has_to_be(self) -> None:
        assert len(tokens_of(None, 1000)) == 1000
        assert tokens_of(None, 3) == tokens_of(None, 1000)[:3]

    async def test_a_source_knows_what_was_taken_and_that_it_was_closed(self) -> None:
        source = Source(TOKENS, 0)
        stream = source.stream()
        assert [await anext(stream), await anext(stream)] == TOKENS[:2]
        assert len(source.handed_at) == 2
        assert not source.closed
        await stream.aclose()
        assert source.closed


class TestRuns:
    async def test_a_run_tells_what_went_through(self, config: Path) -> None:
        rails = rails_for(str(config), delay_s=0)
        run = await run_whole(rails, TOKENS, 0)
        assert run.text == "".join(TOKENS)
        assert len(run.source.handed_at) == len(run.watched.released_at) == len(run.watched.held_chars) == 4
        assert run.watched.exposed == 0
        assert run.blocked is None
        assert run.source.closed

    async def test_a_blocked_run_tells_how_much_was_read(self, config: Path) -> None:
        tokens = ["a ", "Project", " Nightjar", " b", " c", " d"]
        run = await run_whole(rails_for(str(config), delay_s=0), tokens, 0)
        assert isinstance(run.blocked, Blocked)
        assert run.text == "a "
        assert len(run.source.handed_at) <= 4

    async def test_leaving_saves_the_rest(self, config: Path) -> None:
        left = await run_and_leave(rails_for(str(config), delay_s=0), tokens_of(None, 40), 0)
        assert left.read_on <= 1
        assert left.tasks_left == 0
        assert left.saved + left.read_on in range(28, 31)

    async def test_an_added_rail_judges_windows(self, config: Path) -> None:
        run = await run_whole(rails_for(str(config), delay_s=0.001), TOKENS, 0)
        assert run.watched.checks == 1
        assert list(run.watched.slowest_s) == ["delay of the bench"]
        assert run.text == "".join(TOKENS)


class TestPromises:
    def test_text_that_went_out_unchanged_is_nothing_lost(self) -> None:
        shown = measured(run_of(handed=[0, 1, 2, 3], first=0, ended=3, held=[0] * 4))
        assert row(shown, "text") == ("that of the source", "nothing lost, nothing invented", True)
        shown.paced.text += "!"
        assert row(shown, "text")[2] is False

    def test_exposure_beyond_the_bound_breaks_the_promise(self) -> None:
        rails = [Rail("judge", "window", False)]
        run = run_of(handed=[0, 1, 2, 3], first=0, ended=3, held=[0] * 4, exposed=3)
        measure = "text shown and not yet cleared, most"
        for bound, holds in ((3, True), (2, False)):
            shown = measured(run, rails=rails, streaming={"max_exposed_tokens": bound})
            assert row(shown, measure) == ("3 tokens", f"at most {bound}", holds)
        held = measured(run, rails=rails, streaming={"stream_first": False})
        assert row(held, measure) == ("3 tokens", "at most 0", False)

    def test_the_end_may_be_as_late_as_the_slowest_check(self) -> None:
        def late_by(seconds: float) -> bool | None:
            run = run_of(handed=[0, 1, 2, 3], first=0, ended=3 + seconds, held=[0] * 4)
            run.watched.slowest_s["judge"] = 0.5
            return row(measured(run, rails=[Rail("judge", "window", False)]), "end, after the source's")[2]

        assert late_by(0.5) is True
        assert late_by(0.5 + 2 * TOLERANCE_MS / 1000) is False

    @pytest.mark.parametrize(
        ("way", "streaming", "promise"),
        [
            ("window", {}, "no wait"),
            ("window", {"stream_first": False, "chunk_size": 2}, "the first window and its check: 20 ms"),
            ("whole", {"stream_first": False}, "the whole answer and its check"),
            ("incremental", {"stream_first": False}, "as soon as it is decided: 2 tokens"),
        ],
    )
    def test_the_first_token_waits_for_what_the_rails_need(
        self, way: str, streaming: dict[str, Any], promise: str
    ) -> None:
        run = run_of(handed=[0, 0.01, 0.02, 0.03], first=0.01, ended=0.03, held=[4, 0, 0, 0])
        shown = measured(run, rails=[Rail("r", way, False)], streaming=streaming)
        assert row(shown, "first token, after the source's") == ("10 ms", promise, True)

    def test_held_back_text_is_bounded_for_rails_that_decide_as_they_read(self) -> None:
        run = run_of(handed=[0, 1, 2, 3], first=0, ended=3, held=[8, 8, 2, 2])
        rails = [Rail("r", "incremental", True)]
        assert row(measured(run, rails=rails), "text held back, mean") == (
            "5.0 characters",
            "below 5 on prose",
            False,
        )
        windows = [Rail("r", "window", True)]
        assert row(measured(run, rails=windows), "text held back, mean")[2] is None

    def test_a_broken_promise_stands_out_in_the_table(self) -> None:
        shown = measured(run_of(handed=[0, 1, 2, 3], first=0, ended=3, held=[0] * 4))
        shown.left = Left(0.5, 7, 0, 1)
        lines = [line for line in table_of(rows_of(shown)).splitlines() if line.endswith("NO")]
        assert len(lines) == 3


class TestCommand:
    def test_prints_a_table(self, config: Path) -> None:
        done = run_here(["bench", "stream", f"--config={config}", "--tokens=8", "--pace-ms=0"])
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Output rails of {config}: regex check output (incremental)\n")
        assert "the consumer leaves: tokens saved" in done.stdout

    def test_prints_json(self, config: Path, tmp_path: Path) -> None:
        text = tmp_path / "text.txt"
        text.write_text("We call it Project Nightjar, and that is all that I may say.", encoding="utf-8")
        arguments = ["bench", "stream", f"--config={config}", f"--text-file={text}", "--pace-ms=1", "--json"]
        done = run_here(arguments)
        assert done.exit_code == 0
        assert "streaming 15 tokens" in done.stderr
        found = json.loads(done.stdout)
        assert found["tokens"] == 15
        assert found["rails"] == [{"name": "regex check output", "way": "incremental", "rewrites": False}]
        rows = {row["measure"]: row for row in found["rows"]}
        assert rows["text"]["figure"] == "blocked by regex check output"
        assert "a rail blocks: tokens saved" in rows
        assert rows["the consumer leaves: tokens read on"]["holds"] is True

    def test_a_model_is_not_needed(self, tmp_path: Path) -> None:
        yaml = "models: [{type: main, engine: openai, model: m}]\n"
        folder = write_config(tmp_path / "bot", yaml + RAILS)
        assert run_here(["bench", "stream", f"--config={folder}", "--tokens=8", "--pace-ms=0"]).exit_code == 0

    @pytest.mark.parametrize(
        ("arrange", "said"),
        [
            (lambda folder: folder / "none", "none"),
            (
                lambda folder: write_config(
                    folder, REPLIES + RAILS.replace("enabled: true", "enabled: false")
                ),
                "rails.output.streaming.enabled",
            ),
        ],
    )
    def test_what_cannot_be_measured_is_one_sentence(
        self, tmp_path: Path, arrange: Callable[[Path], Path], said: str
    ) -> None:
        done = run_here(["bench", "stream", f"--config={arrange(tmp_path)}"])
        assert done.exit_code == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
