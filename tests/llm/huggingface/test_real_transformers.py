"""The real `transformers` with a tiny model made here: random weights, a tokenizer trained on the spot."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.llm.providers import registry
from nemoguardrails.llm.providers.huggingface import (
    AsyncTextIteratorStreamer,
    HuggingFacePipelineCompatible,
)
from nemoguardrails.types import ChatMessage

MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    # What the two packages deprecate in each other is not ours to mend.
    pytest.mark.filterwarnings("default"),
]

CORPUS = [
    "the cat sat on the mat and the dog ran after the cat over a wall",
    "one two three four five six",
] * 20
CONTEXT_TOKENS = 1024
TEMPLATE = (
    "{% for message in messages %}{{ message.role }} {{ message.content }} {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
EXAMPLE = Path(__file__).parents[3] / "examples" / "configs" / "llm" / "hf_pipeline_dolly"
GREEDY = {"temperature": 0, "no_repeat_ngram_size": 2}
"""The same text each time, but not the same word for ever."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its tokenizer, as `from_pretrained` reads it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<end>"], show_progress=False)
    raw.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<end>")
    end = tokenizer.eos_token_id
    torch.manual_seed(4)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": CONTEXT_TOKENS}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape)
    made = tmp_path_factory.mktemp("tiny")
    GPT2LMHeadModel(config).eval().save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def pipe(folder: Path, tokenizer: Any) -> Any:
    """A pipeline made with the arguments of the documents."""
    from transformers import AutoModelForCausalLM, pipeline

    streamer = AsyncTextIteratorStreamer(tokenizer, skip_prompt=True)
    params = {"temperature": 0.01, "max_new_tokens": 40, "streamer": streamer}
    model = AutoModelForCausalLM.from_pretrained(folder)
    return pipeline(model=model, task="text-generation", tokenizer=tokenizer, **params)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "huggingface-pipeline":
            thread.join(20)
            assert not thread.is_alive()


class TokenCount:
    """A stopping criterion that never stops."""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> bool:
        self.tokens += 1
        return False


def model_of(pipe: Any, **model_kwargs: Any) -> HuggingFacePipelineCompatible:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    return HuggingFacePipelineCompatible(pipeline=pipe, model_kwargs={"streamer": streamer, **model_kwargs})


def written_by(pipe: Any, prompt: str, tokens: int) -> str:
    """What the pipeline itself answers, whole."""
    options = {"do_sample": False, "no_repeat_ngram_size": 2, "max_new_tokens": tokens, "streamer": None}
    text = pipe(prompt, return_full_text=False, **options)[0]["generated_text"]
    assert isinstance(text, str)
    return text


def test_the_streamer_is_one_of_transformers() -> None:
    from transformers import TextStreamer

    assert issubclass(AsyncTextIteratorStreamer, TextStreamer)


async def test_the_streamed_pieces_are_the_pipelines_own_text(pipe: Any) -> None:
    expected = written_by(pipe, "the cat", 40)
    chunks = [chunk async for chunk in model_of(pipe, **GREEDY).stream_async("the cat")]
    pieces = [chunk.delta_content for chunk in chunks if chunk.delta_content]
    assert "".join(pieces) == expected
    assert len(pieces) > 5
    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.output_tokens == 40
    assert chunks[-1].usage.input_tokens == len(pipe.tokenizer.encode("the cat"))


async def test_without_a_streamer_the_text_is_the_same(pipe: Any) -> None:
    expected = written_by(pipe, "the cat", 40)
    pipe._forward_params.pop("streamer", None)
    if hasattr(pipe, "_generate_kwargs"):
        pipe._generate_kwargs.pop("streamer", None)
    answer = await HuggingFacePipelineCompatible(pipe, dict(GREEDY)).generate_async("the cat")
    assert answer.content == expected
    assert answer.usage is not None
    assert answer.usage.output_tokens == 40


async def test_the_parameters_of_the_documents_work_as_they_stand(pipe: Any) -> None:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    params = {"temperature": 0.01, "max_new_tokens": 20, "streamer": streamer}
    llm = HuggingFacePipelineCompatible(pipeline=pipe, model_kwargs=params)
    rails = LLMRails(RailsConfig.from_content(yaml_content=""), llm=llm)
    messages = [{"role": "user", "content": "one two"}]
    chunks = [chunk async for chunk in rails.stream_async(messages=messages, include_metadata=True)]
    assert chunks[-1]["metadata"]["usage_metadata"]["output_tokens"] <= 20
    assert all(chunk["text"] for chunk in chunks[:-1])


async def test_concurrent_generations_do_not_mix(pipe: Any) -> None:
    prompts = ["the cat", "one two", "a wall", "five six"]
    expected = [written_by(pipe, prompt, 40) for prompt in prompts]
    assert len(set(expected)) == 4
    for max_parallel in (1, 3):
        streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
        llm = HuggingFacePipelineCompatible(pipe, {"streamer": streamer, **GREEDY}, max_parallel=max_parallel)
        answers = await asyncio.gather(*(llm.generate_async(prompt) for prompt in prompts))
        assert [answer.content for answer in answers] == expected


async def test_leaving_stops_the_generation(pipe: Any) -> None:
    count = TokenCount()
    llm = model_of(pipe, **GREEDY, max_new_tokens=1000, stopping_criteria=[count])
    async with aclosing(llm.stream_async("the cat")) as stream:
        await anext(stream)
    for thread in threading.enumerate():
        if thread.name == "huggingface-pipeline":
            await asyncio.to_thread(thread.join)
    assert count.tokens < 1000


async def test_a_stop_sequence_ends_text_and_generation(pipe: Any) -> None:
    expected = written_by(pipe, "the cat", 40)
    stop = expected[20:24]
    count = TokenCount()
    llm = model_of(pipe, **GREEDY, stopping_criteria=[count])
    answer = await llm.generate_async("the cat", stop=[stop])
    assert answer.content == expected[: expected.index(stop)]
    assert (answer.finish_reason, answer.stop_sequence) == ("stop", stop)
    cut = expected.index(stop) + len(stop)
    shortest = next(n for n in range(1, 41) if len(written_by(pipe, "the cat", n)) >= cut)
    assert count.tokens == shortest


async def test_an_error_of_transformers_arrives(pipe: Any) -> None:
    with pytest.raises(ValueError, match=r"beam|batch size 1"):
        await model_of(pipe).generate_async("the cat", num_beams=2)
    assert (await model_of(pipe, **GREEDY).generate_async("the cat", max_tokens=3)).content


async def test_messages_go_through_the_chat_template(pipe: Any) -> None:
    pipe.tokenizer.chat_template = TEMPLATE
    messages = [ChatMessage.from_system("one two"), ChatMessage.from_user("the cat")]
    answer = await model_of(pipe, **GREEDY).generate_async(messages)
    assert answer.content == written_by(pipe, "system one two user the cat assistant ", 40)


async def test_the_end_token_ends_the_answer_and_is_no_text(pipe: Any) -> None:
    forced = {**GREEDY, "forced_eos_token_id": pipe.tokenizer.eos_token_id, "max_new_tokens": 5}
    answer = await model_of(pipe, **forced).generate_async("the cat")
    assert "<end>" not in answer.content
    assert answer.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5


async def test_the_example_configuration_runs_with_the_tiny_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    example = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    code = (example / "config.py").read_text(encoding="utf-8")
    assert '"databricks/dolly-v2-3b"' in code
    (example / "config.py").write_text(code.replace('"databricks/dolly-v2-3b"', repr(str(folder))))
    rails = LLMRails(RailsConfig.from_path(str(example)))
    messages = [{"role": "user", "content": "the cat"}]
    chunks = [chunk async for chunk in rails.stream_async(messages=messages, include_metadata=True)]
    assert chunks[-1]["metadata"]["usage_metadata"]["output_tokens"] <= 100
    assert len(chunks) > 2
