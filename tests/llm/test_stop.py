"""A text ends at its first stop sequence, and nothing that was held back is lost."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.llm.stop import StopCutter, cut_at_stop


def cut(pieces: list[str], stops: list[str]) -> tuple[str, str | None]:
    cutter = StopCutter(stops)
    return "".join([cutter.feed(piece) for piece in pieces] + [cutter.finish()]), cutter.found


def by_character(text: str, stops: list[str]) -> str:
    """The definition: read on until some stop sequence is complete."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@pytest.mark.parametrize(
    ("pieces", "stops", "kept", "found"),
    [
        (["Hi Us", "er: no"], ["User:"], "Hi ", "User:"),
        (["I like U", "S food"], ["User:"], "I like US food", None),
        (["Hello ", "User:"], ["User:"], "Hello ", "User:"),
        (["ab", "c"], ["abc", "b"], "a", "b"),
        (["The U", "ser", " left"], ["User:", "\nuser "], "The User left", None),
        (["x"], [], "x", None),
        (["x"], [""], "x", None),
    ],
)
def test_text_ends_at_the_stop(pieces: list[str], stops: list[str], kept: str, found: str | None) -> None:
    assert cut(pieces, stops) == (kept, found)


@given(
    st.lists(st.text(alphabet="ab:", max_size=4), max_size=8),
    st.lists(st.text(alphabet="ab:", max_size=4), max_size=3),
)
def test_the_result_does_not_depend_on_the_cut(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    assert (
        cut(pieces, stops)[0]
        == cut([text], stops)[0]
        == cut_at_stop(text, stops)[0]
        == by_character(text, stops)
    )


def test_a_stopped_cutter_lets_nothing_more_through() -> None:
    cutter = StopCutter(["END"])
    assert cutter.feed("aENDb") == "a"
    assert cutter.stopped
    assert cutter.feed("c") == cutter.finish() == ""


class Counted(str):
    """A text that counts the characters it is searched for in."""

    searched = 0

    def __add__(self, other: str) -> Counted:
        return Counted(str(self) + other)

    def __contains__(self, part: object) -> bool:
        Counted.searched += len(self)
        return super().__contains__(str(part))


def test_each_character_is_searched_a_bounded_number_of_times() -> None:
    Counted.searched = 0
    cutter = StopCutter(["User:"])
    for _ in range(2_000):
        cutter.feed(Counted("some"))
    assert Counted.searched <= 2_000 * (4 + len("User:"))
