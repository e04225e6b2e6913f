"""`LLMRails`: a configuration that answers, guards streams and judges texts."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config.rails_config import RailsConfig
from ..exceptions import StreamingNotSupportedError
from ..logging.explain import ExplainInfo
from ..logging.record import TurnRecord
from ..streaming.events import StreamEvent
from ..streaming.render import dict_chunks, text_chunks
from ..types import LLMModel
from .calls import (
    Messages,
    Opened,
    Options,
    answered,
    narrator,
    next_events,
    run_sync,
    stream_options,
)
from .options import GenerationResponse, RailsResult, RailType
from .request import Request, read_request, state_messages
from .response import full_response, plain_message
from .stream import GuardedStream
from .turn import Turn

if TYPE_CHECKING:
    from ..streaming.handler import StreamingHandler
    from .assembly import Parts

NOT_STREAMABLE = (
    "stream_async() cannot be used when output rails are configured but rails.output.streaming.enabled is "
    "False. Either set rails.output.streaming.enabled to True in your configuration, or use generate_async() "
    "instead of stream_async()."
)


class LLMRails:
    """Guards the conversation with a model as a configuration says.

    One object serves any number of concurrent calls.

    Args:
        config: what the user configured; never changed.
        llm: the main model; wins over a `main` model in the configuration.
        verbose: print each turn to the console as it goes.

    Raises:
        ConfigurationError: the configuration cannot work; names every problem.
        RuntimeError: a `config.py` cannot be loaded or initialised.
    """

    def __init__(self, config: RailsConfig, llm: Any | None = None, verbose: bool = False) -> None:
        self.config = config
        self.verbose = verbose
        self._turn: Turn | None = None
        self._explained = ExplainInfo()
        from . import assembly  # brings the languages and the actions, which no import needs

        self._parts = assembly.assemble(config)
        assembly.initialise(self._parts, self)
        assembly.build_models(self._parts, llm)

    # ------------------------------------------------------------ answers

    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options | None = None,
        state: Mapping[str, Any] | None = None,
        streaming_handler: StreamingHandler | None = None,
    ) -> str | dict[str, Any] | GenerationResponse:
        """The guarded answer: a text for a prompt, a message for messages, a response with options or state.

        Args:
            streaming_handler: is also given the answer piece by piece, as `stream_async` would yield it.

        Raises:
            ValueError, TypeError: the arguments make no sense.
            LLMCallException: the model could not be called.
        """
        try:
            request = read_request(prompt, messages, options, state)
        except (ValueError, TypeError):
            if streaming_handler is not None:
                await streaming_handler.finish()
            raise
        turn = self.begin(request, streaming=streaming_handler is not None)
        answer = await answered(turn, streaming_handler)
        return full_response(turn, answer) if request.wants_response else plain_message(turn, answer)

    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> str | dict[str, Any] | GenerationResponse:
        """As `generate_async`, for code without an event loop.

        Raises:
            RuntimeError: called where a loop is running.
        """
        return run_sync("generate", lambda: self.generate_async(prompt, messages, options, state))

    def stream_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options | None = None,
        state: Mapping[str, Any] | None = None,
        include_metadata: bool | None = False,
        generator: AsyncIterator[Any] | None = None,
        include_generation_metadata: bool | None = None,
    ) -> AsyncIterator[Any]:
        """The guarded answer as it is made: strings, or dicts with `include_metadata`.

        Nothing runs before the first element is asked for. Close the iterator (`aclose`) when leaving
        early. Its `result` is awaitable and gives the `GenerationResponse` after the end. A rail that
        blocks, and a model that fails, end the stream with one `StreamError`: a `str` with JSON.

        Args:
            include_metadata: elements are dicts with `text`; the last one has `metadata`.
            generator: tokens to guard instead of the model's answer. Input rails run only if `options`
                ask for them. An error that it raises is raised here, after the text before it.

        Raises:
            StreamingNotSupportedError: there are output rails, and streaming is not enabled for them.
            InvalidStateError: `state` is not one that a call returned.
        """
        if include_generation_metadata is not None:
            warnings.warn(
                "include_generation_metadata is deprecated and goes away in version 0.22.0; "
                "use include_metadata instead.",
                DeprecationWarning,
                stacklevel=2,
            )
            include_metadata = include_generation_metadata
        self._check_streamable(state)
        if generator is not None and not include_metadata and self._passes_through(options):
            return generator
        opened = Opened(self.begin, prompt, messages, options, state, generator)
        if include_metadata:
            shown = stream_options(options)
            items: AsyncGenerator[Any, None] = dict_chunks(
                opened.events(), reasoning=shown.reasoning, tool_calls=shown.tool_calls
            )
        else:
            items = text_chunks(opened.events())
        return opened.stream(items)

    def stream_events_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options | None = None,
        state: Mapping[str, Any] | None = None,
        generator: AsyncIterator[Any] | None = None,
    ) -> GuardedStream[StreamEvent, GenerationResponse]:
        """The guarded answer as typed events (`streaming.events`); `stream_async` renders them.

        Arguments and errors as for `stream_async`; an error of `generator` is a `Failed` event.
        """
        self._check_streamable(state)
        opened = Opened(self.begin, prompt, messages, options, state, generator, raises=False)
        return opened.stream(opened.events())

    async def generate_events_async(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What happens next after the events of a conversation, up to `Listen`; Colang 1.0, stateless.

        The user's words are an event `UtteranceUserActionFinished` with `final_transcript`.

        Raises:
            ValueError: there is nothing to answer to.
            LLMCallException: the model could not be called.
        """
        return await next_events(self.begin, events)

    def generate_events(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """As `generate_events_async`, for code without an event loop."""
        return run_sync("generate_events", lambda: self.generate_events_async(events))

    async def process_events_async(
        self, events: Sequence[Mapping[str, Any]], state: Any = None, blocking: bool = False
    ) -> tuple[list[dict[str, Any]], Any]:
        """Colang 2.x: what a program does after some events, and its new state.

        Raises:
            NotImplementedError: the configuration is written in Colang 1.0.
        """
        raise NotImplementedError(
            "process_events_async() is for Colang 2.x; with Colang 1.0 use generate_events_async()."
        )

    def process_events(
        self, events: Sequence[Mapping[str, Any]], state: Any = None, blocking: bool = False
    ) -> tuple[list[dict[str, Any]], Any]:
        """As `process_events_async`, for code without an event loop."""
        return run_sync("process_events", lambda: self.process_events_async(events, state, blocking))

    async def check_async(
        self, messages: Messages, rail_types: Sequence[RailType] | None = None
    ) -> RailsResult:
        """Runs rails over given messages and generates nothing.

        Args:
            rail_types: which rails; default: input rails for user messages, output rails for answers.

        Raises:
            RailTypeNotConfiguredError: a type that was asked for has no rails.
        """
        from .checks import check

        return await check(self, messages, rail_types)

    def check(self, messages: Messages, rail_types: Sequence[RailType] | None = None) -> RailsResult:
        """As `check_async`, for code without an event loop."""
        return run_sync("check", lambda: self.check_async(messages, rail_types))

    def explain(self) -> ExplainInfo:
        """The model calls of the latest call to this object, and its history as Colang text."""
        if self._turn is not None and self._explained.colang_history is None:
            self._explained.colang_history = self._turn.colang_history()
        return self._explained

    async def warm_up(self) -> None:
        """Builds the searches over examples and documents, which the first turns would else wait for.

        Raises:
            ConfigurationError: a search cannot be made as it is configured.
        """
        parts = self._parts
        if parts.talks is not None:
            await parts.generation.examples.build()
        build = getattr(parts.action_params.get("kb"), "build", None)
        if build is not None:
            await build()

    async def aclose(self) -> None:
        """Closes the connections to models and services."""
        for model in self._parts.models.all():
            close = getattr(model, "aclose", None)
            if close is not None:
                await close()
        await self._parts.dispatcher.aclose()

    # ------------------------------------------------------------ registration

    def register_action(self, action: Any, name: str | None = None) -> LLMRails:
        """Adds an action (a function, a class, an object with `ainvoke` or `run`), replacing its namesake."""
        self._parts.registry.register(action, name)
        return self

    def register_action_param(self, name: str, value: Any) -> LLMRails:
        """Gives every action that has a parameter of that name this value."""
        self._parts.action_params[name] = value
        return self

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> LLMRails:
        """Adds a Jinja filter for prompts."""
        self._parts.tasks.register_filter(filter_fn, name)
        return self

    def register_output_parser(self, output_parser: Callable[..., Any], name: str) -> LLMRails:
        """Adds a parser that prompts may name as `output_parser`."""
        self._parts.tasks.register_output_parser(output_parser, name)
        return self

    def register_prompt_context(self, name: str, value_or_fn: Any) -> LLMRails:
        """Adds a variable for prompts; a callable is called at each rendering."""
        self._parts.tasks.register_prompt_context(name, value_or_fn)
        return self

    def register_embedding_search_provider(self, name: str, cls: Callable[..., Any]) -> LLMRails:
        """Makes a name mean a search provider: a class that is called with the section's parameters."""
        self._parts.searches().register(name, cls)
        return self

    def register_embedding_provider(self, cls: type[Any], name: str | None = None) -> LLMRails:
        """Makes an engine name mean an embedding model, in the whole process.

        Raises:
            ValueError: there is no name, or neither `encode` nor `encode_async`.
        """
        from ..embeddings.providers.registry import register_embedding_provider

        register_embedding_provider(cls, name)
        return self

    def update_llm(self, llm: Any) -> None:
        """Replaces the main model."""
        from .assembly import replace_main_model

        replace_main_model(self._parts, llm)

    @property
    def llm(self) -> LLMModel | None:
        """The main model."""
        return self._parts.models.main

    @llm.setter
    def llm(self, llm: Any) -> None:
        self.update_llm(llm)

    @property
    def runtime(self) -> Parts:
        """What the configuration was made into; `registered_actions` is a mapping of actions by name."""
        return self._parts

    @property
    def passthrough_fn(self) -> Any:
        """An async function `(context, events) -> text | (text, output)` that answers instead of a model."""
        return self._parts.generation.passthrough_fn

    @passthrough_fn.setter
    def passthrough_fn(self, function: Any) -> None:
        self._parts.generation.passthrough_fn = function

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_llm") and "_parts" in self.__dict__:
            found = self._parts.action_params.get(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config, "verbose": self.verbose}

    def __setstate__(self, state: dict[str, Any]) -> None:
        config: RailsConfig = state["config"]
        fresh = RailsConfig.from_path(config.config_path) if config.config_path else config
        self.__init__(fresh, verbose=state["verbose"])  # type: ignore[misc]  # pickle makes an empty object

    # ------------------------------------------------------------ inside

    def begin(
        self, request: Request, *, streaming: bool, generator: AsyncIterator[Any] | None = None
    ) -> Turn:
        """Opens a turn and makes it the latest."""
        if self._turn is None:
            # Not before: an application may register actions until its first call.
            from .assembly import report_missing_actions

            report_missing_actions(self._parts)
        record = TurnRecord(listener=narrator(verbose=self.verbose))
        turn = Turn(self._parts, request, record, streaming=streaming, generator=generator)
        self._turn = turn
        self._explained = ExplainInfo.model_construct(llm_calls=record.llm_calls, colang_history=None)
        return turn

    def _check_streamable(self, state: Mapping[str, Any] | None) -> None:
        output = self.config.rails.output
        if output.flows and not output.streaming.enabled:
            raise StreamingNotSupportedError(NOT_STREAMABLE)
        state_messages(state)

    def _passes_through(self, options: Options | None) -> bool:
        """Whether a caller's generator would come out as it is."""
        if options is not None:
            return False
        return not self._parts.rails.get("output")
