"""The verdict of a rail's action, readable the new way (`$r.is_blocked`) and the old (`if not $r`)."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RailDecision(StrEnum):
    """What a rail decided."""

    ALLOW = "allow"
    BLOCK = "block"
    TRANSFORM = "transform"


class TransformTarget(StrEnum):
    """The text that a rail rewrote."""

    USER_MESSAGE = "user_message"
    BOT_MESSAGE = "bot_message"
    RELEVANT_CHUNKS = "relevant_chunks"


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """One rewritten text; `target` may be given by its name."""

    target: TransformTarget
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", TransformTarget(self.target))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RailOutcome:
    """A verdict with two readings.

    New: the members below. Old: truth value, comparisons, `float()`, `[...]`, `in`, iteration,
    `str()` and every attribute that is not a member are those of `legacy`, the value that the
    action returned in earlier releases. Members of the new reading win where both exist.

    Attributes:
        decision: allow, block or transform.
        transforms: the rewritten texts; present if and only if the decision is transform.
        reason: why, in the rail's words.
        metadata: evidence; read-only.
        failed: the block stands for "the rail could not decide".
        legacy: the value of the old reading.
        is_blocked: whether the decision is block.
        is_transform: whether the decision is transform.

    Raises:
        ValueError: transforms and decision disagree, a target occurs twice, or `failed` without
            a block.
    """

    colang_methods: ClassVar[frozenset[str]] = frozenset({"get"})
    """The methods that Colang expressions may call; here that of a legacy value that is a dict."""

    decision: RailDecision
    transforms: tuple[TransformSpec, ...] = ()
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    legacy: Any = True
    is_blocked: bool = field(init=False)
    is_transform: bool = field(init=False)

    def __post_init__(self) -> None:
        decision, transforms = RailDecision(self.decision), tuple(self.transforms)
        _check(decision, transforms, failed=self.failed)
        object.__setattr__(self, "decision", decision)
        object.__setattr__(self, "transforms", transforms)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        object.__setattr__(self, "is_blocked", decision is RailDecision.BLOCK)
        object.__setattr__(self, "is_transform", decision is RailDecision.TRANSFORM)

    @classmethod
    def allow(
        cls, reason: str | None = None, metadata: Mapping[str, Any] | None = None, *, legacy: Any = True
    ) -> RailOutcome:
        """The text may pass; without arguments always the same object."""
        if legacy is True and reason is None and not metadata:
            return _ALLOW
        return cls(RailDecision.ALLOW, reason=reason, metadata=metadata or _NOTHING, legacy=legacy)

    @classmethod
    def block(
        cls, reason: str | None = None, metadata: Mapping[str, Any] | None = None, *, legacy: Any = False
    ) -> RailOutcome:
        """The text must not pass."""
        return cls(RailDecision.BLOCK, reason=reason, metadata=metadata or _NOTHING, legacy=legacy)

    @classmethod
    def failure(
        cls, reason: str | None = None, metadata: Mapping[str, Any] | None = None, *, legacy: Any = False
    ) -> RailOutcome:
        """The rail could not decide, so the text must not pass."""
        return cls(RailDecision.BLOCK, (), reason, metadata or _NOTHING, failed=True, legacy=legacy)

    @classmethod
    def transform(
        cls,
        transforms: Iterable[tuple[TransformTarget | str, str]],
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        legacy: Any = True,
    ) -> RailOutcome:
        """The texts may pass in a new form; `transforms` are pairs of target and new text."""
        specs = tuple(TransformSpec(TransformTarget(target), text) for target, text in transforms)
        return cls(RailDecision.TRANSFORM, specs, reason, metadata or _NOTHING, legacy=legacy)

    @classmethod
    def masked(
        cls,
        target: TransformTarget | str,
        text: str,
        *,
        changed: bool,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> MaskedText:
        """The result of a masking action: the masked text itself, which also carries the verdict.

        The verdict is transform if the text was `changed`, else allow.
        """
        if changed:
            outcome = cls.transform([(target, text)], reason, metadata, legacy=text)
        else:
            outcome = cls.allow(reason, metadata, legacy=text)
        return MaskedText(text, outcome)

    @property
    def transform_text(self) -> dict[str, str]:
        """The new texts by target."""
        return {spec.target: spec.text for spec in self.transforms}

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain data, for logs."""
        return {
            "decision": self.decision.value,
            "transforms": {spec.target.value: spec.text for spec in self.transforms},
            "reason": self.reason,
            "metadata": dict(self.metadata),
            "failed": self.failed,
        }

    def __bool__(self) -> bool:
        return bool(self.legacy)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RailOutcome):
            return self.to_dict() == other.to_dict() and bool(self.legacy == other.legacy)
        return bool(self.legacy == other)

    def __hash__(self) -> int:
        return hash(self.legacy)

    def __lt__(self, other: Any) -> bool:
        return bool(self.legacy < other)

    def __le__(self, other: Any) -> bool:
        return bool(self.legacy <= other)

    def __gt__(self, other: Any) -> bool:
        return bool(self.legacy > other)

    def __ge__(self, other: Any) -> bool:
        return bool(self.legacy >= other)

    def __float__(self) -> float:
        return float(self.legacy)

    def __getitem__(self, key: Any) -> Any:
        return self.legacy[key]

    def __contains__(self, item: Any) -> bool:
        return item in self.legacy

    def __iter__(self) -> Iterator[Any]:
        return iter(self.legacy)

    def __len__(self) -> int:
        return len(self.legacy)

    def __str__(self) -> str:
        return str(self.legacy)

    def __repr__(self) -> str:
        known = {"reason": self.reason, "failed": self.failed, "metadata": dict(self.metadata)}
        said = "".join(f", {name}={value!r}" for name, value in known.items() if value)
        return f"RailOutcome({self.decision.value}{said})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        legacy = self.legacy
        if isinstance(legacy, Mapping) and name in legacy:
            return legacy[name]
        return getattr(legacy, name)

    def __copy__(self) -> RailOutcome:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RailOutcome:
        return self

    def __reduce__(self) -> tuple[type[RailOutcome], tuple[Any, ...]]:
        evidence = dict(self.metadata)
        return RailOutcome, (self.decision, self.transforms, self.reason, evidence, self.failed, self.legacy)


class MaskedText(str):
    """A text from which a rail took something out, with the members of its `RailOutcome`.

    Flows of earlier releases assign it to the message; newer ones read `is_transform` and
    `transform_text`.
    """

    __slots__ = ("outcome",)
    outcome: RailOutcome

    def __new__(cls, text: str, outcome: RailOutcome) -> MaskedText:
        made = super().__new__(cls, text)
        made.outcome = outcome
        return made

    def __getnewargs__(self) -> tuple[str, RailOutcome]:  # type: ignore[override]  # str has one argument
        return str(self), self.outcome

    @property
    def decision(self) -> RailDecision:
        """Transform if the text was changed, else allow."""
        return self.outcome.decision

    @property
    def is_blocked(self) -> bool:
        """Always false: a masked text may pass."""
        return self.outcome.is_blocked

    @property
    def is_transform(self) -> bool:
        """Whether the text was changed."""
        return self.outcome.is_transform

    @property
    def transforms(self) -> tuple[TransformSpec, ...]:
        """The changed text, if it was changed."""
        return self.outcome.transforms

    @property
    def transform_text(self) -> dict[str, str]:
        """The changed text by target."""
        return self.outcome.transform_text

    @property
    def reason(self) -> str | None:
        """Why, in the rail's words."""
        return self.outcome.reason

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Evidence; read-only."""
        return self.outcome.metadata

    @property
    def failed(self) -> bool:
        """Always false."""
        return self.outcome.failed


def outcome_of(value: object) -> RailOutcome | None:
    """The verdict that an action's value carries, or `None` for a plain value."""
    if isinstance(value, RailOutcome):
        return value
    return value.outcome if isinstance(value, MaskedText) else None


def _check(decision: RailDecision, transforms: tuple[TransformSpec, ...], *, failed: bool) -> None:
    if bool(transforms) != (decision is RailDecision.TRANSFORM):
        raise ValueError(
            f"A rail outcome has transforms if and only if it is a transform; this is {decision}"
        )
    targets = [spec.target for spec in transforms]
    if len(set(targets)) != len(targets):
        raise ValueError(f"A rail outcome rewrites each target once; got {', '.join(targets)}")
    if failed and decision is not RailDecision.BLOCK:
        raise ValueError(f"Only a block can stand for a failure; this is {decision}")


_ALLOW = RailOutcome(RailDecision.ALLOW)
