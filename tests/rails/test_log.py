"""The log of a call: activated rails, model calls, statistics, events, history; and `explain()`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio

import pytest

from guarded import HI, activated, app, inputs, response, streamed
from nemoguardrails.logging.verbose import set_verbose
from nemoguardrails.testing import FakeLLMModel

RAILS = """
define subflow inp
  $seen = execute see

define subflow no cats
  $seen = execute see
  if "cat" in $bot_message
    bot refuse to respond
    stop

define subflow no dogs
  if "dog" in $user_message
    bot refuse to respond
    stop
"""
YAML = """
rails:
  input: {flows: [inp, no dogs]}
  output:
    flows: [no cats]
    streaming: {enabled: true, chunk_size: 4, context_size: 2, stream_first: false}
"""
LOG = {"activated_rails": True, "llm_calls": True, "internal_events": True, "colang_history": True}


async def see():
    return True


def logged(*replies, yaml=YAML):
    return app(RAILS, yaml, *replies, actions={"see": see})


async def stream_response(made, said="hi"):
    stream = made.stream_async(prompt=said, options={"log": LOG})
    async for _ in stream:
        pass
    return await stream.result


class TestActivatedRails:
    async def test_input_generation_output_streamed_and_not(self):
        expected = [
            ("input", "inp", ["execute see"], ["see"], False),
            ("input", "no dogs", [], [], False),
            (
                "generation",
                "generate user intent",
                ["execute generate_user_intent"],
                ["generate_user_intent"],
                False,
            ),
            ("output", "no cats", ["execute see"], ["see"], False),
        ]
        assert activated(await response(logged("Hi"), log=LOG)) == expected
        assert activated(await stream_response(logged("Hi"))) == expected

    async def test_an_input_rail_blocks(self):
        expected = [
            ("input", "inp", ["execute see"], ["see"], False),
            ("input", "no dogs", ["refuse to respond", "stop"], [], True),
        ]
        assert activated(await response(logged("never"), "a dog", log=LOG)) == expected
        assert activated(await stream_response(logged("never"), "a dog")) == expected

    async def test_an_output_rail_blocks(self):
        for got in (
            await response(logged("a cat"), log=LOG),
            await stream_response(logged("a cat")),
        ):
            assert activated(got)[-1] == (
                "output",
                "no cats",
                ["execute see", "refuse to respond", "stop"],
                ["see"],
                True,
            )

    async def test_model_calls_stand_under_the_action_that_made_them(self):
        async def ask(llm):
            from nemoguardrails.actions.llm.utils import llm_call

            return str(await llm_call(llm, "is it fine?")) == "yes"

        made = app(
            "define subflow inp\n  $ok = execute ask\n", inputs("inp"), "yes", "Hi", actions={"ask": ask}
        )
        got = await response(made, log=LOG)
        calls = [
            (rail.name, action.action_name, [(call.prompt, call.completion) for call in action.llm_calls])
            for rail in got.log.activated_rails
            for action in rail.executed_actions
        ]
        assert calls[0] == ("inp", "ask", [("is it fine?", "yes")])
        assert calls[1][:2] == ("generate user intent", "generate_user_intent")
        assert [completion for _, completion in calls[1][2]] == ["Hi"]
        assert [call.task for call in got.log.llm_calls] == [None, "general"]

    async def test_a_failing_action_is_named(self):
        async def broken():
            raise ValueError("no luck")

        made = app("define subflow inp\n  $ok = execute broken\n", inputs("inp"), actions={"broken": broken})
        got = await response(made, log=LOG)
        (rail,) = got.log.activated_rails
        assert rail.stop
        assert rail.additional_info == {"failed": "Action broken failed with status: failed"}
        assert rail.executed_actions[0].failure == "ValueError: no luck"

    async def test_times_are_in_order(self):
        got = await response(logged("Hi"), log=LOG)
        rails = got.log.activated_rails
        assert all(rail.started_at <= rail.finished_at for rail in rails)
        assert [rail.started_at for rail in rails] == sorted(rail.started_at for rail in rails)
        stats = got.log.stats
        assert stats.llm_calls_count == 1
        assert stats.input_rails_duration is not None
        assert stats.generation_rails_duration is not None
        assert stats.output_rails_duration is not None
        assert stats.dialog_rails_duration is None

    async def test_only_what_is_asked_for(self):
        got = await response(logged("Hi"), log={"llm_calls": True})
        assert (got.log.activated_rails, got.log.internal_events, got.log.colang_history) == ([], None, None)
        assert [call.completion for call in got.log.llm_calls] == ["Hi"]

    async def test_late_windows_are_counted_but_not_recorded(self):
        made = logged(" ".join(["word"] * 300))
        rail = activated(await stream_response(made))[-1]
        assert len(rail[3]) == 50


def shape(got):
    return [
        event["type"]
        + "".join(f" {event[key]}" for key in ("flow_id", "action_name", "intent") if key in event)
        for event in got.log.internal_events
    ]


class TestInternalEvents:
    async def test_a_whole_turn(self):
        expected = [
            "UtteranceUserActionFinished",
            "ContextUpdate",
            "StartInputRails",
            "StartInputRail inp",
            "StartInternalSystemAction see",
            "InternalSystemActionFinished see",
            "InputRailFinished inp",
            "StartInputRail no dogs",
            "InputRailFinished no dogs",
            "InputRailsFinished",
            "UserMessage",
            "StartInternalSystemAction generate_user_intent",
            "InternalSystemActionFinished generate_user_intent",
            "BotMessage",
            "StartOutputRails",
            "StartOutputRail no cats",
            "StartInternalSystemAction see",
            "InternalSystemActionFinished see",
            "OutputRailFinished no cats",
            "OutputRailsFinished",
            "StartUtteranceBotAction",
            "Listen",
        ]
        assert shape(await response(logged("Hi"), log=LOG)) == expected
        assert shape(await stream_response(logged("Hi"))) == expected

    async def test_a_blocked_message(self):
        assert shape(await response(logged("never"), "a dog", log=LOG))[7:] == [
            "StartInputRail no dogs",
            "BotIntent refuse to respond",
            "StartUtteranceBotAction",
            "BotIntent stop",
            "Listen",
        ]

    async def test_a_blocked_answer(self):
        assert shape(await response(logged("a cat"), log=LOG))[13:] == [
            "BotMessage",
            "StartOutputRails",
            "StartOutputRail no cats",
            "StartInternalSystemAction see",
            "InternalSystemActionFinished see",
            "BotIntent refuse to respond",
            "StartUtteranceBotAction",
            "BotIntent stop",
            "Listen",
        ]

    async def test_without_rails(self):
        got = await response(app(None, None, " Hi"), log=LOG)
        assert shape(got) == [
            "UtteranceUserActionFinished",
            "ContextUpdate",
            "UserMessage",
            "StartInternalSystemAction generate_user_intent",
            "InternalSystemActionFinished generate_user_intent",
            "BotMessage",
            "StartUtteranceBotAction",
            "Listen",
        ]
        events = {event["type"]: event for event in got.log.internal_events}
        assert events["BotMessage"]["text"] == " Hi"
        assert events["StartUtteranceBotAction"]["script"] == "Hi"
        assert all(event["source_uid"] == "NeMoGuardrails" and event["uid"] for event in events.values())

    async def test_events_that_flows_create(self):
        colang = 'define subflow inp\n  create event Noticed(what="hi")\n'
        got = await response(app(colang, inputs("inp"), "Hi"), log=LOG)
        assert "Noticed" in shape(got)


class TestGenerateEvents:
    async def test_what_happens_next(self):
        made = logged("Hi")
        events = await made.generate_events_async(
            [{"type": "UtteranceUserActionFinished", "final_transcript": "hello"}]
        )
        assert [event["type"] for event in events][:3] == [
            "ContextUpdate",
            "StartInputRails",
            "StartInputRail",
        ]
        assert [event.get("script") for event in events][-2:] == ["Hi", None]
        assert events[-1]["type"] == "Listen"

    async def test_earlier_events_are_the_history(self):
        made = app(None, "passthrough: true", "Hi")
        await made.generate_events_async(
            [
                {"type": "UtteranceUserActionFinished", "final_transcript": "raw one"},
                {"type": "UserMessage", "text": "one"},
                {"type": "StartUtteranceBotAction", "script": "two"},
                {"type": "UtteranceUserActionFinished", "final_transcript": "three"},
            ]
        )
        assert [message.content for message in made.llm.calls[0].prompt] == ["one", "two", "three"]

    async def test_nothing_to_answer(self):
        with pytest.raises(ValueError, match="messages must not be empty"):
            await app(None, None, "never").generate_events_async([])

    def test_for_code_without_a_loop(self):
        events = app(None, None, "Hi").generate_events(
            [{"type": "UtteranceUserActionFinished", "final_transcript": "hello"}]
        )
        assert events[-2]["script"] == "Hi"


class TestExplain:
    def test_before_the_first_call(self):
        info = app(None, None, "never").explain()
        assert (info.llm_calls, info.colang_history) == ([], None)

    async def test_exactly_the_latest_call_of_this_object(self):
        one, other = app(None, None, "a", "b"), app(None, None, "c")
        await one.generate_async(prompt="1")
        await one.generate_async(prompt="2")
        await other.generate_async(prompt="3")
        info = one.explain()
        assert [(call.task, call.completion) for call in info.llm_calls] == [("general", "b")]
        assert one.explain() is info
        assert info.colang_history.splitlines() == ['user "2"', '  "b"']

    async def test_after_a_stream(self):
        made = logged("some answer here")
        await streamed(made)
        assert [call.completion for call in made.explain().llm_calls] == ["some answer here"]

    async def test_each_response_knows_its_own_calls(self):
        made = app(None, None, *"abcdef")
        got = await asyncio.gather(*(response(made, str(n)) for n in range(6)))
        assert all(
            [call.completion for call in one.explain.llm_calls] == [one.response[0]["content"]] for one in got
        )

    async def test_usage(self):
        llm = FakeLLMModel(
            ["a", "b"],
            token_usage=[{"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}] * 2,
            should_return_token_usage=True,
        )
        made = app(None, None, llm=llm)
        await made.generate_async(prompt="hi")
        assert [call.total_tokens for call in made.explain().llm_calls] == [4]
        await streamed(made)
        assert [call.total_tokens for call in made.explain().llm_calls] == [4]


class TestVerbose:
    @pytest.fixture
    def verbose(self):
        set_verbose(True, llm_calls=True, simplify=True)
        yield
        set_verbose(False)

    @pytest.mark.parametrize(
        ("said", "reply", "lines"),
        [
            ("hi", "Hello you", ["bot | Hello you"]),
            ("a dog", "never", ["bot | I'm sorry, I can't respond to that."]),
            ("hi", "a cat", ["bot | I'm sorry, I can't respond to that."]),
        ],
    )
    async def test_switched_on_for_the_process_it_tells_what_was_said(
        self, verbose, capsys, said, reply, lines
    ):
        await logged(reply).generate_async(prompt=said)
        printed = [line.split(" | ", 1)[1] for line in capsys.readouterr().err.splitlines()]
        assert [line for line in printed if line.startswith("bot")] == lines

    async def test_what_a_stream_said(self, verbose, capsys):
        await streamed(logged("Hello you all"))
        assert "bot | Hello you all" in capsys.readouterr().err

    async def test_silent_otherwise(self, capsys):
        await logged("Hi").generate_async(prompt="hi")
        assert capsys.readouterr().err == ""

    async def test_of_one_object(self, capsys):
        from nemoguardrails import LLMRails, RailsConfig

        made = LLMRails(RailsConfig.from_content(None, "models: []"), FakeLLMModel(["Hi"]), verbose=True)
        await made.generate_async(messages=HI)
        assert "bot | Hi" in capsys.readouterr().err
