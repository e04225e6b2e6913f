"""What is looked up before an answer: the knowledge base, the user's own action, and the rails on it."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from textwrap import dedent

import pytest

from guarded import activated, app, evented, response, streamed
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import ActionResult
from nemoguardrails.testing import FakeLLMModel

DIALOG = 'define user ask\n  "q"\n\ndefine flow\n  user ask\n  bot answer\n'
RAILS = dedent(
    """
    define subflow mask
      $relevant_chunks = execute upper(text=$relevant_chunks)

    define subflow no gold
      if "gold" in $relevant_chunks
        bot refuse to respond
        stop
    """
)
TEA = "# Tea\n\nGreen tea is sold on Mondays.\n\n# Ink\n\nInk is blue.\n"
REFUSAL = "I'm sorry, I can't respond to that."
NEUTRAL = "I'm sorry, an internal error has occurred."


def rails(*flows):
    return f"rails: {{retrieval: {{flows: [{', '.join(flows)}]}}}}"


async def upper(text):
    return text.upper()


def finds(text):
    """An action that finds a text, and how often it has done so."""

    async def find():
        find.calls += 1
        return ActionResult(text, context_updates={"relevant_chunks": text})

    find.calls = 0
    return find


def with_documents(colang, *replies, yaml=None):
    yaml = yaml or "models: []"
    config = RailsConfig.from_content(
        colang,
        yaml,
        {
            "docs": [{"format": "md", "content": TEA}],
            "core": {"embedding_search_provider": {"parameters": {"embedding_engine": "hash"}}},
            "knowledge_base": {"embedding_search_provider": {"parameters": {"embedding_engine": "hash"}}},
        },
    )
    return LLMRails(config, FakeLLMModel(list(replies)))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLUICE_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("colang", "replies"), [("", ("Hi",)), (DIALOG, ("  ask", '"Hi"'))], ids=["plain", "dialog"]
)
class TestEveryWayToAnAnswer:
    async def test_finds_what_the_documents_say(self, colang, replies):
        made = with_documents(colang, *replies)
        got = await response(
            made, "when is green tea sold?", output_vars=["relevant_chunks", "retrieved_for"]
        )
        assert "Mondays" in str(made.llm.calls[-1].prompt)
        assert "Mondays" in got.output_data["relevant_chunks"]
        assert got.output_data["retrieved_for"] == "when is green tea sold?"

    async def test_streams_find_it_too(self, colang, replies):
        made = with_documents(colang, *replies)
        assert "".join(await streamed(made, "green tea?")) == "Hi"
        assert "Mondays" in str(made.llm.calls[-1].prompt)

    async def test_asks_the_users_own_action_once(self, colang, replies):
        find = finds("fact one")
        made = app(colang, None, *replies, actions={"retrieve_relevant_chunks": find})
        await made.generate_async(prompt="hi")
        assert "fact one" in str(made.llm.calls[-1].prompt)
        assert find.calls == 1

    async def test_shows_the_model_what_rails_made_of_it(self, colang, replies):
        actions = {"retrieve_relevant_chunks": finds("fact one"), "upper": upper}
        made = app(colang + RAILS, rails("mask"), *replies, actions=actions)
        await made.generate_async(prompt="hi")
        assert "FACT ONE" in str(made.llm.calls[-1].prompt)
        assert "fact one" not in str(made.llm.calls[-1].prompt)

    async def test_ends_where_a_rail_blocks(self, colang, replies):
        def made():
            actions = {"retrieve_relevant_chunks": finds("gold")}
            return app(colang + RAILS, rails("no gold"), *replies, actions=actions)

        assert await made().generate_async(prompt="hi") == REFUSAL
        blocked, text, end = await evented(made())
        assert (blocked.rail, blocked.stage, text.text, end.kind) == (
            "no gold",
            "retrieval",
            REFUSAL,
            "finished",
        )
        got = await response(made(), log={"activated_rails": True})
        assert activated(got)[-1] == ("retrieval", "no gold", ["refuse to respond", "stop"], [], True)

    async def test_a_failure_lets_nothing_through(self, colang, replies):
        async def broken():
            raise OSError("secret address")

        made = app(colang, None, *replies, actions={"retrieve_relevant_chunks": broken})
        assert await made.generate_async(prompt="hi") == NEUTRAL

    async def test_rails_can_be_chosen_for_a_call(self, colang, replies):
        actions = {"retrieve_relevant_chunks": finds("gold"), "upper": upper}
        made = app(colang + RAILS, rails("no gold", "mask"), *replies, actions=actions)
        got = await response(made, rails={"retrieval": ["mask"]})
        assert got.response[0]["content"] == "Hi"


async def test_without_anything_to_look_up_a_plain_answer_has_one_action():
    got = await response(app(None, None, "Hi"), log={"activated_rails": True})
    assert activated(got)[0][3] == ["generate_user_intent"]


async def test_a_predefined_text_may_show_what_was_found():
    colang = DIALOG + 'define bot answer\n  "It says: $relevant_chunks"\n'
    made = app(colang, None, "  ask", actions={"retrieve_relevant_chunks": finds("fact")})
    assert await made.generate_async(prompt="hi") == "It says: fact"


async def test_once_in_a_turn_is_enough():
    find = finds("fact")
    made = app(
        DIALOG + "  bot more\n", None, "  ask", '"a"', '"b"', actions={"retrieve_relevant_chunks": find}
    )
    assert await made.generate_async(prompt="hi") == "a\nb"
    assert find.calls == 1


async def test_an_embeddings_model_is_the_default_of_all_searches():
    class Counted:
        engine_name = "counted"
        asked: list[str] = []  # noqa: RUF012  # the registry makes the object
        embedding_size = 2

        def __init__(self, embedding_model=None, **parameters):
            pass

        def encode(self, documents):
            self.asked.extend(documents)
            return [[1.0, float(len(text))] for text in documents]

    yaml = "models: [{type: embeddings, engine: counted, model: m}]"
    made = app(DIALOG, yaml, "  ask", '"Hi"').register_embedding_provider(Counted)
    assert await made.generate_async(prompt="hello") == "Hi"
    assert {"q", "hello"} <= set(Counted.asked)


async def test_the_searches_can_be_built_before_the_first_turn():
    made = with_documents(DIALOG, "  ask", '"Hi"')
    await made.warm_up()
    indexes = []
    made.register_embedding_search_provider("default", lambda **parameters: indexes.append(parameters))
    assert await made.generate_async(prompt="green tea?") == "Hi"
    assert indexes == []
    assert "Mondays" in str(made.llm.calls[-1].prompt)
