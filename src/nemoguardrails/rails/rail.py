"""One configured rail: plays its flow on a text and reads the verdict."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from ..actions.dispatcher import CallScope
from ..actions.rail_outcome import TransformTarget
from ..colang.interpreter import Event, Player
from ..exceptions import LLMCallException, RailFailedError, masked
from ..logging.record import RailRecord, RailType
from ..runtime.history import new_event
from ..runtime.runner import Ran, Runner
from ..streaming.verdict import ALLOW, Block, Rewrite, StreamCheck, Verdict
from .steps import within

OnError = Literal["block", "pass", "raise"]
TARGETS: Mapping[RailType, str] = {
    "input": TransformTarget.USER_MESSAGE.value,
    "output": TransformTarget.BOT_MESSAGE.value,
    "retrieval": TransformTarget.RELEVANT_CHUNKS.value,
}
_TRIGGERED = {kind: f"triggered_{kind}_rail" for kind in get_args(RailType)}
_log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Rail:
    """A rail as configured; built once by `assembly.py`."""

    reference: str
    """As written under `flows`."""
    flow: str
    kind: RailType
    params: Mapping[str, str] = field(default_factory=dict)
    way: Literal["incremental", "window", "whole"] = "window"
    rewrites: bool = False
    start: Callable[[], StreamCheck] | None = None
    """Makes the incremental form; `None` where the flow itself is played on windows."""
    branches: bool = True
    """The flow looks at results itself; otherwise the plain value of its action is the verdict."""
    on_error: OnError = "block"
    timeout_s: float | None = 30.0


@dataclass(slots=True)
class Judged:
    """What one rail did to one text."""

    verdict: Verdict
    ran: Ran
    variables: Mapping[str, Any]
    """The context variables after the rail; those before it if it failed."""
    given: Mapping[str, Any]
    """The context variables before the rail."""
    raised: RailFailedError | None = None
    """It failed, and `on_error` is "raise"."""

    @property
    def changes(self) -> dict[str, Any]:
        """The variables that the rail changed."""
        given = self.given
        return {name: new for name, new in self.variables.items() if given.get(name, given) is not new}


@dataclass(slots=True)
class Setting:
    """What a rail sees of the turn in which it plays."""

    variables: Mapping[str, Any]
    """Copied for each playing: windows and parallel rails never see each other's changes."""
    settled: bool = field(default=False, kw_only=True)
    """Nobody changes the variables any more."""
    events: list[Event]
    keywords: Mapping[str, Any]
    """Given to actions that take `**kwargs`."""
    exceptions: bool = False
    """Failures become exception events (`enable_rails_exceptions`)."""
    failure_text: str = "I'm sorry, an internal error has occurred."


def taken(judged: Judged) -> Judged:
    """The judgement itself.

    Raises:
        RailFailedError: the rail failed, and `on_error` is "raise".
    """
    if judged.raised is not None:
        raise judged.raised
    return judged


class Judge:
    """Plays rails; one for an assembled configuration."""

    def __init__(self, player: Player, runner: Runner) -> None:
        self._player = player
        self._runner = runner

    async def judge(
        self,
        rail: Rail,
        text: str | None,
        setting: Setting,
        record: RailRecord | None,
        done: Callable[[Judged], Result],
        waits: Callable[[], None] | None = None,
    ) -> Result:
        """Plays a rail on a text; what `done` makes of the judgement (`taken` for the judgement itself).

        Failures and time-outs become blocks, or passes where the rail's `on_error` says so.

        Args:
            text: becomes the variable that the kind of rail is about; `None` leaves it as it is.
            waits: is called if the rail has to wait for anything.
        """
        given = setting.variables if setting.settled else dict(setting.variables)
        variables = dict(given)
        target = TARGETS.get(rail.kind)
        if text is not None and target is not None:
            variables[target] = text
        triggered = _TRIGGERED[rail.kind]
        variables[triggered] = rail.reference
        scope = CallScope(variables, setting.events, keywords=setting.keywords, rail=record)
        params = dict(rail.params) if rail.params else None
        play = self._player.play(rail.flow, variables, params)
        try:
            ran = await within(rail.timeout_s, self._runner.run(play, scope), waits)
        except TimeoutError as error:
            ran = Ran(failure=f"No verdict within {rail.timeout_s:g} s", error=error)
        except LLMCallException as error:
            ran = Ran(failure=masked(str(error.inner_exception)), error=error)
        except Exception as error:  # noqa: BLE001  # the border of a rail: what it could not say is a failure
            ran = Ran(failure=f"{type(error).__name__}: {masked(str(error))}", error=error)
        raised = None
        if ran.failure is not None and rail.on_error == "raise":
            raised = RailFailedError(f"The {rail.kind} rail `{rail.reference}` failed: {ran.failure}")
            raised.__cause__ = ran.error
        verdict = _verdict(rail, ran, variables, text, setting)
        if not isinstance(verdict, Block):
            variables[triggered] = None
        elif record is not None:
            record.stopped()
        if record is not None:
            _note(ran, record)
        return done(Judged(verdict, ran, variables if ran.failure is None else given, given, raised))


def _note(ran: Ran, record: RailRecord) -> None:
    """Puts into the record of a rail what is not there yet: its texts, events and failure."""
    if ran.failure is not None:
        record.info = {"failed": ran.failure}
    if ran.said or ran.events or ran.exception is not None:
        said = [new_event("StartUtteranceBotAction", script=one.text) for one in ran.said]
        exception = [] if ran.exception is None else [ran.exception]
        record.events = [*(record.events or ()), *said, *ran.events, *exception]


def _verdict(
    rail: Rail, ran: Ran, variables: Mapping[str, Any], text: str | None, setting: Setting
) -> Verdict:
    if ran.failure is not None:
        return _failed(rail, ran, setting)
    if ran.stopped or ran.exception is not None:
        reason = ran.outcome.reason if ran.outcome is not None else None
        failed = ran.outcome is not None and ran.outcome.failed
        return Block(rail.reference, reason, ran.reply, ran.exception, failed=failed, error=reason)
    if _refused_unseen(rail, ran):
        reason = ran.outcome.reason if ran.outcome is not None else None
        return Block(rail.reference, reason)
    target = TARGETS.get(rail.kind)
    if target is None or text is None:
        return ALLOW
    found = variables.get(target)
    if found == text and ran.outcome is not None and ran.outcome.is_transform:
        found = ran.outcome.transform_text.get(target, text)
    return ALLOW if found == text else Rewrite("" if found is None else str(found))


def _refused_unseen(rail: Rail, ran: Ran) -> bool:
    """Whether an action of an output rail said block although its flow went on."""
    if rail.kind != "output":
        return False
    if ran.refused or (ran.outcome is not None and ran.outcome.is_blocked):
        return True
    return not rail.branches and ran.plain == "block"


def _failed(rail: Rail, ran: Ran, setting: Setting) -> Verdict:
    _log.error("The %s rail `%s` failed: %s", rail.kind, rail.reference, ran.failure)
    _log.debug("The %s rail `%s` failed", rail.kind, rail.reference, exc_info=ran.error)
    if rail.on_error == "pass":
        return ALLOW
    exception = None
    if setting.exceptions:
        name = type(ran.error).__name__ if ran.error is not None else "RailFailedError"
        exception = new_event(
            "RailFailureException", message=ran.failure, rail=rail.reference, error_type=name
        )
    said = [*(one.text for one in ran.said), setting.failure_text]
    return Block(rail.reference, None, "\n".join(said), exception, failed=True, error=ran.failure)
