"""A program of Colang 1.0: messages and flows, merged from several sources."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from ..interpreter import Limits
from .instructions import Flow, Utter
from .player import FlowPlayer, reachable

if TYPE_CHECKING:
    from . import nodes
    from .machine import Machine


@dataclass(frozen=True, slots=True)
class Message:
    """The texts of a message: examples of what a user says, or what the bot may say.

    Attributes:
        texts: in the order of definition.
        file, line: where it is defined first; line 0 for texts that come from no Colang source.
    """

    name: str
    texts: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that the Colang sources of a configuration define.

    Attributes:
        user_messages: by intent.
        bot_messages: by name; those that bot steps define in flows are among them.
        flows: by name, in order of definition.
        imports: what `import` and `include` lines name, in order.
        warnings: what is doubtful, each with its place.
    """

    user_messages: Mapping[str, Message] = field(default_factory=dict)
    bot_messages: Mapping[str, Message] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def player(self, limits: Limits | None = None) -> FlowPlayer:
        """Plays its flows one by one, as rails."""
        return FlowPlayer(self.flows, limits)

    def machine(self, limits: Limits | None = None) -> Machine:
        """Steps dialogs: decides what the bot does after each event."""
        # Most configurations have rails and no dialog; they need not load it.
        from .machine import Machine

        return Machine(self.flows, limits)

    def extended(self, other: Program, *, starts: bool = False, starting: Collection[str] = ()) -> Program:
        """This program with all of the other's that it does not define itself.

        Args:
            starts: whether flows of the other program may start by themselves, as those of an
                imported configuration do; those of the library only run when called.
            starting: flows that may, whatever `starts` says.
        """
        flows = {
            name: flow if starts or name in starting else replace(flow, is_system=True)
            for name, flow in other.flows.items()
        }
        return replace(
            self,
            user_messages={**other.user_messages, **self.user_messages},
            bot_messages={**other.bot_messages, **self.bot_messages},
            flows={**self.flows, **{name: flow for name, flow in flows.items() if name not in self.flows}},
            imports=(*self.imports, *(path for path in other.imports if path not in self.imports)),
            warnings=(*self.warnings, *other.warnings),
        )

    def with_messages(
        self,
        *,
        user: Mapping[str, Sequence[str]] | None = None,
        bot: Mapping[str, Sequence[str]] | None = None,
    ) -> Program:
        """This program with messages that a configuration gives outside of Colang, where it has none."""
        return replace(
            self,
            user_messages={**_plain_messages(user or {}), **self.user_messages},
            bot_messages={**_plain_messages(bot or {}), **self.bot_messages},
        )

    def with_rails(self, names: Collection[str]) -> Program:
        """This program with the named flows as rails: they run only when called, and stay out of prompts."""
        flows = {
            name: replace(flow, is_system=True) if name in names else flow
            for name, flow in self.flows.items()
        }
        return replace(self, flows=flows)

    def selected(self, flows: Iterable[str], *, messages: Iterable[str] = ()) -> Program:
        """The named flows of this program, those they call, and the bot messages they say.

        Args:
            messages: further bot messages to keep.
        """
        kept = [name for flow in flows for name in reachable(self.flows, flow)]
        said = set(messages)
        for name in kept:
            said.update(
                step.intent for step in self.flows[name].steps if isinstance(step, Utter) and step.intent
            )
        return replace(
            self,
            user_messages={},
            bot_messages={name: message for name, message in self.bot_messages.items() if name in said},
            flows={name: flow for name, flow in self.flows.items() if name in set(kept)},
        )


def program_of(documents: Iterable[nodes.Document], warnings: Iterable[str] = ()) -> Program:
    """Merges parsed sources; where two files define the same name, the first one counts, with a warning."""
    user: dict[str, Message] = {}
    bot: dict[str, Message] = {}
    flows: dict[str, Flow] = {}
    imports: list[str] = []
    doubts = list(warnings)
    for document in documents:
        one = _program_of_one(document)
        imports.extend(one.imports)
        doubts.extend(one.warnings)
        _add_unknown(user, one.user_messages, "user message", doubts)
        _add_unknown(bot, one.bot_messages, "bot message", doubts)
        _add_unknown(flows, one.flows, "flow", doubts)
    return Program(_resolved(user, doubts), bot, flows, tuple(imports), tuple(doubts))


_REFERENCE = "\0"
"""Marks, until all sources are read, an example that stands for those of another intent."""

Defined = TypeVar("Defined", Message, Flow)


def _program_of_one(document: nodes.Document) -> Program:
    from .lowering import lower  # brings the expressions, which a program without flows never needs

    path = document.path
    user: dict[str, Message] = {}
    for example in document.user_messages:
        references = tuple(f"{_REFERENCE}{name}" for name in example.references)
        _add(user, Message(example.name, example.examples + references, path, example.span.line))
    bot: dict[str, Message] = {}
    for message in document.bot_messages:
        _add(bot, Message(message.name, message.texts, path, message.span.line))
    flows = {definition.name: lower(definition, path) for definition in document.flows}
    for flow in flows.values():
        if flow.meta.defines_messages:
            for name, texts in flow.texts.items():
                _add(bot, Message(name, texts, path, flow.line))
    return Program(user, bot, flows, document.imports, document.warnings)


def _add(messages: dict[str, Message], message: Message) -> None:
    known = messages.get(message.name)
    if known is not None:
        message = replace(known, texts=known.texts + message.texts)
    messages[message.name] = message


def _add_unknown(
    known: dict[str, Defined], found: Mapping[str, Defined], what: str, warnings: list[str]
) -> None:
    for name, new in found.items():
        old = known.setdefault(name, new)
        if old is not new:
            warnings.append(
                f"{new.file}, line {new.line}: {what} '{name}' is already defined in {old.file}, "
                f"line {old.line}; the definition there counts"
            )


def _resolved(messages: Mapping[str, Message], warnings: list[str]) -> dict[str, Message]:
    """The messages with references replaced by the examples they stand for."""
    resolved: dict[str, Message] = {}
    for name, message in messages.items():
        texts: list[str] = []
        for text in message.texts:
            if not text.startswith(_REFERENCE):
                texts.append(text)
            elif text[1:] in messages:
                examples = messages[text[1:]].texts
                texts.extend(example for example in examples if not example.startswith(_REFERENCE))
            else:
                place = f"{message.file}, line {message.line}"
                warnings.append(f"{place}: '{text[1:]}' is neither quoted nor an intent, in `user {name}`")
        resolved[name] = replace(message, texts=tuple(texts) or (name,))
    return resolved


def _plain_messages(texts: Mapping[str, Sequence[str]]) -> dict[str, Message]:
    return {name: Message(name, tuple(values), "", 0) for name, values in texts.items()}
