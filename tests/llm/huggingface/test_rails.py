"""A pipeline behind rails: the stream is checked, and a block stops the generation."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from guarded import NO_SECRETS, output
from huggingface_toys import FakePipeline
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.llm.providers import registry
from nemoguardrails.llm.providers.huggingface import (
    AsyncTextIteratorStreamer,
    HuggingFacePipelineCompatible,
)

YAML = output("no secrets")
ASKING_RAIL = """
define subflow no secrets
  $fine = execute ask_the_same_model
  if not $fine
    bot refuse to respond
    stop
"""
EXAMPLE = Path(__file__).parents[3] / "examples" / "configs" / "llm" / "hf_pipeline_dolly"
HELLO = [{"role": "user", "content": "hello"}]


def rails_over(pipe: FakePipeline, colang: str = NO_SECRETS, **options: Any) -> LLMRails:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    llm = HuggingFacePipelineCompatible(pipe, {"streamer": streamer}, **options)
    return LLMRails(RailsConfig.from_content(colang, YAML), llm=llm)


async def test_the_tokens_arrive_through_an_output_rail_with_usage() -> None:
    pipe = FakePipeline("one two three four five six. ")
    rails = rails_over(pipe)
    chunks = [chunk async for chunk in rails.stream_async(messages=HELLO, include_metadata=True)]
    assert [chunk["text"] for chunk in chunks if chunk["text"]] == [
        "one ",
        "two ",
        "three ",
        "four ",
        "five ",
        "six.",
    ]
    metadata = chunks[-1]["metadata"]
    assert metadata["response_metadata"] == {"finish_reason": "stop", "model_name": "toy"}
    assert metadata["usage_metadata"]["output_tokens"] == 6


async def test_a_rail_that_blocks_stops_the_generation() -> None:
    steps = threading.Semaphore(8)
    pipe = FakePipeline("a b c d say swordfish f g " + "x " * 1000, steps=steps)
    chunks = [chunk async for chunk in rails_over(pipe).stream_async(messages=HELLO)]
    assert chunks[:4] == ["a ", "b ", "c ", "d "]
    assert json.loads(chunks[-1])["error"]["code"] == "content_blocked"
    assert "swordfish" not in "".join(chunks)
    steps.release()
    await asyncio.to_thread(pipe.wait_for_end)
    assert pipe.generated == 9


async def test_concurrent_requests_do_not_mix() -> None:
    def answer(prompt: str) -> str:
        return f"{prompt.rpartition('number-')[2].split()[0]} " * 30

    rails = rails_over(FakePipeline(answer), max_parallel=3)

    async def ask(n: int) -> str:
        messages = [{"role": "user", "content": f"number-{n}"}]
        return "".join([chunk async for chunk in rails.stream_async(messages=messages)])

    assert await asyncio.gather(*map(ask, range(8))) == [(f"{n} " * 30).rstrip() for n in range(8)]


async def test_leaving_early_stops_the_generation() -> None:
    pipe = FakePipeline("x " * 100_000)
    stream = rails_over(pipe).stream_async(messages=HELLO)
    assert await anext(stream) == "x "
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    await asyncio.to_thread(pipe.wait_for_end)
    assert pipe.generated < 100_000


async def test_a_rail_may_ask_the_pipeline_whose_answer_it_checks() -> None:
    pipe = FakePipeline(lambda prompt: "yes " if prompt == "fine?" else "x " * 200)
    rails = rails_over(pipe, ASKING_RAIL)

    @action(name="ask_the_same_model")
    async def ask(llm: Any) -> bool:
        return (await llm.generate_async("fine?")).content == "yes "

    rails.register_action(ask)
    assert "".join([chunk async for chunk in rails.stream_async(messages=HELLO)]) == ("x " * 200)[:-1]
    assert pipe.most_running == 1
    assert pipe.prompts.count("fine?") > 40


async def test_an_error_of_the_pipeline_is_an_error_of_the_stream() -> None:
    rails = rails_over(FakePipeline("a b c d ", error=RuntimeError("CUDA out of memory")))
    *text, error = [chunk async for chunk in rails.stream_async(messages=HELLO)]
    assert text == ["a ", "b ", "c ", "d"]
    assert "CUDA out of memory" in json.loads(error)["error"]["message"]


async def test_the_example_configuration_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = FakePipeline("Write to maria.lopez@velo-corner.example today. ### End and more ")

    class Loader:
        @staticmethod
        def from_pretrained(name: str, **options: Any) -> Any:
            assert name == "databricks/dolly-v2-3b"
            return pipe.tokenizer

    def pipeline(**arguments: Any) -> FakePipeline:
        pipe.task = arguments["task"]
        pipe._forward_params = {key: arguments[key] for key in ("temperature", "max_new_tokens", "streamer")}
        return pipe

    stand_in = ModuleType("transformers")
    vars(stand_in).update(AutoTokenizer=Loader, AutoModelForCausalLM=Loader, pipeline=pipeline)
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setitem(sys.modules, "transformers", stand_in)
    rails = LLMRails(RailsConfig.from_path(str(EXAMPLE)))
    text = "".join([chunk async for chunk in rails.stream_async(messages=HELLO)])
    assert text == "Write to <EMAIL_ADDRESS> today."
    (prompt,) = pipe.prompts
    assert "\n\n### Instruction:\n" in prompt
    assert "User: hello" in prompt
    assert prompt.endswith("### Response:")
    assert pipe.asked[0]["max_new_tokens"] == 100
