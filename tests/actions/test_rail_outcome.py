"""The verdict of a rail's action in both readings."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import json
import pickle

import pytest

from nemoguardrails.actions.rail_outcome import (
    MaskedText,
    RailDecision,
    RailOutcome,
    TransformSpec,
    TransformTarget,
    outcome_of,
)
from nemoguardrails.actions.verdict_reading import read_verdict


class TestNewReading:
    def test_allow_without_arguments_is_one_shared_object(self):
        assert RailOutcome.allow() is RailOutcome.allow()
        assert RailOutcome.allow().decision == "allow"
        assert not RailOutcome.allow().is_blocked

    def test_block_carries_reason_and_evidence(self):
        outcome = RailOutcome.block("too long", {"length": 9})
        assert outcome.is_blocked
        assert not outcome.failed
        assert outcome.reason == "too long"
        assert outcome.metadata["length"] == 9

    def test_evidence_cannot_be_changed(self):
        with pytest.raises(TypeError):
            RailOutcome.block(metadata={"a": 1}).metadata["a"] = 2

    def test_failure_is_a_block(self):
        outcome = RailOutcome.failure("service down")
        assert (outcome.decision, outcome.failed, outcome.is_blocked) == (RailDecision.BLOCK, True, True)

    def test_transform_gives_texts_by_target(self):
        outcome = RailOutcome.transform([("user_message", "a"), (TransformTarget.BOT_MESSAGE, "b")])
        assert outcome.is_transform
        assert outcome.transform_text == {"user_message": "a", "bot_message": "b"}
        assert outcome.transform_text["bot_message"] == "b"
        assert outcome.transforms == (TransformSpec("user_message", "a"), TransformSpec("bot_message", "b"))

    @pytest.mark.parametrize(
        "make",
        [
            lambda: RailOutcome(RailDecision.ALLOW, (TransformSpec(TransformTarget.BOT_MESSAGE, "x"),)),
            lambda: RailOutcome.transform([]),
            lambda: RailOutcome.transform([("bot_message", "a"), ("bot_message", "b")]),
            lambda: RailOutcome.transform([("elsewhere", "a")]),
            lambda: RailOutcome(RailDecision.ALLOW, failed=True),
        ],
    )
    def test_contradictions_are_refused(self, make):
        with pytest.raises(ValueError):
            make()

    def test_it_describes_itself_shortly(self):
        assert repr(RailOutcome.allow()) == "RailOutcome(allow)"
        failure = RailOutcome.failure("down", {"status": 503})
        assert repr(failure) == "RailOutcome(block, reason='down', failed=True, metadata={'status': 503})"

    def test_it_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            RailOutcome.allow().is_blocked = True


class TestOldReading:
    def test_block_is_false_and_allow_is_true_unless_said_otherwise(self):
        assert not RailOutcome.block()
        assert not RailOutcome.failure()
        assert RailOutcome.allow()
        assert RailOutcome.block(legacy=True)
        assert not RailOutcome.allow(legacy=False)

    def test_bool_compares_like_the_bool(self):
        assert RailOutcome.block() == False  # noqa: E712
        assert RailOutcome.allow() == True  # noqa: E712
        assert str(RailOutcome.block()) == "False"

    def test_score_compares_like_the_number(self):
        outcome = RailOutcome.block(legacy=0.25)
        assert outcome < 0.5
        assert outcome <= 0.25
        assert not outcome > 0.5
        assert outcome >= 0.25
        assert min(0.5, outcome) is outcome
        assert float(outcome) == 0.25
        assert hash(outcome) == hash(0.25)

    def test_dict_reads_by_key_and_by_attribute(self):
        outcome = RailOutcome.block(
            legacy={"allowed": False, "max_risk_score": 0.9, "reason": "legacy"}, reason="new"
        )
        assert outcome["allowed"] is False
        assert outcome.get("max_risk_score") == 0.9
        assert outcome.get("missing", 7) == 7
        assert "allowed" in outcome
        assert outcome.max_risk_score == 0.9
        assert sorted(outcome) == ["allowed", "max_risk_score", "reason"]
        assert len(outcome) == 3

    def test_new_names_win(self):
        assert RailOutcome.block(legacy={"is_blocked": False, "reason": "old"}, reason="new").is_blocked
        assert RailOutcome.block(legacy={"reason": "old"}, reason="new").reason == "new"

    def test_unknown_names_raise_as_on_the_old_value(self):
        with pytest.raises(AttributeError):
            _ = RailOutcome.block(legacy={"a": 1}).b
        with pytest.raises(KeyError):
            RailOutcome.block(legacy={"a": 1})["b"]

    def test_outcomes_compare_by_both_readings(self):
        assert RailOutcome.block("a") == RailOutcome.block("a")
        assert RailOutcome.block("a") != RailOutcome.block("b")
        assert RailOutcome.block() != RailOutcome.allow(legacy=False)


class TestMaskedText:
    def test_is_the_text_and_the_verdict(self):
        masked = RailOutcome.masked("user_message", "my <CARD>", changed=True, metadata={"found": 1})
        assert masked == "my <CARD>"
        assert isinstance(masked, str)
        assert json.dumps(masked) == '"my <CARD>"'
        assert masked.is_transform
        assert not masked.is_blocked
        assert masked.transform_text == {"user_message": "my <CARD>"}
        assert masked.metadata["found"] == 1
        assert masked.decision == "transform"

    def test_unchanged_text_allows(self):
        masked = RailOutcome.masked("bot_message", "clean", changed=False)
        assert masked == "clean"
        assert masked.decision == "allow"
        assert masked.transform_text == {}


@pytest.mark.parametrize(
    "outcome",
    [
        RailOutcome.allow(),
        RailOutcome.block("r", {"k": [1]}, legacy={"a": 1}),
        RailOutcome.transform([("bot_message", "x")]),
    ],
)
def test_copies_and_pickles_are_equal(outcome):
    assert copy.deepcopy(outcome) == outcome
    assert copy.copy(outcome) == outcome
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_masked_text_survives_copy_and_pickle():
    masked = RailOutcome.masked("bot_message", "x", changed=True)
    for again in (copy.deepcopy(masked), pickle.loads(pickle.dumps(masked))):
        assert isinstance(again, MaskedText)
        assert again == "x"
        assert again.is_transform


def test_outcome_of_finds_the_verdict_of_both_kinds_and_of_nothing_else():
    block, masked = RailOutcome.block(), RailOutcome.masked("bot_message", "x", changed=True)
    assert outcome_of(block) is block
    assert outcome_of(masked) is masked.outcome
    assert outcome_of("x") is None


class TestReadVerdict:
    @pytest.mark.parametrize(
        ("value", "verdict"),
        [
            (True, "allow"),
            (False, "block"),
            (0.5, "allow"),
            (0.49, "block"),
            (1, "allow"),
            (0, "block"),
            (float("nan"), "block"),
            (None, "undecided"),
            ("yes", "undecided"),
            ({}, "undecided"),
            ((), "undecided"),
            ((False, "because"), "block"),
            (RailOutcome.block(legacy=True), "block"),
            (RailOutcome.allow(legacy=False), "allow"),
            (RailOutcome.failure(), "block"),
            (RailOutcome.masked("bot_message", "x", changed=True), "transform"),
        ],
    )
    def test_default_reading(self, value, verdict):
        assert read_verdict(value) == verdict

    def test_mapping_decides_for_plain_values(self):
        assert read_verdict(True, lambda value: value) == "block"
        assert read_verdict("bad", lambda value: value == "bad") == "block"
        assert read_verdict((3, "x"), lambda value: value > 2) == "block"
        assert read_verdict(2, lambda value: value > 2) == "allow"

    def test_outcome_wins_over_the_mapping(self):
        assert read_verdict(RailOutcome.allow(), lambda value: True) == "allow"
