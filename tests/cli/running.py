"""Runs the real command: with pipes, and at a terminal of its own."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from nemoguardrails.cli.main import main

COMMAND = [sys.executable, "-m", "nemoguardrails"]
_PATIENCE_S = 30.0

REPLIES = """\
models:
  - type: main
    engine: scripted
    model: parrot
    parameters:
      replies:
        - when: for ever
          tokens: ["It began ", "well ", "and never ended."]
          pace_s: 3600
        - when: name
          reply: "It is called Project Nightjar, and more."
        - when: escape
          reply: "a\\x1b[2Jb [/bold]"
        - when: fail
          error: {status: 401, message: "no such key sk-abcdefghijk"}
        - fallback: true
          reply: "Hello there."
"""
RAILS = """\
rails:
  input:
    flows: [no weather]
  output:
    flows: [regex check output]
    streaming: {enabled: true, stream_first: false}
  config:
    regex_detection:
      output: {patterns: ["Project Nightjar"]}
"""
FLOWS = """\
define bot decline weather
  "I don't talk about the weather."

define subflow no weather
  if "weather" in $user_message
    bot decline weather
    stop
"""


def write_config(folder: Path, yaml: str = REPLIES + RAILS, flows: str = FLOWS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(yaml, encoding="utf-8")
    (folder / "rails.co").write_text(flows, encoding="utf-8")
    return folder


def run(
    arguments: Sequence[str], *, lines: str = "", cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command with pipes."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=lines,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=_PATIENCE_S,
        check=False,
    )


def run_here(arguments: Sequence[str], *, lines: str = "") -> Result:
    """The command in this process, with streams that are no terminal: quicker, for the many small cases."""
    return CliRunner().invoke(main, list(arguments), input=lines, prog_name="nemoguardrails")


class Terminal:
    """A program at a terminal of its own, 80 columns wide; `seen` is all that it wrote."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.seen = ""
        self._read_to = 0

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """Reads until the text comes; what came since the last wait."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.seen[self._read_to :]:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} never came; seen: {self.seen!r}")
        found = self.seen.index(text, self._read_to) + len(text)
        came, self._read_to = self.seen[self._read_to : found], found
        return came

    def exit_code(self) -> int:
        """Reads to the end."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._read(deadline):
            pass
        return self._process.wait(_PATIENCE_S)

    def interrupt(self) -> int:
        """Presses Ctrl+C, and again where nothing came of it; the exit code.

        CPython's prompt misses a signal that comes just before it waits, until the next one.
        """
        for _ in range(5):
            self.type("\x03")
            deadline = time.monotonic() + _PATIENCE_S / 6
            while self._read(deadline):
                pass
            if time.monotonic() < deadline:
                break
        return self._process.wait(_PATIENCE_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))[0]:
            return False
        try:
            data = os.read(self._ours, 4096)
        except OSError:  # how a terminal reads that nobody has open any more
            return False
        self.seen += data.decode()
        return bool(data)


@contextlib.contextmanager
def at_a_terminal(arguments: Sequence[str], *, cwd: Path | None = None) -> Iterator[Terminal]:
    terminal = Terminal([*COMMAND, *arguments], cwd=cwd)
    try:
        yield terminal
    finally:
        terminal.close()
