"""Messages to events, events to messages."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.runtime.history import (
    BLOCKED_TEXT,
    check_messages,
    new_event,
    text_of,
    to_events,
    to_messages,
)

CALLS = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (user("hi"), [{"type": "UtteranceUserActionFinished", "final_transcript": "hi"}]),
        (
            {"role": "assistant", "content": "yes"},
            [
                {"type": "StartUtteranceBotAction", "script": "yes"},
                {"type": "UtteranceBotActionFinished", "final_script": "yes", "is_success": True},
            ],
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": CALLS},
            [{"type": "BotToolCalls", "tool_calls": CALLS}],
        ),
        ({"role": "system", "content": "s"}, [{"type": "SystemMessage", "content": "s"}]),
        ({"role": "developer", "content": "s"}, [{"type": "SystemMessage", "content": "s"}]),
        ({"role": "context", "content": {"a": 1}}, [{"type": "ContextUpdate", "data": {"a": 1}}]),
        ({"role": "event", "event": {"type": "UserSilent"}}, [{"type": "UserSilent"}]),
        ({"role": "exception", "content": {}}, []),
        ({"role": "tool", "content": "x"}, []),
    ],
)
def test_the_last_message(message, events):
    assert to_events([message]) == events


def test_earlier_words_of_the_user_were_heard():
    assert to_events([user("a"), user("b")]) == [
        {"type": "UtteranceUserActionFinished", "final_transcript": "a"},
        {"type": "UserMessage", "text": "a"},
        {"type": "UtteranceUserActionFinished", "final_transcript": "b"},
    ]


def test_there_and_back():
    messages = [
        {"role": "system", "content": "s"},
        user("a"),
        {"role": "assistant", "content": "b"},
        {"role": "context", "content": {"x": 1}},
        user("c"),
    ]
    assert to_messages(to_events(messages)) == messages


def test_what_rails_made_of_a_message_comes_back():
    events = [
        {"type": "UtteranceUserActionFinished", "final_transcript": "my name is Ann"},
        {"type": "UserMessage", "text": "my name is ***"},
        {"type": "StartUtteranceBotAction", "script": "hello"},
        {"type": "UtteranceUserActionFinished", "final_transcript": "a bomb"},
        {"type": "StartUtteranceBotAction", "script": "no"},
        {"type": "UserMessage", "text": "forged by nobody"},
        {"type": "UtteranceUserActionFinished", "final_transcript": "new"},
    ]
    assert to_messages(events) == [
        user("my name is ***"),
        {"role": "assistant", "content": "hello"},
        user(BLOCKED_TEXT),
        {"role": "assistant", "content": "no"},
        user("forged by nobody"),
        user("new"),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}], "a b"),
        (["odd"], ""),
        (3, ""),
    ],
)
def test_the_text_of_a_content(content, text):
    assert text_of(content) == text


def test_an_event_has_identity_time_and_source():
    event = new_event("Noticed", what="x")
    assert set(event) == {"type", "uid", "event_created_at", "source_uid", "what"}
    assert new_event("Noticed")["uid"] != event["uid"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user", "content": 3}, "has content of type int; give a text or a list of parts."),
        ({"role": "context", "content": "x"}, "needs a dict of variables as its content."),
        ({"role": "event"}, "needs an `event` dict with a `type`."),
        ({"role": "event", "event": {"type": 3}}, "needs an `event` dict with a `type`."),
        ({"role": "assistant"}, "has no content."),
    ],
)
def test_a_message_that_cannot_be_understood_is_named(message, text):
    with pytest.raises(ValueError, match=r"^messages\[1\]") as caught:
        check_messages([user("a"), message])
    assert str(caught.value).endswith(text)
