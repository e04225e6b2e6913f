"""Four questions to a guarded bot, answered while you watch: no key, no network. `make demo` runs it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ["nemoguardrails", "chat", "--config=examples/configs/streaming", "--streaming"]
PROMPT = b"> "
READING_S = 1.5
"""Time to read a headline, where somebody reads."""


@dataclass(frozen=True)
class Act:
    """One question, and what to watch while it is answered."""

    title: str
    watch: str
    line: str


ACTS = [
    Act(
        "An ordinary answer",
        "Words appear as the model makes them. Each has passed two output rails before you see it.",
        "How do I mend a flat tyre?",
    ),
    Act(
        "A predefined answer",
        "A rail on your question answers with fixed words. The model is never asked.",
        "When do you open?",
    ),
    Act(
        "Personal data, masked in the stream",
        "The model writes an address, a phone number and a card number. You never see them, "
        "not even for a moment, and the words around them keep flowing.",
        "Who can I talk to about my order?",
    ),
    Act(
        "An answer that a rail stops midway",
        "The model is about to give away the code name of a project. The answer ends just before it.",
        "What are you working on next?",
    ),
]


class Chat:
    """The chat command, with lines typed into it and its output passed on as it comes.

    Where this process shows its output on a terminal, the command sees a terminal, too.
    """

    def __init__(self, command: list[str]) -> None:
        self._held = b""
        if sys.stdout.isatty() and os.name == "posix":
            self._output, end = _terminal_like_ours()
        else:
            self._output, end = os.pipe()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=end, cwd=ROOT)
        os.close(end)

    def type(self, line: str) -> None:
        """Types a line at the prompt."""
        _show(PROMPT)
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def watch(self) -> bool:
        """Shows output up to the next prompt, but not the prompt; false where the output ends instead."""
        before = b"\n"
        while True:
            data = self._held + self._read()
            self._held = b""
            if not data:
                return False
            if (before + data).endswith(b"\n" + PROMPT):
                _show(data[: -len(PROMPT)])
                return True
            if (before + data).endswith(b"\n" + PROMPT[:1]):
                self._held, data = data[-1:], data[:-1]
            _show(data)
            before = data[-1:] or before

    def leave(self) -> int:
        """Ends the input and waits; the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        while self._read():
            pass
        os.close(self._output)
        return self._process.wait()

    def _read(self) -> bytes:
        try:
            return os.read(self._output, 4096)
        except OSError:  # how the terminal of a program that has ended reads
            return b""


def main() -> int:
    """Plays the acts; then, on a terminal, you go on. The exit code."""
    found = Path(sys.executable).with_name(COMMAND[0])
    command = [str(found), *COMMAND[1:]] if found.exists() else [sys.executable, "-m", *COMMAND]
    someone_types = sys.stdin.isatty() and sys.stdout.isatty()
    _say("Sluice guards what a language model says, word by word, while it says it.")
    _say("The model here is a script, so this runs offline and needs no key. We type into:")
    _say(f"  $ {' '.join(COMMAND)}\n")
    try:
        code = _play(command)
    except KeyboardInterrupt:
        _say("\nStopped.")
        return 130
    if code != 0:
        return code
    shown = "nemoguardrails" if shutil.which("nemoguardrails") else os.path.relpath(command[0])
    _headline("Next")
    _say("Put your own model behind the same rails: examples/configs/streaming/README.md")
    if not someone_types:
        _say(f"Chat yourself:\n  {shown} {' '.join(COMMAND[1:])}")
        return 0
    _say("Chat yourself: the same command, now with you at the keyboard. Ctrl+C leaves.\n")
    return _hand_over(command)


def _play(command: list[str]) -> int:
    chat = Chat(command)
    there = chat.watch()
    for number, act in enumerate(ACTS, 1):
        if not there:
            break
        _headline(f"{number}. {act.title}")
        _say(act.watch + "\n")
        if sys.stdout.isatty():
            time.sleep(READING_S)
        chat.type(act.line)
        there = chat.watch()
    return chat.leave()


def _hand_over(command: list[str]) -> int:
    # Ctrl+C is for the chat alone; a function, unlike SIG_IGN, is not inherited by it.
    signal.signal(signal.SIGINT, lambda *_: None)
    code = subprocess.call(command, cwd=ROOT)
    return 0 if code == 130 else code


def _terminal_like_ours() -> tuple[int, int]:
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    return ours, theirs


def _headline(text: str) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    _show(f"\n{bold}{text}{plain}\n{'-' * len(text)}\n".encode())


def _say(text: str) -> None:
    width = min(shutil.get_terminal_size().columns, 100)
    lines = (textwrap.fill(line, width) if not line.startswith(" ") else line for line in text.split("\n"))
    _show(("\n".join(lines) + "\n").encode())


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
