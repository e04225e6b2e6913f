"""`check`: rails over given messages, with nothing generated."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from guarded import app, inputs, output
from nemoguardrails.exceptions import RailTypeNotConfiguredError
from nemoguardrails.rails.options import RailsResult, RailStatus, RailType

SORRY = "I'm sorry, I can't respond to that."
COLANG = """
define subflow no bombs
  if "bomb" in $user_message
    bot refuse to respond
    stop

define subflow mask
  if "Ann" in $user_message
    $user_message = "I am ***"

define subflow no cats
  if "cat" in $bot_message
    bot "No cats."
    stop

define subflow hush
  if "dog" in $bot_message
    $bot_message = "***"
"""
YAML = inputs("no bombs", "mask") + output("no cats", "hush").replace("\nrails:\n", "")


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


PASSED, MODIFIED, BLOCKED = RailStatus.PASSED, RailStatus.MODIFIED, RailStatus.BLOCKED


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("hi")], RailsResult(status=PASSED, content="hi")),
        ([user("a bomb")], RailsResult(status=BLOCKED, content=SORRY, rail="no bombs")),
        ([user("I am Ann")], RailsResult(status=MODIFIED, content="I am ***")),
        ([bot("hello")], RailsResult(status=PASSED, content="hello")),
        ([bot("a cat")], RailsResult(status=BLOCKED, content="No cats.", rail="no cats")),
        ([bot("a dog")], RailsResult(status=MODIFIED, content="***")),
        ([user("hi"), bot("hello")], RailsResult(status=PASSED, content="hello")),
        ([user("hi"), bot("a cat")], RailsResult(status=BLOCKED, content="No cats.", rail="no cats")),
        ([user("a bomb"), bot("hello")], RailsResult(status=BLOCKED, content=SORRY, rail="no bombs")),
        ([user("I am Ann"), bot("hello")], RailsResult(status=PASSED, content="hello")),
        ([user("hi"), bot("hello"), user("x")], RailsResult(status=PASSED, content="hello")),
    ],
)
async def test_the_roles_choose_the_rails(messages, expected):
    made = app(COLANG, YAML, "never")
    assert await made.check_async(messages) == expected
    assert made.llm.inference_count == 0


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([RailType.INPUT], RailsResult(status=PASSED, content="hi")),
        ([RailType.OUTPUT], RailsResult(status=BLOCKED, content="No cats.", rail="no cats")),
        (["input"], RailsResult(status=PASSED, content="hi")),
        (
            [RailType.INPUT, RailType.OUTPUT],
            RailsResult(status=BLOCKED, content="No cats.", rail="no cats"),
        ),
    ],
)
async def test_rails_of_some_types(types, expected):
    assert await app(COLANG, YAML).check_async([user("hi"), bot("a cat")], rail_types=types) == expected


@pytest.mark.parametrize("kind", [RailType.INPUT, RailType.OUTPUT])
async def test_a_type_without_rails(kind):
    with pytest.raises(RailTypeNotConfiguredError) as caught:
        await app(COLANG, None).check_async([user("hi"), bot("a")], rail_types=[kind])
    assert str(caught.value) == f"Requested rail type '{kind.value}' has no configured rails."


@pytest.mark.parametrize(
    ("messages", "content"), [([], ""), ([{"role": "system", "content": "be brief"}], "be brief")]
)
async def test_nothing_to_check(messages, content, caplog):
    assert await app(COLANG, YAML).check_async(messages) == RailsResult(status=PASSED, content=content)
    assert caplog.records[0].message.startswith("check() called with no user or assistant messages")


async def test_a_rail_that_fails_blocks():
    async def broken():
        raise ValueError("no")

    made = app("define subflow chk\n  execute broken\n", inputs("chk"), actions={"broken": broken})
    assert await made.check_async([user("hi")]) == RailsResult(
        status=BLOCKED, content="I'm sorry, an internal error has occurred.", rail="chk"
    )


async def test_with_rails_exceptions_the_content_is_the_message_of_the_event():
    colang = 'define subflow chk\n  create event InputRailException(message="Not this.")\n  stop\n'
    made = app(colang, inputs("chk", more="enable_rails_exceptions: true"))
    assert await made.check_async([user("hi")]) == RailsResult(
        status=BLOCKED, content="Not this.", rail="chk"
    )


async def test_the_callers_messages_are_not_changed():
    messages = [bot("a dog")]
    await app(COLANG, YAML).check_async(messages)
    assert messages == [bot("a dog")]
