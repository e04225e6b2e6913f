"""The rails for sensitive data: settings, actions, flows, and streams cut anywhere."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.library.sensitive_data_detection import actions
from nemoguardrails.library.sensitive_data_detection.actions import (
    RAILS,
    detect_sensitive_data,
    mask_sensitive_data,
)
from nemoguardrails.streaming.splice import spliced
from played import played
from scripted_model import StreamingModel

ALL = "[EMAIL_ADDRESS, PHONE_NUMBER, CREDIT_CARD, IBAN_CODE, IP_ADDRESS, URL, US_SSN, SECRET_KEY, DATE_TIME]"
TEXT = (
    "Write to bob@example.com, +1 212-555-0187 or 10.1.2.3, pay with 4111 1111 1111 1111 or"
    " GB82 WEST 1234 5698 7654 32, SSN 536-90-4399, see https://example.org/a?b=1."
    " api_key = 'x9Kd82LmQ0sPz7Tt' until 2024-05-06."
)
MASKED = (
    "Write to <EMAIL_ADDRESS>, <PHONE_NUMBER> or <IP_ADDRESS>, pay with <CREDIT_CARD> or"
    " <IBAN_CODE>, SSN <US_SSN>, see <URL>. api_key = '<SECRET_KEY>'"
    " until <DATE_TIME>."
)


def config(*, rails: str = "", exceptions: bool = False, more: str = "", **sources: str) -> RailsConfig:
    body = "\n".join(f"      {name}: {value}" for name, value in sources.items())
    return RailsConfig.from_content(
        yaml_content=f"""
models: []
enable_rails_exceptions: {str(exceptions).lower()}
rails:
  {rails}
  config:
    sensitive_data_detection:
{body}
{more}
"""
    )


@pytest.fixture(scope="module")
def everything() -> RailsConfig:
    source = f"{{entities: {ALL}}}"
    return config(input=source, output=source, retrieval=source)


def starter(flow: str, settings: RailsConfig) -> Any:
    start = next(one.start for one in RAILS if one.flow == flow)
    assert start is not None
    return start(settings, {})


def test_masking_puts_the_type_in_place_of_the_data(everything: RailsConfig) -> None:
    masked = mask_sensitive_data("output", TEXT, everything)
    assert masked == MASKED
    assert masked.is_transform
    assert masked.transform_text == {"bot_message": MASKED}
    assert masked.metadata["entities"]["CREDIT_CARD"] == 1


def test_a_text_without_data_comes_back_unchanged(everything: RailsConfig) -> None:
    masked = mask_sensitive_data("input", "Hello there.", everything)
    assert masked == "Hello there."
    assert not masked.is_transform


def test_detection_reads_the_new_way_and_the_old(everything: RailsConfig) -> None:
    found = detect_sensitive_data("input", TEXT, everything)
    assert found.is_blocked
    assert found
    assert "EMAIL_ADDRESS" in str(found.reason)
    assert "bob" not in str(found.to_dict())
    free = detect_sensitive_data("input", "Hello", everything)
    assert not free.is_blocked
    assert not free


def test_only_the_configured_types_are_looked_for() -> None:
    settings = config(input="{entities: [EMAIL_ADDRESS]}")
    assert mask_sensitive_data("input", "a@b.example 10.0.0.1", settings) == "<EMAIL_ADDRESS> 10.0.0.1"
    assert not detect_sensitive_data("output", TEXT, settings)


def test_an_unknown_source_is_an_error(everything: RailsConfig) -> None:
    with pytest.raises(ValueError, match="source must be one of"):
        detect_sensitive_data("elsewhere", "text", everything)


def test_a_mask_token_of_ones_own_is_repeated_over_the_data() -> None:
    settings = config(output="{entities: [US_SSN, SECRET_KEY], mask_token: '#'}")
    text = "SSN 536-90-4399, token: x9Kd82LmQ0sPz7Tt"
    assert mask_sensitive_data("output", text, settings) == f"SSN {'#' * 11}, token: {'#' * 16}"


def test_a_threshold_leaves_out_what_is_less_likely() -> None:
    text = "my passport is 123456789"
    for threshold, expected in (("0.2", "my passport is <US_PASSPORT>"), ("0.6", text)):
        settings = config(input=f"{{entities: [US_PASSPORT], score_threshold: {threshold}}}")
        assert mask_sensitive_data("input", text, settings) == expected


def test_types_that_only_presidio_knows_are_a_load_error_that_names_the_extra() -> None:
    with pytest.raises(ValueError, match=r"output.entities: PERSON, NRP: .*sluice-guardrails\[sdd\]"):
        config(output="{entities: [PERSON, EMAIL_ADDRESS, NRP]}")


RECOGNIZERS = """
      recognizers:
        - name: ticket
          supported_entity: TICKET
          supported_language: en
          patterns: [{name: t, regex: '\\btkt-\\d{4}\\b', score: 0.1}]
          context: [ticket, case]
        - {supported_entity: PROJECT, deny_list: [Bluebird, "Red Kite"]}
"""


def test_recognisers_of_the_configuration_work() -> None:
    settings = config(more=RECOGNIZERS, input="{entities: [TICKET, PROJECT]}")
    text = "Ticket TKT-1234 of red kite and Bluebirds, Bluebird"
    assert (
        mask_sensitive_data("input", text, settings)
        == "Ticket <TICKET> of <PROJECT> and Bluebirds, <PROJECT>"
    )
    assert mask_sensitive_data("input", "just tkt-1234", settings) == "just tkt-1234"


def test_a_recogniser_that_cannot_work_is_a_load_error() -> None:
    for bad, says in (
        ("{supported_entity: X, patterns: [{name: x, regex: '('}]}", "not a valid regular expression"),
        ("{supported_entity: X}", "give patterns or a deny_list"),
    ):
        with pytest.raises(ValueError, match=says):
            config(more=f"      recognizers: [{bad}]", input="{entities: [X]}")


@pytest.mark.parametrize(("side", "target"), [("input", "user_message"), ("output", "bot_message")])
def test_the_detecting_flow_answers_or_raises_an_exception_event(side: str, target: str) -> None:
    for exceptions in (False, True):
        settings = config(exceptions=exceptions, **{side: "{entities: [EMAIL_ADDRESS]}"})
        flow = f"detect sensitive data on {side}"
        outcome = played(actions, flow, settings, **{target: "it is a@b.example"})
        assert outcome.stopped
        assert outcome.said == ([] if exceptions else ["inform answer unknown"])
        types = [event["type"] for event in outcome.emitted]
        assert types == ([f"{side.title()}RailException"] if exceptions else [])
        assert not played(actions, flow, settings, **{target: "hello"}).stopped


def test_the_masking_flows_assign_the_text() -> None:
    settings = config(**dict.fromkeys(("input", "output", "retrieval"), "{entities: [EMAIL_ADDRESS]}"))
    text, masked = "it is a@b.example", "it is <EMAIL_ADDRESS>"
    for side, target in (("input", "user_message"), ("output", "bot_message")):
        outcome = played(actions, f"mask sensitive data on {side}", settings, **{target: text})
        assert outcome.context[target] == masked
        assert not outcome.stopped
    outcome = played(
        actions,
        "mask sensitive data on retrieval",
        settings,
        relevant_chunks=f"{text}\nmore",
        relevant_chunks_sep=[text, "more"],
    )
    assert outcome.context["relevant_chunks"] == f"{masked}\nmore"
    assert outcome.context["relevant_chunks_sep"] == [masked, "more"]


def test_retrieved_data_is_refused() -> None:
    settings = config(retrieval="{entities: [EMAIL_ADDRESS]}")
    outcome = played(actions, "detect sensitive data on retrieval", settings, relevant_chunks="a@b.example")
    assert outcome.said == ["inform answer unknown"]
    assert outcome.stopped


@pytest.mark.parametrize("flow", ["detect sensitive data on output", "mask sensitive data on output"])
def test_a_stream_comes_to_what_the_whole_text_comes_to_wherever_it_is_cut(
    everything: RailsConfig, flow: str
) -> None:
    start = starter(flow, everything)
    whole = spliced(start(), TEXT)
    assert whole.found
    for pieces in ([TEXT[:at], TEXT[at:]] for at in range(len(TEXT) + 1)):
        assert run(start(), pieces) == (whole.block, whole.found)
    assert run(start(), list(TEXT)) == (whole.block, whole.found)


def run(check: Any, pieces: list[str]) -> tuple[Any, Any]:
    found = []
    for piece in pieces:
        progress = check.feed(piece)
        found += check.found
        if progress.block is not None:
            return progress.block, tuple(found)
    return check.finish().block, (*found, *check.found)


async def test_a_streamed_answer_is_masked_whole() -> None:
    settings = config(
        rails="output: {flows: [mask sensitive data on output], streaming: {enabled: true}}",
        output="{entities: [EMAIL_ADDRESS, CREDIT_CARD]}",
    )
    text = "Ask bob@example.com about 4111-1111-1111-1111 now."
    rails = LLMRails(settings, llm=StreamingModel(*text))
    messages = [{"role": "user", "content": "hi"}]
    async with asyncio.timeout(10):
        chunks = [str(chunk) async for chunk in rails.stream_async(messages=messages)]
    assert "".join(chunks) == "Ask <EMAIL_ADDRESS> about <CREDIT_CARD> now."
