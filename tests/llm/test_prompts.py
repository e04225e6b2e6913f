"""The prompt of a task is the one that fits its model best; the configuration's own wins over ours."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.exceptions import ConfigurationError
from nemoguardrails.llm import prompts
from nemoguardrails.llm.prompts import PromptLibrary, built_in_prompts

DIALOG = [
    "generate_user_intent",
    "generate_next_steps",
    "generate_bot_message",
    "generate_intent_steps_message",
    "generate_value",
]


def library(
    *listed: dict[str, Any], models: list[dict[str, str]] | None = None, **settings: Any
) -> PromptLibrary:
    main = [{"type": "main", "engine": "nim", "model": "Meta/llama-3"}]
    given = [{"content": f"prompt {at}", **prompt} for at, prompt in enumerate(listed)]
    return PromptLibrary(RailsConfig(models=main if models is None else models, prompts=given, **settings))  # type: ignore[arg-type]  # pydantic reads the dicts


@pytest.mark.parametrize(
    ("models", "score"),
    [
        (None, 0.2),
        (["nim/meta/llama-3"], 1.0),
        (["meta/llama"], 0.9),
        (["meta/llama-3"], 0.8),
        (["nim"], 0.5),
        (["llama-3"], 0.8),
        (["llama"], 0.4),
        (["gpt"], 0.0),
        (["gpt", "nim", "nim/meta/llama-3"], 0.5),
    ],
)
def test_how_well_a_prompt_fits_a_model(models: list[str] | None, score: float) -> None:
    made = library({"task": "t", "models": models})
    prompt = made._config.prompts[0]  # type: ignore[index]  # it has one
    assert prompts._score(prompt, "nim/meta/llama-3", "standard") == score
    assert prompts._score(prompt, "nim/meta/llama-3", "compact") == score / 2


def test_the_best_fit_wins_and_the_last_among_equals() -> None:
    made = library(
        {"task": "t", "models": ["nim"]},
        {"task": "t", "models": ["meta/llama-3"]},
        {"task": "t"},
        {"task": "t", "models": ["llama-3"]},
    )
    assert made.chosen("t").content == "prompt 3"


def test_a_mode_wins_over_the_standard_and_other_modes_are_left_out() -> None:
    listed = [
        {"task": "t"},
        {"task": "t", "mode": "compact"},
        {"task": "t", "mode": "odd", "models": ["nim"]},
    ]
    assert library(*listed).chosen("t").content == "prompt 0"
    assert library(*listed, prompting_mode="compact").chosen("t").content == "prompt 1"


def test_no_prompt_is_an_error_that_names_task_and_model() -> None:
    with pytest.raises(ValueError, match=r"'nope'.*'nim/meta/llama-3'"):
        library({"task": "nope", "models": ["gpt"]}).chosen("nope")
    with pytest.raises(ValueError, match="'unknown'"):
        library(models=[]).chosen("nope")


def test_the_configuration_overrides_ours() -> None:
    assert library().chosen("general").messages
    assert library({"task": "general"}).chosen("general").content == "prompt 0"


def test_a_model_argument_decides_model_and_prompt() -> None:
    models = [
        {"type": "main", "engine": "nim", "model": "a"},
        {"type": "guard", "engine": "openai", "model": "b"},
    ]
    made = library(
        {"task": "check", "models": ["openai"]},
        {"task": "check $model=special", "models": ["nim"]},
        models=models,
    )
    assert made.chosen("check $model=guard").content == "prompt 0"
    assert made.chosen("check $model=special").content == "prompt 1"
    with pytest.raises(ValueError, match="nim/a"):
        made.chosen("check")


def test_a_variant_has_its_own_prompt_or_a_bare_task() -> None:
    made = library({"task": "self_check_input"}, {"task": "self_check_input $variant=a"}, {"task": "b"})
    assert made.chosen("self_check_input $variant=a").content == "prompt 1"
    assert made.chosen("self_check_input $variant=b").content == "prompt 2"
    with pytest.raises(ValueError, match="variant=c"):
        made.chosen("self_check_input $variant=c")


def test_a_task_is_done_by_the_model_of_its_name() -> None:
    models = [
        {"type": kind, "engine": "nim", "model": kind} for kind in ("main", "self_check_input", "strict")
    ]
    made = library(models=models)
    found = [
        made.model_for(task) for task in ("general", "self_check_input", "self_check_input $variant=strict")
    ]
    assert [model.model for model in found if model] == ["main", "self_check_input", "strict"]


def test_our_judges_are_used_only_on_request() -> None:
    with pytest.raises(ValueError, match="self_check_input"):
        library().chosen("self_check_input")
    chosen = library(prompts_defaults=True).chosen("self_check_input")
    assert chosen.output_parser == "is_content_safe"


def test_completion_models_get_texts_and_chat_models_messages() -> None:
    text = [{"type": "main", "engine": "openai", "model": "davinci", "mode": "text"}]
    for task in ["general", *DIALOG]:
        assert library().chosen(task).messages
        assert library(models=text).chosen(task).content


@pytest.mark.parametrize("task", ["general", *DIALOG])
@pytest.mark.parametrize("style", ["chat", "completion"])
def test_each_task_has_one_built_in_prompt_per_style(task: str, style: prompts.Style) -> None:
    (prompt,) = built_in_prompts(task, style)
    used = " ".join(prompt.templates())
    assert "general_instructions" in used
    assert "history" in used
    if task in ("general", "generate_bot_message", "generate_intent_steps_message"):
        assert "relevant_chunks" in used


def test_only_the_file_that_is_needed_is_read() -> None:
    prompts._from_file.cache_clear()
    built_in_prompts.cache_clear()
    library().chosen("general")
    assert prompts._from_file.cache_info().currsize == 1


def test_a_folder_of_prompts_comes_between_ours_and_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yml").write_text(
        "prompts:\n  - {task: general, content: from a}\n  - {task: t, content: ta}\n"
    )
    (tmp_path / "b.yml").write_text("prompts:\n  - {task: general, content: from b}\n")
    monkeypatch.setenv("PROMPTS_DIR", str(tmp_path))
    assert library().chosen("general").content == "from b"
    assert library({"task": "t"}).chosen("t").content == "prompt 0"
    monkeypatch.setenv("PROMPTS_DIR", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="PROMPTS_DIR"):
        library().chosen("general")


def test_an_unreadable_file_of_prompts_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.yml").write_text("prompts: [{task: x}]")
    monkeypatch.setenv("PROMPTS_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"bad\.yml"):
        library().chosen("general")
