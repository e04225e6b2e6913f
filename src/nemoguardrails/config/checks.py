"""Checks across sections: models that rails refer to, prompts that they need, and what a judge must see."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..exceptions import InvalidRailsConfigurationError
from .models import Model
from .prompts import TaskPrompt
from .rails import Rails
from .references import FlowReference, parse_reference
from .report import LoadReport
from .schema import near_miss

_OUTPUT_PARSERS = frozenset(
    {
        "user_intent",
        "bot_intent",
        "bot_message",
        "verbose_v1",
        "is_content_safe",
        "is_grounded",
        "nemoguard_parse_prompt_safety",
        "nemoguard_parse_response_safety",
        "nemotron_reasoning_parse_prompt_safety",
        "nemotron_reasoning_parse_response_safety",
        "nemotron_content_safety_parse_prompt_safety",
        "nemotron_content_safety_parse_response_safety",
    }
)
_EVERYWHERE = frozenset(
    {
        "bot_message",
        "bot_thinking",
        "config",
        "general_instructions",
        "history",
        "last_bot_message",
        "last_user_message",
        "relevant_chunks",
        "sample_conversation",
        "sample_conversation_two_turns",
        "user_message",
    }
)
_HALLUCINATION = "self_check_hallucination"


@dataclass(frozen=True, slots=True)
class _Judge:
    """A rail that asks a model: its prompt, and what that must hold.

    Attributes:
        task: the prompt's task.
        argument: the parameter of the flow that is part of the prompt's task, if any.
        needs: groups of variables; without one of each group the rail would be blind.
        may_use: further variables that the rail supplies.
        has_default: a built-in prompt exists (`prompts_defaults`).
    """

    task: str
    argument: str | None = None
    is_argument_required: bool = False
    needs: tuple[frozenset[str], ...] = ()
    may_use: frozenset[str] = frozenset()
    has_default: bool = False


def _needs(*groups: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(group.split()) for group in groups)


_SAFETY = frozenset({"reasoning_enabled", "user_input"})
_JUDGES = {
    "self check input": _Judge("self_check_input", "variant", needs=_needs("user_input"), has_default=True),
    "self check output": _Judge(
        "self_check_output", "variant", needs=_needs("bot_response"), may_use=_SAFETY, has_default=True
    ),
    "self check facts": _Judge(
        "self_check_facts", needs=_needs("evidence", "response bot_response"), has_default=True
    ),
    "self check hallucination": _Judge(
        _HALLUCINATION, needs=_needs("statement", "paragraph"), has_default=True
    ),
    "hallucination warning": _Judge(_HALLUCINATION, needs=_needs("statement", "paragraph"), has_default=True),
    "llama guard check input": _Judge("llama_guard_check_input", "model", needs=_needs("user_input")),
    "llama guard check output": _Judge(
        "llama_guard_check_output", "model", needs=_needs("bot_response"), may_use=_SAFETY
    ),
    "patronus lynx check output hallucination": _Judge(
        "patronus_lynx_check_output_hallucination",
        needs=_needs("bot_response"),
        may_use=frozenset({"user_input", "provided_context"}),
    ),
    "content safety check input": _Judge(
        "content_safety_check_input", "model", True, needs=_needs("user_input"), may_use=_SAFETY
    ),
    "content safety check output": _Judge(
        "content_safety_check_output", "model", True, needs=_needs("bot_response"), may_use=_SAFETY
    ),
    "topic safety check input": _Judge("topic_safety_check_input", "model", True, may_use=_SAFETY),
}
_BY_TASK = {judge.task: judge for judge in _JUDGES.values()}


def check_references(
    rails: Rails,
    models: Sequence[Model],
    prompts: Sequence[TaskPrompt],
    prompts_defaults: bool,
    report: LoadReport,
) -> None:
    """Checks sections against each other; remarks go to the report.

    Raises:
        InvalidRailsConfigurationError: with every problem found, one per line.
    """
    problems = [*_unknown_models(rails, models)]
    active: list[int] = []
    for _, references in rails.sides():
        for reference in references:
            judge = _JUDGES.get(reference.name)
            if judge is None:
                continue
            found = _prompts_of(judge, reference, prompts)
            active += [id(prompt) for prompt in found]
            if found or (prompts_defaults and judge.has_default):
                continue
            if os.environ.get("PROMPTS_DIR"):
                report.warn("prompt-elsewhere", f"{_missing(judge, reference)}, unless PROMPTS_DIR has it")
            else:
                problems.append(_missing(judge, reference))
    for prompt in prompts:
        problems += _check_prompt(prompt, id(prompt) in active, report)
    problems += _check_jailbreak(rails, report)
    _note_repeated_models(models, report)
    if problems:
        raise InvalidRailsConfigurationError("\n".join(dict.fromkeys(problems)))


def _unknown_models(rails: Rails, models: Sequence[Model]) -> Iterator[str]:
    defined = list(dict.fromkeys(model.type for model in models))
    for side, references in rails.sides():
        for reference in references:
            wanted = reference.params.get("model")
            if wanted is not None and wanted not in defined:
                yield (
                    f"{side} flow {reference.name!r} references model type {wanted!r} that is not defined in "
                    f"`models`; defined types: {', '.join(defined) or 'none'}"
                )


def _wanted_task(judge: _Judge, reference: FlowReference) -> str:
    value = reference.params.get(judge.argument) if judge.argument else None
    if value is None and not judge.is_argument_required:
        return judge.task
    return f"{judge.task} ${judge.argument}={value}"


def _prompts_of(judge: _Judge, reference: FlowReference, prompts: Sequence[TaskPrompt]) -> list[TaskPrompt]:
    """The prompts that serve a configured rail."""
    wanted = _wanted_task(judge, reference)
    exact = [prompt for prompt in prompts if _spelt(prompt.task) == wanted]
    value = reference.params.get(judge.argument) if judge.argument else None
    if exact or value is None:
        return exact
    if judge.argument == "model":
        return [prompt for prompt in prompts if prompt.task == judge.task]
    bare = [prompt for prompt in prompts if prompt.task == value]
    if bare:
        # Loading happens far below the user's own line, so no stack level would point at it.
        warnings.warn(
            f"prompts: the task {value!r} should be called {wanted!r}; the rail {reference.text!r} uses it",
            DeprecationWarning,
            stacklevel=2,
        )
    return bare


def _missing(judge: _Judge, reference: FlowReference) -> str:
    fix = "add it to `prompts`"
    if judge.has_default:
        fix += ", or set `prompts_defaults: true` to use the built-in one"
    wanted = _wanted_task(judge, reference)
    return f"missing a `{wanted}` prompt template, which is required by the `{reference.text}` rail; {fix}"


def _spelt(task: str) -> str:
    """The task of a prompt with its parameters written in the usual way."""
    try:
        read = parse_reference(task)
    except ValueError:
        return task
    return " ".join([read.name, *(f"${key}={value}" for key, value in read.params.items())])


def _check_prompt(prompt: TaskPrompt, is_active: bool, report: LoadReport) -> Iterator[str]:
    place = f"prompts, task {prompt.task!r}"
    parser = prompt.output_parser
    if parser is not None and parser not in _OUTPUT_PARSERS:
        meant = near_miss(parser, _OUTPUT_PARSERS)
        if meant:
            yield f"{place}: there is no output parser {parser!r}; did you mean {meant!r}?"
        else:
            report.warn(
                "unknown-parser", f"the output parser {parser!r} is not built in; register it", key=place
            )
    judge = _BY_TASK.get(prompt.task.partition("$")[0].strip())
    if judge is None:
        return
    if parser is None and judge.argument == "variant":
        report.inform("default-parser", "no `output_parser`; `is_content_safe` is used", key=place)
    try:
        used = frozenset().union(*(_variables(text) for text in prompt.templates()))
    except ValueError as error:
        yield f"{place}: {error}"
        return
    for group in judge.needs:
        if not group & used:
            names = " or ".join(f"`{name}`" for name in sorted(group))
            blind = f"the template does not use {names}, so the rail would judge without seeing it; add it"
            if is_active:
                yield f"{place}: {blind}"
            else:
                report.warn("blind-prompt", blind, key=place)
    supplied = _EVERYWHERE | judge.may_use | frozenset().union(*judge.needs)
    for name in sorted(used - supplied):
        report.warn(
            "unknown-variable", f"nothing supplies the variable `{name}`; it renders empty", key=place
        )


_PLAIN_TAG = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*(?:\|\s*[A-Za-z_]\w*\s*)*\}\}", re.ASCII)


def _any_filter(value: object) -> object:
    """Stands for a filter that code registers later."""
    return value


@lru_cache(maxsize=256)
def _variables(template: str) -> frozenset[str]:
    """The variables that a Jinja2 template reads.

    Raises:
        ValueError: the template has a syntax error; names the line.
    """
    if not _PLAIN_TAG.sub("", template).count("{"):
        return frozenset(_PLAIN_TAG.findall(template))
    from jinja2 import TemplateSyntaxError, meta, nodes  # only templates with logic pay for it
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment()
    environment.intercepted_binops = frozenset({"*", "**", "%"})  # else constants would be computed here
    try:
        parsed = environment.parse(template)
        # Filters may be registered later by code; here only the variables matter.
        for used in parsed.find_all((nodes.Filter, nodes.Test)):
            known = environment.filters if isinstance(used, nodes.Filter) else environment.tests
            known.setdefault(used.name, _any_filter)
        return frozenset(meta.find_undeclared_variables(parsed))
    except TemplateSyntaxError as error:
        raise ValueError(f"the template is not valid Jinja2, line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise ValueError("the template is nested too deeply") from error


def _check_jailbreak(rails: Rails, report: LoadReport) -> Iterator[str]:
    names = {reference.name for _, references in rails.sides() for reference in references}
    flows = names & {"jailbreak detection model", "jailbreak detection heuristics"}
    key = "rails.config.jailbreak_detection"
    settings = (rails.config.__pydantic_extra__ or {}).get("jailbreak_detection")
    if settings is not None and not flows:
        report.warn(
            "unused-settings", "no jailbreak detection flow is configured; these settings do nothing", key=key
        )
    values = settings if isinstance(settings, Mapping) else getattr(settings, "__dict__", {})
    server, nim, path = map(values.get, ("server_endpoint", "nim_base_url", "nim_server_endpoint"))
    if flows and not server and not nim:
        report.inform(
            "local-jailbreak-detection", "no endpoint is set; the rail runs in this process", key=key
        )
    if "jailbreak detection model" in flows and nim and not path:
        yield f"{key}: `nim_base_url` and `nim_server_endpoint` must both be configured"


def _note_repeated_models(models: Sequence[Model], report: LoadReport) -> None:
    seen: set[str] = set()
    for model in models:
        if model.type in seen:
            report.warn(
                "repeated-model", f"several models of type {model.type!r}; the first is used", key="models"
            )
        seen.add(model.type)
