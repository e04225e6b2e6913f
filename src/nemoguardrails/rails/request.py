"""What one call asks for: the messages, options and state, checked and copied."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import InvalidStateError
from ..runtime.history import check_messages, text_of, to_messages, without_reserved
from .options import GenerationOptions, default_options


@dataclass(frozen=True, slots=True)
class Request:
    """One call, checked; nothing in it is shared with the caller's objects but message contents."""

    messages: tuple[dict[str, Any], ...]
    options: GenerationOptions
    as_text: bool
    """The caller gave a prompt and gets a text back."""
    wants_response: bool
    """The caller gave options or a state and gets a `GenerationResponse` back."""
    state: dict[str, Any] | None = None
    bot_message: str | None = None
    """An answer that the caller brings to be checked, instead of having one made."""
    context: dict[str, Any] = field(default_factory=dict)
    """Variables of the caller's `context` messages, later ones winning."""

    @property
    def event(self) -> dict[str, Any] | None:
        """The application's event that is to be answered, if it comes last."""
        for message in reversed(self.messages):
            if message["role"] != "context":
                return dict(message["event"]) if message["role"] == "event" else None
        return None

    @property
    def user_content(self) -> Any:
        """The content of the last user message (text or parts); `None` if there is nothing to answer."""
        if self.event is not None:
            return None
        for message in reversed(self.messages):
            if message["role"] == "user":
                return message.get("content")
        return None

    @property
    def user_message(self) -> str:
        """The text of the last user message."""
        return text_of(self.user_content)


def read_request(
    prompt: str | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | GenerationOptions | None = None,
    state: Mapping[str, Any] | None = None,
    *,
    needs_messages: bool = True,
) -> Request:
    """Checks the arguments of a call.

    Args:
        needs_messages: there must be something to answer to; a caller's own generator needs nothing.

    Raises:
        ValueError: neither or both of `prompt` and `messages`, or a message that cannot be understood.
        TypeError: `options` of another type.
        InvalidStateError: a state that no call returned.
    """
    if prompt is None and messages is None and needs_messages:
        raise ValueError("Either prompt or messages must be provided.")
    if prompt is not None and messages is not None:
        raise ValueError("Only one of prompt or messages can be provided.")
    given = _given(prompt, messages)
    if given or needs_messages:
        check_messages(given)
    given = [_heard(message) for message in given]
    earlier = state_messages(state)
    read = read_options(options)
    bot_message = None
    if given and read is not None and not read.rails.dialog and _is_plain_answer(given[-1]):
        bot_message = text_of(given.pop().get("content"))
    context: dict[str, Any] = {}
    for message in (*earlier, *given):
        if message["role"] == "context":
            context.update(message["content"])
    return Request(
        messages=(*earlier, *given),
        options=read or default_options(),
        as_text=bool(prompt),
        wants_response=options is not None or state is not None,
        state=None if state is None else dict(state),
        bot_message=bot_message,
        context=context,
    )


def read_options(options: Mapping[str, Any] | GenerationOptions | None) -> GenerationOptions | None:
    """The options as an object of their own.

    Raises:
        TypeError: neither a dict nor `GenerationOptions`.
    """
    if options is None or isinstance(options, GenerationOptions):
        return options
    if not isinstance(options, Mapping):
        raise TypeError("options must be a dict or GenerationOptions")
    return GenerationOptions(**options)


def state_messages(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The messages that a returned state stands for; none for a new one.

    Raises:
        InvalidStateError: it is not a state of Colang 1.0.
    """
    if not state:
        return []
    wrong = "Invalid Colang 1.0 state format"
    if state.get("version") == "2.x" or "state" in state:
        raise InvalidStateError(f"{wrong}: this is a Colang 2.x state; use process_events_async() for it.")
    events = state.get("events")
    if not isinstance(events, list):
        raise InvalidStateError(f"{wrong}: it needs a list under `events`, as an earlier call returned it.")
    return to_messages(events)


def _given(prompt: str | None, messages: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    if prompt is not None:
        return [{"role": "user", "content": prompt}]
    # What is no mapping stays as it is for the check to name.
    return [without_reserved(dict(one)) if isinstance(one, Mapping) else one for one in messages or ()]


def _heard(message: dict[str, Any]) -> dict[str, Any]:
    """The user's words that come as an event are a message of the user: input rails judge them."""
    event = message["event"] if message["role"] == "event" else {}
    if event.get("type") != "UtteranceUserActionFinished":
        return message
    return {"role": "user", "content": event.get("final_transcript")}


def _is_plain_answer(message: Mapping[str, Any]) -> bool:
    return message["role"] == "assistant" and not message.get("tool_calls")
