"""Dialogs that go on from turn to turn: by the list of messages, by a state; who sees what; what it costs."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent

import pytest

from guarded import app, inputs, streamed
from nemoguardrails.colang.v1_0.machine import Machine
from nemoguardrails.exceptions import InvalidStateError
from nemoguardrails.runtime.conversations import Conversations

STEPS = dedent(
    """
    define user ask
      "q"

    define flow steps
      user ask
      $n = 1
      bot "A$n"
      user ask
      $n = $n + 1
      bot "B$n"
      user ask
      bot "C$n"
    """
)
WHO = dedent(
    """
    define user ask
      "q"

    define flow
      user ask
      $who = execute login
      bot "Welcome."
      user ask
      bot "You are $who."
    """
)


def user(text):
    return {"role": "user", "content": text}


def talked(made):
    """A caller that sends the growing list back."""
    messages = []

    async def say(text):
        messages.append(user(text))
        messages.append(await made.generate_async(messages=messages))
        return messages[-1]["content"]

    return say


class TestMessages:
    async def test_flows_and_variables_go_on(self):
        say = talked(app(STEPS, None, *["  ask"] * 3))
        assert [await say(text) for text in "abc"] == ["A1", "B2", "C2"]

    async def test_streams_go_on_too(self):
        made, messages, said = app(STEPS, None, *["  ask"] * 3), [], []
        for text in "abc":
            messages.append(user(text))
            said.append("".join(await streamed(made, messages=messages)))
            messages.append({"role": "assistant", "content": said[-1]})
        assert said == ["A1", "B2", "C2"]

    async def test_a_history_of_unknown_origin_has_no_flows(self):
        made = app(STEPS, None, "  ask")
        messages = [user("a"), {"role": "assistant", "content": "A1"}, user("b")]
        assert (await made.generate_async(messages=messages))["content"] == "A1"

    async def test_a_changed_history_is_another_one(self):
        made = app(STEPS, None, *["  ask"] * 2)
        await made.generate_async(messages=[user("a")])
        messages = [user("a!"), {"role": "assistant", "content": "A1"}, user("b")]
        assert (await made.generate_async(messages=messages))["content"] == "A1"

    async def test_a_turn_can_be_taken_again(self):
        made = app(STEPS, None, *["  ask"] * 3)
        messages = [user("a")]
        messages.append(await made.generate_async(messages=messages))
        for _ in range(2):
            assert (await made.generate_async(messages=[*messages, user("b")]))["content"] == "B2"

    async def test_later_variables_of_the_caller_are_newer(self):
        made = app(STEPS, None, *["  ask"] * 2)
        messages = [{"role": "context", "content": {"n": 50}}, user("a")]
        messages.append(await made.generate_async(messages=messages))
        messages += [{"role": "context", "content": {"n": 10}}, user("b")]
        assert (await made.generate_async(messages=messages))["content"] == "B11"

    async def test_a_blocked_message_ends_the_flows_and_stays_hidden(self):
        colang = (
            STEPS + 'define subflow no\n  if "bad" in $user_message\n    bot refuse to respond\n    stop\n'
        )
        made = app(colang, inputs("no"), *["  ask"] * 2)
        say = talked(made)
        assert await say("harmless") == "A1"
        assert await say("bad") == "I'm sorry, I can't respond to that."
        assert await say("third") == "A1"
        prompt = str(made.llm.calls[-1].prompt)
        assert "harmless" in prompt
        assert "bad" not in prompt

    async def test_a_turn_without_dialog_leaves_the_flows_alone(self):
        made = app(STEPS, None, *["  ask"] * 2)
        messages = [user("a")]
        messages.append(await made.generate_async(messages=messages))
        messages.append(user("echo"))
        got = await made.generate_async(messages=messages, options={"rails": ["input"]})
        messages += [*got.response, user("b")]
        assert [messages[3]["content"], (await made.generate_async(messages=messages))["content"]] == [
            "echo",
            "B2",
        ]

    async def test_a_stream_that_is_left_is_no_turn(self):
        colang = STEPS.replace('bot "B$n"', "bot free")
        made = app(colang, None, *["  ask"] * 2, '"one two three"', "  ask", '"again"')
        messages = [user("a")]
        messages.append(await made.generate_async(messages=messages))
        messages.append(user("b"))
        stream = made.stream_async(messages=messages)
        assert await anext(stream) == "one"
        await stream.aclose()
        assert (await made.generate_async(messages=messages))["content"] == "again"

    async def test_intents_of_earlier_turns_stand_in_the_prompt(self):
        made = app(STEPS, None, *["  ask"] * 2)
        say = talked(made)
        await say("one")
        await say("two")
        assert 'user "one"\\n  ask\\nbot' in str(made.llm.calls[-1].prompt).replace("\n", "\\n")


class TestWhoSeesWhat:
    def made(self, replies=8):
        names = iter(["ann", "bob", "cid", "dan"])

        async def login():
            return next(names)

        return app(WHO, None, *["  ask"] * replies, actions={"login": login})

    async def test_equal_words_never_show_anothers_values(self):
        made = self.made()
        ann, bob = talked(made), talked(made)
        assert [await ann("hi"), await bob("hi")] == ["Welcome."] * 2
        assert await ann("who am I?") == "Welcome."
        assert await bob("who am I?") == "Welcome."

    async def test_nor_in_a_prompt(self):
        names = iter(["secret of ann", "secret of bob"])

        async def login():
            return next(names)

        colang = 'define user ask\n  "q"\ndefine flow\n  user ask\n  execute login\n  bot "Welcome."\n'
        made = app(colang, None, *["  ask"] * 2, "  x", "bot stop", actions={"login": login})
        ann, bob = talked(made), talked(made)
        await ann("hi")
        await bob("hi")
        await bob("and?")
        assert "ann" not in str(made.llm.calls[-1].prompt)

    async def test_a_conversation_that_is_named_goes_on(self):
        made = self.made()
        talks = {name: [{"role": "context", "content": {"conversation_id": name}}] for name in "xy"}
        for text in ("hi", "who am I?"):
            for messages in talks.values():
                messages.append(user(text))
                messages.append(await made.generate_async(messages=messages))
        assert [messages[-1]["content"] for messages in talks.values()] == ["You are ann.", "You are bob."]

    async def test_one_alone_goes_on(self):
        say = talked(self.made())
        assert [await say("hi"), await say("who am I?")] == ["Welcome.", "You are ann."]


class TestState:
    async def test_flows_and_variables_go_on(self):
        made, state, said = app(STEPS, None, *["  ask"] * 3), {}, []
        for text in "abc":
            got = await made.generate_async(messages=[user(text)], state=state)
            said.append(got.response[0]["content"])
            state = json.loads(json.dumps(got.state))
        assert said == ["A1", "B2", "C2"]

    async def test_another_process_may_go_on(self):
        got = await app(STEPS, None, "  ask").generate_async(messages=[user("a")], state={})
        state = json.loads(json.dumps(got.state))
        again = await app(STEPS, None, "  ask").generate_async(messages=[user("b")], state=state)
        assert again.response[0]["content"] == "B2"

    async def test_what_a_user_was_told_stays_in_the_prompt_with_its_intents(self):
        made = app(STEPS, None, *["  ask"] * 2)
        got = await made.generate_async(messages=[user("one")], state={})
        await made.generate_async(messages=[user("two")], state=got.state)
        assert 'user "one"\\n  ask' in str(made.llm.calls[-1].prompt).replace("\n", "\\n")

    async def test_one_of_another_version_is_refused(self):
        made = app(STEPS, None, "  ask")
        got = await made.generate_async(messages=[user("a")], state={})
        with pytest.raises(InvalidStateError, match="version 99"):
            await made.generate_async(messages=[user("b")], state={**got.state, "version": 99})


class TestCost:
    @pytest.mark.parametrize("by_state", [False, True])
    async def test_a_turn_folds_its_own_events_however_long_the_talk_is(self, monkeypatch, by_state):
        folded = 0
        step = Machine.step

        def counted(self, state, event):
            nonlocal folded
            folded += 1
            return step(self, state, event)

        monkeypatch.setattr(Machine, "step", counted)
        colang = 'define user ask\n  "q"\ndefine flow\n  user ask\n  execute act\n  bot "A"\n'
        made = app(colang, None, *["  ask"] * 100, actions={"act": _act})
        messages, state, counts = [], {}, []
        for turn in range(100):
            folded = 0
            if by_state:
                state = (await made.generate_async(messages=[user(f"q {turn}")], state=state)).state
            else:
                messages.append(user(f"q {turn}"))
                messages.append(await made.generate_async(messages=messages))
            counts.append(folded)
        assert set(counts) == {counts[1]}

    async def test_what_is_remembered_is_bounded(self):
        store = Conversations(limit=3)
        made = app(STEPS, None, *["  ask"] * 9)
        made.runtime.talks = replace(made.runtime.talks, conversations=store)
        for turn in range(9):
            await made.generate_async(messages=[user(f"q {turn}")])
        assert len(store) == 3


async def _act():
    return None
