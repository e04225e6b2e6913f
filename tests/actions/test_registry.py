"""Finding actions: names, layers, folders, the library."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nemoguardrails import plugins
from nemoguardrails.actions import action
from nemoguardrails.actions.builtin import register_built_in_actions
from nemoguardrails.actions.folders import ConfigPackage
from nemoguardrails.actions.registry import LIBRARY, ActionRegistry, library_actions, spellings
from nemoguardrails.exceptions import ConfigurationError

IMPORT = "from nemoguardrails.actions import action\n"


@pytest.fixture
def registry(tmp_path: Path) -> ActionRegistry:
    """A registry without library."""
    return ActionRegistry(library=tmp_path / "no library")


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / name.replace("__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


class TestNames:
    @pytest.mark.parametrize(
        "asked", ["call cleanlab api", "call_cleanlab_api", "CallCleanlabApi", "CallCleanlabApiAction"]
    )
    @pytest.mark.parametrize(
        "registered", ["call cleanlab api", "call_cleanlab_api", "CallCleanlabApiAction"]
    )
    def test_every_style_finds_every_style(self, registry, registered, asked):
        registry.register(print, registered)
        assert registry[asked] is print

    def test_an_exact_name_wins_over_a_similar_one(self, registry):
        registry.register(min, "SayHello")
        registry.register(max, "say_hello")
        assert registry["SayHello"] is min
        assert registry["say_hello"] is max
        assert registry["say hello"] is max

    def test_a_name_that_ends_in_action_of_itself_is_found(self, registry):
        registry.register(print, "my_action")
        assert registry["MyAction"] is print
        assert registry["MyActionAction"] is print

    def test_action_alone_is_a_name(self):
        assert spellings("Action") == ("action",)

    def test_the_decorator_names_else_the_function(self, registry):
        @action(name="given")
        def one(): ...

        def two(): ...

        assert registry.register(one) == "given"
        assert registry.register(two) == "two"
        assert registry.register(two, "three") == "three"
        assert list(registry) == ["given", "two", "three"]

    def test_no_name_is_an_error(self, registry):
        with pytest.raises(ValueError, match="needs a name"):
            registry.register(object())

    def test_unknown_name(self, registry):
        assert registry.find("nobody") is None
        assert "nobody" not in registry
        with pytest.raises(KeyError):
            registry["nobody"]


class TestLayers:
    def test_the_user_wins_over_built_in_whatever_the_order(self, registry):
        registry.register(min, "greet")
        registry.register_built_in(max, "greet")
        assert registry["greet"] is min

    def test_the_user_wins_over_an_exact_built_in_name_in_another_style(self, registry):
        registry.register_built_in(max, "greet_user")
        registry.register(min, "GreetUserAction")
        assert registry["greet_user"] is min

    def test_the_latest_of_the_user_wins(self, registry):
        registry.register(min, "greet")
        registry.register(max, "greet")
        assert registry["greet"] is max

    def test_built_in_actions_are_there(self, registry):
        register_built_in_actions(registry)
        assert registry.find("create event").is_system
        assert "GetCurrentDateTimeAction" in registry
        assert len(registry) == 2

    def test_plug_ins_are_loaded_when_asked_for(self, registry, monkeypatch):
        loaded = []

        class Point:
            def load(self):
                loaded.append("yes")
                return min

        points = {"from_a_plugin": Point()}
        monkeypatch.setattr(plugins, "entry_points", lambda group: points)
        assert "from_a_plugin" in list(registry)
        assert loaded == []
        assert registry["FromAPluginAction"] is min
        assert registry["from_a_plugin"] is min
        assert loaded == ["yes"]


class TestLibrary:
    def test_actions_are_found_in_the_text_and_imported_when_asked_for(self, tmp_path):
        write(
            tmp_path / "library",
            rail__actions_py=(
                '@action(\n    is_system_action=True,\n    name="check it",\n)\n'
                "async def check_it_action():\n    ...\n\n\n"
                "@action()\ndef other():\n    ...\n\n\ndef undeclared():\n    ...\n"
            ),
        )
        found = library_actions(tmp_path / "library")
        assert found == {
            "check it": "nemoguardrails.library.rail.actions:check_it_action",
            "other": "nemoguardrails.library.rail.actions:other",
        }

    def test_the_index_names_what_the_modules_declare(self):
        declared = {}
        for folder in plugins.folders(LIBRARY, "actions.py"):
            name = ".".join(("nemoguardrails.library", *folder.relative_to(LIBRARY).parts, "actions"))
            for attribute, member in vars(importlib.import_module(name)).items():
                meta = getattr(member, "action_meta", None)
                if meta is not None and getattr(member, "__module__", "") == name:
                    declared[meta["name"]] = f"{name}:{attribute}"
        assert library_actions() == declared


class TestFolders:
    def test_declared_members_of_file_and_folder_are_registered(self, registry, tmp_path):
        write(
            tmp_path,
            actions_py=f"{IMPORT}@action()\ndef one(): return 1\ndef not_one(): ...\n",
            actions__sub__deep_py=f"{IMPORT}@action(name='Two')\nclass Any:\n    def run(self): ...\n",
        )
        registry.register_folder(ConfigPackage(tmp_path))
        assert sorted(registry) == ["Two", "one"]

    def test_modules_of_the_folder_import_each_other_relatively(self, registry, tmp_path):
        write(
            tmp_path,
            prices_py="PRICE = 3\n",
            config_py="from .prices import PRICE\nfrom . import actions\n",
            actions_py=(f"{IMPORT}from . import prices\n@action()\ndef price(): return prices.PRICE\n"),
        )
        package = ConfigPackage(tmp_path)
        config = package.module("config")
        registry.register_folder(package)
        assert config.PRICE == 3
        assert registry["price"]() == 3
        assert config.actions.price is registry["price"]

    def test_a_package_of_actions_imports_relatively(self, registry, tmp_path):
        write(
            tmp_path,
            actions____init___py="",
            actions__shared_py="WORD = 'hi'\n",
            actions__say_py=(f"{IMPORT}from .shared import WORD\n@action()\ndef say(): return WORD\n"),
        )
        (tmp_path / "actions" / "__init__.py").write_text("")
        registry.register_folder(ConfigPackage(tmp_path))
        assert registry["say"]() == "hi"

    def test_two_packages_of_one_folder_share_nothing(self, tmp_path):
        write(tmp_path, config_py="THINGS = []\n")
        first, second = ConfigPackage(tmp_path).module("config"), ConfigPackage(tmp_path).module("config")
        assert first.THINGS is not second.THINGS

    def test_a_module_runs_once_per_package(self, tmp_path):
        write(tmp_path, config_py="THINGS = []\n")
        package = ConfigPackage(tmp_path)
        assert package.module("config") is package.module("config")

    def test_missing_files_are_no_error(self, tmp_path):
        assert ConfigPackage(tmp_path).module("config") is None
        assert list(ConfigPackage(tmp_path).action_modules()) == []

    @pytest.mark.parametrize("file", ["actions_py", "actions__broken_py"])
    def test_an_error_names_the_file_and_keeps_the_cause(self, registry, tmp_path, file):
        write(tmp_path, **{file: "1 / 0\n"})
        with pytest.raises(
            ConfigurationError, match=r"actions.*\.py cannot be loaded: ZeroDivisionError"
        ) as raised:
            registry.register_folder(ConfigPackage(tmp_path))
        assert isinstance(raised.value.__cause__, ZeroDivisionError)

    def test_a_file_beside_a_folder_that_fails_leaves_no_module(self, registry, tmp_path):
        write(tmp_path, actions_py="1 / 0\n", actions__fine_py="")
        package = ConfigPackage(tmp_path)
        with pytest.raises(ConfigurationError):
            registry.register_folder(package)
        assert f"{package.name}.actions-file" not in sys.modules

    def test_own_definitions_win_over_imported_ones(self, registry):
        @action(name="same")
        def imported(): ...

        @action(name="same")
        def own(): ...

        module = ModuleType("somewhere")
        own.__module__ = "somewhere"
        module.own, module.imported = own, imported
        registry.register_module(module)
        assert registry["same"] is own

    def test_a_subclass_is_not_declared_by_its_parent(self, registry):
        @action(name="parent")
        class Parent: ...

        class Child(Parent): ...

        module = ModuleType("somewhere")
        module.Parent, module.Child = Parent, Child
        registry.register_module(module)
        assert list(registry) == ["parent"]
        assert registry["parent"] is Parent
