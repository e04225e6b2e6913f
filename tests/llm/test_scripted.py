"""The scripted engine: which entry answers, in which pieces, at which pace, with which end."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.config.models import Model
from nemoguardrails.context import llm_call_info_var
from nemoguardrails.exceptions import (
    InvalidModelConfigurationError,
    LLMBadRequestError,
    LLMClientError,
    LLMConnectionError,
    LLMRateLimitError,
)
from nemoguardrails.llm.models import build_model
from nemoguardrails.llm.providers import scripted
from nemoguardrails.llm.providers.script import words
from nemoguardrails.logging.explain import LLMCallInfo
from nemoguardrails.types import ChatMessage, LLMModel, LLMResponseChunk, UsageInfo


def model_of(
    *replies: Any, engine: str = "scripted", config_path: Path | None = None, **parameters: Any
) -> LLMModel:
    if replies:
        parameters["replies"] = list(replies)
    section = {"type": "main", "engine": engine, "parameters": parameters}
    return build_model(Model.model_validate(section), config_path=config_path)


async def chunks_of(model: LLMModel, prompt: Any = "Hi", **options: Any) -> list[LLMResponseChunk]:
    async with aclosing(model.stream_async(prompt, **options)) as stream:  # type: ignore[type-var]
        return [chunk async for chunk in stream]


async def answer(model: LLMModel, prompt: Any = "Hi", **options: Any) -> str:
    """The text, which must be the same streamed."""
    return (await model.generate_async(prompt, **options)).content


def pieces(chunks: list[LLMResponseChunk]) -> list[str]:
    return [chunk.delta_content for chunk in chunks if chunk.delta_content is not None]


class TestChoice:
    async def test_replies_take_turns(self) -> None:
        model = model_of("one", "two")
        assert [await answer(model) for _ in range(3)] == ["one", "two", "one"]

    async def test_the_first_entry_that_fits_answers(self) -> None:
        model = model_of(
            {"fallback": True, "reply": "what?"},
            {"when": "(?i)hello", "reply": ["Hi!", "Hi again!"]},
            {"when": "hello world", "reply": "never"},
        )
        assert await answer(model, "Hello world") == "Hi!"
        assert await answer(model, "bye") == "what?"
        assert await answer(model, "HELLO") == "Hi again!"

    async def test_the_last_message_of_the_user_counts(self) -> None:
        model = model_of({"when": "two", "reply": "yes"}, {"fallback": True, "reply": "no"})
        turns = [
            ChatMessage.from_user("two"),
            ChatMessage.from_assistant("two"),
            ChatMessage.from_user("three"),
        ]
        assert await answer(model, turns) == "no"
        assert (
            await answer(model, [*turns, ChatMessage.from_user([{"type": "text", "text": "two"}])]) == "yes"
        )

    async def test_an_entry_may_be_for_a_task(self) -> None:
        model = model_of(
            {"task": ["self_check_input", "other"], "reply": "No"}, {"fallback": True, "reply": "Hello"}
        )
        assert await answer(model) == "Hello"
        token = llm_call_info_var.set(LLMCallInfo(task="self_check_input"))
        try:
            assert await answer(model) == "No"
        finally:
            llm_call_info_var.reset(token)

    async def test_groups_of_the_question_may_stand_in_the_answer(self) -> None:
        model = model_of({"when": r"I am (\w+)( \w+)?", "reply": 'Hello {1}{2}, {9}! {"a": 1}'})
        assert await answer(model, "I am Ada") == 'Hello Ada, {9}! {"a": 1}'

    async def test_a_request_that_nobody_answers_is_an_error_without_its_text(self) -> None:
        with pytest.raises(LLMBadRequestError, match="fallback") as caught:
            await answer(model_of({"when": "x", "reply": "y"}), "secret words")
        assert "secret" not in str(caught.value)

    async def test_fake_answers_from_its_list(self) -> None:
        model = model_of(engine="fake", responses=["a", "b"])
        assert model.provider_name == "fake"
        assert [await answer(model) for _ in range(3)] == ["a", "b", "a"]


class TestPieces:
    async def test_a_stream_has_words_and_a_finish_with_counted_usage(self) -> None:
        chunks = await chunks_of(model_of("Once upon  a time.\n"), "Tell me more")
        assert pieces(chunks) == ["Once ", "upon  ", "a ", "time.\n"]
        assert (chunks[-1].finish_reason, chunks[-1].usage) == ("stop", UsageInfo(3, 4, 7))
        assert {chunk.model for chunk in chunks} == {"scripted"}
        assert len({chunk.request_id for chunk in chunks}) == 1

    @given(st.text())
    def test_the_words_of_a_text_joined_are_the_text(self, text: str) -> None:
        assert "".join(words(text)) == text

    async def test_tokens_may_be_given(self) -> None:
        assert pieces(await chunks_of(model_of({"tokens": ["a", "", "bc"]}))) == ["a", "", "bc"]

    async def test_streamed_and_whole_agree(self) -> None:
        entry = {
            "reply": "The sum is 3.",
            "reasoning": "one and two",
            "tool_calls": [{"name": "sum", "arguments": {"a": 1}}],
            "usage": {"input_tokens": 10, "output_tokens": 20},
        }
        model = model_of(entry)
        chunks, whole = await chunks_of(model), await model.generate_async("Hi")
        assert "".join(pieces(chunks)) == whole.content == "The sum is 3."
        assert "".join(chunk.delta_reasoning or "" for chunk in chunks) == whole.reasoning == "one and two"
        assert chunks[-1].delta_tool_calls == whole.tool_calls
        assert chunks[-1].finish_reason == whole.finish_reason == "tool_calls"
        assert chunks[-1].usage == whole.usage == UsageInfo(10, 20, 30)
        assert [f.arguments for chunk in chunks for f in chunk.tool_call_fragments or []] == ['{"a": 1}']

    @pytest.mark.parametrize(
        ("stop", "text"),
        [(["upon"], "Once "), (["time", "on"], "Once up"), (["zzz", ""], "Once upon a time.")],
    )
    async def test_stop_texts_end_the_reply(self, stop: list[str], text: str) -> None:
        model = model_of("Once upon a time.")
        assert await answer(model, stop=stop) == text
        assert "".join(pieces(await chunks_of(model, stop=stop))) == text

    async def test_max_tokens_ends_the_reply(self) -> None:
        whole = await model_of("Once upon a time.").generate_async("Hi", max_tokens=2)
        assert (whole.content, whole.finish_reason) == ("Once upon ", "length")

    async def test_a_finish_reason_may_be_given(self) -> None:
        chunks = await chunks_of(model_of({"reply": "x", "finish_reason": "content_filter"}))
        assert chunks[-1].finish_reason == "content_filter"


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "kind"), [(429, LLMRateLimitError), (0, LLMConnectionError), (404, LLMClientError)]
    )
    async def test_a_failure_comes_after_its_tokens(self, status: int, kind: type[LLMClientError]) -> None:
        entry = {"reply": "a b c", "error": {"status": status, "message": "no more", "after_tokens": 2}}
        model = model_of(entry)
        seen: list[LLMResponseChunk] = []
        with pytest.raises(kind, match="no more") as caught:
            await _collect(model, seen)
        assert type(caught.value) is kind
        assert pieces(seen) == ["a ", "b "]
        assert all(chunk.finish_reason is None for chunk in seen)
        with pytest.raises(kind):
            await model.generate_async("Hi")

    async def test_a_failure_may_come_at_once(self) -> None:
        with pytest.raises(LLMClientError, match="scripted error"):
            await chunks_of(model_of({"error": {}}))


class TestPace:
    async def slept(
        self, model: LLMModel, monkeypatch: pytest.MonkeyPatch, reader_s: float = 0.0
    ) -> list[float]:
        """The waits of a stream, on a clock that only they (and a slow reader) move."""
        loop = asyncio.get_running_loop()
        now = [100.0]
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(round(seconds, 6))
            now[0] += seconds

        monkeypatch.setattr(loop, "time", lambda: now[0])
        monkeypatch.setattr(scripted.asyncio, "sleep", sleep)
        async with aclosing(model.stream_async("Hi")) as stream:  # type: ignore[type-var]
            async for _ in stream:
                now[0] += reader_s
        monkeypatch.undo()
        return waits

    async def test_pieces_come_at_their_pace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert await self.slept(model_of({"reply": "a b c", "delay_s": 2, "pace_s": 0.5}), monkeypatch) == [
            2,
            0.5,
            0.5,
        ]
        assert await self.slept(model_of("a b", tokens_per_second=4), monkeypatch) == [0.25]
        assert await self.slept(
            model_of({"reply": "a b", "pace_s": 0}, pace_s=1, delay_s=3), monkeypatch
        ) == [3]
        assert await self.slept(model_of("a b c"), monkeypatch) == []

    async def test_a_slow_reader_does_not_slow_the_clock_of_the_pieces(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await self.slept(model_of({"reply": "a b c", "pace_s": 1.0}), monkeypatch, 0.4) == [0.6, 0.6]
        assert await self.slept(model_of({"reply": "a b c", "pace_s": 1.0}), monkeypatch, 5.0) == []

    async def test_a_whole_answer_takes_as_long_as_its_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(round(seconds, 2))

        monkeypatch.setattr(scripted.asyncio, "sleep", sleep)
        await model_of({"reply": "a b c", "delay_s": 2, "pace_s": 0.5}).generate_async("Hi")
        assert waits == [3.0]


class TestScripts:
    async def test_a_file_may_hold_the_script(self, tmp_path: Path) -> None:
        (tmp_path / "demo.yml").write_text("replies:\n  - when: hi\n    reply: from the file\n")
        model = model_of({"when": "first", "reply": "inline"}, script="demo.yml", config_path=tmp_path)
        assert await answer(model, "hi") == "from the file"
        assert await answer(model, "first hi") == "inline"

    async def test_a_file_may_be_a_plain_list(self, tmp_path: Path) -> None:
        path = tmp_path / "demo.yml"
        path.write_text("- one\n- two\n")
        model = model_of(script=str(path))
        assert [await answer(model) for _ in range(2)] == ["one", "two"]

    @pytest.mark.parametrize(
        ("entry", "fault"),
        [
            ({"reply": "x", "repyl": 1}, r"entry 2: `repyl`"),
            ({"when": "(", "reply": "x"}, r"entry 2: `when`"),
            ({"when": "x"}, r"entry 2: give `reply`, `tokens`"),
            ({"reply": "x", "tokens": ["x"]}, r"entry 2: give either `reply` or `tokens`"),
            ({"reply": "x", "delay_s": -1}, r"entry 2: `delay_s`"),
            ({"reply": "x", "error": {"status": "bad"}}, r"entry 2: `error.status`"),
            (7, r"entry 2"),
        ],
    )
    def test_a_fault_is_named_with_file_entry_and_key(self, entry: Any, fault: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidModelConfigurationError, match=r"`parameters.replies`, " + fault):
            model_of({"reply": "fine"}, entry)

    @pytest.mark.parametrize(
        ("text", "fault"),
        [("replies: 7", "a list"), ("replies: [", "not YAML"), ("", "give `parameters.replies`")],
    )
    def test_a_file_that_is_no_script_is_named(self, text: str, fault: str, tmp_path: Path) -> None:
        (tmp_path / "demo.yml").write_text(text)
        with pytest.raises(InvalidModelConfigurationError, match=fault):
            model_of(script="demo.yml", config_path=tmp_path)

    def test_a_script_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidModelConfigurationError, match=r"cannot read the script .*demo.yml"):
            model_of(script="demo.yml", config_path=tmp_path)
        with pytest.raises(InvalidModelConfigurationError, match=r"give `parameters.replies`"):
            model_of()
        with pytest.raises(InvalidModelConfigurationError, match=r"`pace_s`"):
            model_of("x", pace_s="fast")


async def _collect(model: LLMModel, into: list[LLMResponseChunk]) -> None:
    async with aclosing(model.stream_async("Hi")) as stream:  # type: ignore[type-var]
        async for chunk in stream:
            into.append(chunk)
