"""`config.py` and `actions.py` of a configuration folder, and applications that are pickled."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pickle

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

CONFIG = """
models: [{type: main, engine: fake, model: m, parameters: {responses: ["from the model"]}}]
rails: {input: {flows: [chk]}}
"""
RAIL = """
define subflow chk
  $got = execute look(text=$user_message)
  if $got
    bot "$got"
    stop
"""
ACTIONS = """
from nemoguardrails.actions import action
from .words import GREETING

@action()
async def look(text):
    return f"{GREETING} {text}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "rails.co").write_text(RAIL)
    return tmp_path


def test_init_registers_what_the_rails_need(folder):
    (folder / "config.py").write_text(
        "def init(app):\n"
        "    async def look(text, who):\n"
        "        return f'{who} saw {text}'\n"
        "    app.register_action(look).register_action_param('who', 'init')\n"
    )
    assert LLMRails(RailsConfig.from_path(folder)).generate(prompt="hi") == "init saw hi"


async def test_init_may_be_asynchronous_inside_a_loop_too(folder):
    (folder / "config.py").write_text(
        "import asyncio\n"
        "async def init(app):\n"
        "    await asyncio.sleep(0)\n"
        "    app.register_action(lambda text: 'late', 'look')\n"
    )
    assert await LLMRails(RailsConfig.from_path(folder)).generate_async(prompt="hi") == "late"


def test_actions_of_the_folder_with_modules_beside_them(folder):
    (folder / "words.py").write_text("GREETING = 'hello'\n")
    (folder / "actions.py").write_text(ACTIONS)
    assert LLMRails(RailsConfig.from_path(folder)).generate(prompt="you") == "hello you"


def test_a_passthrough_function_set_by_init(folder):
    (folder / "config.yml").write_text("models: []\npassthrough: true\n")
    (folder / "config.py").write_text(
        "def init(app):\n"
        "    async def answer(context, events):\n"
        "        return 'mine'\n"
        "    app.passthrough_fn = answer\n"
    )
    assert LLMRails(RailsConfig.from_path(folder)).generate(prompt="hi") == "mine"


def test_a_module_that_fails(folder):
    (folder / "config.py").write_text("raise ValueError('broken')\n")
    with pytest.raises(RuntimeError) as caught:
        LLMRails(RailsConfig.from_path(folder))
    assert str(caught.value) == f"Failed to load configuration module at {folder / 'config.py'}."
    assert caught.value.__cause__ is not None


def test_an_init_that_fails(folder):
    (folder / "config.py").write_text("def init(app):\n    raise KeyError('broken')\n")
    with pytest.raises(RuntimeError) as caught:
        LLMRails(RailsConfig.from_path(folder))
    assert str(caught.value) == f"Failed to initialize configuration module at {folder / 'config.py'}."
    assert isinstance(caught.value.__cause__, KeyError)


def test_pickled_it_is_read_from_its_folder_again(folder):
    (folder / "words.py").write_text("GREETING = 'hello'\n")
    (folder / "actions.py").write_text(ACTIONS)
    made = pickle.loads(pickle.dumps(LLMRails(RailsConfig.from_path(folder))))
    assert made.generate(prompt="you") == "hello you"


def test_pickled_without_a_folder_it_keeps_its_configuration():
    made = LLMRails(
        RailsConfig.from_content(
            'define subflow chk\n  if $user_message == "hi"\n    bot "kept"\n    stop\n',
            "rails: {input: {flows: [chk]}}",
        ),
        FakeLLMModel(["never"]),
        verbose=True,
    )
    again = pickle.loads(pickle.dumps(made))
    assert again.verbose is True
    again.verbose = False
    assert again.llm is None
    assert again.generate(prompt="hi", options={"rails": ["input"]}).response == "kept"
