"""Reads a judge's free answer: is the text safe, unsafe, or is the answer no answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Said: TypeAlias = Literal["safe", "blocked", "unclear"]

_WORD = re.compile(r"[^\W_]+")
_LABEL = re.compile(r"(?:final )?(?:answer|verdict|result|response|output|decision|assessment)\s*[:=]\s*")
_LEADING_NO = re.compile(r"\W*no\W*[^\w\s]")
_SAFE_AS_A_QUESTION = re.compile(r"\bsafe\b[^\n]*\?")
_SAFE_THEN_ANSWERED = re.compile(r"\bsafe\W*[:?]")
_NEGATIONS = frozenset(
    {"no", "not", "non", "nor", "neither", "never", "cannot", "cant", "isnt", "hardly", "un", "t", "false"}
)
_OPPOSED = frozenset({"yes", "no", "not", "false", "never"})


class SafetyVerdict(list["bool | str"]):
    """`[True]` for safe, `[False, violation...]` for blocked.

    Attributes:
        undecided: the answer states no verdict, or contradicts itself; the value is `[False]`.
    """

    def __init__(self, is_safe: bool, violations: Iterable[str] = (), *, undecided: bool = False) -> None:
        super().__init__([is_safe, *violations])
        self.undecided = undecided


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of an answer, in lower case, without a label like `Answer:`."""

    text: str
    words: list[str]

    def states(self) -> Said | None:
        """What the line says about safety in so many words; `None` if nothing."""
        if "unsafe" in self.words:
            return "blocked"
        if "safe" not in self.words:
            return None
        if _SAFE_AS_A_QUESTION.search(self.text):
            return "unclear"
        return "blocked" if self._negates_safe() else "safe"

    def _negates_safe(self) -> bool:
        at = self.words.index("safe")
        before, after = self.words[:at], self.words[at + 1 :]
        if before[:1] == ["no"] and _LEADING_NO.match(self.text):
            before = before[1:]
        if before[:1] == ["yes"] or not _NEGATIONS.isdisjoint(before):
            return True
        opposed = not _OPPOSED.isdisjoint(after)
        if at == 0 and not _SAFE_THEN_ANSWERED.search(self.text):
            return bool(after) and after[-1] in _OPPOSED
        return opposed


def safety_verdict(answer: str) -> SafetyVerdict:
    """Reads the answer of a judge; in doubt it is blocked.

    The last line that says `safe` or `unsafe` decides; a negation before `safe`, or a
    contradiction, blocks. Only without such a line a `yes` (blocked) or `no` (fine) counts, as the
    first word of its line. An answer that opens with a blocking word stays blocked.
    """
    lines = [line for line in map(_line, answer.lower().splitlines()) if line.words]
    if not lines:
        return SafetyVerdict(False, undecided=True)
    if lines[0].words[0] == "unsafe":
        return SafetyVerdict(False, _violations(lines))
    stated = [(line, said) for line in lines if (said := line.states()) is not None]
    return _from_statements(lines, stated) if stated else _from_yes_or_no(lines)


def grounded_verdict(answer: str) -> SafetyVerdict:
    """Reads a judge's answer whether a statement is grounded: `[True]` if so, else `[False]`.

    A negation anywhere before `grounded`, or a contradiction, counts as not grounded. Without that
    word a `yes` or `no` as the first word of the answer counts; anything else is undecided.
    """
    words = _line(answer.lower()).words
    if "ungrounded" in words:
        return SafetyVerdict(False)
    if "grounded" in words:
        before = words[: words.index("grounded")]
        opposed = {"no", "not", "false", "never"}
        is_opposed = not _NEGATIONS.isdisjoint(before) or not opposed.isdisjoint(words)
        return SafetyVerdict(not is_opposed)
    if words[:1] in (["yes"], ["no"]):
        return SafetyVerdict(words[0] == "yes" and "no" not in words)
    return SafetyVerdict(False, undecided=True)


def _from_statements(lines: list[_Line], stated: Sequence[tuple[_Line, Said]]) -> SafetyVerdict:
    last, said = stated[-1]
    if said == "unclear":
        return SafetyVerdict(False, undecided=True)
    if said == "blocked":
        return SafetyVerdict(False, _violations(lines[lines.index(last) :]))
    is_bare = len(last.words) == 1
    opposed_before = any(earlier == "blocked" for _, earlier in stated[:-1]) and not is_bare
    bare_after = [line.words[0] for line in lines[lines.index(last) :] if len(line.words) == 1]
    is_opposed = not _OPPOSED.isdisjoint(bare_after) or ["yes"] in [line.words for line in lines]
    if opposed_before or is_opposed or lines[0].words[0] == "yes":
        return SafetyVerdict(False)
    return SafetyVerdict(True)


def _from_yes_or_no(lines: list[_Line]) -> SafetyVerdict:
    answering = [line.words for line in lines if line.words[0] in ("yes", "no")]
    if not answering:
        return SafetyVerdict(False, undecided=True)
    is_contradiction = any(len({"yes", "no"} & set(words)) == 2 for words in answering)
    if is_contradiction or lines[0].words[0] == "yes" or answering[-1][0] == "yes":
        return SafetyVerdict(False)
    return SafetyVerdict(True)


def _line(text: str) -> _Line:
    words = _WORD.findall(text)
    label = _LABEL.match(text.lstrip(" *_#>-`"))
    if label and len(words) > 1:
        rest = text.lstrip(" *_#>-`")[label.end() :]
        return _Line(rest, _WORD.findall(rest))
    return _Line(text, words)


def _violations(lines: list[_Line]) -> list[str]:
    words = [word for line in lines for word in line.words]
    return words[words.index("unsafe") + 1 :] if "unsafe" in words else []
