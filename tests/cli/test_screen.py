"""Plain text on a screen: nothing that a model writes commands the terminal; places are computed right."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails.cli.screen import Layout, Place, Screen, harmless, place_after

from .tiny_terminal import TinyTerminal


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("LINES", "6")
    return FakeTerminal()


@given(st.text())
def test_no_control_character_but_line_feed_and_tab_survives(text: str) -> None:
    shown = harmless(text)
    assert not [char for char in shown if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0]


@given(st.text(), st.integers(0, 40))
def test_pieces_become_harmless_one_by_one(text: str, cut: int) -> None:
    assert harmless(text[:cut]) + harmless(text[cut:]) == harmless(text)


def test_an_escape_sequence_is_shown_as_signs() -> None:
    assert harmless("\x1b[2Jgone\r\n\x07\x9b") == "␛[2Jgone\n␇�"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", Place(0, 0)),
        ("abc", Place(0, 3)),
        ("0123456789", Place(0, 10)),
        ("0123456789a", Place(1, 1)),
        ("0123456789\n", Place(1, 0)),
        ("012345678漢", Place(1, 2)),
        ("e\u0301", Place(0, 1)),
        ("a\tb", Place(0, 9)),
    ],
)
def test_the_cursor_stands_where_a_terminal_puts_it(text: str, place: Place) -> None:
    assert place_after(text, 10) == place


def test_without_a_terminal_there_are_no_codes_and_nothing_is_rewritten() -> None:
    out = io.StringIO()
    screen = Screen(out, out)
    screen.write("red", "alarm")
    assert not screen.rewrite("", [("red", "struck")])
    assert out.getvalue() == "red"


@settings(max_examples=200)
@given(before=st.text("ab\n漢", max_size=25), after=st.text("xy\n語", min_size=1, max_size=25))
def test_a_rewritten_text_stands_where_it_stood(before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "10")
        patch.setenv("LINES", "60")
        out = FakeTerminal()
        screen = Screen(out, io.StringIO())
        screen.write(before)
        screen.write(after)
        plain = TinyTerminal(10).show(out.getvalue())
        assert screen.rewrite(before, [(after, "struck")])
        rewritten = TinyTerminal(10).show(out.getvalue())
    assert rewritten.rows == plain.rows
    assert rewritten.cursor == plain.cursor
    assert rewritten.struck == after.replace("\n", "")


@given(st.lists(st.text("ab漢\u0301", min_size=1, max_size=4), max_size=20), st.booleans())
def test_words_are_not_broken_when_each_comes_in_one_piece(words: list[str], at_once: bool) -> None:
    text = " ".join(words)
    layout = Layout(10)
    pieces = [text] if at_once else [word + " " for word in words]
    laid = "".join(cell for piece in pieces for cell in layout.lay(piece))
    assert laid.split() == text.split()
    rows = TinyTerminal(10).show(laid.replace("\u0301", "")).rows
    assert [word for row in rows for word in row.split()] == text.replace("\u0301", "").split()


def test_a_word_longer_than_a_line_is_broken_by_the_terminal() -> None:
    assert "".join(Layout(5).lay("a 1234567 b")) == "a 1234567 \nb"


def test_without_a_width_no_line_is_broken() -> None:
    assert Layout(None).lay("a \x1b\r") == ["a", " ", "␛", ""]


def test_what_has_left_the_screen_is_not_rewritten(terminal: FakeTerminal) -> None:
    assert not Screen(terminal, io.StringIO()).rewrite("", [("line\n" * 7, "struck")])
    assert terminal.getvalue() == ""


def test_a_text_that_cannot_be_encoded_is_escaped() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii"), io.StringIO())
    screen.write("é\ud800")
    assert raw.getvalue() == b"\\xe9\\ud800"
