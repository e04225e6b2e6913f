"""The command group: quick, and its help teaches with examples that run."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import nemoguardrails

from .loopback import Answer, chunk, serving
from .running import run, run_here, write_config

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAVY = ("pydantic", "aiohttp", "jinja2", "numpy", "rich", "regex", "yaml")


def examples_in(arguments: list[str]) -> list[str]:
    """The command lines under `Examples:` in a help text."""
    text = run_here([*arguments, "--help"]).output
    found = re.search(r"Examples:\n(.*?)\n\n", text + "\n\n", re.DOTALL)
    assert found, text
    return [line.strip() for line in found[1].splitlines()]


def test_the_version_is_printed_bare() -> None:
    for flag in ("--version", "-v"):
        done = run_here([flag])
        assert (done.exit_code, done.output) == (0, f"{nemoguardrails.__version__}\n")


def test_help_names_every_command() -> None:
    done = run_here(["--help"])
    assert done.exit_code == 0
    assert re.findall(r"^  (\w[\w-]*)  ", done.output, re.MULTILINE) == ["bench", "chat"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["chat", "--help"], ["bench", "stream", "--help"]]
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from nemoguardrails.cli.main import main\n"
        f"try: main({arguments!r}, prog_name='nemoguardrails')\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run_here(["nonsense"]).exit_code == 2
    assert run_here(["chat", "--nonsense"]).exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_shown(shell: str) -> None:
    done = run_here(["--show-completion", shell])
    assert done.exit_code == 0
    assert "_NEMOGUARDRAILS_COMPLETE" in done.output


def test_completion_knows_the_options() -> None:
    env = {"_NEMOGUARDRAILS_COMPLETE": "bash_complete", "COMP_WORDS": "nemoguardrails chat --ser"}
    done = run([], env={**env, "COMP_CWORD": "2"})
    assert done.stdout == "plain,--server-url\n"


def test_the_examples_of_the_help_texts_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path / "my_bot")
    write_config(tmp_path / "my_rails", "{}\n", "")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    (tmp_path / "answer.txt").write_text("A short answer of some words.", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [line for where in ([], ["chat"], ["bench", "stream"]) for line in examples_in(where)]
    assert len(lines) == 12
    with serving([Answer(frames=[chunk("Hi"), "[DONE]"])]) as server:
        for line in lines:
            typed, _, command = line.rpartition(" | ")
            words = shlex.split(command.replace("http://localhost:8000", server.url))
            assert words[0] == "nemoguardrails"
            if "bench" in words and "--tokens" not in words:
                words += ["--tokens", "4"]
            given = shlex.split(typed)[1].replace("\\n", "\n") if typed else ""
            done = run_here(words[1:], lines=given)
            assert done.exit_code == 0, (line, done.output)
