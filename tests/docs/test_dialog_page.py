"""The configurations, transcripts and Python of `docs/dialog.md` work as printed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.llm.types import Task

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "dialog.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A section with a transcript; it keeps the flows of the section before unless it has its own."""

    title: str
    yaml: str
    colang: str
    transcript: str


def sections() -> list[Section]:
    found, colang = [], ""
    for text in PAGE.split("\n## ")[1:]:
        blocks = dict(_BLOCK.findall(text))
        colang = blocks.get("colang", colang)
        if "text" in blocks:
            found.append(Section(text.partition("\n")[0], blocks["yaml"], colang, blocks["text"]))
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CACHE_DIR", str(tmp_path))


def test_every_configuration_has_a_transcript() -> None:
    assert [section.title for section in sections()] == [
        "Intents, messages, flows",
        "Intents without a model",
        "One call instead of three",
        "Knowledge base",
        "Passthrough",
        "Without intents",
    ]
    assert PAGE.count("```yaml") == 6


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.title)
@pytest.mark.parametrize("streaming", [False, True])
async def test_the_transcript_is_what_happens(section: Section, streaming: bool) -> None:
    rails = LLMRails(RailsConfig.from_content(colang_content=section.colang, yaml_content=section.yaml))
    messages: list[dict[str, Any]] = []
    lines: list[str] = []
    for asked in re.findall(r"^> (.*)$", section.transcript, re.MULTILINE):
        messages.append({"role": "user", "content": asked})
        if streaming:
            text = "".join([str(chunk) async for chunk in rails.stream_async(messages=messages)])
        else:
            text = (await rails.generate_async(messages=messages))["content"]
        messages.append({"role": "assistant", "content": text})
        tasks = [f"[{call.task}]" for call in rails.explain().llm_calls]
        lines += [f"> {asked}", *tasks, text]
    assert "\n".join(lines) + "\n" == section.transcript
    await rails.aclose()


def test_the_python_runs() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    blocks = [code for language, code in _BLOCK.findall(PAGE) if language == "python"]
    assert len(blocks) == 3
    for code in blocks:
        exec(compile(code, "docs/dialog.md", "exec"), names)


def test_the_table_names_the_tasks_of_the_dialog() -> None:
    table = re.findall(r"^\| [^|]+ \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(table) == sorted(
        task.value
        for task in (
            Task.GENERAL,
            Task.GENERATE_USER_INTENT,
            Task.GENERATE_NEXT_STEPS,
            Task.GENERATE_BOT_MESSAGE,
            Task.GENERATE_VALUE,
            Task.GENERATE_INTENT_STEPS_MESSAGE,
        )
    )


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / link).exists(), link
