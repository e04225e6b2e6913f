"""The regex rail: settings, action, flows, and the same result on a stream however it is cut."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.library.regex import actions
from nemoguardrails.library.regex.actions import RAILS, detect_regex_pattern
from nemoguardrails.streaming.splice import spliced
from played import played
from scripted_model import StreamingModel, WholeModel

REFUSAL = "I'm sorry, I can't respond to that."


def config(*, rails: str = "", exceptions: bool = False, **sources: str) -> RailsConfig:
    body = "\n".join(f"      {name}: {value}" for name, value in sources.items())
    return RailsConfig.from_content(
        yaml_content=f"""
models: []
enable_rails_exceptions: {str(exceptions).lower()}
rails:
  {rails}
  config:
    regex_detection:
{body}
"""
    )


def stream_check(settings: RailsConfig) -> Any:
    start = next(one.start for one in RAILS if one.flow == "regex check output")
    assert start is not None
    return start(settings, {})


def test_the_verdict_reads_the_new_way_and_the_old() -> None:
    settings = config(input="{patterns: ['foo\\d+', 'bar', 'qux'], case_insensitive: true}")
    found = detect_regex_pattern("input", "a FOO1 and a bar", settings)
    assert found.is_blocked
    assert found.legacy == {"is_match": True, "text": "a FOO1 and a bar", "detections": ["foo\\d+", "bar"]}
    assert found.reason == "regex_detection.input: matches patterns[0]"
    free = detect_regex_pattern("input", "nothing", settings)
    assert not free.is_blocked
    assert free["is_match"] is False
    assert free["detections"] == []


def test_a_source_without_patterns_lets_everything_through() -> None:
    assert not detect_regex_pattern("output", "anything", config(input="{patterns: [a]}")).is_blocked


def test_an_unknown_source_is_an_error() -> None:
    with pytest.raises(ValueError, match="source must be one of input, output, retrieval"):
        detect_regex_pattern("elsewhere", "text", config(input="{patterns: [a]}"))


def test_blocking_sees_through_disguise_and_masking_does_so_on_request() -> None:
    settings = config(
        input="{patterns: [secret]}",
        output="{patterns: [secret], action: mask, mask_with: '#'}",
        retrieval="{patterns: [secret], action: mask, mask_with: '#', normalize: true}",
    )
    text = "a s\u200be\uff43ret"
    assert detect_regex_pattern("input", text, settings).is_blocked
    assert not detect_regex_pattern("output", text, settings).is_transform
    assert detect_regex_pattern("retrieval", text, settings).transform_text == {"relevant_chunks": "a #"}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{patterns: [fine, '(']}", r"regex_detection.output: patterns\[1\] \('\('\): not a valid"),
        ("{patterns: [fine, 'x*']}", r"patterns\[1\] .*matches the empty text"),
        ("{patterns: ['a{20}'], max_match_length: 10}", r"patterns\[0\] .*up to 20 characters.*allows 10"),
        ("{patterns: [a], action: hide}", "regex_detection.output.action"),
    ],
)
def test_a_bad_pattern_is_a_load_error_that_names_it(source: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        config(output=source)


def test_the_longest_match_follows_from_the_patterns_unless_it_is_set() -> None:
    settings = config(output="{patterns: ['ab{1,400}c'], action: mask}")
    text = "a" + "b" * 400 + "c"
    assert detect_regex_pattern("output", text, settings).transform_text == {"bot_message": "[REDACTED]"}


def test_a_pattern_that_takes_too_long_fails_closed() -> None:
    settings = config(output="{patterns: ['(a|aa)+(b|aa)+$'], timeout_ms: 10}")
    outcome = detect_regex_pattern("output", "a" * 200 + "c", settings)
    assert outcome.is_blocked
    assert outcome.failed
    assert outcome["is_match"] is True


@pytest.mark.parametrize("side", ["input", "output"])
def test_the_flow_refuses_or_raises_an_exception_event(side: str) -> None:
    target = {"input": "user_message", "output": "bot_message"}[side]
    for exceptions in (False, True):
        settings = config(exceptions=exceptions, **{side: "{patterns: [bad]}"})
        outcome = played(actions, f"regex check {side}", settings, **{target: "a bad word"})
        assert outcome.stopped
        assert outcome.said == ([] if exceptions else ["refuse to respond"])
        types = [event["type"] for event in outcome.emitted]
        assert types == ([f"{side.title()}RailException"] if exceptions else [])
        assert all(f"regex check {side}" in event["message"] for event in outcome.emitted)
        free = played(actions, f"regex check {side}", settings, **{target: "fine"})
        assert not free.stopped
        assert free.context[target] == "fine"


def test_retrieval_drops_the_matching_chunks_alone_from_both_variables() -> None:
    settings = config(retrieval="{patterns: [bad]}")
    chunks = ["good one", "a bad one", "another"]
    outcome = played(
        actions,
        "regex check retrieval",
        settings,
        relevant_chunks="\n".join(chunks),
        relevant_chunks_sep=chunks,
    )
    assert not outcome.stopped
    assert outcome.context["relevant_chunks_sep"] == ["good one", "another"]
    assert outcome.context["relevant_chunks"] == "good one\nanother"


def test_retrieval_drops_everything_where_it_cannot_tell_which_chunk_matches() -> None:
    settings = config(retrieval="{patterns: ['one\\s+two']}")
    for chunks in (["one", "two"], None):
        outcome = played(
            actions,
            "regex check retrieval",
            settings,
            relevant_chunks="one\ntwo",
            relevant_chunks_sep=chunks,
        )
        assert outcome.context["relevant_chunks"] == ""
        assert outcome.context["relevant_chunks_sep"] == []


def test_retrieval_masks_within_the_chunks() -> None:
    settings = config(retrieval="{patterns: ['b\\w+'], action: mask, mask_with: X}")
    outcome = played(
        actions,
        "regex check retrieval",
        settings,
        relevant_chunks="a bad\na good",
        relevant_chunks_sep=["a bad", "a good"],
    )
    assert outcome.context["relevant_chunks"] == "a X\na good"
    assert outcome.context["relevant_chunks_sep"] == ["a X", "a good"]


def test_retrieval_raises_an_exception_event_where_those_are_on() -> None:
    settings = config(exceptions=True, retrieval="{patterns: [bad]}")
    outcome = played(actions, "regex check retrieval", settings, relevant_chunks="bad")
    assert outcome.stopped
    assert [event["type"] for event in outcome.emitted] == ["RetrievalRailException"]


@pytest.mark.parametrize("action", ["block", "mask"])
def test_a_stream_comes_to_what_the_whole_text_comes_to_wherever_it_is_cut(action: str) -> None:
    settings = config(output=f"{{patterns: ['key-\\d+', 'pass\\s*word'], action: {action}}}")
    text = "take key-1234 and the pass  word, or key-"
    start = stream_check(settings)
    whole = spliced(start(), text)
    assert (whole.block is not None) == (action == "block")
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            check, found = start(), []
            for piece in (text[:first], text[first:second], text[second:]):
                last = check.feed(piece)
                found += check.found if not found or last.block is None else []
            if last.block is None:
                last = check.finish()
                found += check.found
            assert last.block == whole.block
            assert tuple(found) == whole.found


def test_the_declaration_says_that_masking_rewrites() -> None:
    rewrites = next(one.rewrites for one in RAILS if one.flow == "regex check output")
    assert callable(rewrites)
    assert rewrites(config(output="{patterns: [a], action: mask}"))
    assert not rewrites(config(output="{patterns: [a]}"))


RAILS_ON = """input: {flows: [regex check input]}
  output: {flows: [regex check output], streaming: {enabled: true, stream_first: false}}"""


def test_input_and_output_are_refused_end_to_end() -> None:
    settings = config(rails=RAILS_ON, input="{patterns: [bad]}", output="{patterns: [key-]}")
    rails = LLMRails(settings, llm=WholeModel("my key-1"))
    for message in ("a bad word", "hello"):
        answer = rails.generate(messages=[{"role": "user", "content": message}])
        assert answer == {"role": "assistant", "content": REFUSAL}


async def test_a_streamed_answer_is_cut_before_the_match_and_masked_whole() -> None:
    pieces = [*"It is k", "ey", "-", "12", "34", " so"]
    blocks = config(rails=RAILS_ON, output="{patterns: ['key-\\d+']}")
    masks = config(rails=RAILS_ON, output="{patterns: ['key-\\d+'], action: mask}")
    async with asyncio.timeout(10):
        blocked = await streamed(blocks, pieces)
        masked = await streamed(masks, pieces)
    assert "".join(blocked[:-1]) == "It is "
    assert "content_blocked" in blocked[-1]
    assert "".join(masked) == "It is [REDACTED] so"


async def streamed(settings: RailsConfig, pieces: list[str]) -> list[str]:
    rails = LLMRails(settings, llm=StreamingModel(*pieces))
    return [str(chunk) async for chunk in rails.stream_async(messages=[{"role": "user", "content": "hi"}])]
