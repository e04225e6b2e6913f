"""Runs one action: injects what its signature names, awaits it, records it, types its failure."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..exceptions import ActionNotFoundError, LLMCallException, masked
from ..logging.record import ActionRecord, RailRecord, running_action
from .actions import ActionMeta, ActionResult
from .rail_outcome import RailOutcome, outcome_of
from .registry import ActionRegistry, Registered

if TYPE_CHECKING:
    from .remote import ActionServer

_log = logging.getLogger(__name__)
_OF_THE_CALL = ("context", "events", "state")
_VARIABLE = "__context__"
"""May have a class name before it: Python mangles such parameters inside of classes."""
_STANDARD = frozenset({"config", "llm", "llms", "llm_task_manager", "kb", "model_caches", "http_client"})
"""Names that are always known: `None` is given where nobody set them and the action has no default."""


@dataclass(slots=True)
class CallScope:
    """What one call of an action may be given from the turn in which it happens."""

    context: dict[str, Any] = field(default_factory=dict)
    """The context variables."""
    events: Sequence[Any] = ()
    """The events so far; the last is the one that starts the action."""
    state: Any = None
    """Colang 2.x: the runtime state."""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    """Given to actions that take `**kwargs` and to no others; explicit parameters win."""
    rail: RailRecord | None = None
    """Where the call is recorded."""


@dataclass(slots=True)
class Done:
    """An action came to its end."""

    value: Any
    """What `$x = execute ...` assigns."""
    events: Sequence[dict[str, Any]] = ()
    """Events to add after that."""
    context_updates: Mapping[str, Any] | None = None
    """Variables to set first."""
    outcome: RailOutcome | None = None
    """The verdict that the value carries, if it carries one."""
    kind: Literal["done"] = field(default="done", init=False, repr=False)


@dataclass(slots=True)
class ActionFailed:
    """There is no such action, or it raised `error`."""

    kind: Literal["missing", "raised"]
    error: Exception


ActionEnd: TypeAlias = Done | ActionFailed


class Dispatcher:
    """The one door through which actions run.

    Args:
        registry: finds actions by name; may grow later.
        params: what is injected by name besides the parts of the scope: `config`, `llm`, `llms`,
            `<type>_llm`, `<action>_llm`, `llm_task_manager`, `kb`, `model_caches`, `http_client` and
            what the user registered. Read at each call.
        server: runs every action that is not a system action, where one is configured.
    """

    def __init__(
        self, registry: ActionRegistry, params: Mapping[str, Any], server: ActionServer | None = None
    ) -> None:
        self.registry = registry
        self.params = params
        self.server = server
        self._bound: dict[str, BoundAction] = {}
        self._version = registry.version

    def bind(self, name: str) -> BoundAction:
        """The action of a name, ready to be called; the same object until the registry changes.

        Raises:
            ActionNotFoundError: nobody registered the name.
        """
        if self._version != self.registry.version:
            self._bound.clear()
            self._version = self.registry.version
        bound = self._bound.get(name)
        if bound is None:
            bound = self._bound[name] = self._make(name)
        return bound

    def run(self, name: str, explicit: dict[str, Any], scope: CallScope) -> Awaitable[ActionEnd]:
        """Awaitable: runs the action of a name; see `BoundAction.__call__`."""
        try:
            return self.bind(name)(explicit, scope)
        except ActionNotFoundError as error:
            return _missing(name, explicit, scope.rail, error)

    async def aclose(self) -> None:
        """Closes the connections to the actions server."""
        if self.server is not None:
            await self.server.aclose()

    def _make(self, name: str) -> BoundAction:
        found = self.registry.find(name)
        if self.server is not None and not (found and found.is_system):
            remote = Registered(name, _OnServer(self.server, name), found.meta if found else None)
            return BoundAction(name, remote, {})
        if found is None:
            raise ActionNotFoundError(f"Action '{name}' not found.")
        return BoundAction(name, found, self.params)


class BoundAction:
    """An action whose signature is known; call it with explicit parameters and a scope."""

    def __init__(self, name: str, registered: Registered, params: Mapping[str, Any]) -> None:
        self.name = name
        self._registered = registered
        self._params = params
        self._decision = f"execute {name}"
        self._plan: _Plan | None = None

    @property
    def meta(self) -> ActionMeta | None:
        """What `@action` declared, if it did."""
        return self._registered.meta

    @property
    def is_system(self) -> bool:
        """Whether it is left out of the history that models see."""
        return self._registered.is_system

    @property
    def output_mapping(self) -> Callable[[Any], bool] | None:
        """How to read its value outside of a flow, if `@action` says so."""
        return self.meta["output_mapping"] if self.meta else None

    async def __call__(self, explicit: dict[str, Any], scope: CallScope) -> ActionEnd:
        """Runs the action and records it in the scope's rail.

        `context`, `events` and `state` replace an explicit parameter of the same name; for all
        other injected names the explicit parameter wins.

        Raises:
            LLMCallException: a model could not be called; all else that the action raises is
                returned as `ActionFailed`.
        """
        rail, record = scope.rail, None
        if rail is not None:
            record = self._opened(explicit, rail)
            outer = running_action.get()
            running_action.set(record)
        try:
            plan = self._plan or self._made_plan()
            value = await plan.call(**plan.arguments(explicit, scope, self._params))
            if isinstance(value, ActionResult):
                updates = value.context_updates or None
                done = Done(value.return_value, value.events or (), updates, outcome_of(value.return_value))
            else:
                done = Done(value, outcome=outcome_of(value))
            if record is not None:
                record.return_value = done.value
            return done
        except Exception as error:
            if record is not None:
                record.failure = _described(error)
            if isinstance(error, LLMCallException):
                raise
            _log.error("Action '%s' failed: %s", self.name, type(error).__name__)
            _log.debug("Action '%s' failed", self.name, exc_info=error)
            return ActionFailed("raised", error)
        finally:
            if rail is not None and record is not None:
                record.finished_at = time()
                running_action.set(outer)
                if rail.listener is not None:
                    rail.listener("action finished", record)

    def _opened(self, explicit: dict[str, Any], rail: RailRecord) -> ActionRecord:
        record = ActionRecord(self.name, explicit, time())
        rail.actions.append(record)
        rail.decisions.append(self._decision)
        if rail.listener is not None:
            rail.listener("action", record)
        return record

    def _made_plan(self) -> _Plan:
        registered = self._registered
        inline = registered.meta is not None and registered.meta["inline"]
        self._plan = _plan(registered.instance(), inline=inline, own_llm=_model_name(registered.name))
        return self._plan


@dataclass(frozen=True, slots=True)
class _OnServer:
    """An action of the actions server; nothing is injected into it."""

    server: ActionServer
    name: str

    async def ainvoke(self, *, input: dict[str, Any]) -> Any:
        return await self.server.run(self.name, input)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How an action is called: decided once from its signature."""

    call: Callable[..., Awaitable[Any]]
    of_the_call: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Pairs of parameter and context variable."""
    by_name: tuple[tuple[str, tuple[str, ...], bool], ...] = ()
    """Triples of parameter, names under which its value may be found, and whether `None` will do."""
    takes_keywords: bool = False

    def arguments(
        self, explicit: dict[str, Any], scope: CallScope, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The keyword arguments of one call."""
        given = {**scope.keywords, **explicit} if self.takes_keywords else explicit.copy()
        for name in self.of_the_call:
            given[name] = getattr(scope, name)
        for name, variable in self.variables:
            if name not in given:
                given[name] = scope.context.get(variable)
        for name, sources, or_none in self.by_name:
            if name in explicit:
                continue
            source = next((source for source in sources if source in params), None)
            if source is not None:
                given[name] = params[source]
            elif or_none:
                given.setdefault(name, None)
        return given


def _plan(action: Any, *, inline: bool, own_llm: str) -> _Plan:
    if not inspect.isroutine(action) and not isinstance(action, partial):
        if hasattr(action, "ainvoke"):
            return _Plan(partial(_ainvoke, action))
        if hasattr(action, "run"):
            action = action.run
    call = _awaited(action, inline=inline)
    try:
        parameters = list(inspect.signature(action).parameters.values())
    except (ValueError, TypeError):
        return _Plan(call)
    named = {
        p.name: p.default is p.empty
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    rest = [name for name in named if name not in _OF_THE_CALL and _VARIABLE not in name]
    return _Plan(
        call,
        of_the_call=tuple(name for name in _OF_THE_CALL if name in named),
        variables=tuple((name, name.partition(_VARIABLE)[2]) for name in named if _VARIABLE in name),
        by_name=tuple(
            (name, (own_llm, name) if name == "llm" else (name,), named[name] and name in _STANDARD)
            for name in rest
        ),
        takes_keywords=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def _awaited(action: Callable[..., Any], *, inline: bool) -> Callable[..., Awaitable[Any]]:
    if inspect.iscoroutinefunction(action) or inspect.iscoroutinefunction(getattr(action, "__call__", None)):  # noqa: B004
        return action
    return partial(_run_inline if inline else _run_in_thread, action)


async def _run_inline(action: Callable[..., Any], /, **arguments: Any) -> Any:
    value = action(**arguments)
    return await value if inspect.isawaitable(value) else value


async def _run_in_thread(action: Callable[..., Any], /, **arguments: Any) -> Any:
    value = await asyncio.to_thread(action, **arguments)
    return await value if inspect.isawaitable(value) else value


async def _ainvoke(action: Any, /, **arguments: Any) -> Any:
    return await action.ainvoke(input=arguments)


async def _missing(
    name: str, explicit: dict[str, Any], rail: RailRecord | None, error: ActionNotFoundError
) -> ActionFailed:
    _log.error("%s", error)
    if rail is not None:
        now = time()
        rail.actions.append(ActionRecord(name, explicit, now, now, failure=_described(error)))
        rail.decisions.append(f"execute {name}")
    return ActionFailed("missing", error)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {masked(str(error))}"


def _model_name(action: str) -> str:
    return f"{action.replace(' ', '_')}_llm"
