"""A pipeline for those who expect a LangChain model: what they hand in, and what LangChain composes."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from ....exceptions import MissingExtraError
from ....types import ChatMessage, Prompt
from .event_loop import is_in_loop

TextStream = Callable[..., AsyncGenerator[str, None]]
"""A prompt and keyword arguments -> the pieces of an answer."""


def prompt_from(given: Any) -> Prompt:
    """A prompt from what LangChain's users hand to a model.

    Args:
        given: a text, a prompt value, a message, or a list of messages: objects with `type` and
            `content`, dicts, pairs of role and text, or texts of the user.

    Raises:
        ValueError: a role is unknown.
    """
    if isinstance(given, str):
        return given
    given = getattr(given, "messages", given)
    if callable(to_string := getattr(given, "to_string", None)):
        return str(to_string())
    if isinstance(given, list | tuple):
        return [_message(one) for one in given]
    return [_message(given)]


def in_step(pieces: AsyncGenerator[str, None]) -> Iterator[str]:
    """An asynchronous stream for code without an event loop; each piece as it comes.

    Raises:
        RuntimeError: a loop is running in this thread.
    """
    if is_in_loop():
        raise RuntimeError("An event loop is running in this thread: use the asynchronous method (`a...`)")
    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    yield runner.run(_next(pieces))
                except StopAsyncIteration:
                    return
        finally:
            runner.run(pieces.aclose())


def has_langchain() -> bool:
    """Whether LangChain is installed."""
    return importlib.util.find_spec("langchain_core") is not None


def announce(cls: type) -> None:
    """Makes LangChain, where it is installed, take objects of a class as parts of a chain."""
    if has_langchain():
        importlib.import_module("langchain_core.runnables").Runnable.register(cls)


def composable(stream: TextStream, name: str) -> Any:
    """A stream of answers as a LangChain runnable, with all that one can do.

    Raises:
        MissingExtraError: LangChain is not installed.
    """
    if not has_langchain():
        raise MissingExtraError("A Hugging Face pipeline as a part of a LangChain chain", "langchain")

    def transform(given: Iterator[Any], **kwargs: Any) -> Iterator[str]:
        yield from in_step(stream(_sum(list(given)), **kwargs))

    async def atransform(given: AsyncIterator[Any], **kwargs: Any) -> AsyncIterator[str]:
        whole = _sum([part async for part in given])
        async with aclosing(stream(whole, **kwargs)) as pieces:
            async for piece in pieces:
                yield piece

    runnables = importlib.import_module("langchain_core.runnables")
    return runnables.RunnableGenerator(transform, atransform, name=name)


async def _next(pieces: AsyncGenerator[str, None]) -> str:
    return await anext(pieces)


def _sum(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _message(given: Any) -> ChatMessage:
    if isinstance(given, ChatMessage):
        return given
    if isinstance(given, str):
        return ChatMessage.from_user(given)
    if isinstance(given, Mapping):
        return ChatMessage.from_dict(given)
    if isinstance(given, tuple):
        role, content = given
        return ChatMessage.from_dict({"role": role, "content": content})
    content = given.content
    if isinstance(content, list):
        content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return ChatMessage.from_dict({"role": given.type, "content": content})
