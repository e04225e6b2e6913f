"""A pipeline as a model: streams, waits its turn, stops when nobody reads, counts, obeys parameters."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from contextlib import aclosing
from typing import Any

import pytest

from huggingface_toys import ChatTokenizer, FakePipeline, WordTokenizer
from nemoguardrails.llm.providers.huggingface import (
    AsyncTextIteratorStreamer,
    HuggingFacePipelineCompatible,
)
from nemoguardrails.types import ChatMessage, LLMModel, LLMResponseChunk, UsageInfo

WORDS = ["The ", "capital ", "of ", "France ", "is ", "Paris. "]


def model_of(pipe: FakePipeline, **options: Any) -> HuggingFacePipelineCompatible:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    model_kwargs = {"streamer": streamer, **options.pop("model_kwargs", {})}
    return HuggingFacePipelineCompatible(pipeline=pipe, model_kwargs=model_kwargs, **options)


async def chunks_of(
    model: LLMModel, prompt: Any = "capital of France?", **options: Any
) -> list[LLMResponseChunk]:
    return [chunk async for chunk in model.stream_async(prompt, **options)]


async def texts_of(model: LLMModel, prompt: Any = "capital of France?", **options: Any) -> list[str]:
    return [chunk.delta_content for chunk in await chunks_of(model, prompt, **options) if chunk.delta_content]


class TestStream:
    async def test_the_answer_comes_token_by_token_with_a_finish(self) -> None:
        pipe = FakePipeline()
        model = model_of(pipe)
        assert isinstance(model, LLMModel)
        chunks = await chunks_of(model)
        assert [chunk.delta_content for chunk in chunks] == [*WORDS, None]
        assert (chunks[-1].model, chunks[-1].finish_reason) == ("toy", "stop")
        assert chunks[-1].usage == UsageInfo(3, 6, 9)
        assert pipe.threads == ["huggingface-pipeline"]

    async def test_a_piece_arrives_while_the_generation_goes_on(self) -> None:
        steps = threading.Semaphore(0)
        pipe = FakePipeline(steps=steps)
        async with aclosing(model_of(pipe).stream_async("?")) as stream:
            for n, word in enumerate(WORDS, 1):
                steps.release()
                assert (await anext(stream)).delta_content == word
                assert pipe.generated == n

    async def test_whole_answers_are_the_folded_stream(self) -> None:
        answer = await model_of(FakePipeline()).generate_async("capital of France?")
        assert answer.content == "".join(WORDS)
        assert (answer.model, answer.finish_reason, answer.usage) == ("toy", "stop", UsageInfo(3, 6, 9))

    async def test_without_a_streamer_the_answer_is_one_piece(self) -> None:
        pipe = FakePipeline()
        model = HuggingFacePipelineCompatible(pipe)
        assert await texts_of(model) == ["".join(WORDS)]
        assert "streamer" not in pipe.asked[0]
        assert pipe.asked[0]["return_full_text"] is False

    async def test_streaming_without_a_streamer_is_an_error(self) -> None:
        model = HuggingFacePipelineCompatible(FakePipeline(), {"streaming": True})
        expected = "Cannot stream, please add HuggingFace streamer object to model_kwargs!"
        with pytest.raises(ValueError, match=expected):
            await chunks_of(model)
        with pytest.raises(ValueError, match=expected):
            await model.generate_async("?")

    async def test_a_streamer_that_only_the_pipeline_was_given_is_a_template_too(self) -> None:
        template = AsyncTextIteratorStreamer(WordTokenizer(), skip_prompt=True)
        pipe = FakePipeline(streamer=template)
        template.tokenizer = pipe.tokenizer
        pipe._forward_params["streamer"] = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
        assert await texts_of(HuggingFacePipelineCompatible(pipe)) == WORDS

    async def test_a_streamer_of_another_make_lends_its_tokenizer_and_arguments(self) -> None:
        class Foreign:
            skip_prompt = True
            decode_kwargs: dict[str, Any] = {"clean_up_tokenization_spaces": False}  # noqa: RUF012 - a stand-in

        pipe = FakePipeline()
        foreign = Foreign()
        foreign.tokenizer = pipe.tokenizer  # type: ignore[attr-defined]  # as transformers' own have it
        assert await texts_of(HuggingFacePipelineCompatible(pipe, {"streamer": foreign})) == WORDS
        used = pipe.asked[0]["streamer"]
        assert (used.skip_prompt, used.decode_kwargs) == (True, Foreign.decode_kwargs)

    async def test_a_pipeline_that_ignores_the_streamer_still_answers(self) -> None:
        pipe = FakePipeline()

        def deaf(text: str, streamer: Any = None, **kwargs: Any) -> Any:
            return pipe(text, **kwargs)

        deaf.tokenizer = pipe.tokenizer  # type: ignore[attr-defined]  # functions carry attributes
        model = HuggingFacePipelineCompatible(deaf, {"streamer": AsyncTextIteratorStreamer(pipe.tokenizer)})
        assert await texts_of(model) == ["".join(WORDS)]

    @pytest.mark.parametrize(
        ("result", "text"),
        [
            ([{"generated_text": "plain"}], "plain"),
            ([[{"generated_text": "nested"}]], "nested"),
            ({"summary_text": "short"}, "short"),
            (
                [
                    {
                        "generated_text": [
                            {"role": "user", "content": "q"},
                            {"role": "assistant", "content": "a"},
                        ]
                    }
                ],
                "a",
            ),
            (["role of text"], "role of text"),
            ([], ""),
            (None, ""),
        ],
    )
    async def test_the_text_is_found_in_what_pipelines_return(self, result: Any, text: str) -> None:
        answer = await HuggingFacePipelineCompatible(lambda prompt, **kwargs: result).generate_async("q")
        assert answer.content == text
        assert answer.usage is None
        assert answer.model == "huggingface_pipeline"


class TestConcurrency:
    async def test_generations_do_not_mix_and_each_has_its_own_streamer(self) -> None:
        pipe = FakePipeline(lambda prompt: f"{prompt} " * 20)
        template = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
        model = HuggingFacePipelineCompatible(pipe, {"streamer": template}, max_parallel=4)
        answers = await asyncio.gather(*(texts_of(model, f"p{n}") for n in range(8)))
        assert answers == [[f"p{n} "] * 20 for n in range(8)]
        streamers = [asked["streamer"] for asked in pipe.asked]
        assert len({id(one) for one in [template, *streamers]}) == 9
        assert template.text_queue.empty()
        assert pipe.most_running <= 4

    async def test_one_generation_runs_at_a_time_and_the_others_wait_in_order(self) -> None:
        pipe = FakePipeline("x " * 5)
        model = model_of(pipe)
        await asyncio.gather(*(texts_of(model, f"p{n}") for n in range(6)))
        assert pipe.prompts == [f"p{n}" for n in range(6)]
        assert pipe.most_running == 1

    async def test_a_reader_that_needs_the_same_pipeline_for_its_next_step_is_not_locked_out(self) -> None:
        pipe = FakePipeline("x " * 500)
        model = model_of(pipe)
        async with aclosing(model.stream_async("answer")) as stream:
            assert (await anext(stream)).delta_content == "x "
            check = await model.generate_async("is that all right?", max_tokens=3)
            assert check.content == "x x x "
            rest = [chunk.delta_content async for chunk in stream]
        assert len([text for text in rest if text]) == 499

    async def test_a_slow_reader_slows_the_generation(self) -> None:
        pipe = FakePipeline("x " * 1000)
        async with aclosing(model_of(pipe).stream_async("?")) as stream:
            async for n, _ in _counted(stream):
                if n < 1000:
                    assert pipe.generated <= n + 66
        assert pipe.generated == 1000

    def test_one_model_serves_several_loops(self) -> None:
        model = model_of(FakePipeline())
        assert [asyncio.run(texts_of(model)) for _ in range(2)] == [WORDS, WORDS]


async def _counted(stream: Any) -> Any:
    n = 0
    async for chunk in stream:
        n += 1
        yield n, chunk


class TestLeaving:
    async def test_the_generation_stops_with_the_next_token_when_the_reader_leaves(self) -> None:
        steps = threading.Semaphore(0)
        pipe = FakePipeline("x " * 1000, steps=steps)
        model = model_of(pipe)
        async with aclosing(model.stream_async("?")) as stream:
            steps.release()
            await anext(stream)
        assert pipe.running == 1
        for _ in range(5):
            steps.release()
        await asyncio.to_thread(pipe.wait_for_end)
        assert pipe.generated == 2
        for _ in range(10):
            steps.release()
        assert len(await texts_of(model, max_tokens=5)) == 5

    async def test_cancelling_a_reader_frees_the_thread(self) -> None:
        pipe = FakePipeline("x " * 100_000)
        model = model_of(pipe)
        begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(model.stream_async("?")) as stream:
                async for _ in stream:
                    begun.set()

        reader = asyncio.create_task(read())
        await begun.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.to_thread(pipe.wait_for_end)
        assert pipe.generated < 100_000

    async def test_a_reader_that_leaves_the_queue_never_runs(self) -> None:
        steps = threading.Semaphore(0)
        pipe = FakePipeline("a b ", steps=steps)
        model = model_of(pipe)
        first = asyncio.create_task(texts_of(model, "first"))
        second = asyncio.create_task(texts_of(model, "second"))
        third = asyncio.create_task(texts_of(model, "third"))
        while len(model._lane._waiting) < 2:
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        for _ in range(4):
            steps.release()
        assert await first == await third == ["a ", "b "]
        assert pipe.prompts == ["first", "third"]


class TestFailures:
    async def test_an_error_of_the_pipeline_ends_the_stream_after_what_was_said(self) -> None:
        pipe = FakePipeline("a b ", error=RuntimeError("CUDA out of memory"))
        model = model_of(pipe)
        stream = model.stream_async("?")
        assert [(await anext(stream)).delta_content for _ in "ab"] == ["a ", "b "]
        with pytest.raises(RuntimeError, match="CUDA out of memory"):
            await anext(stream)
        with pytest.raises(RuntimeError, match="CUDA out of memory"):
            await model.generate_async("?")

    @pytest.mark.parametrize("error", [StopIteration("odd"), SystemExit(3), StopAsyncIteration()])
    async def test_errors_that_would_end_a_loop_arrive_as_plain_ones(self, error: BaseException) -> None:
        model = model_of(FakePipeline(error=error))
        with pytest.raises(RuntimeError, match=f"The pipeline raised {type(error).__name__}") as found:
            await chunks_of(model)
        assert found.value.__cause__ is error

    async def test_an_error_after_the_end_of_the_text_is_an_error_too(self) -> None:
        pipe = FakePipeline()

        def failing(text: str, **kwargs: Any) -> Any:
            pipe(text, **kwargs)
            raise RuntimeError("while reading the answer")

        model = HuggingFacePipelineCompatible(
            failing, {"streamer": AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)}
        )
        with pytest.raises(RuntimeError, match="while reading the answer"):
            await chunks_of(model)


class TestParameters:
    async def test_those_of_the_call_override_those_of_the_model(self) -> None:
        pipe = FakePipeline()
        model = model_of(
            pipe,
            model_kwargs={"temperature": 0.01, "max_new_tokens": 100, "top_k": 5},
            pipeline_kwargs={"device_hint": "kept as it is", "top_k": 1},
        )
        await chunks_of(model, temperature=0.5, max_tokens=7, top_p=None)
        asked = pipe.asked[0]
        assert asked["temperature"] == 0.5
        assert asked["do_sample"] is True
        assert asked["max_new_tokens"] == 7
        assert asked["top_k"] == 5
        assert asked["device_hint"] == "kept as it is"
        assert "top_p" not in asked

    async def test_temperature_zero_is_greedy(self) -> None:
        pipe = FakePipeline()
        await chunks_of(model_of(pipe), temperature=0)
        assert pipe.asked[0]["do_sample"] is False
        assert "temperature" not in pipe.asked[0]

    async def test_unknown_ones_are_dropped_with_one_line(self, caplog: pytest.LogCaptureFixture) -> None:
        pipe = FakePipeline()
        model = model_of(pipe, model_kwargs={"trust_remote_code": True})
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                await chunks_of(model, presence_penalty=1, seed=2)
        assert [record.getMessage() for record in caplog.records] == [
            "HuggingFacePipelineCompatible('toy') does not know these parameters; dropped: "
            "presence_penalty, seed, trust_remote_code"
        ]
        assert not {"presence_penalty", "seed", "trust_remote_code"} & set(pipe.asked[0])

    @pytest.mark.parametrize(
        ("init", "kwargs", "finish"),
        [
            ({}, {"max_tokens": 3}, "length"),
            ({}, {"max_tokens": 7}, "stop"),
            ({"max_new_tokens": 6}, {}, "length"),
            ({}, {"max_length": 9}, "length"),
            ({}, {"max_length": 10}, "stop"),
        ],
    )
    async def test_the_finish_is_length_when_all_tokens_were_used(
        self, init: dict[str, Any], kwargs: dict[str, Any], finish: str
    ) -> None:
        chunks = await chunks_of(model_of(FakePipeline(**init)), **kwargs)
        assert chunks[-1].finish_reason == finish

    async def test_an_answer_that_ends_with_its_last_token_is_complete(self) -> None:
        chunks = await chunks_of(model_of(FakePipeline("so be it. <end>")), max_tokens=4)
        assert [chunk.delta_content for chunk in chunks[:-1]] == ["so ", "be ", "it. "]
        assert chunks[-1].finish_reason == "stop"
        assert chunks[-1].usage == UsageInfo(3, 4, 7)

    async def test_stopping_criteria_of_the_user_are_kept(self) -> None:
        pipe = FakePipeline()
        seen: list[int] = []

        def third(input_ids: Any, scores: Any, **kwargs: Any) -> bool:
            seen.append(len(input_ids[0]))
            return len(seen) == 3

        assert await texts_of(model_of(pipe, model_kwargs={"stopping_criteria": [third]})) == WORDS[:3]


class TestStops:
    async def test_the_text_ends_before_a_stop_sequence_and_so_does_the_generation(self) -> None:
        pipe = FakePipeline("one two User: three four ")
        chunks = await chunks_of(model_of(pipe), stop=["User:", "never"])
        assert "".join(chunk.delta_content or "" for chunk in chunks) == "one two "
        assert chunks[-1].finish_reason == "stop"
        assert pipe.generated == 3
        answer = await model_of(pipe).generate_async("?", stop=["User:"])
        assert (answer.content, answer.stop_sequence) == ("one two ", "User:")

    async def test_a_stop_sequence_over_several_tokens_is_found(self) -> None:
        pipe = FakePipeline("a b c d e f ")
        assert "".join(await texts_of(model_of(pipe), stop=["c d e"])) == "a b "
        assert pipe.generated == 5

    async def test_a_stop_sequence_in_the_prompt_does_not_end_the_answer(self) -> None:
        pipe = FakePipeline("a b ")
        assert await texts_of(model_of(pipe), "User: hello", stop=["User:"]) == ["a ", "b "]

    async def test_what_only_looks_like_one_is_given_out(self) -> None:
        assert "".join(await texts_of(model_of(FakePipeline("tell Use")), stop=["User:"])) == "tell Use"

    async def test_without_a_streamer_the_answer_is_cut_as_well(self) -> None:
        pipe = FakePipeline("one two User: three ")
        answer = await HuggingFacePipelineCompatible(pipe).generate_async("?", stop=["User:"])
        assert answer.content == "one two "
        assert pipe.generated == 3


class TestPrompts:
    MESSAGES = (ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hi"))

    async def test_messages_go_through_the_chat_template(self) -> None:
        pipe = FakePipeline(tokenizer=ChatTokenizer())
        await chunks_of(model_of(pipe), list(self.MESSAGES))
        assert pipe.prompts == ["<system> Be brief. <user> Hi <assistant> "]
        assert pipe.asked[0]["add_special_tokens"] is False

    async def test_a_text_goes_as_it_is(self) -> None:
        pipe = FakePipeline(tokenizer=ChatTokenizer())
        await chunks_of(model_of(pipe), "plain")
        assert pipe.prompts == ["plain"]
        assert "add_special_tokens" not in pipe.asked[0]

    async def test_without_a_template_messages_become_a_dialog(self) -> None:
        pipe = FakePipeline()
        turns = [*self.MESSAGES, ChatMessage.from_assistant("Hello"), ChatMessage.from_user("Bye")]
        await chunks_of(model_of(pipe), turns)
        assert pipe.prompts == ["Be brief.\n\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"]

    async def test_a_template_without_a_system_role_gets_instructions_from_the_user(self) -> None:
        from jinja2 import TemplateError

        class Strict(ChatTokenizer):
            def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> str:
                if conversation[0]["role"] == "system":
                    raise TemplateError("System role not supported")
                return super().apply_chat_template(conversation, **options)

        pipe = FakePipeline(tokenizer=Strict())
        await chunks_of(model_of(pipe), list(self.MESSAGES))
        assert pipe.prompts == ["<user> Be brief.\n\nHi <assistant> "]
        await chunks_of(model_of(pipe), [ChatMessage.from_system("Alone.")])
        assert pipe.prompts[-1] == "<user> Alone. <assistant> "

    async def test_a_template_that_refuses_is_an_error(self) -> None:
        from jinja2 import TemplateError

        class Refusing(ChatTokenizer):
            def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> str:
                raise TemplateError("roles must alternate")

        with pytest.raises(TemplateError, match="roles must alternate"):
            await chunks_of(model_of(FakePipeline(tokenizer=Refusing())), [ChatMessage.from_user("Hi")])

    async def test_the_texts_of_several_parts_are_joined(self) -> None:
        pipe = FakePipeline()
        parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {}}]
        await chunks_of(model_of(pipe), [ChatMessage.from_user(parts)])
        assert pipe.prompts == ["User: see\nAssistant:"]


class TestTokens:
    def test_they_are_counted_with_the_tokenizer(self) -> None:
        assert model_of(FakePipeline()).count_tokens("one two three") == 3
        assert HuggingFacePipelineCompatible(lambda text: text).count_tokens("one") is None

    async def test_a_tokenizer_of_another_make_counts_too(self) -> None:
        def plain(text: str, **kwargs: Any) -> str:
            return "three words here"

        class OnlyEncodes:
            def encode(self, text: str) -> list[str]:
                return text.split()

        class OnlyCalls:
            def __call__(self, text: str) -> dict[str, list[str]]:
                return {"input_ids": text.split()}

        for tokenizer in (OnlyEncodes(), OnlyCalls()):
            plain.tokenizer = tokenizer  # type: ignore[attr-defined]  # functions carry attributes
            answer = await HuggingFacePipelineCompatible(plain).generate_async("two words")
            assert answer.usage == UsageInfo(2, 3, 5)


def test_importing_the_module_imports_neither_transformers_nor_langchain() -> None:
    code = """
import sys
from nemoguardrails.llm.providers.huggingface import HuggingFacePipelineCompatible, get_llm_instance_wrapper
from nemoguardrails.integrations.langchain.providers import huggingface
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"transformers", "torch", "langchain_core", "aiohttp"}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_works_with_transformers_missing() -> None:
    code = """
import sys
sys.modules["transformers"] = None
from nemoguardrails.llm.providers.huggingface import AsyncTextIteratorStreamer
from nemoguardrails.llm.providers.huggingface.plain_streamer import PlainTextStreamer
assert issubclass(AsyncTextIteratorStreamer, PlainTextStreamer)
AsyncTextIteratorStreamer(None, skip_prompt=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
