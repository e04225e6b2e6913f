"""What the events of a stream become: text, reasoning, tool calls, usage, errors; the short cut is exact."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopback import delta, usage_event
from nemoguardrails.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMRateLimitError,
    LLMResponseValidationError,
    LLMServerError,
    LLMStreamInterruptedError,
)
from nemoguardrails.llm.providers.envelope import EnvelopeFinder
from nemoguardrails.llm.providers.http_errors import Endpoint
from nemoguardrails.llm.providers.openai_events import StreamDecoder
from nemoguardrails.types import LLMResponseChunk, ToolCallFragment, UsageInfo

ENDPOINT = Endpoint("http://127.0.0.1/v1", "test-model", "openai")


def decoded(*events: Any, mode: Any = "chat", shortcut: bool = True) -> list[LLMResponseChunk]:
    """The chunks of a stream and of its end."""
    decoder = StreamDecoder(mode, ENDPOINT)
    if not shortcut:
        decoder._finder.credit = -(10**9)
    chunks = [decoder.decode(event if isinstance(event, str) else json.dumps(event)) for event in events]
    return [chunk for chunk in [*chunks, decoder.end()] if chunk is not None]


def piece(index: int | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {key: more.pop(key) for key in ("name",) if key in more}
    if arguments is not None:
        function["arguments"] = arguments
    return {**({} if index is None else {"index": index}), "function": function, **more}


def calls_of(chunks: list[LLMResponseChunk]) -> list[tuple[str, str, dict[str, Any]]]:
    lists = [chunk.delta_tool_calls for chunk in chunks if chunk.delta_tool_calls is not None]
    assert len(lists) == 1
    return [(call.id, call.function.name, call.function.arguments) for call in lists[0]]


def test_a_plain_stream_becomes_its_chunks() -> None:
    chunks = decoded(
        delta("", role="assistant"),
        delta("Hel"),
        delta("lo"),
        delta(None, finish="stop"),
        usage_event(3, 2),
        "[DONE]",
    )
    common = {"model": "test-model", "request_id": "chatcmpl-1"}
    assert chunks == [
        LLMResponseChunk(delta_content="Hel", **common),
        LLMResponseChunk(delta_content="lo", **common),
        LLMResponseChunk(finish_reason="stop", **common),
        LLMResponseChunk(usage=UsageInfo(3, 2, 5), **common),
    ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("stop", "stop"),
        ("MAX_TOKENS", "length"),
        ("function_call", "tool_calls"),
        ("weird", "other"),
        ("", None),
    ],
)
def test_finish_reasons_get_our_names(given: str, found: str | None) -> None:
    chunks = decoded(delta("x", finish=given), "[DONE]")
    assert chunks[-1].finish_reason == found


def test_usage_is_read_wherever_it_stands_and_delivered_once() -> None:
    early = {**delta("a"), "usage": {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}}
    details = {
        "completion_tokens_details": {"reasoning_tokens": 4},
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    late = {
        **delta(finish="stop"),
        "x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 6, **details}},
    }
    chunks = decoded(early, late, "[DONE]")
    assert [chunk.usage for chunk in chunks] == [None, UsageInfo(5, 6, 11, 4, 2)]
    assert decoded(early, "[DONE]")[-1].usage == UsageInfo(1, 0, 1)


def test_reasoning_is_apart_from_text() -> None:
    thinking = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "A"},
    ]
    chunks = decoded(
        delta(reasoning_content="one"),
        delta(reasoning="two", reasoning_content="two"),
        delta(reasoning="three"),
        delta(thinking),
        delta(finish="stop"),
    )
    assert [chunk.delta_reasoning for chunk in chunks] == ["one", "two", "three", "hm", None]
    assert [chunk.delta_content for chunk in chunks] == [None, None, None, "A", None]


def test_refusals_and_probabilities_stand_aside() -> None:
    probable = delta("x")
    probable["choices"][0]["logprobs"] = {"content": [{"token": "x"}]}
    chunks = decoded(delta(refusal="I can"), delta(refusal="not"), probable, delta(finish="stop"))
    assert [chunk.provider_metadata for chunk in chunks] == [
        {"refusal": "I can"},
        {"refusal": "not"},
        {"logprobs": {"content": [{"token": "x"}]}},
        None,
    ]
    assert "".join(chunk.delta_content or "" for chunk in chunks) == "x"


def test_what_the_provider_says_besides_comes_with_the_finish() -> None:
    first = {"id": "1", "choices": [], "prompt_filter_results": [{"ok": True}]}
    last = {**delta(finish="stop"), "system_fingerprint": "fp", "obfuscation": "zzz"}
    assert decoded(first, delta("x"), last)[-1].provider_metadata == {
        "prompt_filter_results": [{"ok": True}],
        "system_fingerprint": "fp",
    }


def test_other_choices_are_not_mixed_in() -> None:
    both = delta("a")
    both["choices"].insert(0, delta("NO", index=1)["choices"][0])
    chunks = decoded(
        both, delta("NO", index=1), delta("b"), delta(finish="length", index=1), delta(finish="stop")
    )
    assert "".join(chunk.delta_content or "" for chunk in chunks) == "ab"
    assert [chunk.finish_reason for chunk in chunks][-1] == "stop"


def test_a_text_completion_is_read_from_its_own_key() -> None:
    events = [{"id": "c", "choices": [{"index": 0, "text": text}]} for text in ("a", "b")]
    ending = {"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}
    chunks = decoded(*events, ending, "[DONE]", mode="text")
    assert [chunk.delta_content for chunk in chunks] == ["a", "b", None]
    assert chunks[-1].finish_reason == "length"


class TestToolCalls:
    def test_fragments_come_as_they_are_and_whole_calls_once(self) -> None:
        chunks = decoded(
            delta(tool_calls=[piece(0, "", name="sum", id="c0", type="function")]),
            delta(tool_calls=[piece(0, '{"a"')]),
            delta(tool_calls=[piece(1, '{"b": 2}', name="mul", id="c1"), piece(0, ": 1}")]),
            delta(finish="tool_calls"),
            "[DONE]",
        )
        assert [chunk.tool_call_fragments for chunk in chunks[:3]] == [
            [ToolCallFragment(0, "c0", "sum", "")],
            [ToolCallFragment(0, None, None, '{"a"')],
            [ToolCallFragment(1, "c1", "mul", '{"b": 2}'), ToolCallFragment(0, None, None, ": 1}")],
        ]
        assert calls_of(chunks) == [("c0", "sum", {"a": 1}), ("c1", "mul", {"b": 2})]
        assert chunks[-1].finish_reason == "tool_calls"
        assert chunks[-1].delta_tool_calls is not None

    def test_calls_without_a_finish_reason_come_at_the_end_mark(self) -> None:
        chunks = decoded(delta(tool_calls=[piece(0, "{}", name="now", id="c")]), "[DONE]")
        assert calls_of(chunks) == [("c", "now", {})]

    def test_whole_calls_without_index_stay_apart(self) -> None:
        calls = [piece(None, {"x": 1}, name="f", id="a"), piece(None, "", name="f", id="b")]
        assert calls_of(decoded(delta(tool_calls=calls, finish="tool_calls"))) == [
            ("a", "f", {"x": 1}),
            ("b", "f", {}),
        ]

    def test_calls_that_are_all_numbered_zero_stay_apart(self) -> None:
        first, second = piece(0, '{"x": 1}', name="f", id="a"), piece(0, '{"x": 2}', name="f", id="b")
        chunks = decoded(delta(tool_calls=[first]), delta(tool_calls=[second]), delta(finish="stop"))
        assert calls_of(chunks) == [("a", "f", {"x": 1}), ("b", "f", {"x": 2})]

    def test_an_id_that_is_repeated_begins_no_new_call(self) -> None:
        pieces = [piece(0, part, id="a", **({"name": "f"} if part == "{" else {})) for part in ("{", "}")]
        chunks = decoded(*(delta(tool_calls=[one]) for one in pieces), delta(finish="tool_calls"))
        assert calls_of(chunks) == [("a", "f", {})]

    @pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "nonsense", '{"a": 1}{"b"'])
    def test_broken_arguments_are_an_error_and_no_empty_dict(self, arguments: str) -> None:
        with pytest.raises(LLMResponseValidationError, match="tool 'f' is broken"):
            decoded(delta(tool_calls=[piece(0, arguments, name="f", id="a")]), delta(finish="tool_calls"))


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "kind", "status"),
        [
            ({"type": "invalid_request_error", "message": "m"}, LLMBadRequestError, 400),
            ({"type": "authentication_error", "message": "m"}, LLMAuthenticationError, 401),
            ({"type": "permission_error", "message": "m"}, LLMAuthenticationError, 403),
            ({"type": "not_found_error", "message": "m"}, LLMClientError, 404),
            ({"type": "rate_limit_error", "message": "m"}, LLMRateLimitError, 429),
            ({"type": "server_error", "message": "m"}, LLMServerError, 500),
            ({"type": "overloaded_error", "message": "m"}, LLMServerError, 503),
            ({"code": 429, "message": "m"}, LLMRateLimitError, 429),
            ({"code": "502", "type": "invalid_request_error", "message": "m"}, LLMServerError, 502),
            ({"code": "context_length_exceeded", "type": "odd", "message": "m"}, LLMServerError, 500),
            ("m", LLMServerError, 500),
        ],
    )
    def test_an_error_event_becomes_its_class(
        self, error: Any, kind: type[LLMClientError], status: int
    ) -> None:
        with pytest.raises(kind) as caught:
            decoded(delta("a"), {"error": error})
        assert (type(caught.value), caught.value.status_code) == (kind, status)
        assert caught.value.error_message == "m"
        assert "model=test-model, provider=openai" in str(caught.value)

    def test_an_error_that_is_null_is_none(self) -> None:
        assert decoded({**delta("a"), "error": None}, delta(finish="stop"))[0].delta_content == "a"

    def test_an_event_named_error_is_one(self) -> None:
        decoder = StreamDecoder("chat", ENDPOINT)
        with pytest.raises(LLMServerError, match="out of memory"):
            decoder.decode('{"message": "out of memory"}', "error")

    @pytest.mark.parametrize("event", ["<html>", "[1, 2]", '{"a": ', "3", "null"])
    def test_an_event_that_is_no_object_is_an_error_without_its_text(self, event: str) -> None:
        with pytest.raises(LLMResponseValidationError) as caught:
            decoded(delta("a"), event)
        assert event.strip() not in caught.value.error_message.removeprefix("An event of the stream")
        assert caught.value.response_data == event.strip()

    def test_a_stream_without_finish_and_mark_was_interrupted(self) -> None:
        with pytest.raises(LLMStreamInterruptedError):
            decoded(delta("a"))
        assert decoded(delta("a"), "[DONE]")[-1].delta_content == "a"
        assert decoded(delta("a"), delta(finish="stop"))[-1].finish_reason == "stop"


class TestShortCut:
    """Events that differ in their text alone are not parsed in full; nobody can tell."""

    TEXTS = st.text(max_size=8) | st.sampled_from(
        ['"', "\\", '","content":"x', "\u2028", "\n", '"}}]}', "é😀"]
    )

    @settings(max_examples=300, deadline=None)
    @given(
        texts=st.lists(TEXTS, min_size=1, max_size=12),
        ascii_only=st.booleans(),
        spaced=st.booleans(),
        changes=st.lists(
            st.sampled_from(["", "", "", "model", "id", "finish", "usage", "role", "null", "more"]),
            min_size=12,
        ),
    )
    def test_the_chunks_are_those_of_full_parsing(
        self, texts: list[str], ascii_only: bool, spaced: bool, changes: list[str]
    ) -> None:
        events = []
        for text, change in zip(texts, changes, strict=False):
            event = delta(text, **({"role": "assistant"} if change == "role" else {}))
            if change in ("model", "id"):
                event[change] = f"other-{len(events) % 2}"
            if change == "finish":
                event["choices"][0]["finish_reason"] = "stop"
            if change == "usage":
                event["usage"] = {"prompt_tokens": 1, "completion_tokens": len(events)}
            if change == "more":
                event["choices"][0]["delta"]["reasoning"] = "hm"
            if change == "null":
                event["choices"][0]["delta"]["content"] = None
            separators = (", ", ": ") if spaced else (",", ":")
            events.append(json.dumps(event, ensure_ascii=ascii_only, separators=separators))
        assert decoded(*events, "[DONE]") == decoded(*events, "[DONE]", shortcut=False)

    def test_an_event_with_more_in_the_same_frame_is_read_in_full(self) -> None:
        more = delta("b", tool_calls=[piece(0, "{}", name="f", id="a")])
        chunks = decoded(delta("a"), more, delta("c"), delta(finish="stop"))
        assert [chunk.delta_content for chunk in chunks] == ["a", "b", "c", None]
        assert calls_of(chunks) == [("a", "f", {})]

    @pytest.mark.parametrize(
        "event",
        [
            '{"choices": [{"delta": {"content": "a", "content": "b"}}]}',
            '{"choices": [{"delta": {"content": "a"}}], "x": {"content": "b"}}',
            '{"content": "a", "choices": [{"delta": {"content" : "a"}}]}',
            '{"x\\"content": "a", "choices": [{"delta": {"con\\u0074ent": "a"}}]}',
        ],
    )
    def test_an_ambiguous_event_teaches_nothing(self, event: str) -> None:
        finder = EnvelopeFinder("content", lambda data: data["choices"][0]["delta"].get("content"))
        text = json.loads(event)["choices"][0]["delta"]["content"]
        assert finder.learn(event, text) is None

    def test_the_ordinary_stream_takes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        events = [json.dumps(delta(f"t{index}")) for index in range(50)]
        parsed = []
        whole = json.loads
        monkeypatch.setattr(
            "nemoguardrails.llm.providers.openai_events.json.loads", lambda t: parsed.append(t) or whole(t)
        )
        decoder = StreamDecoder("chat", ENDPOINT)
        assert [decoder.decode(event).delta_content for event in events] == [f"t{i}" for i in range(50)]  # type: ignore[union-attr]
        assert len(parsed) <= 3

    def test_a_provider_that_never_repeats_itself_costs_a_few_attempts(self) -> None:
        attempts = []
        decoder = StreamDecoder("chat", ENDPOINT)
        learn = decoder._finder.learn
        decoder._finder.learn = lambda data, text: attempts.append(learn(data, text)) or attempts[-1]  # type: ignore[method-assign]
        for index in range(50):
            decoder.decode(json.dumps({**delta("x"), "created": index}))
        assert len([found for found in attempts if found is not None]) <= 4
