"""The command `bench`: the stream contract, measured on the user's own configuration."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .problems import problems_in_a_sentence

if TYPE_CHECKING:
    from .bench_report import Measured

_DEFAULT_TOKENS = 400
_BURSTS = 3
_EXAMPLES = """\
\b
Examples:
  nemoguardrails bench stream --config=examples/configs/streaming
  nemoguardrails bench stream --config=examples/configs/streaming --tokens 100 --pace-ms 5
  nemoguardrails bench stream --config=examples/configs/streaming --tokens 100 --rail-delay 100
  nemoguardrails bench stream --config=my_bot --text-file answer.txt --json

\b
A token is one item of the source. No model answers; but rails that ask a model do ask it,
and the text is streamed five times. Times count as kept with 20 ms to spare.
"""


@click.group()
def bench() -> None:
    """Measure what a configuration costs."""


@bench.command(epilog=_EXAMPLES)
@click.option("--config", default="config", show_default=True, metavar="PATH", help="The configuration.")
@click.option(
    "--tokens", type=click.IntRange(min=4), help="Length of the stream; 400 where no text is given."
)
@click.option(
    "--pace-ms",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Milliseconds between two tokens.",
)
@click.option(
    "--rail-delay",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MS",
    help="Add an output rail that takes so many milliseconds for a window (Colang 1.0).",
)
@click.option(
    "--text-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Stream this text; otherwise plain prose.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def stream(
    config: str,
    tokens: int | None,
    pace_ms: float,
    rail_delay: float,
    text_file: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Stream a text through the output rails and hold the figures against what is promised."""
    with problems_in_a_sentence(debug=debug):
        import asyncio

        from .bench_report import json_of, rows_of, table_of
        from .bench_source import tokens_of

        text = text_file.read_text(encoding="utf-8") if text_file else None
        streamed = tokens_of(text, tokens if text is not None else tokens or _DEFAULT_TOKENS)
        if len(streamed) < 4:
            raise ValueError(f"{text_file} is too short to be measured: at least 4 tokens are needed")
        measured = asyncio.run(_measure(config, streamed, pace_ms / 1000, rail_delay / 1000, text is None))
        rows = rows_of(measured)
        if as_json:
            click.echo(json.dumps(json_of(measured, rows, config), indent=2, ensure_ascii=False))
            return
        ways = [f"{rail.name} ({rail.way}{', rewrites' if rail.rewrites else ''})" for rail in measured.rails]
        click.echo(f"Output rails of {config}: {', '.join(ways) or 'none'}")
        first = "before they are judged" if measured.exposes else "once every rail has cleared them"
        click.echo(f"{len(streamed)} tokens, one every {pace_ms:g} ms; they leave {first}\n")
        click.echo(table_of(rows))


async def _measure(config: str, tokens: list[str], pace_s: float, delay_s: float, is_prose: bool) -> Measured:
    from .bench_report import Measured, Rail
    from .bench_runs import rails_for, run_alone, run_and_leave, run_whole

    rails = rails_for(config, delay_s=delay_s)
    try:
        await run_whole(rails, tokens[:4], 0)  # what is loaded late is loaded now
        _progress(f"streaming {len(tokens)} tokens in {len(tokens) * pace_s:.1f} s", pace_s)
        paced = await run_whole(rails, tokens, pace_s)
        if paced.failed is not None:
            raise paced.failed.error or ValueError(paced.failed.message)
        _progress(f"leaving a stream after {len(tokens) // 4} tokens", pace_s)
        left = await run_and_leave(rails, tokens, pace_s)
        _progress(f"streaming without pauses, {_BURSTS} times", pace_s)
        bursts = [await run_whole(rails, tokens, 0, observed=False) for _ in range(_BURSTS)]
        return Measured(
            tokens=tokens,
            pace_s=pace_s,
            rails=[
                Rail(
                    rail.reference,
                    rail.way if rail.start or rail.way != "incremental" else "window",
                    rail.rewrites,
                )
                for rail in rails.runtime.rails["output"]
            ],
            streaming=rails.config.rails.output.streaming,
            paced=paced,
            bursts=bursts,
            alone_s=min([await run_alone(tokens) for _ in range(_BURSTS)]),
            left=left,
            is_prose=is_prose,
        )
    finally:
        await rails.aclose()


def _progress(text: str, pace_s: float) -> None:
    if pace_s:
        click.echo(f"{text} ...", err=True)
