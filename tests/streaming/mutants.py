"""Breaks each promise of the stream contract on purpose, in a copy, and shows which test notices.

Run it as `python tests/streaming/mutants.py [part of a name ...]`; it exits with 1 if a mutant survives.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]
PACKAGE = "nemoguardrails"
SECONDS_PER_MUTANT = 240


@dataclass(frozen=True)
class Mutant:
    """One small change of a file of the streaming room."""

    section: str
    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "2",
        "no context held back by a rewriting stage",
        "rewriting.py",
        "cut, edits = max(len(texts) - self._kept(texts), 0), []",
        "cut, edits = len(texts), []",
    ),
    Mutant(
        "2",
        "the last window is never checked",
        "windows.py",
        "        if not self._fresh:\n",
        "        if True:\n",
    ),
    Mutant(
        "2",
        "a check for a window without new tokens",
        "windows.py",
        "        if not self._fresh:\n",
        "        if not self._texts:\n",
    ),
    Mutant(
        "2",
        "a window one token too long",
        "windows.py",
        "if fresh >= self._limit",
        "if fresh > self._limit",
    ),
    Mutant("2", "no context in front of a window", "windows.py", "texts[-self._carried :]", "texts[:0]"),
    Mutant(
        "2",
        "one check more than may run at the same time",
        "checks.py",
        "self._started < self._limit",
        "self._started <= self._limit",
    ),
    Mutant(
        "2",
        "a block of one incremental rail overtakes what another has not decided",
        "judging.py",
        "        if not self._is_first():\n",
        "        if False:\n",
    ),
    Mutant(
        "2",
        "text before a block is lost inside its token",
        "judging.py",
        "        if start < at and text:\n",
        "        if False:\n",
    ),
    Mutant(
        "3",
        "text is released before its window is cleared",
        "judging.py",
        "        self._holds = not policy.stream_first\n",
        "        self._holds = False\n",
    ),
    Mutant(
        "3",
        "the exposure bound is off by one",
        "release.py",
        "min(self.cleared + (self._bound or 0), self._limit)",
        "min(self.cleared + (self._bound or 0) + 1, self._limit)",
    ),
    Mutant(
        "3",
        "one judging stage clears for all",
        "pipeline.py",
        "min(first.cleared, *(other.cleared for other in others))",
        "max(first.cleared, *(other.cleared for other in others))",
    ),
    Mutant(
        "3",
        "a rewriting rail lets out what it has not decided",
        "rewriting.py",
        "            splicer.emit(progress.decided)\n",
        "            splicer.emit(splicer.chars)\n",
    ),
    Mutant(
        "3",
        "hold_back clears a token too early",
        "windows.py",
        "            if behind >= self._hold_back:\n",
        "            if behind >= self._hold_back - 1:\n",
    ),
    Mutant(
        "3",
        "known bad text is still exposed",
        "release.py",
        "        self._limit = min(self._limit, limit)\n",
        "        self._limit = self._limit\n",
    ),
    Mutant(
        "4",
        "verdicts are applied as they come",
        "checks.py",
        "while self._jobs and self._jobs[0].verdict is not None:",
        "while self._jobs and any(job.verdict is not None for job in self._jobs):",
    ),
    Mutant(
        "4",
        "a check that raises lets text pass",
        "checks.py",
        "        verdict: Verdict = failed(rail, described(error))\n",
        "        verdict: Verdict = ALLOW\n",
    ),
    Mutant(
        "4",
        "an answer that is no verdict lets text pass",
        "checks.py",
        '        return failed(rail, f"it answered {type(answer).__name__} instead of a verdict")\n',
        "        return ALLOW\n",
    ),
    Mutant(
        "4",
        "retract_from points behind the first uncleared token",
        "release.py",
        "        return valid if valid < self.chars else None\n",
        "        return valid + 1 if valid < self.chars else None\n",
    ),
    Mutant(
        "4",
        "what is ready but not cleared goes out after a block",
        "release.py",
        "        while marks and ready and marks[-1][0] > self._limit:\n",
        "        while False:\n",
    ),
    Mutant(
        "4",
        "the text of the blocked window goes out",
        "judging.py",
        "            if isinstance(job.verdict, Block):\n",
        "            if isinstance(job.verdict, Block) and not self._by_windows == maxsize:\n"
        "                self._by_windows = self._end\n"
        "                self._clear()\n",
    ),
    Mutant("5", "the source is not closed", "gate.py", "        await aclose()\n", "        pass\n"),
    Mutant(
        "5",
        "the pump is left running",
        "gate.py",
        "            pump.cancel()\n",
        "            pass\n",
    ),
    Mutant(
        "5",
        "checks are left running",
        "gate.py",
        "            job.drop()\n            tasks.update(task for task in job.tasks if not task.done())\n",
        "            pass\n",
    ),
    Mutant(
        "5",
        "cancelled checks are not waited for",
        "gate.py",
        "        if tasks:\n            _, stuck",
        "        if pump is None:\n            _, stuck",
    ),
    Mutant(
        "5",
        "a block is told before everything is closed",
        "gate.py",
        "                if self._crash is not None or pipeline.done:\n                    break\n",
        "                if self._crash is not None or pipeline.done:\n"
        "                    if pipeline.terminal.kind == 'blocked':\n"
        "                        yield pipeline.terminal\n"
        "                        return\n"
        "                    break\n",
    ),
    Mutant(
        "5",
        "reading goes on after a block",
        "gate.py",
        "        if not pipeline.wants_more:\n            self._stop_reading()\n        elif",
        "        if",
    ),
    Mutant(
        "5",
        "the buffer before the consumer has no bound",
        "gate.py",
        "(len(ready) >= self._capacity or self._clogged)",
        "self._clogged",
    ),
    Mutant(
        "5",
        "windows pile up before a slow rail",
        "gate.py",
        "(len(ready) >= self._capacity or self._clogged)",
        "len(ready) >= self._capacity",
    ),
    Mutant(
        "5",
        "windows pile up behind one slow check",
        "checks.py",
        "self._started < self._limit",
        "sum(job.verdict is None for job in self._jobs) - len(self._waiting) < self._limit",
    ),
    Mutant(
        "6",
        "usage and its like are lost",
        "pipeline.py",
        "        else:\n            self._first.push(event, self._read)\n",
        "        else:\n            pass\n",
    ),
    Mutant(
        "6",
        "what is no text overtakes held text",
        "judging.py",
        "            if end <= self.cleared:\n                self._let_out()\n",
        "            self.cleared = end\n            self._let_out()\n",
    ),
    Mutant(
        "6",
        "the finish of the source is lost",
        "pipeline.py",
        "        elif isinstance(event, Finished):\n            self.terminal = event\n        elif ends",
        "        elif isinstance(event, Finished):\n            pass\n        elif ends",
    ),
    Mutant(
        "6",
        "a source that died looks finished",
        "gate.py",
        "                    pipeline.finish(_failure(error))\n",
        "                    pipeline.finish()\n",
    ),
    Mutant(
        "6",
        "held text is lost when the source dies",
        "gate.py",
        "                    pipeline.finish(_failure(error))\n",
        "                    pipeline.terminal = _failure(error)\n"
        "                    pipeline.drop()\n"
        "                    pipeline.release.finish()\n",
    ),
    Mutant(
        "6",
        "edits of kept text are lost at the end",
        "rewriting.py",
        "            self._splicer.edit(self._late)\n",
        "",
    ),
    Mutant(
        "6",
        "token boundaries are lost",
        "release.py",
        "            items.popleft()\n            self.start = stop\n            emit(event, end)\n",
        "            items.popleft()\n            self.start = stop\n"
        "            if isinstance(event, TextDelta) and items and isinstance(items[0][0], TextDelta):\n"
        "                joined = TextDelta(event.text + items[0][0].text)\n"
        "                items[0] = (joined, *items[0][1:])\n"
        "                continue\n"
        "            emit(event, end)\n",
    ),
    Mutant(
        "7",
        "windows are checked one by one",
        "judging.py",
        "        self.checks = Checks(policy.max_concurrent_checks)\n",
        "        self.checks = Checks(1)\n",
    ),
    Mutant(
        "7",
        "each check sees all the text so far",
        "windows.py",
        "self._carried = policy.carried\n",
        "self._carried = 10**9\n",
    ),
    Mutant(
        "7",
        "a window that finds no place to cut grows by one stride",
        "rewriting.py",
        "            self._need = max(self._need, self._seen_units)\n",
        "            pass\n",
    ),
]


def failed_tests(tree: Path) -> list[str]:
    """The contract tests that fail on the package in `tree`; an empty list if all pass."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "SLUICE_PROFILE": "mutants"}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--maxfail=2", "-p", "no:cacheprovider"]
    command += [
        "--timeout=30",
        *(str(TESTS / f"test_{name}.py") for name in ("contract", "contract_end", "gate")),
    ]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS_PER_MUTANT
        )
    except subprocess.TimeoutExpired:
        return ["(ran past its time)"]
    if done.returncode == 0:
        return []
    return re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.M) or [f"(exit {done.returncode})"]


def copied(folder: Path) -> Path:
    """A copy of the package below `folder`; makes sure that Python will take it."""
    shutil.copytree(
        ROOT / "src" / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "page")
    )
    where = subprocess.run(
        [sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if not where.startswith(str(folder)):
        raise SystemExit(f"the copy is not what Python imports, but {where}")
    return folder / PACKAGE / "streaming"


def main(wanted: list[str]) -> int:
    """Prints a line per mutant; returns how many nobody noticed."""
    survived = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        streaming = copied(Path(name))
        if failures := failed_tests(Path(name)):
            raise SystemExit(f"the tests fail without a mutant: {', '.join(failures)}")
        for mutant in MUTANTS:
            if wanted and not any(part in mutant.name for part in wanted):
                continue
            path = streaming / mutant.file
            original = path.read_text()
            if original.count(mutant.old) < 1:
                raise SystemExit(f"{mutant.file} has no place for {mutant.name!r}")
            path.write_text(original.replace(mutant.old, mutant.new, 1))
            caught = failed_tests(Path(name))
            path.write_text(original)
            survived += not caught
            verdict = f"caught by {', '.join(caught)}" if caught else "SURVIVED"
            print(f"{mutant.section}  {mutant.name:72} {verdict}", flush=True)
    print(f"{survived} survived")
    return survived


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
