"""The `rails` section: which rails run where, and how output rails meet a stream."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from ..exceptions import InvalidRailsConfigurationError
from .references import FlowReference, parse_reference
from .schema import ConfigSection, unknown_keys
from .sections import RailSections


def _readable(text: str) -> str:
    parse_reference(text)
    return text


FlowReferenceText: TypeAlias = Annotated[str, AfterValidator(_readable)]
RailSide: TypeAlias = Literal["input", "output", "retrieval", "tool_input", "tool_output"]


class _RailList(ConfigSection):
    """What every kind of rail has: references of flows, in the order in which they run."""

    flows: list[FlowReferenceText] = Field(default_factory=list)

    def references(self) -> list[FlowReference]:
        """The references, read."""
        return [parse_reference(text) for text in self.flows]


class InputRails(_RailList):
    """Rails on the user's message.

    Attributes:
        parallel: they run side by side.
        speculative_generation: the answer is made meanwhile, and withheld until they pass.
    """

    parallel: bool = False
    speculative_generation: bool = False


class OutputRailsStreamingConfig(ConfigSection):
    """How output rails meet a stream. A token is one item of the source.

    Attributes:
        enabled: streams are checked; required for streams once there are output rails.
        chunk_size: tokens per window; 0 counts as 1.
        context_size: tokens of the text before it that a window also sees.
        stream_first: tokens leave before they are checked, up to the exposure bound.
        max_exposed_tokens: the exposure bound; `None` takes `chunk_size`.
        max_concurrent_checks: windows of one stage that are checked at the same time.
        hold_back: a token leaves only when this many later tokens were judged with it.
        unit: what `chunk_size` and `context_size` count.
        max_window_chars: a window that reaches this many characters is closed early.
    """

    model_config = ConfigDict(extra="allow")

    enabled: bool = False
    chunk_size: int = Field(default=200, ge=0)
    context_size: int = Field(default=50, ge=0)
    stream_first: bool = True
    max_exposed_tokens: int | None = Field(default=None, ge=0)
    max_concurrent_checks: int = Field(default=4, ge=1)
    hold_back: int = Field(default=0, ge=0)
    unit: Literal["chunk", "word", "char"] = "chunk"
    max_window_chars: int = Field(default=8_000, ge=1)

    @property
    def exposure_bound(self) -> int:
        """How many tokens may be with the consumer before they are checked; 0 without `stream_first`."""
        if not self.stream_first:
            return 0
        return max(self.chunk_size, 1) if self.max_exposed_tokens is None else self.max_exposed_tokens


class OutputRails(_RailList):
    """Rails on the bot's message.

    Attributes:
        check_predefined: they also judge predefined messages without variables, on streams.
    """

    parallel: bool = False
    streaming: OutputRailsStreamingConfig = Field(default_factory=OutputRailsStreamingConfig)
    check_predefined: bool = False

    @model_validator(mode="after")
    def _keeps_its_bound(self) -> OutputRails:
        hold_back = self.streaming.hold_back
        rails = f"the output rails ({', '.join(self.flows) or 'none configured'})"
        if hold_back and self.streaming.exposure_bound:
            raise InvalidRailsConfigurationError(
                f"rails.output.streaming.hold_back: {hold_back} tokens cannot be held back for {rails} while "
                "rails.output.streaming.stream_first lets tokens leave unchecked; set `stream_first: false`"
            )
        if hold_back > self.streaming.context_size:
            raise InvalidRailsConfigurationError(
                f"rails.output.streaming.hold_back: {hold_back} tokens cannot be judged together by {rails}, "
                "since neighbouring windows share only rails.output.streaming.context_size = "
                f"{self.streaming.context_size} tokens; raise `context_size` to {hold_back}"
            )
        return self


class RetrievalRails(_RailList):
    """Rails on retrieved chunks."""


class ToolOutputRails(_RailList):
    """Rails on the tool calls that the model asks for."""

    parallel: bool = False


class ToolInputRails(_RailList):
    """Rails on the results of tools."""

    parallel: bool = False


class SingleCallConfig(ConfigSection):
    """Intent, next step and message in one model call.

    Attributes:
        fallback_to_multiple_calls: accepted; has no effect.
    """

    enabled: bool = False
    fallback_to_multiple_calls: bool = True


class UserMessagesConfig(ConfigSection):
    """How the user's intent is found.

    Attributes:
        embeddings_only: by the nearest example, without a model.
        embeddings_only_similarity_threshold: least score, 0 to 1; `None` takes any nearest example.
        embeddings_only_fallback_intent: the intent below it; `None` asks the model.
    """

    embeddings_only: bool = False
    embeddings_only_similarity_threshold: float | None = Field(default=None, ge=0, le=1)
    embeddings_only_fallback_intent: str | None = None


class DialogRails(ConfigSection):
    """The dialog's model calls and texts.

    Attributes:
        text_choice: which of a message's texts is said; `first` makes runs repeatable.
    """

    single_call: SingleCallConfig = Field(default_factory=SingleCallConfig)
    user_messages: UserMessagesConfig = Field(default_factory=UserMessagesConfig)
    text_choice: Literal["random", "first"] = "random"


class ActionRails(ConfigSection):
    """Colang 2.x: actions that finish at once; `None` for the utterance alone."""

    instant_actions: list[str] | None = None


class Rails(ConfigSection):
    """All rails and their settings. A misspelt key is an error, since it would switch protection off."""

    config: RailSections = Field(default_factory=RailSections)
    input: InputRails = Field(default_factory=InputRails)
    output: OutputRails = Field(default_factory=OutputRails)
    retrieval: RetrievalRails = Field(default_factory=RetrievalRails)
    dialog: DialogRails = Field(default_factory=DialogRails)
    actions: ActionRails = Field(default_factory=ActionRails)
    tool_output: ToolOutputRails = Field(default_factory=ToolOutputRails)
    tool_input: ToolInputRails = Field(default_factory=ToolInputRails)

    @model_validator(mode="before")
    @classmethod
    def _nothing_misspelt(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            unknown = unknown_keys(cls, given, ("rails",))
            misspelt = [f"{one.key} (did you mean `{one.meant}`?)" for one in unknown if one.meant]
            if misspelt:
                raise InvalidRailsConfigurationError(f"unknown key {'; '.join(misspelt)}")
        return given

    def sides(self) -> Iterator[tuple[RailSide, list[FlowReference]]]:
        """The references of every kind of rail."""
        yield "input", self.input.references()
        yield "output", self.output.references()
        yield "retrieval", self.retrieval.references()
        yield "tool_output", self.tool_output.references()
        yield "tool_input", self.tool_input.references()
