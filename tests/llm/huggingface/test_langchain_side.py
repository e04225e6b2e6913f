"""What LangChain's users do with a pipeline: with LangChain, and as far as it goes without."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from huggingface_toys import FakePipeline
from nemoguardrails.exceptions import MissingExtraError
from nemoguardrails.llm.providers.huggingface import (
    AsyncTextIteratorStreamer,
    HuggingFacePipelineCompatible,
    runnable,
)
from nemoguardrails.types import ChatMessage

DIALOG = "Be brief.\n\nUser: Hi\nAssistant:"


def llm_over(pipe: FakePipeline) -> HuggingFacePipelineCompatible:
    streamer = AsyncTextIteratorStreamer(pipe.tokenizer, skip_prompt=True)
    return HuggingFacePipelineCompatible(pipe, {"streamer": streamer})


def test_code_without_a_loop_gets_whole_and_streamed_text() -> None:
    llm = llm_over(FakePipeline("one two three "))
    assert llm.invoke("?") == "one two three "
    assert list(llm.stream("?", stop=["two"])) == ["one "]
    assert llm.invoke("?", max_tokens=1) == "one "


def test_leaving_a_stream_stops_the_generation() -> None:
    pipe = FakePipeline("x " * 100_000)
    pieces = llm_over(pipe).stream("?")
    assert next(pieces) == "x "
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    pipe.wait_for_end()
    assert pipe.generated < 100_000


async def test_code_in_a_loop_uses_the_asynchronous_methods() -> None:
    llm = llm_over(FakePipeline("one two "))
    assert await llm.ainvoke("?") == "one two "
    assert [piece async for piece in llm.astream("?")] == ["one ", "two "]
    with pytest.raises(RuntimeError, match="use the asynchronous method"):
        llm.invoke("?")


async def test_an_empty_answer_is_an_empty_text() -> None:
    assert await llm_over(FakePipeline("")).ainvoke("?") == ""


@pytest.mark.parametrize(
    "given",
    [
        [ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hi")],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        [("system", "Be brief."), ("human", "Hi")],
        [("system", "Be brief."), "Hi"],
        [SimpleNamespace(type="system", content="Be brief."), SimpleNamespace(type="human", content=["Hi"])],
        SimpleNamespace(messages=[("system", "Be brief."), ("human", "Hi")]),
    ],
)
def test_messages_of_every_kind_are_read(given: Any) -> None:
    pipe = FakePipeline()
    llm_over(pipe).invoke(given)
    assert pipe.prompts == [DIALOG]


def test_a_single_message_and_a_prompt_value_are_read() -> None:
    pipe = FakePipeline()
    llm_over(pipe).invoke(SimpleNamespace(type="human", content="Hi"))
    llm_over(pipe).invoke(SimpleNamespace(to_string=lambda: "as text"))
    assert pipe.prompts == ["User: Hi\nAssistant:", "as text"]


def test_without_langchain_a_chain_is_refused_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runnable, "has_langchain", lambda: False)
    llm = llm_over(FakePipeline())
    with pytest.raises(MissingExtraError, match=r"sluice-guardrails\[langchain\]"):
        llm | str
    with pytest.raises(MissingExtraError):
        {"a": str} | llm
    with pytest.raises(AttributeError, match="has no attribute 'bind'"):
        llm.bind  # noqa: B018 - the access is the test


class TestWithLangChain:
    @pytest.fixture(autouse=True)
    def _langchain(self) -> None:
        pytest.importorskip("langchain_core", reason="LangChain is not installed")
        self.prompts = importlib.import_module("langchain_core.prompts")
        self.parser = importlib.import_module("langchain_core.output_parsers").StrOutputParser()

    def test_a_chain_streams_token_by_token(self) -> None:
        pipe = FakePipeline("one two three ")
        chat = self.prompts.ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{text}")])
        chain = chat | llm_over(pipe) | self.parser
        assert [piece for piece in chain.stream({"text": "Hi"}) if piece] == ["one ", "two ", "three "]
        assert chain.invoke({"text": "Hi"}) == "one two three "
        assert pipe.prompts == [DIALOG, DIALOG]

    async def test_an_asynchronous_chain_streams_too(self) -> None:
        template = self.prompts.PromptTemplate.from_template("Say {text}")
        pipe = FakePipeline("one two ")
        chain = template | llm_over(pipe) | self.parser
        assert [piece async for piece in chain.astream({"text": "Hi"}) if piece] == ["one ", "two "]
        assert await chain.ainvoke({"text": "Hi"}) == "one two "
        assert pipe.prompts == ["Say Hi", "Say Hi"]

    def test_it_can_stand_first_be_bound_and_run_in_batches(self) -> None:
        pipe = FakePipeline("one two three ")
        llm = llm_over(pipe)
        assert (llm | self.parser).invoke("?") == "one two three "
        assert ((lambda text: f"{text}!") | llm).invoke("hey") == "one two three "
        assert pipe.prompts[-1] == "hey!"
        assert llm.bind(stop=["three"]).invoke("?") == "one two "
        assert llm.batch(["a", "b"]) == ["one two three "] * 2

    def test_callbacks_see_the_call(self) -> None:
        callbacks = importlib.import_module("langchain_core.callbacks")
        ended: list[Any] = []

        class Handler(callbacks.BaseCallbackHandler):  # type: ignore[misc,name-defined]  # known when it runs
            def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
                ended.append(outputs)

        llm_over(FakePipeline("one ")).invoke("?", {"callbacks": [Handler()]})
        assert ended == ["one "]
