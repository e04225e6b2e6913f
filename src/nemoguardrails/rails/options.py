"""What a caller may ask for besides an answer, and what the caller gets."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from ..actions.rail_outcome import RailOutcome
from ..config.references import parse_reference
from ..exceptions import InvalidRailsConfigurationError
from ..logging.explain import ExplainInfo, LLMCallInfo

Switchable: TypeAlias = Literal["input", "output", "retrieval", "tool_input", "tool_output"]
_CATEGORIES = ("input", "output", "retrieval", "dialog", "tool_input", "tool_output")
_PHASES = ("input", "dialog", "generation", "output")


class _Plain(BaseModel):
    """Validators are built at first use, so that an import costs little."""

    model_config = ConfigDict(defer_build=True)


class RailOptions(_Plain):
    """Which rails run; a list names the flows of a category that do."""

    input: bool | list[str] = True
    output: bool | list[str] = True
    retrieval: bool | list[str] = True
    tool_input: bool | list[str] = True
    tool_output: bool | list[str] = True
    dialog: bool = True
    """Off: no intent, flow or answer is generated."""
    strict_tools: bool = False
    """Tool calls that a rail refused are left out of the response."""

    def selected(self, category: Switchable, flows: Sequence[str]) -> list[str]:
        """Those of the configured `flows` that run, in their order.

        A name in the options stands for a flow reference as configured, or for every reference to
        the flow of that name.

        Raises:
            InvalidRailsConfigurationError: the options name a flow that is not configured.
        """
        chosen: bool | list[str] = getattr(self, category)
        if isinstance(chosen, bool):
            return list(flows) if chosen else []
        names = {flow: (flow, parse_reference(flow).name) for flow in flows}
        for wanted in chosen:
            if not any(wanted in known for known in names.values()):
                there = ", ".join(f"`{flow}`" for flow in flows) or "none"
                raise InvalidRailsConfigurationError(
                    f"options.rails.{category} names `{wanted}`, not among the configured: {there}."
                )
        return [flow for flow, known in names.items() if not set(known).isdisjoint(chosen)]


class LogOptions(_Plain):
    """What goes into the log of a response."""

    activated_rails: bool = False
    llm_calls: bool = False
    internal_events: bool = False
    colang_history: bool = False


class StreamOptions(_Plain):
    """What a stream with metadata shows besides text."""

    reasoning: bool = False
    tool_calls: bool = False


class GenerationOptions(_Plain):
    """The options of one call; unknown keys are ignored."""

    rails: RailOptions = Field(default_factory=RailOptions)
    """May be given as a list of categories: those run, all others do not."""
    llm_params: dict[str, Any] | None = None
    """Extra parameters of the model call that makes the answer."""
    llm_output: bool = False
    """Fill `llm_output` with the model's raw answer."""
    output_vars: bool | list[str] | None = None
    """Variables to return in `output_data`: true for all, or their names; missing ones are `None`."""
    log: LogOptions = Field(default_factory=LogOptions)
    stream: StreamOptions = Field(default_factory=StreamOptions)
    persist_context: bool = False
    """For a server that stores threads; without effect in this process."""

    @field_validator("rails", mode="before")
    @classmethod
    def _categories(cls, given: Any) -> Any:
        if isinstance(given, (list, tuple, set)):
            return {category: category in given for category in _CATEGORIES}
        return given


def default_options() -> GenerationOptions:
    """The options of a call that gives none; made without building the validators."""
    return GenerationOptions.model_construct(
        rails=RailOptions.model_construct(),
        log=LogOptions.model_construct(),
        stream=StreamOptions.model_construct(),
    )


class ExecutedAction(_Plain):
    """One action of an activated rail; times in Unix seconds, the duration in seconds."""

    action_name: str
    action_params: dict[str, Any] = Field(default_factory=dict)
    return_value: Any = None
    failure: str | None = None
    """What it failed of, if it failed."""
    llm_calls: list[LLMCallInfo] = Field(default_factory=list)
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None

    @field_serializer("action_params", "return_value", when_used="json")
    def _as_plain_data(self, value: Any) -> Any:
        return plain_data(value)


class ActivatedRail(_Plain):
    """One rail, or step of the dialog, that was at work; times as in `ExecutedAction`.

    `decisions` are, in order: `execute <action>` for each action, the name of each bot intent, and
    `stop` where the rail ended the turn.
    """

    type: Literal["input", "output", "dialog", "generation", "retrieval", "tool_input", "tool_output"]
    """A retrieval rail has an entry of its own only if it ended the turn."""
    name: str
    decisions: list[str] = Field(default_factory=list)
    executed_actions: list[ExecutedAction] = Field(default_factory=list)
    stop: bool = False
    additional_info: dict[str, Any] | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None

    @field_serializer("additional_info", when_used="json")
    def _as_plain_data(self, value: Any) -> Any:
        return plain_data(value)


class GenerationStats(_Plain):
    """The figures of a call: durations in seconds, `None` where a phase did not occur; counts."""

    input_rails_duration: float | None = None
    dialog_rails_duration: float | None = None
    generation_rails_duration: float | None = None
    output_rails_duration: float | None = None
    total_duration: float | None = None
    llm_calls_duration: float = 0
    llm_calls_count: int = 0
    llm_calls_total_prompt_tokens: int = 0
    llm_calls_total_completion_tokens: int = 0
    llm_calls_total_tokens: int = 0


class GenerationLog(_Plain):
    """What happened during a call, as far as it was asked for."""

    activated_rails: list[ActivatedRail] = Field(default_factory=list)
    stats: GenerationStats = Field(default_factory=GenerationStats)
    llm_calls: list[LLMCallInfo] | None = None
    internal_events: list[dict[str, Any]] | None = None
    colang_history: str | None = None

    @field_serializer("internal_events", when_used="json")
    def _as_plain_data(self, value: Any) -> Any:
        return plain_data(value)

    def print_summary(self) -> None:
        """Prints where the time went, and one line per rail with its actions."""
        print("\n# General stats\n")
        for line in _general_lines(self.stats):
            print(line)
        print("\n# Detailed stats\n")
        for rail in self.activated_rails:
            print(_rail_line(rail))
        print("\n")


class GenerationResponse(_Plain):
    """The answer to a call with options or state."""

    response: str | list[dict[str, Any]]
    """A text for a prompt, a list of one message for messages."""
    llm_output: dict[str, Any] | None = None
    output_data: dict[str, Any] | None = None
    log: GenerationLog | None = None
    state: dict[str, Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    llm_metadata: dict[str, Any] | None = None
    usage: dict[str, int] | None = None
    """Token counts of the answer's model call, where the provider gave them."""
    explain: ExplainInfo | None = Field(default=None, exclude=True)
    """The model calls of this call; not part of dumps."""

    @field_serializer("llm_output", "output_data", "state", "llm_metadata", when_used="json")
    def _as_plain_data(self, value: Any) -> Any:
        return plain_data(value)


class RailStatus(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    MODIFIED = "modified"
    BLOCKED = "blocked"


class RailType(StrEnum):
    """What `check` can be asked to run."""

    INPUT = "input"
    OUTPUT = "output"


class RailsResult(_Plain):
    """The result of `check`: `content` is the checked, rewritten or refusing text; `rail` blocked."""

    status: RailStatus
    content: str
    rail: str | None = None


def _general_lines(stats: GenerationStats) -> list[str]:
    total = stats.total_duration or 0.0
    lines = [f"- Total time: {total:.2f}s"]
    spent = 0.0
    for phase in _PHASES:
        duration: float | None = getattr(stats, f"{phase}_rails_duration")
        if duration:
            spent += duration
            lines.append(f"  - [{duration:.2f}s][{_percent(duration, total)}%]: {phase.upper()} Rails")
    if total - spent >= 0.01:
        rest = total - spent
        lines.append(f"  - [{rest:.2f}s][{_percent(rest, total)}%]: Processing overhead ")
    if stats.llm_calls_count:
        lines.append(
            f"- {stats.llm_calls_count} LLM calls, {stats.llm_calls_duration:.2f}s total duration, "
            f"{stats.llm_calls_total_prompt_tokens} total prompt tokens, "
            f"{stats.llm_calls_total_completion_tokens} total completion tokens, "
            f"{stats.llm_calls_total_tokens} total tokens."
        )
    return lines


def _rail_line(rail: ActivatedRail) -> str:
    names = ", ".join(action.action_name for action in rail.executed_actions)
    calls = [call for action in rail.executed_actions for call in action.llm_calls]
    took = sum(call.duration or 0 for call in calls)
    actions = f"{len(rail.executed_actions)} actions" + (f" ({names})" if names else "")
    models = f"{len(calls)} llm calls" + (f" [{took:.2f}s]" if calls else "")
    return f"- [{rail.duration or 0:.2f}s] {rail.type.upper()} ({rail.name}): {actions}, {models}"


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def plain_data(value: Any) -> Any:
    """A value as JSON data; what is none is described by its text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, RailOutcome):
        return plain_data(value.to_dict())
    if isinstance(value, BaseModel):
        return plain_data(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_data(item) for item in value]
    return str(value)
