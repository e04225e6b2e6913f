"""Whatever a Colang 1.0 text looks like, the parser gives a tree or a ColangSyntaxError, in linear time."""

# SPDX-License-Identifier: Apache-2.0

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.colang.load import parse_sources
from nemoguardrails.colang.source import ColangSyntaxError, SourceText
from nemoguardrails.colang.v1_0.parser import parse

PROGRAM = '''
# Orders.
define user order pizza
  "a pizza, please"
  "pizza with $topping"

define bot confirm
  "Your pizza with $topping
  is on its way." # soon
  if $x
    "{{ topping }}!"

define extension flow order
  priority 1.5
  user order pizza or
    user order cake
  $n = 0
  while $n < 3
    # Ask kindly.
    bot ask topping "Which one?"
    when user give topping
      $topping = execute find(text=$last_user_message, k=["a", 1])
    else when event UserSilent(kind="long")
      break
    if $topping and not $config.closed
      bot confirm
      goto end
    else if $n == 1
      do help with n=$n
    else
      create event Refused(n=$n)
      stop
    $n += 1
  label end
  """That
  is all."""
  check $n > 0
  return

define subflow help:
  bot $hint
  $hint = ...
'''
PIECES = [
    "\n",
    " ",
    "  ",
    "\t",
    '"',
    '"""',
    "'",
    "#",
    "\\",
    ":",
    "(",
    ")",
    "[",
    "{",
    "$",
    ".",
    "=",
    " or ",
    "\r",
    "\0",
    "é",
]
WORDS = sorted(set(PROGRAM.split()))


@st.composite
def damaged_programs(draw):
    text = PROGRAM
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        new = draw(st.lists(st.sampled_from(PIECES + WORDS), max_size=4))
        text = text[:start] + draw(st.sampled_from(["", " ", "\n"])).join(new) + text[end:]
    return text


def read(text):
    try:
        parse_sources([SourceText("x.co", text)])
    except ColangSyntaxError as error:
        return error
    return None


@given(damaged_programs())
def test_a_damaged_program_is_read_or_refused_with_its_place(text):
    error = read(text)
    if error is not None:
        assert error.file == "x.co"
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.message


@given(st.text(st.sampled_from('defin uswrbotlwhx$"#\n\n  ()=.:\\[]{}'), max_size=300))
def test_any_text_is_read_or_refused(text):
    read("define flow x\n  " + text)


def test_the_program_itself_is_read():
    assert read(PROGRAM) is None


def calls_to_parse(text):
    """Function calls that parsing takes: the work, whatever the machine."""
    count = 0

    def count_call(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        parse(text)
    except ColangSyntaxError:
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "part",
    [
        "define flow f{0}\n  user a\n  if $x == {0}\n    bot b\n  else\n    stop\n",
        'define bot same name\n  "text {0}"\n',
        'define bot b{0}\n  "a text\n  over lines"\n',
        "# a comment {0}\n\n",
        'define user u{0}\n  "[a](b) and $c"\n  "x" and "y"\n',
    ],
)
def test_the_work_grows_with_the_length(part):
    once = calls_to_parse("".join(part.format(number) for number in range(100)))
    fourfold = calls_to_parse("".join(part.format(number) for number in range(400)))
    assert fourfold <= once * 4 * 1.1 + 100


@pytest.mark.parametrize(
    "line",
    [
        "  user a" + " or user b" * 20_000,
        "  user a" + " with a" * 20_000,
        '  bot a "' + '" ' * 50_000,
        "  execute a(" + "(" * 50_000,
        "  if " + "(" * 5_000,
        "  if " + "not " * 2_000 + "$x\n    stop",
        "  if " + "-" * 5_000 + "1\n    stop",
        "  if $x" + " + 1" * 2_000 + "\n    stop",
        "  $x = $a" + ".b" * 4_000,
        "  execute a(k=" + "[" * 2_000 + "])",
        '  "a\n' * 20_000,
        "  $a" + " " * 100_000 + "-",
        '  meta {"a":' * 1 + "[" * 50_000,
        "  meta\n    a: " + "(" * 5_000,
        "  user a \\\n" * 20_000,
    ],
)
def test_hostile_lines_neither_hang_nor_overflow(line):
    # A quadratic step over such a line would run into the time-out of the test.
    read("define flow x\n" + line)
