"""The self checks ask the configured model with the configured prompt, and in doubt they block."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.config.rails_config import RailsConfig
from nemoguardrails.exceptions import ConfigurationError, LLMCallException, RailFailedError
from nemoguardrails.library.self_check.input_check import actions as input_check
from nemoguardrails.library.self_check.output_check import actions as output_check
from nemoguardrails.llm.cache import LFUCache
from nemoguardrails.llm.taskmanager import LLMTaskManager
from nemoguardrails.rails.catalogue import catalogue
from scripted_model import WholeModel

PROMPTS = [
    {"task": "self_check_input", "content": "Block {{ user_input }}?"},
    {"task": "self_check_output", "content": "{{ user_input }}|{{ bot_response }}|{{ bot_thinking }}"},
]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def setting(*prompts: dict[str, Any], **settings: Any) -> dict[str, Any]:
    config = RailsConfig.model_validate({"models": [], "prompts": prompts or PROMPTS, **settings})
    return {"config": config, "llm_task_manager": LLMTaskManager(config)}


async def check_input(model: Any, message: Any = "hi", **given: Any) -> RailOutcome:
    given = {**setting(), **given}
    result = await input_check.self_check_input(llm=model, user_message=message, **given)
    if isinstance(result, ActionResult):
        assert result.events == [{"type": "mask_prev_user_message", "intent": "blocked message"}]
        assert result.return_value.is_blocked
        result = result.return_value
    else:
        assert not result.is_blocked
    return result


@pytest.mark.parametrize("answer", ["No", "no.", "safe", "<think>yes?</think>No"])
async def test_an_allowed_input_reads_so_in_both_ways(answer: str) -> None:
    outcome = await check_input(WholeModel(answer))
    assert not outcome.is_blocked
    assert outcome
    assert outcome == True  # noqa: E712  # the old reading


@pytest.mark.parametrize("answer", ["Yes", "yes, it should", "unsafe", "not safe"])
async def test_a_blocked_input_reads_so_in_both_ways_and_is_hidden(answer: str) -> None:
    outcome = await check_input(WholeModel(answer))
    assert outcome.is_blocked
    assert not outcome.failed
    assert not outcome
    assert outcome == False  # noqa: E712  # the old reading


@pytest.mark.parametrize("answer", ["", "Perhaps", "<think>No", "I can't help with that"])
async def test_an_answer_without_a_verdict_blocks_as_a_failure(answer: str) -> None:
    outcome = await check_input(WholeModel(answer))
    assert outcome.failed
    assert not outcome


async def test_the_policy_for_failures_can_be_changed() -> None:
    def policy(on_error: str) -> dict[str, Any]:
        return setting(*PROMPTS, rails={"config": {"defaults": {"on_error": on_error}}})

    passed = await check_input(WholeModel("Perhaps"), **policy("pass"))
    assert passed.metadata["failed"]
    with pytest.raises(RailFailedError, match="self_check_input"):
        await check_input(WholeModel("Perhaps"), **policy("raise"))


async def test_an_unreachable_model_and_an_overlong_message_give_no_verdict() -> None:
    with pytest.raises(LLMCallException):
        await check_input(WholeModel(ConnectionError("down")))
    model = WholeModel("No")
    with pytest.raises(ConfigurationError, match="exceeds max length"):
        await check_input(model, "x" * 20_000)
    assert model.asked == []


@pytest.mark.parametrize("message", ["", "  \n", [], [{"type": "text", "text": " "}]])
async def test_an_empty_input_is_blocked_unasked(message: Any) -> None:
    model = WholeModel("No")
    assert (await check_input(model, message)).is_blocked
    assert model.asked == []


async def test_the_model_is_asked_with_the_prompt_and_its_parameters() -> None:
    model = WholeModel("No")
    prompt = {
        "task": "self_check_input",
        "content": "Block {{ user_input }}?",
        "stop": ["."],
        "max_tokens": 3,
    }
    await check_input(model, "hi", **setting(prompt, lowest_temperature=0.5))
    assert model.asked == [("Block hi?", ["."], {"temperature": 0.5, "max_tokens": 3})]
    await check_input(model, "hi")
    assert model.asked[1] == ("Block hi?", None, {"temperature": 0.001, "max_tokens": 1024})


async def test_images_reach_the_judge_as_parts() -> None:
    model = WholeModel("No")
    await check_input(model, [{"type": "text", "text": "look"}, IMAGE])
    (message,) = model.asked[0][0]
    assert message.content[1:3] == [{"type": "text", "text": "look"}, IMAGE]
    assert (await check_input(model, [IMAGE])).is_blocked is False


async def test_the_message_and_the_conversation_come_from_the_turn() -> None:
    model = WholeModel("No")
    history = "{% for event in history %}{{ event.text }}{% endfor %}"
    prompt = {"task": "self_check_input", "content": history + " ({{ tenant }}) {{ user_input }}"}
    await check_input(
        model,
        None,
        **setting(prompt),
        context={"user_message": "now", "tenant": "T", "user_input": "forged"},
        events=[{"type": "UserMessage", "text": "before"}],
    )
    assert model.asked[0][0] == "before (T) now"


async def test_a_variant_has_its_own_prompt_and_model() -> None:
    variant = {"task": "self_check_input $variant=strict", "content": "Strictly: {{ user_input }}"}
    models = {name: WholeModel("No") for name in ("main", "self_check_input", "strict")}
    for given in ("strict", None):
        await check_input(models["main"], "hi", **setting(*PROMPTS, variant), llms=models, variant=given)
    assert [len(model.asked) for model in models.values()] == [0, 1, 1]
    assert models["strict"].asked[0][0] == "Strictly: hi"
    del models["self_check_input"]
    await check_input(models["main"], "hi", llms=models)
    assert len(models["main"].asked) == 1


async def test_a_parser_of_the_prompt_is_used() -> None:
    prompt = {"task": "self_check_input", "content": "{{ user_input }}", "output_parser": "odd"}
    given = setting(prompt)
    given["llm_task_manager"].register_output_parser(lambda answer: [answer != "bad", "v1"], "odd")
    outcome = await check_input(WholeModel("bad"), **given)
    assert outcome.metadata["violations"] == ["v1"]
    assert not (await check_input(WholeModel("fine"), **given)).is_blocked
    given["llm_task_manager"].register_output_parser(lambda answer: "nonsense", "odd")
    assert (await check_input(WholeModel("fine"), **given)).failed


async def test_verdicts_are_cached_where_the_model_has_a_cache() -> None:
    model, cache = WholeModel("Perhaps", "No", "Yes"), LFUCache(9)
    given = {**setting(), "model_caches": {"main": cache}}
    verdicts = [await check_input(model, text, **given) for text in ("a", "a", "a", "b", "b")]
    assert [outcome.is_blocked for outcome in verdicts] == [True, False, False, True, True]
    assert len(model.asked) == 3


async def test_the_output_check_shows_the_judge_all_three_messages() -> None:
    model = WholeModel("No", "Yes", "No")
    context = {"user_message": "q", "bot_message": "a", "bot_thinking": None}
    assert not (await output_check.self_check_output(llm=model, context=context, **setting())).is_blocked
    outcome = await output_check.self_check_output(llm=model, bot_message="b", bot_thinking="t", **setting())
    assert outcome.is_blocked
    assert [asked[0] for asked in model.asked] == ["q|a|", "|b|t"]


async def test_an_empty_output_is_blocked_and_white_space_is_judged() -> None:
    model = WholeModel("No")
    assert (await output_check.self_check_output(llm=model, bot_message="", **setting())).is_blocked
    assert model.asked == []
    assert not (await output_check.self_check_output(llm=model, bot_message="\n", **setting())).is_blocked


async def test_our_own_prompts_work_on_request() -> None:
    given = setting({"task": "other", "content": "x"}, prompts_defaults=True)
    model = WholeModel("no")
    await check_input(model, "hello there", **given)
    await output_check.self_check_output(llm=model, bot_message="an answer", **given)
    assert "hello there" in str(model.asked[0][0])
    assert "an answer" in str(model.asked[1][0])


@pytest.mark.parametrize("flow", ["self check input", "self check output"])
def test_the_rails_are_found_and_judge_windows(flow: str) -> None:
    folder = catalogue()[flow]
    declared = folder.declaration(flow)
    assert declared is not None
    assert (declared.way, declared.rewrites, declared.sends_text_out) == ("window", False, True)
    kind = flow.rpartition(" ")[2].capitalize()
    assert f"{kind}RailException" in folder.source
    assert "bot refuse to respond" in folder.source
