"""`check`: rails over given messages, with nothing generated."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import RailTypeNotConfiguredError
from ..runtime.history import text_of
from .options import (
    GenerationOptions,
    GenerationResponse,
    LogOptions,
    RailOptions,
    RailsResult,
    RailStatus,
    RailType,
)

if TYPE_CHECKING:
    from .llmrails import LLMRails

_log = logging.getLogger(__name__)


async def check(
    app: LLMRails, messages: Sequence[Mapping[str, Any]], rail_types: Sequence[RailType] | None
) -> RailsResult:
    """The result of the rails of some types, or of those that the roles of the messages call for."""
    given = [dict(message) for message in messages]
    wanted = _wanted(given) if rail_types is None else [RailType(one) for one in rail_types]
    if not wanted:
        _log.warning("check() called with no user or assistant messages; nothing is checked.")
        return RailsResult(
            status=RailStatus.PASSED, content=text_of(given[-1].get("content")) if given else ""
        )
    if rail_types is not None:
        _refuse_unconfigured(app, wanted)
    checked = _last(given, "assistant" if RailType.OUTPUT in wanted else "user")
    response = await app.generate_async(messages=_shaped(given, wanted), options=_options(wanted))
    assert isinstance(response, GenerationResponse)
    return _result(response, checked)


def _wanted(messages: Sequence[Mapping[str, Any]]) -> list[RailType]:
    roles = {message.get("role") for message in messages}
    found = {RailType.INPUT: "user", RailType.OUTPUT: "assistant"}
    return [rail_type for rail_type, role in found.items() if role in roles]


def _refuse_unconfigured(app: LLMRails, wanted: Sequence[RailType]) -> None:
    for one in wanted:
        if not getattr(app.config.rails, one.value).flows:
            raise RailTypeNotConfiguredError(f"Requested rail type '{one.value}' has no configured rails.")


def _shaped(messages: list[dict[str, Any]], wanted: Sequence[RailType]) -> list[dict[str, Any]]:
    """The messages as a turn that checks them: the checked answer last, or no answer at all."""
    if RailType.OUTPUT not in wanted:
        last_user = max(i for i, message in enumerate(messages) if message["role"] == "user")
        return messages[: last_user + 1]
    last_answer = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
    kept = messages[: last_answer + 1]
    if not any(message["role"] == "user" for message in kept):
        kept.insert(0, {"role": "user", "content": ""})
    return kept


def _options(wanted: Sequence[RailType]) -> GenerationOptions:
    rails = RailOptions(
        input=RailType.INPUT in wanted, output=RailType.OUTPUT in wanted, retrieval=False, dialog=False
    )
    return GenerationOptions(rails=rails, log=LogOptions(activated_rails=True))


def _result(response: GenerationResponse, checked: str) -> RailsResult:
    content = _content(response)
    rails = response.log.activated_rails if response.log is not None else []
    for rail in rails:
        if rail.stop:
            return RailsResult(status=RailStatus.BLOCKED, content=content, rail=rail.name)
    status = RailStatus.PASSED if content == checked else RailStatus.MODIFIED
    return RailsResult(status=status, content=content)


def _content(response: GenerationResponse) -> str:
    if isinstance(response.response, str):
        return response.response
    content = response.response[-1].get("content", "")
    return str(content.get("message", "")) if isinstance(content, Mapping) else text_of(content)


def _last(messages: Sequence[Mapping[str, Any]], role: str) -> str:
    found = [text_of(message.get("content")) for message in messages if message.get("role") == role]
    return found[-1] if found else ""
