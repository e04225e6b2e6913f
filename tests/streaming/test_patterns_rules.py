"""What counts as a match, what is held back for it, and which patterns a set refuses."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.streaming.patterns import Pattern, PatternSet
from nemoguardrails.streaming.scan import PatternCheck
from nemoguardrails.streaming.splice import spliced
from nemoguardrails.streaming.verdict import Block, Edit, Progress


def check(*expressions: str, mode: str = "mask", **options: object) -> PatternCheck:
    patterns = PatternSet([Pattern(f"p{i}", text, f"<{i}>") for i, text in enumerate(expressions)])
    return PatternCheck(patterns, mode=mode, rail="rail", **options)  # type: ignore[arg-type]


def masked(text: str, *expressions: str) -> str:
    return spliced(check(*expressions), text).text


def test_the_leftmost_match_wins_then_the_longest_then_the_first() -> None:
    assert masked("abcd", "bcd", "ab") == "<1>cd"
    assert masked("abcd", "ab", "abc") == "<1>d"
    assert masked("abcd", "ab[a-z]", "abc") == "<0>d"


def test_of_equally_long_matches_the_likelier_one_wins() -> None:
    patterns = PatternSet(
        [Pattern("low", "abc", "<low>", score=0.3), Pattern("high", "abc", "<high>", score=0.6)]
    )
    assert spliced(PatternCheck(patterns, mode="mask"), "abc").text == "<high>"


def test_a_match_that_could_still_grow_waits_for_the_character_that_ends_it() -> None:
    stream = check(r"\d+")
    assert stream.feed("call 12") == Progress(5)
    assert stream.feed("34") == Progress(5)
    assert stream.feed(" now") == Progress(13, (Edit(5, 9, "<0>"),))


def test_a_match_that_cannot_grow_is_decided_at_once() -> None:
    assert check(r"\d{4}").feed("a 1234") == Progress(6, (Edit(2, 6, "<0>"),))


def test_the_end_of_the_text_so_far_is_no_word_boundary() -> None:
    stream = check(r"\bcat\b")
    assert stream.feed("a cat") == Progress(2)
    assert stream.feed("alogue") == Progress(11)


def test_the_end_of_the_text_is_one() -> None:
    stream = check(r"\bcat\b", "end$")
    stream.feed("a cat")
    assert stream.finish() == Progress(5, (Edit(2, 5, "<0>"),))


def test_only_what_a_match_may_begin_with_is_held() -> None:
    stream = check("secret plan")
    assert stream.feed("The ").decided == 4
    assert stream.feed("se").decided == 4
    assert stream.feed("cond").decided == 10
    assert stream.feed(" secret").decided == 11


def test_what_may_lead_to_a_rare_character_is_held_until_it_cannot() -> None:
    stream = check(r"[\w.]+@\w+")
    assert stream.feed("ask bob").decided == 4
    assert stream.feed(".smith").decided == 4
    assert stream.feed(" or ann").decided == 17


def test_a_block_names_the_place_of_the_leftmost_match_and_nothing_of_the_text() -> None:
    stream = check(r"key-\d+", mode="block")
    assert stream.feed("my key-1").block is None
    progress = stream.feed("23 is")
    assert progress == Progress(3, (), Block("rail", "matches p0", at=3))
    assert stream.feed("more") == progress
    assert stream.finish() == progress


def test_a_checksum_decides_whether_a_match_counts() -> None:
    even = Pattern("even", r"\d+", "<even>", validate=lambda text: int(text) % 2 == 0)
    assert spliced(PatternCheck(PatternSet([even]), mode="mask"), "1 2 13 14").text == "1 <even> 13 <even>"


def test_context_words_before_a_match_make_it_count() -> None:
    pin = Pattern("pin", r"(?<!\d)\d{4}(?!\d)", "<pin>", context=r"\bpin\b", score=0.1, context_score=0.5)
    patterns = PatternSet([pin], threshold=0.2)
    text = f"PIN 1234, {'x' * 60} 5678"
    assert spliced(PatternCheck(patterns, mode="mask"), text).text == text.replace("1234", "<pin>")


def test_a_pattern_below_the_threshold_is_not_looked_for() -> None:
    patterns = PatternSet([Pattern("weak", "a+", score=0.1)], threshold=0.2)
    assert spliced(PatternCheck(patterns, mode="mask"), "aaa").text == "aaa"


def test_a_replacement_may_depend_on_the_match() -> None:
    stars = PatternSet([Pattern("digits", r"\d+", lambda text: "*" * len(text))])
    assert spliced(PatternCheck(stars, mode="mask"), "a 123 b").text == "a *** b"


def test_without_patterns_everything_is_decided_at_once() -> None:
    assert PatternCheck(PatternSet([])).feed("anything @ 12").decided == 13


def test_a_candidate_is_given_up_at_the_longest_match() -> None:
    patterns = PatternSet([Pattern("p", r"a\d+b", "<p>", max_match_length=8)])
    stream = PatternCheck(patterns, mode="mask")
    assert stream.feed("a1234").decided == 0
    assert stream.feed("5678901234567890123456").decided == 27
    assert stream.feed("b").edits == ()


def test_flags_in_a_pattern_hold_for_it_alone() -> None:
    assert masked("ABC abc Def def", "(?i)abc", "def") == "<0> <0> Def <1>"
    assert masked("a\nb a\nb", "(?s)a.b", "a.c") == "<0> <0>"
    assert masked("x\nfoo", "(?m)^foo") == "x\n<0>"
    assert masked("foo  bar", "(?x) foo \\s+ bar  # words") == "<0>"


def test_groups_and_references_work_beside_other_patterns() -> None:
    assert masked("abab xyxy abxy", r"(a)b\1b", r"(?P<c>x)y(?P=c)y") == "<0> <1> abxy"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("(", "not a valid regular expression"),
        ("a**", "not a valid regular expression"),
        ("a*", "matches the empty text"),
        ("", "matches the empty text"),
        (r"(a)(?(1)b|c)", "conditional group"),
        (r"(?<=a{2000})b", "looks back more than"),
        (r"\d{300}", "max_match_length allows 256"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_with_its_reason(expression: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"'bad'.*{says}"):
        PatternSet([Pattern("good", "a"), Pattern("bad", expression)])


def test_an_expression_that_runs_out_of_time_blocks() -> None:
    patterns = PatternSet([Pattern("slow", r"(a|aa)+(b|aa)+$")])
    progress = PatternCheck(patterns, rail="rail", time_limit_s=0.01).feed("a" * 200 + "c")
    assert progress.block is not None
    assert progress.block.failed
    assert "timeout_ms" in str(progress.block.error)
