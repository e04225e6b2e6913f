"""`make demo` shows its four acts, and the examples run as their pages say."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.running import Terminal

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "configs" / "streaming"
_PAUSE = re.compile(r"^( *(?:pace_s:|delay_s:|READING_S =)) [\d.]+", re.MULTILINE)
SECRETS = ("maria.lopez", "velo-corner", "010-7788", "4111", "nightjar")


def assert_nothing_leaked(shown: str) -> None:
    leaked = [secret for secret in SECRETS if secret in shown.lower()]
    assert leaked == []


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples without their pauses, at the same place below a root."""
    copied = tmp_path_factory.mktemp("root") / "examples"
    shutil.copytree(ROOT / "examples", copied)
    for name, pauses in (("configs/streaming/config.yml", 2), ("demo.py", 1)):
        file = copied / name
        text, count = _PAUSE.subn(r"\1 0", file.read_text(encoding="utf-8"))
        assert count == pauses
        file.write_text(text, encoding="utf-8")
    return copied


@pytest.fixture(scope="module")
def transcript(examples: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(examples / "demo.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_secrets_of_the_test_are_those_of_the_script() -> None:
    script = (EXAMPLE / "script.yml").read_text(encoding="utf-8").lower()
    assert [secret for secret in SECRETS if secret not in script] == []


def test_the_demo_runs_the_command_of_the_documents(transcript: str) -> None:
    command = "nemoguardrails chat --config=examples/configs/streaming --streaming"
    assert f"  $ {command}\n" in transcript
    assert transcript.rstrip().endswith(command.removeprefix("nemoguardrails"))


def test_the_demo_leaks_nothing(transcript: str) -> None:
    assert_nothing_leaked(transcript)


def test_the_four_acts_are_played(transcript: str) -> None:
    played = re.findall(r"\n(\d\. [^\n]+)\n-+\n.*?\n(> [^\n]+)\n(.*?)(?=\n\n)", transcript, re.DOTALL)
    ordinary, predefined, masked, stopped = played
    replies = yaml.safe_load((EXAMPLE / "script.yml").read_text(encoding="utf-8"))["replies"]
    assert ordinary[1:] == ("> How do I mend a flat tyre?", replies[0]["reply"])
    assert predefined[1:] == (
        "> When do you open?",
        '[input rail "answer opening hours" answers instead of the model]\n'
        "We are open Tuesday to Saturday, 10:00 to 18:00. On Sundays and Mondays the workshop is closed.",
    )
    assert masked[1] == "> Who can I talk to about my order?"
    expected = replies[1]["reply"]
    for secret, mask in (
        ("maria.lopez@velo-corner.example", "<EMAIL_ADDRESS>"),
        ("(555) 010-7788", "<PHONE_NUMBER>"),
        ("4111 1111 1111 1111", "<CREDIT_CARD>"),
    ):
        expected = expected.replace(secret, mask)
    assert masked[2] == expected
    assert stopped[1] == "> What are you working on next?"
    said, notice, reply = stopped[2].splitlines()
    assert replies[2]["reply"].lower().startswith(said.lower() + "project nightjar")
    assert notice == '[blocked by output rail "regex check output": matches patterns[0]]'
    assert reply == "I can't go into that, but I am happy to help with your bicycle."


@pytest.fixture
def terminal(examples: Path) -> Iterator[Terminal]:
    terminal = Terminal([sys.executable, str(examples / "demo.py")])
    yield terminal
    terminal.close()


def test_at_a_terminal_the_demo_hands_over_to_you(terminal: Terminal) -> None:
    terminal.wait_for("you at the keyboard")
    terminal.wait_for("> ")
    terminal.type("When are you open?\n")
    terminal.wait_for("Tuesday to Saturday")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.exit_code() == 0
    assert_nothing_leaked(terminal.seen)


def test_the_script_of_the_documents_runs_offline(examples: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(examples / "scripts" / "demo_streaming.py")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("== ") == 4
    assert "\nSend the form to <EMAIL_ADDRESS> today.\n" in done.stdout
    assert "\nBlocked by regex check output: matches patterns[0]\n" in done.stdout
    assert_nothing_leaked(done.stdout)


def test_the_page_names_every_file_of_the_example() -> None:
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLE.iterdir()} - {"README.md"}
    assert set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)) == files
