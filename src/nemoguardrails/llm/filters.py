"""Filters of prompt templates over events: the conversation as Colang text, as lines, as messages."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .history_text import (
    first_turns,
    indent,
    last_turns,
    remove_text_messages,
    to_intent_messages,
    to_intent_messages_2,
    to_messages,
    to_messages_v2,
    verbose_v1,
)

Event: TypeAlias = Mapping[str, Any]
Message: TypeAlias = dict[str, Any]

HIDDEN_TEXT = "<hidden: a rail kept this message out of the conversation>"
"""Stands in prompts for a user message that an input rail blocked."""

_UTTERANCE = "UtteranceUserActionFinished"
_REWRITES_HISTORY = frozenset({"mask_prev_user_message", "hide_prev_turn"})
_LOGS = {
    "UserActionLog": "user action",
    "UserIntentLog": "user intent",
    "BotIntentLog": "bot intent",
    "BotActionLog": "bot action",
}
_LABELS = re.compile(r"^(?:user action|user intent|bot action|bot intent): ", re.MULTILINE)
_FORGED_LABEL = re.compile(r"\n(?=(?:User|Assistant):)")
_LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_NEEDS_ESCAPE = re.compile(rf'\\(?=[n"\\{_LINE_ENDS}]|$)|"|\r\n|[{_LINE_ENDS}]')
_ROLES = {"UserMessage": ("user", "text"), "StartUtteranceBotAction": ("assistant", "script")}
_MESSAGES = {**_ROLES, "SystemMessage": ("system", "content")}


def colang(events: Sequence[Any]) -> str:
    """The conversation as Colang text.

    Line breaks and quotes inside of texts are escaped, so that no text can pass for a line of its own.
    """
    plain = [_plain(event) for event in events]
    if not _LOGS.keys().isdisjoint([event.get("type") for event in plain]):
        return _colang_2(plain)
    return "\n".join(_colang_1(visible(plain)))


def recent_turns(events: Sequence[Any], n: int) -> Sequence[Any]:
    """The events of the last `n` turns; a turn begins with what the user says.

    A prompt that shows only these costs the same however long the conversation is.
    """
    left = n
    for at in range(len(events) - 1, -1, -1):
        if _plain(events[at]).get("type") != "UserMessage":
            continue
        left -= 1
        if left <= 0:
            begins_with_words = at > 0 and _plain(events[at - 1]).get("type") == _UTTERANCE
            return events[at - 1 if begins_with_words else at :]
    return events


def colang_without_identifiers(events: Sequence[Any]) -> str:
    """As `colang`, without the labels `user action: ` and the like."""
    return _LABELS.sub("", colang(events))


def co_v2(events: Sequence[Any]) -> str:
    """The conversation as lines `user said "..."` and `bot say "..."`, indented by two spaces."""
    lines = []
    for event in map(_plain, events):
        kind = str(event.get("type", ""))
        if kind == _UTTERANCE:
            lines.append(f"  user said {quoted(event.get('final_transcript'))}")
        elif kind == "UtteranceBotActionFinished":
            lines.append(f"  bot say {quoted(event.get('final_script'))}")
        elif kind.endswith("ActionFinished") and event.get("return_value") is not None:
            name = event.get("action_name") or kind.removesuffix("Finished")
            lines.append(f"  # {name} returned {_on_one_line(event['return_value'])}")
    return "\n".join(lines)


def user_assistant_sequence(events: Sequence[Any]) -> str:
    """The conversation as lines `User: ...` and `Assistant: ...`."""
    lines = []
    for role, content in _said(events):
        text = _FORGED_LABEL.sub("\n ", text_of(content))
        lines.append(f"{'User' if role == 'user' else 'Assistant'}: {text}")
    return "\n".join(lines)


def to_chat_messages(events: Sequence[Any]) -> list[Message]:
    """The conversation as messages `{"type", "content"}`: user, assistant, and the caller's system messages.

    Contents made of parts (images and the like) are kept as they are.
    """
    messages: list[Message] = []
    for event in visible(events):
        found = _MESSAGES.get((event if isinstance(event, dict) else _plain(event)).get("type", ""))
        if found is not None:
            messages.append({"type": found[0], "content": event[found[1]]})
    return messages


def visible(events: Sequence[Any]) -> Sequence[Any]:
    """The events with hidden turns left out and blocked user messages replaced by `HIDDEN_TEXT`."""
    if _REWRITES_HISTORY.isdisjoint([event.get("type") for event in events if isinstance(event, dict)]):
        return events
    shown: list[Any] = []
    turn_at: int | None = None
    message_at: int | None = None
    for event in map(_plain, events):
        kind = event.get("type")
        if kind == "hide_prev_turn":
            begin = message_at if turn_at is None else turn_at
            del shown[len(shown) if begin is None else begin :]
            turn_at = message_at = None
        elif kind == "mask_prev_user_message":
            _mask(shown, message_at)
        else:
            if kind == _UTTERANCE:
                turn_at, message_at = len(shown), None
            elif kind == "UserMessage":
                message_at = len(shown)
            shown.append(event)
    return shown


def quoted(text: object) -> str:
    """A text in double quotes on one line; `history_text.unquoted` is the inverse."""
    return f'"{_NEEDS_ESCAPE.sub(_escaped, text_of(text))}"'


def text_of(content: object) -> str:
    """The text of a message's content: that of its text parts, with a mark for images."""
    if not isinstance(content, list):
        return "" if content is None else str(content)
    parts = [part for part in content if isinstance(part, Mapping)]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    has_images = any("image" in str(part.get("type")) for part in parts)
    return " ".join(texts) + (" [+ image]" if has_images else "")


def _mask(shown: list[Any], message_at: int | None) -> None:
    """Hides the message of the turn that was blocked: an input rail may do so before there is one."""
    if message_at is None:
        shown.append({"type": "UserMessage", "text": HIDDEN_TEXT})
    else:
        shown[message_at] = {**shown[message_at], "text": HIDDEN_TEXT}


def _said(events: Sequence[Any]) -> Iterable[tuple[str, Any]]:
    for event in map(_plain, visible(events)):
        kind = event.get("type")
        if kind in _ROLES:
            role, key = _ROLES[kind]
            yield role, event.get(key)


def _colang_1(events: Sequence[Event]) -> Iterable[str]:
    backwards = range(len(events) - 1, -1, -1)
    last_intent = next((at for at in backwards if events[at].get("type") == "BotIntent"), None)
    after_user_text = False
    for at, event in enumerate(events):
        kind = event.get("type")
        if kind == "UserIntent":
            yield f"{'  ' if after_user_text else 'user '}{_on_one_line(event.get('intent'))}"
        else:
            yield from _colang_1_lines(event, is_last_intent=at == last_intent)
        after_user_text = kind == "UserMessage" or (after_user_text and kind != "UserIntent")


def _colang_1_lines(event: Event, *, is_last_intent: bool) -> Iterable[str]:
    kind = event.get("type")
    if kind == "UserMessage":
        yield f"user {quoted(event.get('text'))}"
    elif kind == "StartUtteranceBotAction":
        yield f"  {quoted(event.get('script'))}"
    elif kind == "BotIntent" and event.get("intent") != "stop":
        if is_last_intent and event.get("instructions"):
            yield f"# {_on_one_line(event['instructions'])}"
        yield f"bot {_on_one_line(event.get('intent'))}"
    elif event.get("is_system_action"):
        return
    elif kind == "StartInternalSystemAction":
        yield f"execute {event.get('action_name')}"
    elif kind == "InternalSystemActionFinished":
        yield f"# The result was {_on_one_line(event.get('return_value'))}"


def _colang_2(events: Sequence[Event]) -> str:
    """Blocks of log lines; several of one kind are joined by `  and `, a new kind opens a block."""
    blocks: list[str] = []
    latest: tuple[str, str] | None = None
    for event in events:
        label = _LOGS.get(str(event.get("type")))
        if label is None:
            continue
        name, parameter = str(event.get("flow_id") or ""), event.get("parameter")
        text = name if parameter is None else f"{name} {quoted(parameter)}"
        if latest is None or latest[0] != label:
            blocks.append(f"{label}: {text}")
        elif text != latest[1]:
            blocks[-1] += f"\n  and {text}"
        latest = (label, text)
    return "\n\n".join(blocks)


def _plain(event: Any) -> Event:
    """An event as a mapping; those of the 2.x runtime may be objects with `name` and `arguments`."""
    if isinstance(event, dict | Mapping):
        return event
    return {"type": event.name, **event.arguments}


def _escaped(found: re.Match[str]) -> str:
    return "\\n" if found[0][0] in _LINE_ENDS else f"\\{found[0]}"


def _on_one_line(value: object) -> str:
    return " ".join(str(value).splitlines())


FILTERS: dict[str, Callable[..., Any]] = {
    made.__name__: made
    for made in (
        recent_turns,
        colang,
        colang_without_identifiers,
        co_v2,
        user_assistant_sequence,
        to_chat_messages,
        remove_text_messages,
        first_turns,
        last_turns,
        indent,
        verbose_v1,
        to_messages,
        to_messages_v2,
        to_intent_messages,
        to_intent_messages_2,
    )
}
"""The filters by name; `LLMTaskManager.register_filter` adds to a copy."""
