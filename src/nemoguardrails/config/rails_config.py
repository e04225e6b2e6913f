"""`RailsConfig`: all that a user configured, typed and checked."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from .. import plugins
from .checks import check_references
from .defaults import default_instructions, default_sample
from .models import Model
from .prompts import Instruction, TaskPrompt
from .rails import Rails
from .report import LoadReport
from .schema import ConfigSection
from .services import CoreConfig, Document, KnowledgeBaseConfig, MetricsConfig, TracingConfig

if TYPE_CHECKING:
    from ..colang.v1_0.program import Program

_VERSIONS = {"1": "1.0", "1.0": "1.0", "2": "2.x", "2.0": "2.x", "2.x": "2.x"}
Origin: TypeAlias = Literal["user", "imported"]


@dataclass(frozen=True, slots=True)
class ColangSource:
    """One Colang text of a configuration.

    Attributes:
        path: as shown in errors.
        origin: "user" for the configuration itself, "imported" for what it imports.
    """

    path: str
    text: str
    origin: Origin = "user"


def normal_version(given: object) -> str:
    """The Colang version as "1.0" or "2.x"; what is neither comes back as text."""
    return _VERSIONS.get(str(given).strip(), str(given).strip())


def _switch(given: object) -> object:
    return given.get("enabled", False) if isinstance(given, dict) else given


def _named(flows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flows in YAML may lack an `id`; one made of the position is the same at every load."""
    return [{"id": f"flow {position}", **flow} for position, flow in enumerate(flows, start=1)]


class RailsConfig(ConfigSection):
    """A whole configuration.

    Made by `from_path`, `from_content` or `parse_object`, or directly from sections. Nothing in the
    house changes an object it was given; one may serve many `LLMRails`.

    Attributes:
        flows: flows in YAML, which have `elements`, then one entry per flow in Colang, without them.
        colang_sources: the Colang texts, those first whose definitions win; not part of dumps.
        imported_paths: import as written -> where it was found.
        docs: documents of the knowledge base, those of the `kb` folder included.
        passthrough: the caller's prompt goes to the model unaltered.
        lowest_temperature: of model calls that should be repeatable.
        custom_data: whatever the user's own code needs; unknown top-level keys end up here.
    """

    models: list[Model]
    user_messages: dict[str, list[str]] = Field(default_factory=dict)
    bot_messages: dict[str, list[str]] = Field(default_factory=dict)
    flows: Annotated[list[dict[str, Any]], AfterValidator(_named)] = Field(default_factory=list)
    instructions: list[Instruction] | None = None
    docs: list[Document] | None = None
    actions_server_url: str | None = None
    actions_server_token_env_var: str | None = None
    sample_conversation: str | None = None
    prompts: list[TaskPrompt] | None = None
    prompts_defaults: bool = False
    prompting_mode: str | None = "standard"
    config_path: str | None = None
    import_paths: list[str] = Field(default_factory=list)
    imported_paths: dict[str, str] = Field(default_factory=dict)
    lowest_temperature: float = Field(default=0.001, ge=0)
    enable_multi_step_generation: bool = False
    colang_version: Annotated[str, BeforeValidator(normal_version)] = "1.0"
    custom_data: dict[str, Any] = Field(default_factory=dict)
    knowledge_base: KnowledgeBaseConfig = Field(default_factory=KnowledgeBaseConfig)
    core: CoreConfig = Field(default_factory=CoreConfig)
    rails: Rails = Field(default_factory=Rails)
    streaming: Annotated[bool, BeforeValidator(_switch)] = Field(
        default=False, deprecated="`streaming` has no effect; a call chooses to stream with `stream_async`."
    )
    enable_rails_exceptions: bool = False
    passthrough: bool | None = None
    raw_llm_call_action: str | None = "raw llm call"
    event_source_uid: str = "NeMoGuardrails-Colang-2.x"
    tracing: TracingConfig = Field(default_factory=TracingConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    colang_sources: list[ColangSource] = Field(default_factory=list, exclude=True, repr=False)

    _report: LoadReport = PrivateAttr(default_factory=LoadReport)
    _program: Any = PrivateAttr(default=None)

    @classmethod
    def from_path(cls, config_path: str | PathLike[str], *, strict: bool = False) -> RailsConfig:
        """The configuration of a folder, or of one YAML file.

        Args:
            strict: keys that nobody knows are errors.

        Raises:
            ValueError: with the file, the key and the fix. For a value of the wrong type it is a
                `pydantic.ValidationError`, for Colang a `ColangSyntaxError`.
        """
        return _loader("load_path", config_path, strict)

    @classmethod
    def from_content(
        cls,
        colang_content: str | None = None,
        yaml_content: str | None = None,
        config: dict[str, Any] | None = None,
        *,
        strict: bool = False,
    ) -> RailsConfig:
        """The configuration given as texts: `config` first, joined by `yaml_content`, then the Colang text.

        The Colang text is called `main.co` in errors. Arguments and errors otherwise as in `from_path`.
        """
        return _loader("load_content", colang_content, yaml_content, config, strict)

    @classmethod
    def parse_object(cls, obj: dict[str, Any]) -> RailsConfig:
        """The configuration of a raw dict, with the keys of `config.yml`.

        Raises:
            ValueError: as in `from_path`.
        """
        return _loader("load_content", None, None, obj, False)

    def __add__(self, other: RailsConfig) -> RailsConfig:
        """A new configuration of both; what was set in `other` wins.

        Raises:
            ValueError: they name different models for one type, or different actions servers.
        """
        return _loader("load_sum", self, other)

    @property
    def load_report(self) -> LoadReport:
        """What the loader had to say."""
        return self._report

    @property
    def program(self) -> Program:
        """The Colang texts, parsed; the same object at every call.

        Raises:
            ColangSyntaxError: a text that `from_path` or `from_content` did not see has an error.
        """
        if self._program is None and not self.colang_sources:
            self._program = plugins.imported("nemoguardrails.colang.v1_0.program:Program")()
        if self._program is None:
            parse = plugins.imported("nemoguardrails.colang.load:parse_sources")
            self._program = parse(self.colang_sources, self.colang_version)
        program: Program = self._program
        return program

    def __getstate__(self) -> dict[Any, Any]:
        """Without the parsed program, which holds compiled expressions; it is parsed again when asked for."""
        state = super().__getstate__()
        private = {**(state["__pydantic_private__"] or {}), "_program": None}
        return {**state, "__pydantic_private__": private}

    @model_validator(mode="after")
    def _complete_and_checked(self) -> RailsConfig:
        # Written past pydantic, so that defaults do not count as set when configurations are joined.
        if not self.instructions:
            text = default_instructions(self.colang_version)
            self.__dict__["instructions"] = [Instruction(type="general", content=text)]
        if self.sample_conversation is None:
            self.__dict__["sample_conversation"] = default_sample(self.colang_version)
        check_references(self.rails, self.models, self.prompts or [], self.prompts_defaults, self._report)
        return self


def _loader(function: str, *arguments: object) -> RailsConfig:
    # By name: the loader stands above this file and brings YAML, which a configuration in code never needs.
    made: RailsConfig = plugins.imported(f"nemoguardrails.config.load:{function}")(*arguments)
    return made
