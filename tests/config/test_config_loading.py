"""Loading a folder, a file or texts: what is found, in which order, and what errors say."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemoguardrails.config.rails_config import RailsConfig

Load = Callable[[dict[str, str]], RailsConfig]
Folder = Callable[..., Path]

MODEL = "models: [{type: main, engine: openai, model: m}]\n"


def codes(config: RailsConfig) -> list[str]:
    return [entry.code for entry in config.load_report]


def test_yaml_and_colang_are_found_at_any_depth(load: Load) -> None:
    config = load(
        {
            "config.yml": MODEL,
            "deep/er/rails.yaml": "rails: {input: {flows: [a]}}",
            "rails/talk.co": 'define bot hello\n  "Hi"\n',
            "notes.txt": "not: read",
        }
    )
    assert config.models[0].model == "m"
    assert config.rails.input.flows == ["a"]
    assert config.bot_messages == {"hello": ["Hi"]}
    assert config.custom_data == {}


def test_the_same_files_load_alike_whatever_the_order_of_their_creation(tmp_path: Path) -> None:
    files = {
        "config.yml": "lowest_temperature: 0.1\nrails: {input: {flows: [one]}}",
        "a.yml": "rails: {input: {flows: [two]}}\ncustom_data: {x: a}",
        "b/c.yml": "rails: {output: {flows: [out]}}\ncustom_data: {x: c}",
        "z.co": 'define bot hello\n  "from z"\n',
        "m.co": 'define bot hello\n  "from m"\n',
    }
    dumps = []
    for seed in range(5):
        root = tmp_path / str(seed)
        order = sorted(files)
        random.Random(seed).shuffle(order)
        for name in order:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(files[name])
        config = RailsConfig.from_path(str(root))
        dumps.append(config.model_dump(exclude={"config_path"}))
    assert all(dump == dumps[0] for dump in dumps)
    assert dumps[0]["rails"]["input"]["flows"] == ["one", "two"]
    assert dumps[0]["custom_data"] == {"x": "c"}
    assert dumps[0]["bot_messages"] == {"hello": ["from z"]}


def test_a_single_yaml_file_loads_alone_with_its_imports(folder: Folder) -> None:
    root = folder(
        {
            "one.yml": MODEL + "import_paths: [shared]",
            "two.yml": "rails: {input: {flows: [never]}}",
            "shared/s.yml": "rails: {output: {flows: [o]}}",
            "kb/x.md": "text",
        }
    )
    config = RailsConfig.from_path(str(root / "one.yml"))
    assert config.rails.input.flows == []
    assert config.rails.output.flows == ["o"]
    assert config.docs is None
    assert config.config_path == str(root / "one.yml")


@pytest.mark.parametrize("path", ["a,b", " a", "a ", ",", "\ta"])
def test_a_path_with_a_comma_or_outer_blanks_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot contain commas or begin or end with white space"):
        RailsConfig.from_path(path)


@pytest.mark.parametrize("name", ["missing", "lone.co", "text.txt"])
def test_a_path_that_is_no_folder_and_no_yaml_is_refused(folder: Folder, name: str) -> None:
    root = folder({"lone.co": "define bot a\n  'x'", "text.txt": "x"})
    with pytest.raises(ValueError, match="invalid config path"):
        RailsConfig.from_path(str(root / name))


def test_the_given_path_is_kept_as_it_was(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder({"config.yml": MODEL})
    monkeypatch.chdir(root.parent)
    assert RailsConfig.from_path("config").config_path == "config"
    assert RailsConfig.from_path(root).config_path == str(root)
    assert RailsConfig.from_content(yaml_content=MODEL).config_path is None


def test_content_is_joined_in_order_and_nothing_given_is_changed() -> None:
    given = {"rails": {"input": {"flows": ["a"]}}, "custom_data": {"k": 1}, "mine": object()}
    config = RailsConfig.from_content(
        'define bot hello\n  "Hi"\n', "rails: {input: {flows: [b]}}\ncustom_data: {k: 2}", given
    )
    assert config.rails.input.flows == ["a", "b"]
    assert config.custom_data == {"k": 2, "mine": given["mine"]}
    assert given["rails"] == {"input": {"flows": ["a"]}}
    assert [source.path for source in config.colang_sources] == ["main.co"]


def test_nothing_at_all_is_a_configuration() -> None:
    config = RailsConfig.from_content()
    assert config.models == []
    assert list(config.load_report) == []


def test_a_raw_dict_is_validated() -> None:
    config = RailsConfig.parse_object(
        {"models": [{"type": "main", "engine": "openai", "model": "m"}], "extra": 1}
    )
    assert config.models[0].engine == "openai"
    assert config.custom_data == {"extra": 1}


EMPTY = [
    "",
    "# only a comment",
    "rails:",
    "rails: {input: }",
    "rails: {input: {flows: }}",
    "rails: {config: }",
    "rails: {config: {defaults: }}",
    "rails: {output: {streaming: {chunk_size: }}}",
    "models:",
    "models: [{type: main, engine: openai, model: m, parameters: , cache: }]",
    "instructions:",
    "prompts:",
    "docs:",
    "flows:",
    "custom_data:",
    "import_paths:",
    "tracing: {adapters: }",
    "colang_version:",
    "sample_conversation:",
    "knowledge_base: {embedding_search_provider: {parameters: }}",
]


@pytest.mark.parametrize("text", EMPTY)
def test_a_key_without_a_value_counts_as_absent(load: Load, text: str) -> None:
    reference = RailsConfig.from_content().model_dump(exclude={"models"})
    assert RailsConfig.from_content(yaml_content=text).model_dump(exclude={"models"}) == reference
    config = load({"config.yml": MODEL, "other.yml": text})
    assert config.rails.output.streaming.chunk_size == 200
    assert config.instructions


def test_null_keeps_its_meaning_where_it_has_one() -> None:
    config = RailsConfig.from_content(
        yaml_content="prompts: [{task: t, content: c, max_length: null}]\ncustom_data: {a: null}"
    )
    assert config.prompts is not None
    assert config.prompts[0].max_length is None
    assert config.custom_data == {"a": None}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2", "broken.yml, line 2: not valid YAML"),
        ("a: 1\nb: {x\nc: 2", "line 3: not valid YAML"),
        ("- a\n- b", "broken.yml: the top level must be a mapping"),
        ("just text", "broken.yml: the top level must be a mapping"),
        ("lowest_temperature: warm", "lowest_temperature"),
        ("rails: {input: {flows: self check}}", "rails.input.flows"),
        ("rails: []", "broken.yml"),
        ("models: [{type: main}]", "models.0.engine"),
    ],
)
def test_an_error_names_the_file_and_the_key(folder: Folder, text: str, says: str) -> None:
    root = folder({"config.yml": "", "broken.yml": text})
    with pytest.raises(ValueError) as caught:
        RailsConfig.from_path(str(root))
    assert says in str(caught.value)
    assert "broken.yml" in str(caught.value)


def test_a_wrong_entry_of_a_joined_list_names_its_own_file(folder: Folder) -> None:
    root = folder(
        {"config.yml": MODEL, "b.yml": "models: [{type: x, engine: openai, mode: voice, model: m}]"}
    )
    with pytest.raises(ValueError) as caught:
        RailsConfig.from_path(str(root))
    assert "b.yml" in str(caught.value)
    assert "config.yml" not in str(caught.value)


def test_a_file_that_is_not_utf_8_is_named(folder: Folder) -> None:
    root = folder({"config.yml": ""})
    (root / "latin.yml").write_bytes(b"a: \xe9")
    with pytest.raises(ValueError, match=r"latin\.yml: the file is not UTF-8"):
        RailsConfig.from_path(str(root))


def test_a_byte_order_mark_is_no_text(folder: Folder) -> None:
    root = folder({})
    root.mkdir()
    (root / "config.yml").write_bytes(b"\xef\xbb\xbfcustom_data: {a: 1}\r\n")
    assert RailsConfig.from_path(str(root)).custom_data == {"a": 1}


def test_a_key_that_stands_twice_is_reported(load: Load) -> None:
    config = load({"config.yml": "rails: {input: {flows: [a]}}\nrails: {output: {flows: [b]}}"})
    assert [(entry.code, entry.key) for entry in config.load_report] == [("repeated-key", "rails")]
    assert "line 2" in config.load_report[0].message


def test_a_colang_error_fails_loading_and_names_file_and_line(folder: Folder) -> None:
    root = folder({"config.yml": "", "rails/bad.co": "define flow a\n  user b\n  nonsense here\n"})
    with pytest.raises(ValueError, match=r"rails/bad\.co, line 3"):
        RailsConfig.from_path(str(root))
    with pytest.raises(ValueError, match=r"main\.co, line 2"):
        RailsConfig.from_content("define flow a\n  nonsense here\n")


def test_what_colang_defines_can_be_read() -> None:
    config = RailsConfig.from_content(
        'define user greet\n  "hi"\ndefine bot hello\n  "Hi"\ndefine flow talk\n  user greet\n  bot hello\n',
        "bot_messages: {hello: [Other], more: [More]}\nflows: [{elements: [{user: x}]}]",
    )
    assert config.user_messages == {"greet": ["hi"]}
    assert config.bot_messages == {"hello": ["Hi"], "more": ["More"]}
    assert [flow["id"] for flow in config.flows] == ["flow 1", "talk"]
    assert list(config.program.flows) == ["talk"]
    assert config.program is config.program


def test_of_two_definitions_in_one_folder_the_later_file_wins_and_the_report_says_so(load: Load) -> None:
    config = load({"config.yml": "", "a.co": 'define bot x\n  "a"\n', "b.co": 'define bot x\n  "b"\n'})
    assert config.bot_messages == {"x": ["b"]}
    assert any("already defined" in entry.message and "b.co" in entry.message for entry in config.load_report)


def test_colang_in_the_other_language_is_left_out_with_a_warning(load: Load) -> None:
    old = "# define\ndefine bot x\n  'a'\n"
    config = load({"config.yml": 'colang_version: "2.x"', "old.co": old, "new.co": "flow main\n  pass\n"})
    assert [source.path[-6:] for source in config.colang_sources] == ["new.co"]
    assert "other-language" in codes(config)
    config = load({"config.yml": 'colang_version: "1.0"'})
    assert any("new.co" in entry.message and "skipped" in entry.message for entry in config.load_report)


@pytest.mark.parametrize(
    ("given", "normal"),
    [("1.0", "1.0"), ('"1.0"', "1.0"), ("1", "1.0"), ("2.x", "2.x"), ("2.0", "2.x"), ("2", "2.x")],
)
def test_versions_are_read_however_they_are_written(given: str, normal: str) -> None:
    assert RailsConfig.from_content(yaml_content=f"colang_version: {given}").colang_version == normal
    assert RailsConfig(models=[], colang_version=given.strip('"')).colang_version == normal


def test_an_unsupported_version_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"unsupported colang version '3\.0'.*1\.0 or 2\.x"):
        RailsConfig.from_content(yaml_content='colang_version: "3.0"')


KB = {
    "kb/a.md": "A",
    "kb/sub/b.md": "B",
    "kb/c.txt": "C",
    "kb/rails.yml": "broken: [",
    "kb/x.co": "define flow",
}


def test_only_markdown_inside_the_folder_of_documents_is_a_document(load: Load) -> None:
    config = load(
        {"config.yml": "docs: [{format: md, content: Y}]", "kb_rails.yml": "custom_data: {a: 1}", "x.md": "X"}
        | KB
    )
    assert config.docs is not None
    assert [document.content for document in config.docs] == ["Y", "A", "B"]
    assert {document.format for document in config.docs} == {"md"}
    assert config.custom_data == {"a": 1}
    assert config.colang_sources == []


def test_the_folder_of_documents_can_be_named(load: Load) -> None:
    config = load(
        {
            "config.yml": "knowledge_base: {folder: ./books}",
            "books/a.md": "A",
            "books/x.yml": "broken: [",
            "kb/b.md": "B",
            "kb/rails.yml": "custom_data: {kb: 1}",
            "booksellers/c.md": "C",
        }
    )
    assert config.docs is not None
    assert [document.content for document in config.docs] == ["A"]
    assert config.custom_data == {"kb": 1}


def test_a_named_folder_without_documents_is_reported(load: Load) -> None:
    config = load({"config.yml": "knowledge_base: {folder: ../elsewhere}", "kb/a.md": "A"})
    assert config.docs is None
    assert codes(config) == ["no-documents"]


def test_ignored_files_are_left_out_and_reported(load: Load) -> None:
    config = load(
        {
            ".railsignore": "# comment\n\n*_draft.yml\ntests/\nsub/only.co\n",
            "config.yml": "",
            "deep/x_draft.yml": "broken: [",
            "tests/any.yml": "broken: [",
            "tests/deep/any.co": "define flow",
            "sub/only.co": "define flow",
            "other/only.co": 'define bot kept\n  "x"\n',
        }
    )
    assert list(config.bot_messages) == ["kept"]
    assert codes(config) == ["ignored-file"] * 4
    assert {entry.severity for entry in config.load_report} == {"info"}


def test_an_ignore_file_above_the_folder_counts_and_is_reported_as_a_danger(folder: Folder) -> None:
    root = folder({"config.yml": "", "rails.yml": "rails: {input: {flows: [a]}}"})
    (root.parent / ".railsignore").write_text("rails.yml\n")
    config = RailsConfig.from_path(str(root))
    assert config.rails.input.flows == []
    assert codes(config) == ["ignore-file-elsewhere", "ignored-file"]
    assert {entry.severity for entry in config.load_report} == {"warning"}
    (root / ".railsignore").write_text("")
    assert RailsConfig.from_path(str(root)).rails.input.flows == ["a"]


def test_linked_folders_are_followed_and_circles_end(folder: Folder, tmp_path: Path) -> None:
    root = folder({"config.yml": ""})
    elsewhere = folder({"more.yml": "custom_data: {linked: 1}"}, "elsewhere")
    os.symlink(elsewhere, root / "link")
    os.symlink(root, root / "circle")
    assert RailsConfig.from_path(str(root)).custom_data == {"linked": 1}


def test_streaming_is_read_silently_and_warns_when_asked_for() -> None:
    for text in ("streaming: true", "streaming: {enabled: true}"):
        config = RailsConfig.from_content(yaml_content=text)
        config.model_dump()
        repr(config)
        config.model_copy(deep=True)
        assert codes(config) == ["legacy"]
        with pytest.warns(DeprecationWarning, match="stream_async"):
            assert config.streaming is True
    with pytest.warns(DeprecationWarning, match="stream_async"):
        assert RailsConfig(models=[], streaming={"enabled": False}).streaming is False


def test_a_configuration_survives_copies_and_pickles() -> None:
    import pickle

    config = RailsConfig.from_content('define bot hello\n  "Hi"\n', MODEL)
    for copy in (config.model_copy(), config.model_copy(deep=True), pickle.loads(pickle.dumps(config))):
        assert copy.model_dump() == config.model_dump()
        assert copy.colang_sources == config.colang_sources
        assert list(copy.program.bot_messages) == ["hello"]
    again = RailsConfig(**config.model_dump())
    assert again.bot_messages == {"hello": ["Hi"]}


def test_making_a_configuration_in_code_brings_no_yaml_no_colang_and_no_rail() -> None:
    code = (
        "import sys; from nemoguardrails.rails.llm.config import RailsConfig; RailsConfig(models=[]);"
        "heavy = ('yaml', 'jinja2', 'aiohttp', 'numpy', 'regex', 'rich', 'nemoguardrails.colang',"
        " 'nemoguardrails.library', 'nemoguardrails.config.load');"
        "found = [name for name in heavy if name in sys.modules]; sys.exit(repr(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_faulty_import_in_the_middle_of_a_folder_names_the_import(folder: Folder) -> None:
    root = folder({"config.yml": "import_paths: [a, gone]", "a/x.yml": ""})
    with pytest.raises(ValueError, match="import path 'gone' could not be resolved"):
        RailsConfig.from_path(str(root))


def test_hidden_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("models: []")
    hidden = tmp_path / ".venv" / "lib"
    hidden.mkdir(parents=True)
    (hidden / "other.yml").write_text("models: [{type: main, engine: openai, model: stranger}]")
    assert RailsConfig.from_path(str(tmp_path)).models == []


def test_tracing_that_is_switched_on_is_said_to_do_nothing() -> None:
    config = RailsConfig.from_content(yaml_content="tracing: {enabled: true}")
    assert codes(config) == ["no-effect"]
    assert codes(RailsConfig.from_content(yaml_content="tracing: {enabled: false}")) == []
