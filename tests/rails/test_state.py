"""Conversations that go on: by the list of messages, and by a returned state."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from guarded import HI, app, inputs
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.exceptions import InvalidStateError


def user(text):
    return [{"role": "user", "content": text}]


def prompts(made):
    return [[(one.role.value, one.content) for one in call.prompt] for call in made.llm.calls]


class TestState:
    async def test_it_remembers_what_was_said(self):
        made = app(None, "passthrough: true", "one", "two", "three")
        state: dict = {}
        for said in "abc":
            got = await made.generate_async(messages=user(said), state=state)
            state = json.loads(json.dumps(got.state))
        assert prompts(made)[-1] == [
            ("user", "a"),
            ("assistant", "one"),
            ("user", "b"),
            ("assistant", "two"),
            ("user", "c"),
        ]

    async def test_it_remembers_variables_as_json(self):
        async def judge():
            return RailOutcome.allow(reason="fine")

        colang = """
            define subflow count
              $found = execute judge
              if $count
                $count = $count + 1
              else
                $count = 1
            """
        made = app(colang, inputs("count"), *"abc", actions={"judge": judge})
        state: dict = {}
        for expected in (1, 2, 3):
            got = await made.generate_async(messages=HI, state=state, options={"output_vars": ["count"]})
            assert got.output_data == {"count": expected}
            state = json.loads(json.dumps(got.state))

    async def test_it_grows_by_what_was_said_alone(self):
        made = app(None, None, *"abcdef")
        state: dict = {}
        sizes = []
        for _ in range(6):
            got = await made.generate_async(messages=HI, state=state)
            state = got.state
            sizes.append(len(json.dumps(state)))
        steps = {later - earlier for earlier, later in pairwise(sizes)}
        assert len(steps) == 1

    async def test_what_a_rail_took_out_does_not_come_back(self):
        colang = """
            define subflow mask
              if "Ann" in $user_message
                $user_message = "my name is ***"
            """
        made = app(colang, inputs("mask", more="passthrough: true"), "ok", "ok")
        got = await made.generate_async(messages=user("my name is Ann"), state={})
        await made.generate_async(messages=user("and now?"), state=got.state)
        assert prompts(made)[-1] == [("user", "my name is ***"), ("assistant", "ok"), ("user", "and now?")]

    async def test_a_blocked_message_stays_out_of_later_prompts(self):
        colang = 'define subflow chk\n  if "bomb" in $user_message\n    bot refuse to respond\n    stop\n'
        made = app(colang, inputs("chk", more="passthrough: true"), "ok")
        got = await made.generate_async(messages=user("a bomb"), state={})
        await made.generate_async(messages=user("hello"), state=got.state)
        assert prompts(made) == [
            [
                ("user", "(a message that was not allowed)"),
                ("assistant", "I'm sorry, I can't respond to that."),
                ("user", "hello"),
            ]
        ]

    async def test_a_stream_continues_it(self):
        made = app(None, "passthrough: true", "one", "two")
        first = made.stream_async(messages=user("a"), state={})
        async for _ in first:
            pass
        state = (await first.result).state
        async for _ in made.stream_async(messages=user("b"), state=state):
            pass
        assert prompts(made)[-1] == [("user", "a"), ("assistant", "one"), ("user", "b")]

    async def test_without_state_none_comes_back(self):
        got = await app(None, None, "a").generate_async(messages=HI, options={})
        assert got.state is None

    @pytest.mark.parametrize("state", [{"events": None}, {"version": "2.x", "events": []}, {"state": {}}])
    async def test_a_foreign_one_is_refused(self, state):
        with pytest.raises(InvalidStateError, match=r"^Invalid Colang 1.0 state format"):
            await app(None, None, "never").generate_async(messages=HI, state=state)


class TestMessages:
    async def test_the_history_is_what_the_caller_sends(self):
        made = app(None, "passthrough: true", "ok")
        messages = [
            {"role": "system", "content": "s"},
            *user("a"),
            {"role": "assistant", "content": "b"},
            {"role": "context", "content": {"x": 1}},
            {"role": "exception", "content": {"type": "XException"}},
            *user("c"),
        ]
        await made.generate_async(messages=messages)
        assert prompts(made) == [[("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]]

    async def test_variables_of_the_history(self):
        seen = []

        async def look(context):
            names = ("last_user_message", "last_bot_message", "user_message")
            seen.append({name: context[name] for name in names})

        made = app("define subflow chk\n  execute look\n", inputs("chk"), "x", "y", actions={"look": look})
        await made.generate_async(messages=HI)
        await made.generate_async(messages=[*user("a"), {"role": "assistant", "content": "b"}, *user("c")])
        assert seen == [
            {"last_user_message": None, "last_bot_message": None, "user_message": "hi"},
            {"last_user_message": "a", "last_bot_message": "b", "user_message": "c"},
        ]

    async def test_actions_see_the_events(self):
        seen = []

        async def look(events):
            seen.extend(event["type"] for event in events)

        made = app("define subflow chk\n  execute look\n", inputs("chk"), "x", actions={"look": look})
        await made.generate_async(messages=[*user("a"), {"role": "assistant", "content": "b"}, *user("c")])
        assert seen == [
            "UtteranceUserActionFinished",
            "UserMessage",
            "StartUtteranceBotAction",
            "UtteranceBotActionFinished",
            "UtteranceUserActionFinished",
        ]
