"""`rails.config.sensitive_data_detection`: which types of data to look for in which source."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from ...config.schema import ConfigSection
from ...config.sections import RailSettings
from ...streaming.patterns import Pattern, PatternSet
from .recognizers import OWN, known_types, masking

_CONTEXT_BONUS = 0.35
_LEAST_WITH_CONTEXT = 0.4


class RecognizerPattern(ConfigSection):
    """One pattern of a recogniser of the configuration; `score` is 0 to 1."""

    name: str = ""
    regex: str
    score: float = Field(default=0.5, ge=0, le=1)


class Recognizer(ConfigSection):
    """A recogniser of the configuration, as Presidio writes them.

    Attributes:
        supported_entity: the type that it finds.
        patterns: case does not matter, `.` takes newlines, `^` and `$` mean lines.
        deny_list: words that are such data, as whole words.
        context: words before a match that make it likelier.
    """

    name: str = ""
    supported_entity: str
    supported_language: str = "en"
    patterns: list[RecognizerPattern] = Field(default_factory=list)
    deny_list: list[str] = Field(default_factory=list)
    deny_list_score: float = Field(default=1.0, ge=0, le=1)
    context: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _finds_something(self) -> Recognizer:
        if not self.patterns and not self.deny_list:
            raise ValueError(
                f"recognizer {self.name or self.supported_entity!r}: give patterns or a deny_list"
            )
        return self

    def compiled_patterns(self) -> list[Pattern]:
        """Its patterns for a set."""
        context = rf"\b(?:{'|'.join(map(re.escape, self.context))})\b" if self.context else None
        listed = sorted(self.deny_list, key=len, reverse=True)
        given = [(one.regex, one.score) for one in self.patterns]
        if listed:
            words = rf"(?<!\w)(?:{'|'.join(map(re.escape, listed))})(?!\w)"
            given.append((words, self.deny_list_score))
        return [
            Pattern(
                self.supported_entity,
                expression,
                flags="ims",
                context=context,
                score=score,
                context_score=max(_LEAST_WITH_CONTEXT, min(1.0, score + _CONTEXT_BONUS))
                if context
                else score,
            )
            for expression, score in given
        ]


class SensitiveDataSource(ConfigSection):
    """What to look for in one source of text.

    Attributes:
        entities: types of data; none means that the rail does nothing.
        score_threshold: matches with a lower score do not count.
        mask_token: `*` puts `<TYPE>` in place of a match; anything else is repeated over its length.
    """

    entities: list[str] = Field(default_factory=list)
    score_threshold: float = Field(default=0.2, ge=0, le=1)
    mask_token: str = Field(default="*", min_length=1)
    _recognizers: tuple[Recognizer, ...] = PrivateAttr(default=())

    @cached_property
    def compiled(self) -> PatternSet:
        """The patterns of all its types, for one common scan."""
        own = [pattern for entity, patterns in OWN.items() if entity in self.entities for pattern in patterns]
        custom = [
            pattern
            for recognizer in self._recognizers
            if recognizer.supported_entity in self.entities
            for pattern in recognizer.compiled_patterns()
        ]
        masked = [
            replace(pattern, replacement=masking(pattern.name, self.mask_token))
            for pattern in (*own, *custom)
        ]
        return PatternSet(masked, self.score_threshold)

    def using(self, recognizers: list[Recognizer]) -> None:
        """Adds the recognisers of the configuration.

        Raises:
            ValueError: nothing here finds one of the types, or an expression cannot be used.
        """
        self._recognizers = tuple(recognizers)
        known = known_types(recognizer.supported_entity for recognizer in recognizers)
        unknown = [entity for entity in self.entities if entity not in known]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no pattern finds this; it needs Presidio"
                f" (pip install 'sluice-guardrails[sdd]') or a recognizer of yours."
                f" Built in: {', '.join(sorted(OWN))}"
            )
        try:
            self.compiled  # noqa: B018  # compiled now, so that a bad expression is a load error
        except ValueError as error:
            raise ValueError(str(error.args[0])) from error


class SensitiveDataDetection(RailSettings):
    """`rails.config.sensitive_data_detection`; `language` is that of the context words."""

    recognizers: list[Recognizer] = Field(default_factory=list)
    input: SensitiveDataSource = Field(default_factory=SensitiveDataSource)
    output: SensitiveDataSource = Field(default_factory=SensitiveDataSource)
    retrieval: SensitiveDataSource = Field(default_factory=SensitiveDataSource)
    language: str = "en"

    def model_post_init(self, context: Any, /) -> None:
        """Hands the recognisers to the sources."""
        for name in ("input", "output", "retrieval"):
            try:
                getattr(self, name).using(self.recognizers)
            except ValueError as error:
                raise ValueError(f"{name}.entities: {error}") from error


SECTIONS = {"sensitive_data_detection": SensitiveDataDetection}
