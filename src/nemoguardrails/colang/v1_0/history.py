"""Events -> Colang 1.0 text, as prompts and `explain().colang_history` show a conversation."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..interpreter import Event

HIDDEN_TEXT = "(this text is hidden: it is about something that must not be discussed)"
"""Stands for a message that a rail has blocked."""


def colang_history(events: Sequence[Event], *, with_texts: bool = True) -> str:
    """The conversation as Colang, one line per event that matters, without a newline at the end.

    Texts are escaped so that none of them can pass for a line of its own.

    Args:
        with_texts: whether to show what was said, or only intents and actions.
    """
    shown = _without_hidden_turns(events)
    last_bot = max((number for number, event in enumerate(shown) if _is_bot_step(event)), default=-1)
    history = _History(with_texts)
    for number, event in enumerate(shown):
        history.add(event, is_last_bot=number == last_bot)
    return "\n".join(history.lines)


def quoted(text: str) -> str:
    """The text in double quotes, on one line."""
    escaped = text.replace('"', '\\"').replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")
    return f'"{escaped}"'


def text_of(content: Any) -> str:
    """The text of a message; of one with several parts their texts, and a mark if there is an image."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return str(content)
    parts = [part for part in content if isinstance(part, dict)]
    text = " ".join(str(part["text"]) for part in parts if part.get("type") == "text" and "text" in part)
    return text + " [+ image]" if any("image" in str(part.get("type")) for part in parts) else text


class _History:
    def __init__(self, with_texts: bool):
        self.lines: list[str] = []
        self._with_texts = with_texts
        self._current: int | None = None
        """The line of this turn's user message, once there is one."""

    def add(self, event: Event, *, is_last_bot: bool) -> None:
        match event:
            case {"type": "UtteranceUserActionFinished"}:
                self._current = None
            case {"type": "UserMessage", "text": content}:
                self._user_message(quoted(text_of(content)))
            case {"type": "mask_prev_user_message"}:
                self._mask()
            case {"type": "UserIntent", "intent": intent}:
                self.lines.append(
                    f"  {_on_one_line(intent)}" if self._with_texts else f"user {_on_one_line(intent)}"
                )
            case {"type": "StartUtteranceBotAction", "script": script}:
                if self._with_texts:
                    self.lines.append(f"  {quoted(text_of(script))}")
            case {"type": "BotIntent"}:
                self._bot_step(event, is_last=is_last_bot)
            case {"action_name": str(), "is_system_action": True}:
                pass
            case _:
                self._action(event)

    def _user_message(self, text: str) -> None:
        if self._with_texts:
            self._current = len(self.lines)
            self.lines.append(f"user {text}")

    def _mask(self) -> None:
        # A blocked message has not become part of the talk yet; the one before it is innocent.
        if self._current is None:
            self._user_message(quoted(HIDDEN_TEXT))
        else:
            self.lines[self._current] = f"user {quoted(HIDDEN_TEXT)}"

    def _bot_step(self, event: Event, *, is_last: bool) -> None:
        if not _is_bot_step(event):
            return
        if is_last and event.get("instructions"):
            self.lines.extend(f"# {row}" for row in str(event["instructions"]).split("\n"))
        self.lines.append(f"bot {_on_one_line(event['intent'])}")

    def _action(self, event: Event) -> None:
        match event:
            case {"type": "StartInternalSystemAction", "action_name": name}:
                self.lines.append(f"execute {name}")
            case {"type": "InternalSystemActionFinished"}:
                self.lines.append(f"# The result was {_on_one_line(event.get('return_value'))}")
            case _:
                pass


def _without_hidden_turns(events: Iterable[Event]) -> list[Event]:
    kept: list[Event] = []
    turns: list[int] = []
    for event in events:
        if event["type"] == "hide_prev_turn":
            del kept[turns.pop() if turns else len(kept) :]
            continue
        if event["type"] == "UtteranceUserActionFinished":
            turns.append(len(kept))
        kept.append(event)
    return kept


def _is_bot_step(event: Event) -> bool:
    return event["type"] == "BotIntent" and event.get("intent") != "stop"


def _on_one_line(value: Any) -> str:
    return " ".join(str(value).splitlines())
