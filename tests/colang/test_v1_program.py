"""Sources to program: merging, extending, selecting."""

# SPDX-License-Identifier: Apache-2.0

import pytest

from nemoguardrails.colang.load import library_program, parse_sources
from nemoguardrails.colang.source import ColangSyntaxError, SourceText


def program(*texts, **files):
    sources = [SourceText(f"{number}.co", text) for number, text in enumerate(texts)]
    sources += [SourceText(f"{name}.co", text) for name, text in files.items()]
    return parse_sources(sources)


def texts_of(messages):
    return {name: message.texts for name, message in messages.items()}


def test_definitions_of_one_file_add_up():
    one = program(
        'define user a\n  "1"\ndefine user a\n  "2"\ndefine bot b\n  "x"\ndefine bot b\n  "y"\n'
        'define flow f\n  user a\n  bot b "z"\n  bot c\n    "c1"\n    "c2"\n'
    )
    assert texts_of(one.user_messages) == {"a": ("1", "2")}
    assert texts_of(one.bot_messages) == {"b": ("x", "y", "z"), "c": ("c1", "c2")}
    assert (one.bot_messages["b"].file, one.bot_messages["b"].line) == ("0.co", 5)
    assert one.warnings == ()


def test_references_bring_the_examples_of_another_intent():
    one = program('define user a\n  "1"\n  b\n  nowhere\ndefine user b\n  "2"\n  a')
    assert texts_of(one.user_messages) == {"a": ("1", "2"), "b": ("2", "1")}
    assert one.warnings == ("0.co, line 1: 'nowhere' is neither quoted nor an intent, in `user a`",)


def test_the_first_of_two_files_counts():
    one = program(
        'define bot b\n  "1"\ndefine flow f\n  bot one\n',
        'define bot b\n  "2"\ndefine flow f\n  bot two\n\ndefine flow g\n  bot b\n',
    )
    assert texts_of(one.bot_messages) == {"b": ("1",)}
    assert [(flow.name, flow.source, flow.file, flow.line) for flow in one.flows.values()] == [
        ("f", "bot one", "0.co", 3),
        ("g", "bot b", "1.co", 6),
    ]
    assert one.warnings == (
        "1.co, line 1: bot message 'b' is already defined in 0.co, line 1; the definition there counts",
        "1.co, line 3: flow 'f' is already defined in 0.co, line 3; the definition there counts",
    )


def test_texts_of_samples_define_nothing():
    assert texts_of(program('define sample flow f\n  bot b "x"').bot_messages) == {}


def test_files_without_define_are_read_if_they_are_colang_1():
    one = program("greeting flow:\n  user a\n  bot b", 'def bot b\n  "x"', "# nothing\n\n")
    assert (list(one.flows), list(one.bot_messages), one.warnings) == (["greeting flow"], ["b"], ())


def test_files_of_another_language_are_skipped_with_a_warning():
    one = program("flow main\n  user said something\n", "what is this\n")
    assert one.flows == {}
    assert [warning.split(":")[0] for warning in one.warnings] == ["0.co", "1.co"]


def test_an_error_in_a_file_of_short_definitions_is_raised():
    with pytest.raises(ColangSyntaxError):
        program('def bot b\n  "x')


def test_other_versions_are_refused():
    with pytest.raises(ValueError, match="2"):
        parse_sources([], version="2.x")


class TestExtending:
    OWN = 'define bot refuse\n  "Nope."\ndefine flow check\n  bot own\n'
    LIBRARY = (
        'define bot refuse\n  "I cannot."\ndefine bot other\n  "Other."\n'
        "define flow check\n  bot library\ndefine flow more\n  bot other\n"
    )

    def test_the_user_wins(self):
        both = program(self.OWN).extended(program(self.LIBRARY))
        assert texts_of(both.bot_messages) == {"refuse": ("Nope.",), "other": ("Other.",)}
        assert [(name, flow.source) for name, flow in both.flows.items()] == [
            ("check", "bot own"),
            ("more", "bot other"),
        ]
        assert both.warnings == ()

    def test_library_flows_do_not_start_by_themselves(self):
        both = program(self.OWN).extended(program(self.LIBRARY))
        assert [flow.starts for flow in both.flows.values()] == [True, False]

    def test_but_those_named_do(self):
        both = program(self.OWN).extended(program(self.LIBRARY), starting=["more"])
        assert [flow.starts for flow in both.flows.values()] == [True, True]

    def test_imported_flows_do(self):
        both = program(self.OWN).extended(program(self.LIBRARY), starts=True)
        assert [flow.starts for flow in both.flows.values()] == [True, True]

    def test_rails_do_not(self):
        assert not program(self.OWN).with_rails({"check"}).flows["check"].starts

    def test_messages_of_a_configuration(self):
        one = program(self.OWN).with_messages(user={"a": ["1"]}, bot={"refuse": ["no"], "x": ["y"]})
        assert texts_of(one.user_messages) == {"a": ("1",)}
        assert texts_of(one.bot_messages) == {"refuse": ("Nope.",), "x": ("y",)}

    def test_selecting_what_rails_need(self):
        library = program(
            'define bot a\n  "A"\ndefine bot b\n  "B"\ndefine bot c\n  "C"\ndefine user u\n  "U"\n'
            "define subflow one\n  bot a\n  do two\ndefine subflow two\n  bot b\n"
            "define subflow three\n  bot c\n"
        )
        one = library.selected(["one"])
        assert (list(one.flows), list(one.bot_messages), one.user_messages) == (
            ["one", "two"],
            ["a", "b"],
            {},
        )
        assert list(library.selected(["two"], messages=["c"]).bot_messages) == ["b", "c"]


def test_a_library_is_read_once(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "flows.v1.co").write_text("define subflow b\n  stop\n", encoding="utf-8")
    (tmp_path / "a.v1.co").write_text("define subflow a\n  stop\n", encoding="utf-8")
    (tmp_path / "flows.co").write_text("flow c\n  abort\n", encoding="utf-8")
    library = library_program(tmp_path)
    assert list(library.flows) == ["a", "b"]
    assert library_program(str(tmp_path)) is library
    assert list(library_program(tmp_path / "a.v1.co").flows) == ["a"]
