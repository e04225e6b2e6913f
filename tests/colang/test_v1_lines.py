"""Logical lines: comments, continuations, docstrings, texts over lines, indentation."""

# SPDX-License-Identifier: Apache-2.0

import pytest

from nemoguardrails.colang.lines import has_definitions, logical_lines
from nemoguardrails.colang.source import ColangSyntaxError, SourceText


def read(text):
    return list(logical_lines(SourceText("x.co", text)))


def texts(text):
    return [line.text for line in read(text)]


def test_blank_lines_and_line_ends_do_not_matter():
    assert texts("a\r\n\r\n   \r\n  b\r\n") == ["a", "b"]


def test_a_byte_order_mark_is_no_text():
    assert texts("\ufeffdefine user x") == ["define user x"]


def test_indentation_counts_spaces_alone():
    assert [line.indent for line in read("a\n  b\n\tc\n \t d")] == [0, 2, 0, 2]


def test_blanks_collapse_outside_of_double_quotes():
    assert texts('bot   say  "two  blanks"   ') == ['bot say "two  blanks"']


def test_one_trailing_colon_goes():
    assert texts("if $x:\nmeta :\na::") == ["if $x", "meta", "a:"]


def test_a_hash_is_a_comment_unless_double_quoted():
    assert texts("""user x # remark\n"a # b" # c\n$a = 'x # y'""") == ["user x", '"a # b"', "$a = 'x"]


def test_comment_lines_belong_to_the_next_line_across_blank_ones():
    lines = read("# one\n#two\n\n# three\n\nbot x\nbot y")
    assert [(line.text, line.comment) for line in lines] == [("bot x", "one\ntwo\nthree"), ("bot y", None)]


def test_a_docstring_acts_as_a_comment():
    lines = read('"""One line."""\na\n"""\n  Two\n\n  lines\n"""\n# more\nb')
    assert [(line.text, line.comment) for line in lines] == [("a", "One line."), ("b", "Two\nlines\nmore")]


def test_a_backslash_and_the_word_or_continue_a_line():
    lines = read("user a \\\n   very \\\nlong\nuser a or\n  user b")
    assert [(line.text, line.number, line.end) for line in lines] == [
        ("user a very long", 1, 3),
        ("user a or user b", 4, 5),
    ]


def test_a_continuation_may_end_the_file():
    assert texts("user a \\") == ["user a"]


def test_a_text_may_span_lines():
    lines = read('"First\n   second # no comment\n  third" # remark\nnext')
    assert [(line.text, line.number, line.end) for line in lines] == [
        ('"First\nsecond # no comment\nthird"', 1, 3),
        ("next", 4, 4),
    ]


def test_escaped_quotes_do_not_close_a_text_over_lines():
    assert texts('"He said \\"hi\n to her"') == ['"He said \\"hi\nto her"']


def test_a_text_keeps_its_blanks():
    assert texts('"say \\"a  b\\"  now"') == ['"say \\"a  b\\"  now"']


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('a\n"never\nclosed', 2, "this text is never closed"),
        ('a\n\n"""never\nclosed', 3, "this docstring is never closed"),
        ('"closed" and then\nb"', 1, "unexpected 'and then' after a text"),
    ],
)
def test_what_is_never_closed_is_an_error_where_it_opens(text, line, message):
    with pytest.raises(ColangSyntaxError) as caught:
        read(text)
    assert (caught.value.line, caught.value.message, caught.value.file) == (line, message, "x.co")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("define user x", True),
        ("  define  flow y", True),
        ("defined", False),
        ("# define user x", False),
        ('"""\ndefine user x\n"""', False),
        ("greeting:\n  user x", False),
    ],
)
def test_definitions_are_found_outside_of_comments_and_docstrings(text, expected):
    assert has_definitions(text) is expected
