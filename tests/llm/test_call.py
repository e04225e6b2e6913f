"""Every model is called through one door, which records the call, whole or streamed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from nemoguardrails.context import explain_info_var, llm_call_info_var, turn_record_var
from nemoguardrails.exceptions import LLMCallException, LLMRateLimitError
from nemoguardrails.llm.call import is_reasoning_model, llm_call, stream_call
from nemoguardrails.logging.explain import ExplainInfo, LLMCallInfo
from nemoguardrails.logging.record import TurnRecord
from nemoguardrails.types import ChatMessage, LLMResponse, LLMResponseChunk, UsageInfo
from scripted_model import StreamingModel, WholeModel

USAGE = UsageInfo(input_tokens=5, output_tokens=3, total_tokens=8)
FINISH = LLMResponseChunk(finish_reason="stop", model="parrot-2", request_id="r1")


@pytest.fixture(autouse=True)
def record() -> Iterator[TurnRecord]:
    made = TurnRecord()
    tokens = (turn_record_var.set(made), explain_info_var.set(ExplainInfo()), llm_call_info_var.set(None))
    yield made
    for variable, token in zip((turn_record_var, explain_info_var, llm_call_info_var), tokens, strict=True):
        variable.reset(token)  # type: ignore[arg-type]  # each token belongs to its variable


async def chunks(*model_chunks: Any, stop: list[str] | None = None) -> list[LLMResponseChunk]:
    return [chunk async for chunk in stream_call(StreamingModel(*model_chunks), "hi", stop=stop)]


def text_of(got: list[LLMResponseChunk]) -> str:
    return "".join(chunk.delta_content or "" for chunk in got)


async def test_an_answer_is_text_with_the_attributes_of_a_response() -> None:
    answer = await llm_call(WholeModel(LLMResponse("Hello", model="m", usage=USAGE, request_id="r")), "hi")
    assert answer == "Hello"
    assert isinstance(answer, str)
    assert (answer.content, answer.model, answer.usage, answer.request_id) == ("Hello", "m", USAGE, "r")
    assert type(answer.content) is str
    assert answer.tool_calls is None


async def test_an_answer_can_be_copied_with_its_attributes() -> None:
    answer = await llm_call(WholeModel(LLMResponse("Hello", reasoning="why")), "hi")
    for copied in (copy.deepcopy(answer), pickle.loads(pickle.dumps(answer))):
        assert (copied, copied.reasoning) == ("Hello", "why")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        {"type": "user", "content": "hi"},
        {"type": "human", "content": "hi"},
        ChatMessage.from_user("hi"),
    ],
)
async def test_messages_of_all_forms_reach_the_model(message: Any) -> None:
    model = WholeModel("x")
    await llm_call(model, [message])
    assert model.asked[0][0] == [ChatMessage.from_user("hi")]


async def test_without_a_model_the_call_fails_clearly() -> None:
    with pytest.raises(LLMCallException, match=r"No LLM provided to llm_call\(\)"):
        await llm_call(None, "hi")
    with pytest.raises(TypeError, match="generate_async"):
        await llm_call(object(), "hi")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(LLMCallException, match="No LLM provided"):
        await anext(stream_call(None, "hi"))


async def test_a_call_is_recorded_with_task_prompt_and_tokens(record: TurnRecord) -> None:
    prompt = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]
    metadata = {"response_headers": {"x": "y"}, "system_fingerprint": "f"}
    model = WholeModel(LLMResponse("Hello", usage=USAGE, request_id="r", provider_metadata=metadata))
    await llm_call(model, prompt, task="general")
    (call,) = record.llm_calls
    explained = explain_info_var.get()
    assert explained is not None
    assert explained.llm_calls == [call]
    assert call.task == "general"
    assert call.prompt == "[cyan]System[/]\nBe kind.\n[cyan]User[/]\nhi"
    assert (call.completion, call.request_id) == ("Hello", "r")
    assert (call.prompt_tokens, call.completion_tokens, call.total_tokens) == (5, 3, 8)
    assert (call.llm_model_name, call.llm_provider_name) == ("parrot", "test")
    assert call.raw_response == {"system_fingerprint": "f"}
    assert call.started_at
    assert call.finished_at == pytest.approx(call.started_at + (call.duration or 0))


async def test_the_task_that_an_action_names_is_used_once(record: TurnRecord) -> None:
    named = LLMCallInfo(task="my_task")
    llm_call_info_var.set(named)
    await llm_call(WholeModel("a"), "hi")
    await llm_call(WholeModel("b"), "hi")
    await llm_call(WholeModel("c"), "hi", task="other")
    assert record.llm_calls[0] is named
    assert [call.task for call in record.llm_calls] == ["my_task", "my_task", "other"]
    assert [call.completion for call in record.llm_calls] == ["a", "b", "c"]


async def test_a_failed_call_names_the_model_and_is_recorded(record: TurnRecord) -> None:
    error = LLMRateLimitError(429, "slow down")
    with pytest.raises(LLMCallException) as raised:
        await llm_call(WholeModel(error), "hi")
    assert raised.value.inner_exception is error
    assert raised.value.status == 429
    assert (
        raised.value.detail
        == "Error invoking LLM (model=parrot, provider=test, endpoint=http://model.test/v1)"
    )
    assert (record.llm_calls[0].prompt, record.llm_calls[0].completion) == ("hi", None)


async def test_parameters_are_passed_on_and_their_stop_wins() -> None:
    model = WholeModel("x")
    await llm_call(
        model, "hi", stop=["a"], llm_params={"stop": ["b"], "temperature": 0.1, "max_tokens": None}
    )
    assert model.asked == [("hi", ["b"], {"temperature": 0.1})]


@pytest.mark.parametrize(
    "name", ["o1", "o3-mini", "openai/o4-mini", "gpt-5", "gpt-5-nano", "gpt-5.1", "gpt-6x"]
)
async def test_reasoning_models_are_spared_what_they_refuse(name: str) -> None:
    model = WholeModel("one STOP two", model_name=name)
    answer = await llm_call(model, "hi", stop=["STOP"], llm_params={"temperature": 0.1, "max_tokens": 9})
    assert model.asked == [("hi", None, {"max_completion_tokens": 9})]
    assert answer == "one "


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5-chat-latest", "o10", "omni", "gpt-50", "llama-o1"])
def test_other_models_are_no_reasoning_models(name: str) -> None:
    assert not is_reasoning_model(name)


async def test_reasoning_tags_and_stops_are_cut_out_of_a_whole_answer() -> None:
    answer = await llm_call(WholeModel("<think>why</think>\nYes. User: no"), "hi", stop=["User:"])
    assert (answer, answer.reasoning, answer.stop_sequence) == ("Yes. ", "why", "User:")
    kept = await llm_call(WholeModel(LLMResponse("<think>x</think>", reasoning="own")), "hi")
    assert (kept, kept.reasoning) == ("<think>x</think>", "own")


async def test_an_answer_cut_before_any_text_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await llm_call(WholeModel(LLMResponse("", finish_reason="length")), "hi")
    assert "used up its tokens" in caplog.text


class Sink:
    def __init__(self) -> None:
        self.got: list[str] = []

    async def push_chunk(self, chunk: str, /) -> None:
        self.got.append(chunk)

    async def on_llm_end(self, response: object, **kwargs: Any) -> None:
        self.got.append("END")


async def test_a_handler_is_pushed_the_text_as_it_comes() -> None:
    sink = Sink()
    answer = await llm_call(StreamingModel("<think>r</think>a", "b", FINISH), "hi", None, None, sink)
    assert sink.got == ["a", "b", "END"]
    assert (answer, answer.reasoning, answer.model, answer.finish_reason) == ("ab", "r", "parrot-2", "stop")


async def test_a_stream_passes_the_models_chunks_on_unchanged(record: TurnRecord) -> None:
    sent = [LLMResponseChunk(delta_content=text) for text in ("", "Once", " upon")]
    usage = LLMResponseChunk(usage=USAGE)
    model = StreamingModel(*sent, FINISH, usage)
    got = [chunk async for chunk in stream_call(model, "hi", task="general")]
    assert all(one is other for one, other in zip(got, [*sent, FINISH, usage], strict=True))
    (call,) = record.llm_calls
    assert (call.completion, call.total_tokens, call.request_id) == ("Once upon", 8, "r1")
    assert (call.llm_model_name, call.task) == ("parrot-2", "general")


async def test_reasoning_tags_become_reasoning_in_a_stream() -> None:
    got = await chunks("<th", "ink>wh", "y</think", ">\n", "Yes", ".", FINISH)
    assert text_of(got) == "Yes."
    assert "".join(chunk.delta_reasoning or "" for chunk in got) == "why"
    assert got[-1] is FINISH


async def test_a_stream_that_never_closes_its_reasoning_has_no_text() -> None:
    got = await chunks("<think>wh", "y", FINISH)
    assert text_of(got) == ""
    assert "".join(chunk.delta_reasoning or "" for chunk in got) == "why"


@pytest.mark.parametrize("end", [[FINISH], []])
async def test_what_was_held_back_comes_before_the_end(end: list[Any]) -> None:
    got = await chunks("I like U", "S", " food U", *end, stop=["User:"])
    assert text_of(got) == "I like US food U"
    assert [chunk.finish_reason for chunk in got][-1:] == (["stop"] if end else [None])


async def test_a_stop_ends_the_stream_and_closes_the_models(record: TurnRecord) -> None:
    model = StreamingModel("Hi ", "Us", "er: x", "never read", FINISH)
    got = [chunk async for chunk in stream_call(model, "hi", stop=["User:"])]
    assert text_of(got) == "Hi "
    assert got[-1].finish_reason == "stop"
    assert (model.sent, model.closed) == (3, True)
    assert record.llm_calls[0].completion == "Hi "


async def test_stops_count_in_the_answer_and_not_in_the_reasoning() -> None:
    got = await chunks("<think>User: asks</think>", "Fine. ", "User: no", stop=["User:"])
    assert text_of(got) == "Fine. "


async def test_closing_a_stream_closes_the_models_and_records_what_came(record: TurnRecord) -> None:
    model = StreamingModel("a", "b", "c")
    stream = stream_call(model, "hi")
    assert [(await anext(stream)).delta_content, (await anext(stream)).delta_content] == ["a", "b"]
    await stream.aclose()
    assert (model.sent, model.closed) == (2, True)
    assert record.llm_calls[0].completion == "ab"


async def test_a_stream_that_breaks_gives_its_text_and_then_the_error(record: TurnRecord) -> None:
    stream = stream_call(StreamingModel("a", LLMRateLimitError(429, "slow down")), "hi")
    assert (await anext(stream)).delta_content == "a"
    with pytest.raises(LLMCallException, match="model=parrot") as raised:
        await anext(stream)
    assert raised.value.status == 429
    assert record.llm_calls[0].completion == "a"


async def test_a_model_that_cannot_stream_is_streamed_as_one_chunk() -> None:
    answer = LLMResponse("Hello", reasoning="r", usage=USAGE, model="m")
    got = [chunk async for chunk in stream_call(WholeModel(answer), "hi")]
    assert got == [
        LLMResponseChunk(
            delta_content="Hello", delta_reasoning="r", model="m", finish_reason="stop", usage=USAGE
        )
    ]


async def test_nothing_is_asked_before_the_first_chunk_is_wanted() -> None:
    model = StreamingModel("a")
    stream = stream_call(model, "hi")
    assert model.asked == []
    await stream.aclose()


async def test_calls_work_without_a_record() -> None:
    turn_record_var.set(None)
    explain_info_var.set(None)
    assert await llm_call(WholeModel("x"), "hi") == "x"


async def test_listeners_hear_of_a_call_when_it_begins_and_when_its_record_is_complete(
    record: TurnRecord,
) -> None:
    heard: list[tuple[str, str | None]] = []
    record.listener = lambda topic, call: heard.append((topic, getattr(call, "completion", None)))
    await llm_call(WholeModel("x"), "hi")
    assert heard == [("model call", None), ("model call finished", "x")]


async def test_the_record_of_an_endless_stream_keeps_its_beginning() -> None:
    model = StreamingModel(*[LLMResponseChunk(delta_content="word ")] * 20_000)
    record = TurnRecord()
    turn_record_var.set(record)
    texts = [chunk.delta_content async for chunk in stream_call(model, "hi")]
    assert len("".join(filter(None, texts))) == 100_000
    completion = record.llm_calls[0].completion
    assert completion is not None
    assert completion == "word " * 12_800 + "... (100000 characters in all)"
