"""Shows one answer while it comes, and knows what stands on the screen when it has ended."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from ..streaming.events import (
    Blocked,
    Failed,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCalls,
    Usage,
)
from ..types import ToolCall
from .screen import Layout, Screen, Style


@dataclass(frozen=True, slots=True)
class _Piece:
    """Something written while the answer came."""

    cells: list[str]
    """What each of its characters became on the screen."""
    style: Style
    start: int | None
    """Its offset in the answer's text; `None` if it is no part of it."""


class AnswerView:
    """Shows the events of one answer.

    Text and reasoning are written as they come, as plain text. What a rail takes back is crossed out on
    a terminal; elsewhere a line says how much of the text above no longer counts.

    Args:
        screen: where to write.
        can_rewrite: nothing else writes there between the pieces, so that their places are known.
        notices_apart: what is not the bot's own words goes where errors go.

    Attributes:
        blocked: the event of the rail that blocked, if one did.
        failed: the event of the failure, if there was one; showing it is the caller's.
    """

    def __init__(self, screen: Screen, *, can_rewrite: bool = True, notices_apart: bool = False) -> None:
        self.blocked: Blocked | None = None
        self.failed: Failed | None = None
        self._screen = screen
        self._can_rewrite = can_rewrite
        self._notices_apart = notices_apart
        self._pieces: list[_Piece] = []
        self._deltas: list[str] = []
        self._length = 0
        self._layout = Layout(screen.width)
        self._cleared: int | None = None
        self._reply = ""

    def show(self, event: StreamEvent) -> None:
        """Shows one event."""
        match event:
            case TextDelta():
                self._show_text(event.text)
            case ReasoningDelta():
                self._write(event.text, "note")
            case ToolCalls():
                self._show_calls(event.calls)
            case Blocked():
                self._show_block(event)
            case Failed():
                self.failed = event
            case Finished():
                self._show_finish(event)
            case ToolCallDelta() | Usage():
                pass
            case _:
                assert_never(event)

    def stop(self, *, exposed: int) -> None:
        """The user broke the answer off; its last `exposed` deltas may not have been cleared."""
        kept = self._deltas[: max(len(self._deltas) - exposed, 0)]
        self._cleared = sum(map(len, kept))
        self._notice("[stopped]", "note")
        self.end()

    def end(self) -> None:
        """Ends the answer's last line."""
        if not self._screen.at_line_start:
            self._write("\n", "plain")

    @property
    def text(self) -> str:
        """What was said and cleared, for the history; a blocking rail's reply stands at its end."""
        said = "".join(self._deltas)[: self._cleared]
        return "\n".join(part for part in (said, self._reply) if part)

    def _show_text(self, text: str) -> None:
        if self._pieces and self._pieces[-1].start is None:
            self.end()
        self._write(text, "answer", self._length)
        self._deltas.append(text)
        self._length += len(text)

    def _show_calls(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            arguments = json.dumps(call.function.arguments, ensure_ascii=False)
            self._notice(f"[calls {call.function.name} with {arguments}]", "note")

    def _show_block(self, block: Blocked) -> None:
        self.blocked = block
        by_input = block.stage == "input"
        if block.retract_from is not None and not by_input:
            self._retract(block.retract_from)
        self._notice(notice_of(block), "warning" if by_input and not block.failed else "alarm")
        if block.reply and not by_input:
            self._reply = block.reply
            self.end()
            self._write(block.reply, "answer")

    def _show_finish(self, finish: Finished) -> None:
        if finish.finish_reason == "length":
            self._notice("[the model stopped at its limit of tokens]", "note")
        elif finish.finish_reason == "content_filter" and self.blocked is None:
            self._notice("[the model's provider cut this answer off]", "warning")

    def _retract(self, start: int) -> None:
        self._cleared = start
        count = self._length - start
        if count <= 0:
            return
        before, anew = self._split(start)
        if not (self._can_rewrite and self._screen.rewrite(before, anew)):
            self._notice(f"[taken back: the last {count} characters of the answer above]", "alarm")

    def _split(self, start: int) -> tuple[str, list[tuple[str, Style]]]:
        """What stands before an offset of the answer, and the pieces from there on, crossed out."""
        before: list[str] = []
        anew: list[tuple[str, Style]] = []
        for piece in self._pieces:
            keep = len(piece.cells) if piece.start is None else max(start - piece.start, 0)
            if anew and piece.start is None:
                anew.append(("".join(piece.cells), piece.style))
                continue
            before += piece.cells[:keep]
            if keep < len(piece.cells):
                anew.append(("".join(piece.cells[keep:]), "struck"))
        return "".join(before), anew

    def _notice(self, text: str, style: Style) -> None:
        if self._notices_apart:
            self._screen.complain(text)
            return
        self.end()
        self._write(text + "\n", style)

    def _write(self, text: str, style: Style, start: int | None = None) -> None:
        if self._screen.at_line_start:
            self._layout.restart()
        cells = self._layout.lay(text)
        self._pieces.append(_Piece(cells, style, start))
        self._screen.write("".join(cells), style)


def notice_of(block: Blocked) -> str:
    """One line that says which rail stepped in, and why."""
    why = f": {block.reason}" if block.reason else ""
    if block.failed:
        why = f": {block.error}" if block.error else ""
        return f'[blocked: {block.stage} rail "{block.rail}" could not decide{why}]'
    if block.stage == "input":
        return f'[input rail "{block.rail}" answers instead of the model{why}]'
    return f'[blocked by {block.stage} rail "{block.rail}"{why}]'
