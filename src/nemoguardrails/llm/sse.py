"""Bytes in, server-sent events out: incremental, bounded, without any input or output of its own."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from typing import NamedTuple

from ..exceptions import LLMResponseValidationError

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Default bound of one event: enough for an image in base64, far too little to fill a memory."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_PLAIN_START = b"data: "
_PLAIN_BORDER = "\n\ndata: "


class ServerSentEvent(NamedTuple):
    """One event: its `data` lines joined by line feeds, and its name (`message` unless it says otherwise)."""

    data: str
    name: str = "message"


class SSEReader:
    """Cuts a byte stream into server-sent events.

    The events do not depend on how the bytes were cut into packets. Lines end at CR, LF or CRLF and
    nowhere else (so U+2028 or U+0085 in a JSON string is harmless); comments, `id` and `retry` are
    skipped; an event without data is no event.

    Args:
        max_event_bytes: the largest event that is gathered.

    Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>;
    unlike that page, `finish` delivers an event that lacks its closing empty line.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._at_start = True
        self._after_cr = False
        self._rest = bytearray()
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._name = ""

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete, in order.

        Raises:
            LLMResponseValidationError: an event is larger than the bound.
        """
        if self._at_start or self._after_cr:
            data = self._opened(data)
        if not data:
            return []
        if self._rest:
            if b"\n" not in data and b"\r" not in data:  # a line in many packets is gathered without copying
                self._rest += data
                self._check_size()
                return []
            data = bytes(self._rest) + data
            self._rest.clear()
        if self._lines or self._name or len(data) > self._max_event_bytes:
            return self._read_lines(data)
        cut = data.rfind(b"\n\n") + 2
        events = _plain_events(data[:cut])
        if events is None:
            return self._read_lines(data)
        return events if cut == len(data) else events + self._read_lines(data[cut:])

    def finish(self) -> list[ServerSentEvent]:
        """What the end of the bytes completes: at most one event, whose closing empty line is missing."""
        if self._rest:
            self._field(bytes(self._rest))
            self._rest.clear()
        events: list[ServerSentEvent] = []
        self._dispatch(events)
        return events

    def _opened(self, data: bytes) -> bytes:
        if self._at_start:
            data = bytes(self._rest) + data
            self._rest.clear()
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest += data
                return b""
            self._at_start = False
            data = data.removeprefix(_BOM)
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        return data

    def _read_lines(self, data: bytes) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        start = 0
        for end in _LINE_END.finditer(data):
            line = data[start : end.start()]
            start = end.end()
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        self._after_cr = start == len(data) and data.endswith(b"\r")
        self._rest += data[start:]
        self._check_size()
        return events

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._lines.append(value)
            self._lines_bytes += len(value) + 1
            self._check_size()
        elif field == b"event":
            self._name = value.decode(errors="replace")

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._lines:
            data = b"\n".join(self._lines).decode(errors="replace")
            events.append(ServerSentEvent(data, self._name or "message"))
            self._lines.clear()
            self._lines_bytes = 0
        self._name = ""

    def _check_size(self) -> None:
        if len(self._rest) + self._lines_bytes > self._max_event_bytes:
            raise LLMResponseValidationError(
                f"The stream holds an event of more than {self._max_event_bytes} bytes; it was given up"
            )


def _plain_events(data: bytes) -> list[ServerSentEvent] | None:
    """The events of bytes that are whole events of one `data: ...` line each, else `None`.

    The ordinary packet is cut by two calls into C: every event has exactly two line ends, so counting
    them proves that no event has a second line.
    """
    if not data.startswith(_PLAIN_START) or b"\r" in data:
        return None
    parts = data[len(_PLAIN_START) : -2].decode(errors="replace").split(_PLAIN_BORDER)
    if data.count(b"\n") != 2 * len(parts):
        return None
    return [ServerSentEvent(part) for part in parts]
