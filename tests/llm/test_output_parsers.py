"""Answers of judges and of dialog tasks are read as meant, and in doubt a judge's answer blocks."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.llm import output_parsers as parsers
from nemoguardrails.llm.output_parsers import OUTPUT_PARSERS, is_content_safe

SAFE = [
    "safe",
    " Safe.",
    "**SAFE**",
    "no",
    "No.",
    "No, it should not be blocked.",
    "No, this message is safe.",
    "No\nThe message is safe.",
    "Answer: No",
    "Verdict: safe",
    "User Safety: safe",
    "The message is safe.",
    "Safe. No violations were found.",
    "Could be unsafe for children.\nsafe",
    "The user asks for a recipe.\nNo",
    "Is it safe?\nsafe",
]
BLOCKED = [
    "unsafe",
    "UNSAFE!",
    "yes",
    "Yes, it should be blocked.",
    "Answer: yes",
    "not safe",
    "yes, safe",
    "safe unsafe",
    "unsafe safe",
    "No, this is unsafe",
    "no, not safe",
    "no safe content here",
    "This isn't safe.",
    "I can’t call this safe",
    "This is not, in my view, safe.",
    "It cannot be considered safe",
    "un-safe",
    "not_safe",
    "non-safe",
    "never safe",
    "safe: no",
    "Safe? No.",
    "safe - not",
    "Safe: false",
    "The answer is safe, yes",
    "safe\nunsafe",
    "unsafe\nsafe",
    "safe\nYes",
    "It is safe\nnot",
    "This is unsafe.\nStay safe!",
    "Is this message safe?\nNo, it contains threats.",
    "yes\nno",
    "No and yes",
    "Yes.\nThe message is safe.",
    "Let me see.\nYes\nIt is safe.",
    "This is unsafe.\nNo further details.",
]
UNDECIDED = ["", "   ", "maybe", "I cannot say", "safety first", "yesterday", "42", "Is it safe?", "not sure"]


@pytest.mark.parametrize("answer", SAFE)
def test_a_clear_answer_is_safe(answer: str) -> None:
    assert is_content_safe(answer) == [True]


@pytest.mark.parametrize("answer", BLOCKED)
def test_unsafe_negated_and_contradicting_answers_block(answer: str) -> None:
    verdict = is_content_safe(answer)
    assert verdict[0] is False


@pytest.mark.parametrize("answer", UNDECIDED)
def test_an_answer_without_verdict_is_undecided_and_blocks(answer: str) -> None:
    verdict = is_content_safe(answer)
    assert verdict == [False]
    assert verdict.undecided


@given(
    st.lists(st.sampled_from(["safe", "unsafe", "not", "no", "yes", "it", ",", "\n", ".", "?"]), max_size=7)
)
def test_a_last_line_that_says_unsafe_always_blocks(words: list[str]) -> None:
    assert is_content_safe(" ".join([*words, "unsafe"]))[0] is False
    assert is_content_safe(" ".join(["unsafe", *words]))[0] is False
    assert is_content_safe(" ".join(["yes", *words]))[0] is False


def test_the_words_after_unsafe_are_the_violations() -> None:
    assert is_content_safe("unsafe\nS1, S3") == [False, "s1", "s3"]
    assert is_content_safe("The text is unsafe: violence") == [False, "violence"]


def test_a_verdict_survives_copying() -> None:
    copied = copy.deepcopy(is_content_safe("hmm"))
    assert copied == [False]
    assert copied.undecided


@pytest.mark.parametrize(
    ("name", "answer", "read"),
    [
        ("user_intent", " User intent: ask price\n", "ask price"),
        ("user_intent", "ask price", "ask price"),
        ("bot_intent", "Bot intent: say price", "bot say price"),
        ("bot_intent", " bot say price", "bot say price"),
        ("bot_message", 'Bot message: "Ten."', '  "Ten."'),
        ("bot_message", ' "Ten."', '"Ten."'),
        (
            "verbose_v1",
            'User message: "hi"\nuser intent: greet\nBot intent: say hi\nbot message: "Hi"\nelse',
            'user "hi"\n  greet\nbot say hi\n  "Hi"\nelse',
        ),
    ],
)
def test_dialog_answers_become_colang(name: str, answer: str, read: str) -> None:
    assert OUTPUT_PARSERS[name](answer) == read


@pytest.mark.parametrize(
    ("parser", "key"),
    [
        (parsers.nemoguard_parse_prompt_safety, "User Safety"),
        (parsers.nemoguard_parse_response_safety, "Response Safety"),
    ],
)
def test_json_judges_are_read(parser: parsers.OutputParser, key: str) -> None:
    assert parser(f'{{"{key}": "safe"}}') == [True]
    assert parser(f'```json\n{{"{key}": "safe"}}\n```') == [True]
    assert parser(f'{{"{key}": "unsafe", "Safety Categories": "Violence, Weapons"}}') == [
        False,
        "Violence",
        "Weapons",
    ]
    assert parser(f'{{"{key}": "who knows"}}') == [False]
    unreadable = ["", "safe", "[]", "{}", f'{{"{key}": true}}', f'{{"{key}": "unsafe", "{key}": "safe"}}']
    for answer in unreadable:
        with pytest.raises(ValueError, match="judge's answer"):
            parser(answer)


@pytest.mark.parametrize(
    ("answer", "safe"),
    [
        ("<think>Prompt harm: harmful?</think>\nPrompt harm: unharmful", True),
        ("Prompt harm: harmful\nResponse harm: unharmful", False),
        ("Response harm: unharmful", False),
        ("Prompt harm: unharmful\nPrompt harm: harmful", False),
        ("", False),
        ("Prompt harm: not unharmful", False),
    ],
)
def test_reasoning_judges_count_a_missing_line_as_harmful(answer: str, safe: bool) -> None:
    assert parsers.nemotron_reasoning_parse_prompt_safety(answer) == [safe]


def test_the_response_line_has_its_own_parser() -> None:
    answer = "Prompt harm: harmful\nResponse harm: unharmful"
    assert parsers.nemotron_reasoning_parse_response_safety(answer) == [True]


def test_line_judges_are_read() -> None:
    read = parsers.nemotron_content_safety_parse_prompt_safety
    assert read("<think>hm</think>\nUser Safety: safe\nResponse Safety: unsafe") == [True]
    assert read("User Safety: unsafe\nSafety Categories: Violence, Threat") == [False, "Violence", "Threat"]
    respond = parsers.nemotron_content_safety_parse_response_safety
    assert respond("User Safety: safe\nResponse Safety: unsafe") == [False]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Response Safety: safe",
        "<think>User Safety: safe",
        "User Safety: safe\nUser Safety: unsafe",
        "User Safety: safe\nResponse Safety: safe\nResponse Safety: safe",
        "It says: User Safety: safe",
        "User Safety: safe?",
    ],
)
def test_a_line_judge_that_is_not_clear_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError, match="judge"):
        parsers.nemotron_content_safety_parse_prompt_safety(answer)


def test_the_answer_for_the_user_never_stands_in_for_the_response() -> None:
    with pytest.raises(ValueError, match="response safety"):
        parsers.nemotron_content_safety_parse_response_safety("User Safety: safe")
