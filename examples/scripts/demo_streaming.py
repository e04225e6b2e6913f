"""Four ways to read a guarded stream in Python, with the scripted engine unless `--config` names another."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.streaming.events import Blocked, TextDelta

STREAMING = Path(__file__).resolve().parents[1] / "configs" / "streaming"


async def with_stream_async(rails: LLMRails, question: str) -> None:
    """The simple way: an async iterator of chunks."""
    async for chunk in rails.stream_async(messages=[{"role": "user", "content": question}]):
        print(chunk, end="", flush=True)
    print()


async def with_a_handler(rails: LLMRails, question: str) -> None:
    """The full way: a handler is fed while `generate_async` makes the whole answer."""
    handler = StreamingHandler()

    async def show() -> None:
        async for chunk in handler:
            print(chunk, end="", flush=True)
        print()

    shown = asyncio.create_task(show())
    answer = await rails.generate_async(
        messages=[{"role": "user", "content": question}], streaming_handler=handler
    )
    await shown
    print(f"The whole answer is a message: {answer!r}")


async def with_a_generator(rails: LLMRails) -> None:
    """Tokens of your own, from wherever you have them, through the output rails."""

    async def tokens() -> AsyncIterator[str]:
        for token in ("Send ", "the ", "form ", "to ", "jo@velo-corner", ".example ", "today."):
            yield token

    async for chunk in rails.stream_async(
        messages=[{"role": "user", "content": "Where does the form go?"}], generator=tokens()
    ):
        print(chunk, end="", flush=True)
    print()


async def with_typed_events(rails: LLMRails, question: str) -> None:
    """The same stream as typed events: a block is an object, never a text that looks like one."""
    async for event in rails.stream_events_async(messages=[{"role": "user", "content": question}]):
        match event:
            case TextDelta(text=text):
                print(text, end="", flush=True)
            case Blocked(rail=rail, reason=reason):
                print(f"\nBlocked by {rail}: {reason}")
            case _:
                pass
    print()


async def main() -> None:
    """Runs the four."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default=str(STREAMING), help="folder of a configuration")
    rails = LLMRails(RailsConfig.from_path(arguments.parse_args().config))
    print("== stream_async")
    await with_stream_async(rails, "How do I mend a flat tyre?")
    print("== StreamingHandler")
    await with_a_handler(rails, "When do you open?")
    print("== an external generator, masked by an output rail")
    await with_a_generator(rails)
    print("== typed events, stopped by an output rail")
    await with_typed_events(rails, "What are you working on next?")
    await rails.aclose()


if __name__ == "__main__":
    asyncio.run(main())
