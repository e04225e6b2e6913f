"""A configuration made ready to run: the only file that knows all parts."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..actions.builtin import register_built_in_actions
from ..actions.dispatcher import Dispatcher
from ..actions.folders import ConfigPackage
from ..actions.registry import ActionRegistry
from ..colang.v1_0.instructions import Call, Run
from ..colang.v1_0.program import Program
from ..config.rails_config import RailsConfig
from ..config.references import FlowReference
from ..exceptions import ConfigurationError, InvalidRailsConfigurationError
from ..llm.taskmanager import LLMTaskManager
from ..logging.record import RailType
from ..runtime.generation import GENERATE_VALUE, REFUSE, Generation
from ..runtime.retrieval import Retrieval, retrieve_relevant_chunks
from ..runtime.runner import Runner
from ..types import LLMModel
from .catalogue import FLOWS_FILE, RailFolder, catalogue
from .rail import Judge, Rail

if TYPE_CHECKING:
    from ..actions.declaration import RailDeclaration
    from ..embeddings.registry import SearchProviders
    from ..kb.kb import KnowledgeBase
    from ..runtime.conversations import Conversations
    from ..runtime.dialog import Dialog
    from ..runtime.examples import Examples
    from .llmrails import LLMRails

_HOUSE = Path(__file__).resolve().parents[1]
_BUILT_IN_FLOWS = RailFolder(Path(__file__).parent, __package__)
_MASK = "mask blocked user input"
_NOT_MODELS = ("embeddings", "jailbreak_detection")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ModelSet:
    """The models of a configuration by type; `main` may be missing."""

    main: LLMModel | None = None
    extra: dict[str, LLMModel] = field(default_factory=dict)

    def for_task(self, task: str) -> LLMModel | None:
        """The model configured for a task, else the main one."""
        return self.extra.get(task, self.main)

    def all(self) -> list[LLMModel]:
        """Every model once."""
        return [model for model in (self.main, *self.extra.values()) if model is not None]


@dataclass(frozen=True, slots=True)
class Talks:
    """The dialog of a configuration, and the conversations that are going on."""

    dialog: Dialog
    conversations: Conversations


@dataclass(slots=True)
class Parts:
    """What a turn needs, made once for a configuration."""

    config: RailsConfig
    program: Program
    registry: ActionRegistry
    action_params: dict[str, Any]
    """What actions may ask for by name; grows with `register_action_param`."""
    dispatcher: Dispatcher
    models: ModelSet
    tasks: LLMTaskManager
    generation: Generation
    judge: Judge
    rails: Mapping[RailType, tuple[Rail, ...]]
    packages: tuple[ConfigPackage, ...]
    searches: Callable[[], SearchProviders]
    """The search providers, made at the first call."""
    retrieval: Retrieval
    talks: Talks | None
    """`None` where nothing but rails is configured: the main model answers."""
    refusals: Mapping[str, str]
    """Rail reference -> name of the bot message with which it refuses, where it is not the usual one."""

    def refusal_of(self, reference: str) -> str:
        """What is said when an incremental rail blocks."""
        name = self.refusals.get(reference, REFUSE)
        return self.generation.predefined(name) or self.generation.predefined(REFUSE) or ""


def assemble(config: RailsConfig) -> Parts:
    """The parts of a configuration, without its models, which `config.py` may still register.

    Raises:
        InvalidRailsConfigurationError: lists every rail flow and action that does not exist.
        ConfigurationError: a Python file of the configuration cannot be run.
    """
    if config.colang_version != "1.0":
        raise InvalidRailsConfigurationError(
            f'colang_version {config.colang_version!r} is not supported by this release; use "1.0".'
        )
    if config.passthrough and config.rails.dialog.single_call.enabled:
        raise InvalidRailsConfigurationError(
            "`passthrough` and `rails.dialog.single_call` cannot be used together; turn one of them off."
        )
    program, folders = _program(config)
    packages = tuple(ConfigPackage(folder) for folder in _folders(config))
    registry = ActionRegistry()
    register_built_in_actions(registry)
    for package in packages:
        registry.register_folder(package)
    models, tasks = ModelSet(), LLMTaskManager(config)
    params: dict[str, Any] = {"config": config, "llm_task_manager": tasks, "llms": {}, "kb": None}
    params["model_caches"] = _caches(config)
    dispatcher = Dispatcher(registry, params, _action_server(config))
    messages = {name: message.texts for name, message in program.bot_messages.items()}
    searches = cache(partial(_searches, config))
    generation = Generation(
        tasks,
        models,
        messages,
        new_examples=partial(_examples, config, searches),
        passthrough=bool(config.passthrough),
        pick=_first if config.rails.dialog.text_choice == "first" else random.choice,
    )
    registry.register_built_in(retrieve_relevant_chunks)
    _register_model_tasks(program, generation, registry)
    params["kb"] = _knowledge_base(config, searches)
    player = program.player()
    rails, refusals = _rails(config, program, folders)
    retrieval = Retrieval(dispatcher, params, has_rails=bool(rails["retrieval"]))
    return Parts(
        config=config,
        program=program,
        registry=registry,
        action_params=params,
        dispatcher=dispatcher,
        models=models,
        tasks=tasks,
        generation=generation,
        judge=Judge(player, Runner(dispatcher, generation.say)),
        rails=rails,
        packages=packages,
        searches=searches,
        retrieval=retrieval,
        talks=_dialog(program, generation, dispatcher, retrieval),
        refusals=refusals,
    )


def initialise(parts: Parts, app: LLMRails) -> None:
    """Runs `init(app)` of every `config.py`, imported ones first; it may be an async function.

    Raises:
        RuntimeError: names the file, and keeps the cause.
    """
    modules = []
    for package in parts.packages:
        path = package.folder / "config.py"
        try:
            module = package.module("config")
        except ConfigurationError as error:
            raise RuntimeError(f"Failed to load configuration module at {path}.") from error
        if module is not None and hasattr(module, "init"):
            modules.append((path, module.init))
    for path, init in modules:
        try:
            started = init(app)
            if inspect.isawaitable(started):
                _finished(started)
        except Exception as error:
            raise RuntimeError(f"Failed to initialize configuration module at {path}.") from error


def build_models(parts: Parts, given: Any | None) -> None:
    """Makes the models of the configuration; `given` replaces the main one.

    Raises:
        ModelInitializationError, ConfigurationError: a model cannot be made.
    """
    from ..llm.models.build import build_model

    path = parts.config.config_path
    parts.models.main = None if given is None else as_model(given)
    for section in parts.config.models:
        if section.type in _NOT_MODELS:
            continue
        if section.type == "main":
            if given is not None:
                _log.warning("Both an LLM and a main model in the configuration were given; the LLM is used.")
            elif parts.models.main is None:
                parts.models.main = build_model(section, config_path=path)
        elif section.type not in parts.models.extra:
            ready = parts.action_params.get(f"{section.type}_llm")
            parts.models.extra[section.type] = ready or build_model(section, config_path=path)
    share_models(parts)


def share_models(parts: Parts) -> None:
    """Offers the models to actions: `llm`, `llms`, and `<type>_llm` each."""
    models, params = parts.models, parts.action_params
    params["llm"] = models.main
    params["llms"] = {**models.extra, **({"main": models.main} if models.main is not None else {})}
    for name, model in models.extra.items():
        params[f"{name}_llm"] = model


def replace_main_model(parts: Parts, given: Any) -> None:
    """Makes another model the main one.

    Raises:
        TypeError: it is none.
    """
    parts.models.main = as_model(given)
    share_models(parts)


def report_missing_actions(parts: Parts) -> None:
    """Logs which actions the configured rails call and nobody has registered; such a rail blocks."""
    if parts.dispatcher.server is not None:
        return
    player = parts.program.player()
    missing = [
        f"the {kind} rail `{rail.reference}` calls the action `{action}`"
        for kind, rails in parts.rails.items()
        for rail in rails
        for action in player.actions(rail.flow)
        if action not in parts.registry
    ]
    if missing:
        _log.error("Unknown actions: %s. Define them in actions.py or register them.", "; ".join(missing))


def as_model(given: Any) -> LLMModel:
    """The object as a model.

    Raises:
        TypeError: it is none.
    """
    if not callable(getattr(given, "generate_async", None)):
        raise TypeError(
            f"llm must be a model (nemoguardrails.types.LLMModel), got {type(given).__name__}; it needs "
            "generate_async, and stream_async if it can stream."
        )
    model: LLMModel = given
    return model


def _finished(started: Awaitable[Any]) -> None:
    """Waits for an async `init`, also where a loop is running in this thread."""

    async def wait() -> None:
        await started

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, wait()).result()


def _register_model_tasks(program: Program, generation: Generation, registry: ActionRegistry) -> None:
    """Adds the model's tasks as actions, where flows may need them."""
    steps = (step for flow in program.flows.values() for step in flow.steps)
    if _has_dialog(program) or any(isinstance(step, Run) and step.action == GENERATE_VALUE for step in steps):
        from ..runtime.model_tasks import ModelTasks

        ModelTasks(generation).register(registry)


def _has_dialog(program: Program) -> bool:
    """Whether there is anything to talk about: intents of users, or flows that may start."""
    return bool(program.user_messages) or any(flow.starts for flow in program.flows.values())


def _dialog(
    program: Program, generation: Generation, dispatcher: Dispatcher, retrieval: Retrieval
) -> Talks | None:
    """The dialog of a program, if it defines one."""
    if not _has_dialog(program):
        return None
    # Most configurations have rails and no dialog; they need not load it.
    from ..runtime.conversations import Conversations
    from ..runtime.dialog import Dialog

    return Talks(Dialog(program, generation, dispatcher, retrieval), Conversations())


def _first(texts: Sequence[str]) -> str:
    return texts[0]


def _examples(config: RailsConfig, searches: Callable[[], SearchProviders]) -> Examples:
    """The examples in what the user wrote, without the library's flows and messages."""
    from ..runtime.examples import Examples

    rails = {reference.name for _, references in config.rails.sides() for reference in references}
    program = config.program.with_messages(user=config.user_messages, bot=config.bot_messages)
    section = config.core.embedding_search_provider
    return Examples(program.with_rails(rails), lambda: searches().search_index(section))


def _searches(config: RailsConfig) -> SearchProviders:
    """The search providers; an `embeddings` model is the one of searches that name none."""
    from ..embeddings.registry import EmbeddingDefaults, SearchProviders

    section = next((one for one in config.models if one.type == "embeddings"), None)
    if section is None:
        return SearchProviders()
    parameters = section.plain_parameters()
    return SearchProviders(EmbeddingDefaults(section.engine, section.model, parameters))


def _knowledge_base(config: RailsConfig, searches: Callable[[], SearchProviders]) -> KnowledgeBase | None:
    """The user's documents, if there are any; indexed at first use."""
    if not config.docs:
        return None
    from ..kb.kb import KnowledgeBase

    texts = [document.content for document in config.docs]
    return KnowledgeBase(texts, config.knowledge_base, lambda section: searches().search_index(section))


def _program(config: RailsConfig) -> tuple[Program, dict[str, RailFolder]]:
    """The user's program with the library flows that it uses, and the folders of those."""
    program = config.program.with_messages(user=config.user_messages, bot=config.bot_messages)
    wanted = [reference.name for _, references in config.rails.sides() for reference in references]
    used: dict[str, RailFolder] = {}
    queue = [*wanted, *_called(program)]
    while queue:
        name = queue.pop()
        folder = _BUILT_IN_FLOWS if name == _MASK else catalogue().get(name)
        if name in program.flows or folder is None:
            continue
        from ..colang.load import library_program  # brings the parser, which not every configuration needs

        library = library_program(folder.path / FLOWS_FILE)
        for flow in library.flows:
            if flow not in program.flows:
                used[flow] = folder
        program = program.extended(library)
        queue.extend(_called(library))
    return program.with_rails(set(wanted)), used


def _called(program: Program) -> list[str]:
    """The flows that the flows of a program call by a constant name."""
    steps = (step for flow in program.flows.values() for step in flow.steps)
    return [step.name for step in steps if isinstance(step, Call) and step.name]


def _rails(
    config: RailsConfig, program: Program, folders: Mapping[str, RailFolder]
) -> tuple[dict[RailType, tuple[Rail, ...]], dict[str, str]]:
    made: dict[RailType, tuple[Rail, ...]] = {}
    unknown: list[str] = []
    refusals: dict[str, str] = {}
    for kind, references in config.rails.sides():
        unknown += [
            f"The provided {kind} rail flow `{reference.name}` does not exist"
            for reference in references
            if reference.name not in program.flows
        ]
        if unknown:
            continue
        rails = []
        for reference in references:
            folder = folders.get(reference.name)
            declared = folder.declaration(reference.name) if folder is not None else None
            if declared is not None:
                refusals[reference.text] = declared.refusal
            rails.append(_rail(config, program, kind, reference, declared))
        made[kind] = tuple(rails)
    if unknown:
        raise InvalidRailsConfigurationError("; ".join(unknown) + ".")
    return made, refusals


def _rail(
    config: RailsConfig,
    program: Program,
    kind: RailType,
    reference: FlowReference,
    declared: RailDeclaration | None,
) -> Rail:
    player = program.player()
    sections = config.rails.config
    section = declared.settings if declared is not None and declared.settings else ""
    rewrites = player.assigns(reference.name, "bot_message" if kind == "output" else "user_message")
    start = None
    if declared is not None:
        rewrites = declared.rewrites(config) if callable(declared.rewrites) else declared.rewrites
        if declared.start is not None and kind == "output":
            start = declared.start(config, reference.params)
    return Rail(
        reference=reference.text or reference.name,
        flow=reference.name,
        kind=kind,
        params=reference.params,
        way=declared.way if declared is not None else "window",
        rewrites=rewrites,
        start=start,
        branches=player.branches(reference.name),
        on_error=sections.failure_policy(section),
        timeout_s=sections.timeout_s(section),
    )


def _folders(config: RailsConfig) -> list[Path]:
    """The folders whose Python files belong to the configuration: imported ones first, each once."""
    paths = [*config.imported_paths.values(), *(config.config_path or "").split(",")]
    found: dict[Path, Path] = {}
    for path in paths:
        folder = Path(path)
        if path and folder.is_dir() and not folder.resolve().is_relative_to(_HOUSE):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _caches(config: RailsConfig) -> Mapping[str, Any] | None:
    """The caches of verdicts by type of model, where one is wanted."""
    if not any(model.cache is not None and model.cache.enabled for model in config.models):
        return None
    from ..llm.cache import caches_of

    return caches_of(config.models)


def _action_server(config: RailsConfig) -> Any | None:
    if not config.actions_server_url:
        return None
    from ..actions.remote import ActionServer

    return ActionServer(config.actions_server_url, token_env_var=config.actions_server_token_env_var)
