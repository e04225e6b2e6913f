"""The readable console log: tells a turn as it goes, on standard error."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from reprlib import Repr
from typing import TYPE_CHECKING, Any, TextIO

from .explain import LLMCallInfo
from .record import ActionRecord, RailRecord, Topic, TurnRecord

if TYPE_CHECKING:
    from rich.console import Console

_log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ROLE_HEADING = re.compile(r"^\[cyan\](\w+)\[/\]$", re.MULTILINE)
_SHORT = 200
_LONG = 20_000
_SHORT_REPR = Repr()  # Survives objects whose own `repr` raises.
_SHORT_REPR.maxstring = _SHORT_REPR.maxother = _SHORT
_STYLES = {
    "blocked": "bold red",
    "failed": "bold red",
    "passed": "green",
    "done": "green",
    "ends the turn": "yellow",
    "ended early": "yellow",
}
_MODEL_STEPS = ("generate user intent", "generate next step")
"""Steps of the dialog that are no flows of the user."""

_OWN_ACTIONS = (
    "generate_user_intent",
    "generate_next_steps",
    "generate_bot_message",
    "generate_intent_steps_message",
    "retrieve_relevant_chunks",
)
"""Actions that every dialog runs: told where they fail or find something, since their step is told."""


@dataclass(frozen=True, slots=True)
class VerboseSettings:
    """What the console log shows.

    Attributes:
        enabled: calls of `LLMRails` objects without `verbose=True` are told as well.
        llm_calls: prompts, completions and the texts given to and by actions.
        simplify: one line per rail, intent, flow, model call and bot message, nothing else.
    """

    enabled: bool = False
    llm_calls: bool = True
    simplify: bool = False


_chosen = VerboseSettings()


def set_verbose(
    verbose: bool,
    llm_calls: bool = False,
    debug: bool = False,
    debug_level: str = "INFO",
    simplify: bool = False,
) -> None:
    """Switches the console log on or off for the whole process; the root logger is left alone.

    Args:
        verbose: on or off.
        llm_calls: also show prompts, completions and the texts given to and by actions.
        debug: also let the loggers of this package print, from `debug_level` on.
        debug_level: a level of the `logging` module.
        simplify: one line per rail, intent, flow, model call and bot message.
    """
    global _chosen
    _chosen = VerboseSettings(verbose, llm_calls, simplify) if verbose else VerboseSettings()
    package = logging.getLogger(__name__.split(".", 1)[0])
    for handler in [known for known in package.handlers if isinstance(known, _DebugHandler)]:
        package.removeHandler(handler)
        package.setLevel(logging.NOTSET)
    if verbose and debug:
        handler = _DebugHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s | %(name)s | %(levelname)s | %(message)s"))
        package.addHandler(handler)
        package.setLevel(debug_level)


def verbose_settings() -> VerboseSettings:
    """What `set_verbose` chose."""
    return _chosen


class VerboseLog:
    """Prints the steps of a turn; use it as the `listener` of a `TurnRecord`.

    Texts of users and models are printed as they are, without markup, their control characters
    escaped. It never raises.

    Args:
        settings: what to show; default: what `set_verbose` chose.
        file: where to print; default: standard error.
    """

    def __init__(self, settings: VerboseSettings | None = None, *, file: TextIO | None = None) -> None:
        self._settings = settings or _chosen
        self._file = file
        self._console: Console | None = None

    def __call__(self, topic: Topic, record: object) -> None:
        """Prints one step."""
        try:
            self._tell(topic, record)
        except (OSError, ValueError) as error:  # The terminal is gone or cannot show a character.
            _log.debug("The console log could not be written: %s", type(error).__name__)

    def _tell(self, topic: Topic, record: object) -> None:
        match record:
            case RailRecord():
                self._rail(record, finished=topic == "rail finished")
            case ActionRecord() if not self._settings.simplify:
                self._action(record, finished=topic == "action finished")
            case LLMCallInfo():
                self._model_call(record, finished=topic == "model call finished")
            case TurnRecord():
                self._turn(record)
            case _:
                pass

    def _rail(self, rail: RailRecord, *, finished: bool) -> None:
        if rail.type in ("dialog", "generation"):
            self._step(rail, finished=finished)
            return
        title = f"{rail.type.replace('_', ' ')} rail"
        if finished:
            took = _seconds(rail.started_at, rail.finished_at)
            self._line(title, rail.name, "blocked" if rail.stop else "passed", took)
        elif not self._settings.simplify:
            self._line(title, rail.name, "")

    def _step(self, step: RailRecord, *, finished: bool) -> None:
        """A step of the dialog: its name when it begins, what it decided when it ends."""
        is_flow = step.type == "dialog" and step.name not in _MODEL_STEPS
        title = "flow" if is_flow else step.type
        if finished == self._settings.simplify and (is_flow or not finished):
            self._line(title, step.name, "")
        if not finished:
            return
        took = "" if is_flow else _seconds(step.started_at, step.finished_at)
        for whose, intent in _intents(step):
            self._line(whose, intent, "", took)
        if step.stop:
            self._line(title, step.name, "ends the turn")

    def _action(self, action: ActionRecord, *, finished: bool) -> None:
        is_ours = action.name in _OWN_ACTIONS
        if not finished:
            if not is_ours:
                self._line("  action", action.name + self._parameters(action.params), "")
            return
        took = _seconds(action.started_at, action.finished_at)
        if action.failure is not None:
            self._line("  action", action.name, "failed", took, self._own_text(action.failure))
        elif action.return_value or not is_ours:
            self._line("  action", action.name, "done", took, self._own_text(action.return_value))

    def _model_call(self, call: LLMCallInfo, *, finished: bool) -> None:
        name = f"{call.llm_model_name}, task {call.task or 'unnamed'}"
        if not finished:
            if not self._settings.simplify:
                self._line("  model", name, "")
            return
        tokens = (
            "" if call.total_tokens is None else f"{call.prompt_tokens} + {call.completion_tokens} tokens"
        )
        cached = "from the cache" if call.from_cache else ""
        state = "done" if call.completion is not None else "ended early"
        self._line("  model", name, state, f"{call.duration or 0:.2f} s", tokens, cached)
        if self._settings.llm_calls and not self._settings.simplify:
            self._block("prompt", _ROLE_HEADING.sub(r"\1:", call.prompt or ""))
            self._block("completion", call.completion or "")

    def _turn(self, turn: TurnRecord) -> None:
        if self._settings.llm_calls or self._settings.simplify:
            for event in turn.events:
                if event.get("type") == "StartUtteranceBotAction":
                    self._line("bot", _one_line(event.get("script")), "")
        count = len(turn.llm_calls)
        calls = f"{count} model call{'' if count == 1 else 's'}"
        tokens = sum(call.total_tokens or 0 for call in turn.llm_calls)
        # A flow that stops ends its turn as its author wished.
        rail = next((rail.name for rail in turn.rails if rail.stop and rail.type != "dialog"), None)
        state = "done" if rail is None else "blocked"
        took = _seconds(turn.started_at, turn.finished_at)
        self._line(
            "turn", f"by {rail}" if rail else "", state, took, calls, f"{tokens} tokens" if tokens else ""
        )

    def _parameters(self, params: Mapping[str, Any]) -> str:
        if not params:
            return ""
        if not self._settings.llm_calls:
            return f"({', '.join(params)})"
        return f"({', '.join(f'{name}={_one_line(value)}' for name, value in params.items())})"

    def _own_text(self, value: object) -> str:
        return _one_line(value) if self._settings.llm_calls else ""

    def _line(self, title: str, what: str, state: str, *details: str) -> None:
        from rich.text import Text

        now = time.time()
        clock = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now * 1000) % 1000:03d}"
        line = Text.assemble((clock, "dim"), " | ", (title, "cyan"), " | ", _visible(what))
        if state:
            line.append(" " if what else "")
            line.append(state, _STYLES[state])
        for detail in filter(None, details):
            line.append(f", {_visible(detail)}", "dim")
        self._print(line)

    def _block(self, title: str, text: str) -> None:
        from rich.text import Text

        shown = _visible(text if len(text) <= _LONG else f"{text[:_LONG]}... ({len(text)} characters)")
        indented = "\n".join(f"    {line}" for line in shown.split("\n"))
        self._print(Text.assemble(f"    -- {title}\n", (indented, "yellow")))

    def _print(self, text: object) -> None:
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self._file, stderr=self._file is None, markup=False, highlight=False, emoji=False
            )
            # Rich's own way with a broken pipe is to end the process.
            self._console.on_broken_pipe = self._fall_silent  # type: ignore[method-assign]  # meant to be replaced
        self._console.print(text, soft_wrap=True)

    def _fall_silent(self) -> None:
        if self._console is not None:
            self._console.quiet = True


class _DebugHandler(logging.StreamHandler[TextIO]):
    """The handler that `set_verbose(debug=True)` adds, told apart from the user's own."""


def _intents(step: RailRecord) -> Iterator[tuple[str, str]]:
    """What a step decided: the user's intent, and what the bot is to say."""
    for decision in step.decisions:
        if decision != "stop" and not decision.startswith("execute "):
            yield "bot intent", decision
    for event in step.events or ():
        if event.get("type") == "UserIntent":
            yield "user intent", str(event.get("intent"))
        elif event.get("type") == "BotIntent":
            yield "bot intent", str(event.get("intent"))


def _seconds(started_at: float, finished_at: float | None) -> str:
    return f"{(finished_at or time.time()) - started_at:.2f} s"


def _one_line(value: object) -> str:
    text = value if isinstance(value, str) else _SHORT_REPR.repr(value)
    cut = text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
    return cut.replace("\n", "\\n")


def _visible(text: str) -> str:
    """The text with its control characters escaped, so that none reaches the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
