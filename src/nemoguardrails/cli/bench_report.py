"""What the figures of `bench stream` mean: each beside what the stream contract promises."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..config.rails import OutputRailsStreamingConfig
from .bench_runs import Left, Run

TOLERANCE_MS = 20.0
"""What a shared machine's clock and scheduler may add to a time before a promise counts as broken."""
_CLOSE_MS = 10.0
_HELD_CHARS = 5.0
_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `holds` is `None` where nothing is promised."""

    measure: str
    figure: str
    promise: str = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Rail:
    """An output rail, by the way in which it meets the stream."""

    name: str
    way: str
    rewrites: bool


@dataclass(slots=True)
class Measured:
    """All that was measured."""

    tokens: list[str]
    pace_s: float
    rails: Sequence[Rail]
    streaming: OutputRailsStreamingConfig
    paced: Run
    bursts: Sequence[Run]
    alone_s: float
    left: Left
    is_prose: bool
    """The text is plain prose of ours, of which more can be promised than of any text."""

    @property
    def incremental(self) -> bool:
        """No rail waits for a window or for the end."""
        return all(rail.way == "incremental" for rail in self.rails)

    @property
    def exposes(self) -> bool:
        """Text may leave before it is judged."""
        return self.streaming.stream_first and not all(rail.rewrites for rail in self.rails)


def rows_of(measured: Measured) -> list[Row]:
    """The figures with their promises."""
    rows = [*_times(measured), *_texts(measured), *_costs(measured), *_stops(measured)]
    return [row for row in rows if row.figure]


def table_of(rows: Iterable[Row]) -> str:
    """The rows as a table of plain text."""
    lines = [("", "measured", "promised", "holds")]
    for row in rows:
        holds = "" if row.holds is None else "yes" if row.holds else "NO"
        lines.append((row.measure, row.figure, row.promise, holds))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in ruled
    )


def json_of(measured: Measured, rows: Iterable[Row], config: str) -> dict[str, Any]:
    """The same for machines, with the setting."""
    return {
        "config": config,
        "tokens": len(measured.tokens),
        "pace_ms": measured.pace_s * 1000,
        "rails": [{"name": rail.name, "way": rail.way, "rewrites": rail.rewrites} for rail in measured.rails],
        "rows": [
            {"measure": row.measure, "figure": row.figure, "promise": row.promise or None, "holds": row.holds}
            for row in rows
        ],
    }


def _times(measured: Measured) -> Iterable[Row]:
    run = measured.paced
    handed, slowest_ms = run.source.handed_at, _slowest_ms(measured)
    if run.first_at is not None:
        added = (run.first_at - handed[0]) * 1000
        waits, why = _first_wait_ms(measured)
        yield _timed("first token, after the source's", added, why, waits)
    delays = _delays_ms(run)
    if delays:
        yield Row("latency added to a token, p50", _ms(_percentile(delays, 50)))
        yield Row("latency added to a token, p99", _ms(_percentile(delays, 99)))
    if run.blocked is None and handed:
        added = (run.ended_at - handed[-1]) * 1000
        yield _timed("end, after the source's", added, f"the slowest check: {_ms(slowest_ms)}", slowest_ms)
    if run.watched.checks:
        yield Row("checks of windows", str(run.watched.checks))


def _texts(measured: Measured) -> Iterable[Row]:
    run, source = measured.paced, "".join(measured.tokens)
    if run.watched.held_chars:
        mean, most = fmean(run.watched.held_chars), max(run.watched.held_chars)
        promised = measured.incremental and measured.is_prose
        yield Row(
            "text held back, mean",
            f"{mean:.1f} characters",
            f"below {_HELD_CHARS:.0f} on prose" if promised else "",
            mean < _HELD_CHARS if promised else None,
        )
        yield Row("text held back, most", f"{most} characters")
    bound = measured.streaming.exposure_bound if measured.exposes else 0
    exposed = run.watched.exposed
    yield Row(
        "text shown and not yet cleared, most", f"{exposed} tokens", f"at most {bound}", exposed <= bound
    )
    rewrites = any(rail.rewrites for rail in measured.rails)
    if run.blocked is not None:
        yield Row("text", f"blocked by {run.blocked.rail}")
    elif run.text == source:
        yield Row("text", "that of the source", "nothing lost, nothing invented", True)
    else:
        changed = "rewritten by rails" if rewrites else "another than the source's"
        yield Row(
            "text", changed, "" if rewrites else "nothing lost, nothing invented", None if rewrites else False
        )


def _costs(measured: Measured) -> Iterable[Row]:
    count = len(measured.tokens)
    complete = [run for run in measured.bursts if run.blocked is None and run.failed is None]
    if not complete:
        return
    best = min(complete, key=lambda run: run.cpu_s)
    own_us = max(best.cpu_s - measured.alone_s, 0) / count * 1e6
    yield Row("CPU per token, on top of the source's", f"{own_us:.0f} us")
    first = min(run.first_half_cpu_s for run in complete)
    second = min(run.cpu_s - run.first_half_cpu_s for run in complete)
    promised = measured.incremental and first > 0
    growth = second / first if first > 0 else 0.0
    yield Row(
        "CPU of the second half, against the first",
        f"{growth:.2f} times" if first > 0 else "",
        "does not grow" if promised else "",
        growth <= _GROWTH if promised else None,
    )


def _stops(measured: Measured) -> Iterable[Row]:
    left, count = measured.left, len(measured.tokens)
    close_ms = left.close_s * 1000
    yield Row(
        "the consumer leaves: closed after", _ms(close_ms), f"{_CLOSE_MS:.0f} ms", close_ms <= _CLOSE_MS
    )
    yield Row("the consumer leaves: tokens read on", str(left.read_on), "at most 1", left.read_on <= 1)
    yield Row("the consumer leaves: tasks left", str(left.tasks_left), "none", left.tasks_left == 0)
    yield Row("the consumer leaves: tokens saved", _share(left.saved, count))
    if measured.paced.blocked is not None:
        yield Row("a rail blocks: tokens saved", _share(count - len(measured.paced.source.handed_at), count))


def _first_wait_ms(measured: Measured) -> tuple[float, str]:
    """How long the first token may take, and why."""
    streaming, pace_ms = measured.streaming, measured.pace_s * 1000
    if not measured.rails or (measured.exposes and not any(rail.rewrites for rail in measured.rails)):
        return 0.0, "no wait"
    if measured.incremental:
        held = next((index for index, chars in enumerate(_released(measured)) if chars), 0)
        return held * pace_ms, f"as soon as it is decided: {held + 1} tokens"
    if any(rail.way == "whole" for rail in measured.rails):
        return len(measured.tokens) * pace_ms + _slowest_ms(measured), "the whole answer and its check"
    window = min(max(streaming.chunk_size, 1), len(measured.tokens))
    carried = streaming.context_size if any(rail.rewrites for rail in measured.rails) else 0
    waits = min(window + carried, len(measured.tokens)) * pace_ms + _slowest_ms(measured)
    return waits, f"the first window and its check: {_ms(waits)}"


def _released(measured: Measured) -> list[int]:
    """Characters released after each token."""
    watched, read, released = measured.paced.watched, 0, []
    for token, held in zip(measured.tokens, watched.held_chars, strict=False):
        read += len(token)
        released.append(read - held)
    return released


def _delays_ms(run: Run) -> list[float]:
    pairs = zip(run.source.handed_at, run.watched.released_at, strict=False)
    return sorted((released - handed) * 1000 for handed, released in pairs)


def _slowest_ms(measured: Measured) -> float:
    return sum(measured.paced.watched.slowest_s.values()) * 1000


def _timed(measure: str, added_ms: float, promise: str, allowed_ms: float) -> Row:
    return Row(measure, _ms(added_ms), promise, added_ms <= allowed_ms + TOLERANCE_MS)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part * 100 // whole if whole else 0} %)"


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"
