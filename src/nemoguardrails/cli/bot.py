"""What the chat talks to: rails in this process, or a server."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol, TypeAlias

from ..streaming.events import StreamEvent

Message: TypeAlias = Mapping[str, str]
"""One message of the conversation: `role` and `content`."""


class Bot(Protocol):
    """Answers one conversation."""

    @property
    def name(self) -> str:
        """What the user is told they talk to."""
        ...

    @property
    def exposed(self) -> int:
        """How many of the last deltas of a running stream may not have been cleared by every rail."""
        ...

    def answer(self, messages: Sequence[Message], *, streaming: bool) -> AsyncGenerator[StreamEvent, None]:
        """The events of the answer to the last message; to be closed by the caller.

        Without `streaming` the text comes as one piece.
        """
        ...

    def require_streaming(self) -> None:
        """Makes sure that answers can be streamed.

        Raises:
            StreamingNotSupportedError: there are output rails that are not enabled for streams.
        """
        ...

    def explain(self, *, in_full: bool) -> str:
        """What models were called for the last answer, one line each; `in_full` with prompts and answers."""
        ...

    def reload(self) -> str:
        """Loads the configuration again, and says so; the conversation stays.

        Raises:
            ValueError: the configuration cannot be used; the old one stays.
        """
        ...

    async def aclose(self) -> None:
        """Closes what is open."""
        ...
