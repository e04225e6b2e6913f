"""The conversation: reads lines, plays them to a bot, shows the answers, obeys the `!` commands."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TextIO

from ..streaming.events import Failed
from .bot import Bot
from .chat_view import AnswerView
from .problems import INTERRUPTED, sentence
from .screen import Screen

PROMPT = "> "
BLOCKED = 3
"""The exit code of one message whose answer a rail blocked."""

HELP = """\
!help            this list
!reset           forget the conversation
!history         show the conversation as the bot knows it
!explain [full]  which models were called for the last answer; full: with prompts and answers
!reload          load the configuration again and keep the conversation
!stream on|off   show answers token by token, or whole
!quit            leave
Ctrl+C stops a running answer, and leaves at the prompt. A blank before ! sends the line to the bot."""


class Chat:
    """One conversation with a bot.

    Args:
        bot: who answers; closed at the end of `run` and `once`.
        screen: where to write.
        streaming: show answers token by token.
        lines: where the user's lines come from.
        verbose: the engine writes between the pieces of an answer.
    """

    def __init__(
        self,
        bot: Bot,
        screen: Screen,
        *,
        streaming: bool,
        lines: TextIO | None = None,
        verbose: bool = False,
        debug: bool = False,
    ) -> None:
        self._bot = bot
        self._screen = screen
        self._streaming = streaming
        self._lines = lines or sys.stdin
        self._verbose = verbose
        self._debug = debug
        self._history: list[dict[str, str]] = []
        self._ended = False
        self._commands: dict[str, Callable[[str], None]] = {
            "!": self._help,
            "!help": self._help,
            "!reset": self._reset,
            "!history": self._show_history,
            "!explain": self._explain,
            "!reload": self._reload,
            "!stream": self._switch_streaming,
            "!quit": self._quit,
        }

    def run(self) -> int:
        """Chats until the lines end; the exit code.

        Raises:
            StreamingNotSupportedError: answers are to be streamed, and the bot's rails do not allow it.
        """
        if self._streaming:
            self._bot.require_streaming()
        self._screen.line(f"Chatting with {self._bot.name}. !help lists the commands, Ctrl+C leaves.", "note")
        with asyncio.Runner() as runner:
            try:
                return self._converse(runner)
            except KeyboardInterrupt:
                self._screen.line()
                return INTERRUPTED
            finally:
                runner.run(self._bot.aclose())

    def once(self, text: str) -> int:
        """Plays one message; the exit code: 3 if a rail blocked, 1 if it failed.

        Standard output gets the bot's words alone.

        Raises:
            StreamingNotSupportedError: as with `run`.
        """
        if self._streaming:
            self._bot.require_streaming()
        with asyncio.Runner() as runner:
            view = self._new_view(notices_apart=True)
            try:
                self._play(runner, text, view)
            except KeyboardInterrupt:
                return INTERRUPTED
            finally:
                runner.run(self._bot.aclose())
        if view.failed is not None:
            self._screen.complain(f"Error: {_told(view.failed)}")
            return 1
        return BLOCKED if view.blocked is not None else 0

    def _converse(self, runner: asyncio.Runner) -> int:
        while not self._ended:
            line = self._next_line()
            if line is None:
                break
            if line.startswith("!"):
                self._obey(line)
            elif line.strip() and not self._take_turn(runner, line.strip()):
                return 1
        return 0

    def _next_line(self) -> str | None:
        """The next line of the user; `None` at the end. A line that was not typed is echoed."""
        if self._lines.isatty():
            _edit_lines()
            try:
                return input(PROMPT)
            except EOFError:
                self._screen.line()
                return None
        self._screen.write(PROMPT)
        line = self._lines.readline()
        self._screen.line(line.rstrip("\r\n"))
        return line.rstrip("\r\n") if line else None

    def _take_turn(self, runner: asyncio.Runner, text: str) -> bool:
        """One turn; whether the conversation can go on: after a failure only with a person at hand."""
        view = self._new_view()
        try:
            self._play(runner, text, view)
        except KeyboardInterrupt:
            view.stop(exposed=self._bot.exposed)
        if view.failed is not None:
            self._screen.complain(f"Error: {_told(view.failed)}")
        if view.text:
            self._history += [{"role": "user", "content": text}, {"role": "assistant", "content": view.text}]
        return view.failed is None or self._lines.isatty()

    def _new_view(self, *, notices_apart: bool = False) -> AnswerView:
        return AnswerView(self._screen, can_rewrite=not self._verbose, notices_apart=notices_apart)

    def _play(self, runner: asyncio.Runner, text: str, view: AnswerView) -> None:
        messages = [*self._history, {"role": "user", "content": text}]

        async def answer() -> None:
            with _cancelled_by_ctrl_c():
                async with aclosing(self._bot.answer(messages, streaming=self._streaming)) as events:
                    async for event in events:
                        view.show(event)

        try:
            runner.run(answer())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            view.end()

    def _obey(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        command = self._commands.get(word)
        if command is None:
            self._screen.line(f"There is no command {word}; !help lists them.", "note")
        else:
            command(rest.strip())

    def _help(self, _: str) -> None:
        self._screen.line(HELP, "note")

    def _reset(self, _: str) -> None:
        self._history.clear()
        self._screen.line("The conversation is forgotten.", "note")

    def _show_history(self, _: str) -> None:
        for message in self._history:
            self._screen.line(f"{message['role']}: {message['content']}", "note")
        if not self._history:
            self._screen.line("Nothing has been said yet.", "note")

    def _explain(self, rest: str) -> None:
        self._screen.line(self._bot.explain(in_full=rest == "full"), "note")

    def _reload(self, _: str) -> None:
        try:
            self._screen.line(self._bot.reload(), "note")
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            if self._debug:
                raise
            self._screen.complain(f"The old configuration stays: {sentence(error)}")

    def _switch_streaming(self, rest: str) -> None:
        if rest not in ("on", "off"):
            self._screen.line("Say !stream on or !stream off.", "note")
            return
        if rest == "on":
            try:
                self._bot.require_streaming()
            except ValueError as error:
                self._screen.complain(sentence(error))
                return
        self._streaming = rest == "on"
        self._screen.line(f"Answers come {'token by token' if self._streaming else 'whole'}.", "note")

    def _quit(self, _: str) -> None:
        self._ended = True


@contextmanager
def _cancelled_by_ctrl_c() -> Iterator[None]:
    """Ctrl+C cancels the running task.

    `asyncio.Runner` does so by itself, but misses a signal that comes just before the loop waits.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    try:
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    except (NotImplementedError, RuntimeError, ValueError):  # on Windows, and outside the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _edit_lines() -> None:
    """Gives `input` arrow keys and a history, where the platform has them."""
    try:
        import readline  # noqa: F401  # importing it is what does it
    except ImportError:
        pass


def _told(failure: Failed) -> str:
    return failure.message if failure.error is None else sentence(failure.error)
