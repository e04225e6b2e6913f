"""`rails.config.regex_detection`: patterns per source, and what happens on a match."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from ...config.schema import ConfigSection
from ...config.sections import RailSettings
from ...streaming.patterns import DEFAULT_MATCH_LENGTH, Pattern, PatternSet, check_expression

_LONGEST_ALLOWED = 65536


class RegexSource(ConfigSection):
    """The patterns for one source of text.

    Attributes:
        patterns: patterns of Python's `re`, searched anywhere in the text.
        case_insensitive: upper and lower case count as the same.
        action: "block" refuses the text; "mask" replaces each match.
        mask_with: stands in for a match.
        max_match_length: longest match in characters, and so what a stream may hold back; default
            256, or the longest match of the patterns where that is known and longer.
        timeout_ms: for patterns that can be slow on hostile text: milliseconds of matching per
            4096 characters; what takes longer is not let through.
        normalize: match after Unicode normalisation (NFKC, zero-width characters removed);
            default: for "block", not for "mask".
    """

    patterns: list[str] = Field(default_factory=list)
    case_insensitive: bool = False
    action: Literal["block", "mask"] = "block"
    mask_with: str = "[REDACTED]"
    max_match_length: int | None = Field(default=None, gt=0, le=_LONGEST_ALLOWED)
    timeout_ms: int = Field(default=100, gt=0)
    normalize: bool | None = None

    @model_validator(mode="after")
    def _patterns_are_usable(self) -> RegexSource:
        longest = self.max_match_length
        for index, expression in enumerate(self.patterns):
            try:
                low, high = check_expression(expression, self.flags).width
            except ValueError as error:
                raise ValueError(f"patterns[{index}] ({expression!r}): {error}") from error
            needed = high if high <= _LONGEST_ALLOWED else low
            if longest is not None and needed > longest:
                raise ValueError(
                    f"patterns[{index}] ({expression!r}): its matches have up to {needed} characters,"
                    f" max_match_length allows {longest}"
                )
        return self

    @property
    def flags(self) -> str:
        """The flags of every pattern, as in `(?i)`."""
        return "i" if self.case_insensitive else ""

    @property
    def normalizes(self) -> bool:
        """Whether matching is done on normalised text."""
        return self.action == "block" if self.normalize is None else self.normalize

    @cached_property
    def compiled(self) -> PatternSet:
        """All patterns, for one common scan; a pattern is named by its index."""
        return PatternSet([self._pattern(index) for index in range(len(self.patterns))])

    @cached_property
    def each(self) -> tuple[PatternSet, ...]:
        """The patterns one by one, to tell which of them match."""
        return tuple(PatternSet([self._pattern(index)]) for index in range(len(self.patterns)))

    def _pattern(self, index: int) -> Pattern:
        return Pattern(
            f"patterns[{index}]",
            self.patterns[index],
            replacement=self.mask_with,
            flags=self.flags,
            max_match_length=self._longest,
        )

    @cached_property
    def _longest(self) -> int:
        if self.max_match_length is not None:
            return self.max_match_length
        widths = (check_expression(expression, self.flags).width for expression in self.patterns)
        needed = (high if high <= _LONGEST_ALLOWED else low for low, high in widths)
        return max(DEFAULT_MATCH_LENGTH, *needed, 0)


class RegexDetection(RailSettings):
    """`rails.config.regex_detection`."""

    input: RegexSource = Field(default_factory=RegexSource)
    output: RegexSource = Field(default_factory=RegexSource)
    retrieval: RegexSource = Field(default_factory=RegexSource)


SECTIONS = {"regex_detection": RegexDetection}
