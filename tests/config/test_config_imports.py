"""Imports: where they are looked for, what they bring, and that the importer wins."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nemoguardrails.config.imports import imports_of, is_1_0, resolve
from nemoguardrails.config.rails_config import RailsConfig

Load = Callable[[dict[str, str]], RailsConfig]
Folder = Callable[[dict[str, str]], Path]


def test_an_imported_folder_brings_yaml_colang_and_documents(load: Load) -> None:
    config = load(
        {
            "config.yml": "import_paths: [../shared]",
            "../shared/x.yml": "rails: {input: {flows: [guard]}}",
            "../shared/guard.co": "define flow guard\n  bot refuse\n",
            "../shared/kb/a.md": "A",
        }
    )
    assert config.rails.input.flows == ["guard"]
    assert [source.origin for source in config.colang_sources] == ["imported"]
    assert [document.content for document in config.docs or []] == ["A"]
    assert list(config.imported_paths) == ["../shared"]
    assert Path(config.imported_paths["../shared"]).is_dir()


def test_the_importer_wins_for_values_messages_and_flows(load: Load) -> None:
    config = load(
        {
            "config.yml": "import_paths: [../shared]",
            "own.yml": "lowest_temperature: 0.5\nbot_messages: {m: [own]}\n"
            "rails: {input: {flows: [own], parallel: true}}",
            "own.co": 'define bot b\n  "own"\ndefine flow f\n  bot own\n',
            "../shared/config.yml": "lowest_temperature: 0.9\nbot_messages: {m: [shared]}\n"
            "rails: {input: {flows: [shared], parallel: false}}",
            "../shared/a.co": 'define bot b\n  "shared"\ndefine flow f\n  bot shared\n',
        }
    )
    assert config.lowest_temperature == 0.5
    assert config.rails.input.parallel is True
    assert config.rails.input.flows == ["own", "shared"]
    assert config.bot_messages == {"m": ["own"], "b": ["own"]}
    assert config.program.flows["f"].source == "bot own"


def test_imports_are_followed_once_and_the_nearer_wins(load: Load) -> None:
    config = load(
        {
            "config.yml": "import_paths: [../one]",
            "../one/c.yml": "import_paths: [../two, ../config]\ncustom_data: {x: one}",
            "../two/c.yml": "import_paths: [../one]\ncustom_data: {x: two, y: two}",
        }
    )
    assert config.custom_data == {"x": "one", "y": "two"}
    assert config.import_paths == ["../one", "../two", "../config"]


def test_a_colang_file_and_a_yaml_file_can_be_imported(load: Load) -> None:
    config = load(
        {
            "config.yml": "import_paths: [../shared/one.co, ../shared/two, ../shared/three.yml]",
            "../shared/one.co": 'define bot one\n  "1"\n',
            "../shared/two.co": 'define bot two\n  "2"\n',
            "../shared/three.yml": "custom_data: {three: 3}",
            "../shared/never.yml": "custom_data: {never: 1}",
        }
    )
    assert sorted(config.bot_messages) == ["one", "two"]
    assert config.custom_data == {"three": 3}


def test_colang_2_imports_resolve_beside_the_importing_file(load: Load) -> None:
    config = load(
        {
            "config.yml": 'colang_version: "2.x"',
            "sub/main.co": "import core\nimport near.by\nimport 'quoted'\n"
            "import nemoguardrails.library\nflow main\n  pass\n",
            "../outside/x.yml": "custom_data: {outside: 1}",
            "sub/near/by.co": "import ../../../outside  # a folder of configuration\nflow x\n  pass\n",
            "sub/quoted/q.co": "flow q\n  pass\n",
        }
    )
    assert set(config.imported_paths) == {
        "../../../outside",
        "core",
        "near.by",
        "nemoguardrails.library",
        "quoted",
    }
    assert len(config.colang_sources) == 3
    assert config.custom_data == {"outside": 1}


def test_colang_1_imports_do_nothing(load: Load) -> None:
    config = load({"config.yml": "", "a.co": 'import nowhere\ninclude nothing\ndefine bot b\n  "x"\n'})
    assert config.imported_paths == {}
    assert list(config.bot_messages) == ["b"]


@pytest.mark.parametrize(
    ("given", "shown"), [("a.b", "a.b"), ("a/b", "a.b"), ("nemoguardrails.server", "nemoguardrails.server")]
)
def test_an_import_that_is_nowhere_names_path_and_places(given: str, shown: str) -> None:
    with pytest.raises(ValueError, match=f"import path '{shown}' could not be resolved.*COLANGPATH"):
        RailsConfig.from_content(yaml_content=f"import_paths: [{given}]")


def test_the_order_of_places(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    places = ["importer/x", "path/x", "path/y", "cwd/x", "cwd/y", "cwd/z", "cwd/core"]
    root = folder({f"{place}/config.yml": "" for place in places})
    monkeypatch.chdir(root / "cwd")
    monkeypatch.setenv("COLANGPATH", str(root / "path"))
    importer = root / "importer"
    assert resolve("x", importer).path == importer / "x"
    assert resolve("y", importer).path == root / "path" / "y"
    assert resolve("z", importer).path.resolve() == root / "cwd" / "z"
    core = resolve("core", importer)
    assert core.is_library
    assert "stdlib" in core.path.parts
    monkeypatch.delenv("COLANGPATH")
    assert resolve("y", importer).path.resolve() == root / "cwd" / "y"


def test_the_library_is_open_to_imports_and_the_rest_of_the_house_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("nemoguardrails.library", None).is_library
    assert resolve("nemoguardrails/colang", None).is_library
    for closed in ("nemoguardrails.config", "nemoguardrails", "nemoguardrails/library/../config"):
        with pytest.raises(ValueError, match="could not be resolved"):
            resolve(closed, None)


def test_a_plug_in_package_is_open_to_imports(plug_in: str) -> None:
    found = resolve("acme_rails.price.flows", None)
    assert found.is_library
    assert found.path.name == "flows.co"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("import core", ["core"]),
        ("import a.b\nimport c/d  # why\n", ["a.b", "c/d"]),
        ("import \"q r\"\nimport 's'", ["q r", "s"]),
        ('"""\nimport hidden\n"""\n# import no\n  import indented\nimported x', []),
        ("flow a\n  import b", []),
    ],
)
def test_imports_are_read_from_the_text(text: str, paths: list[str]) -> None:
    assert imports_of(text) == paths


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("define flow x", True),
        ("  define bot y", True),
        ("flow define x", False),
        ('"""\ndefine flow x\n"""\nflow y', False),
        ("# define flow x\nflow y", False),
        ("", False),
    ],
)
def test_colang_1_is_known_by_a_definition(text: str, answer: bool) -> None:
    assert is_1_0(text) is answer
