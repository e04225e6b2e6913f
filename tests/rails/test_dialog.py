"""Dialogs of Colang 1.0 through the public methods, whole and streamed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import json
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guarded import HI, activated, app, evented, inputs, output, response, streamed
from nemoguardrails.actions import ActionResult
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.streaming.events import Blocked, Finished, TextDelta
from nemoguardrails.streaming.render import StreamError
from nemoguardrails.testing import FakeLLMModel

ASK = 'define user ask\n  "q"\n'
TALK = (
    ASK
    + """
define bot fixed
  "Fixed."

define flow talk
  user ask
  bot fixed
  bot free
  bot fixed
"""
)
GUARD = """
define subflow guard
  if "cat" in $bot_message
    bot refuse to respond
    stop
"""
REFUSAL = "I'm sorry, I can't respond to that."
NEUTRAL = "I'm sorry, an internal error has occurred."


async def both(make, said="hi"):
    """The answer of `generate` and the joined text of a stream."""
    whole = await make().generate_async(prompt=said)
    return whole, "".join(await streamed(make(), said))


class TestMessages:
    async def test_several_are_joined_and_a_generated_one_streams_as_it_is_written(self):
        got = await evented(app(TALK, None, "  ask", '  "Hello there you"'))
        assert got == [
            TextDelta("Fixed."),
            TextDelta("\n"),
            TextDelta("Hello"),
            TextDelta(" there"),
            TextDelta(" you"),
            TextDelta("\n"),
            TextDelta("Fixed."),
            Finished("stop", "fake"),
        ]

    async def test_streamed_and_not_streamed_agree(self):
        got = await both(lambda: app(TALK, None, "  ask", '  "Hello there"\nuser ok\n  ask'))
        assert got == ("Fixed.\nHello there\nFixed.",) * 2

    async def test_the_label_of_a_prompt_does_not_leak(self):
        got = await both(lambda: app(TALK, None, "  ask", 'Bot message: "Hello"'))
        assert got == ("Fixed.\nHello\nFixed.",) * 2

    async def test_a_model_that_says_nothing(self):
        got = await both(lambda: app(TALK, None, "  ask", "  \n"))
        assert got == ("Fixed.\nI'm not sure what to say.\nFixed.",) * 2

    async def test_a_model_that_talks_on_is_not_waited_for(self):
        class Chatty(FakeLLMModel):
            closed = 0

            async def stream_async(self, prompt, *, stop=None, **params):
                try:
                    async for chunk in super().stream_async(prompt, stop=stop, **params):
                        yield chunk
                finally:
                    self.closed += 1
                    self.left = chunk.finish_reason is None

        model = Chatty(["  ask", '"Hi"\nuser "and more" and more and more'])
        got = await streamed(app(TALK, None, llm=model))
        assert ("".join(got), model.closed, model.left) == ("Fixed.\nHi\nFixed.", 1, True)

    async def test_a_parser_of_the_users_own_reads_the_whole_reply(self):
        yaml = """
            models: []
            prompts:
              - task: generate_bot_message
                content: "say it"
                output_parser: shout
            """

        def made():
            return app(TALK, yaml, "  ask", "hello").register_output_parser(str.upper, "shout")

        assert await both(made) == ("Fixed.\nHELLO\nFixed.",) * 2

    async def test_a_failing_model_ends_the_turn(self):
        class Down(Exception):
            pass

        def made():
            return app(TALK, None, llm=FakeLLMModel(llm_exception=Down("no")))

        with pytest.raises(LLMCallException):
            await made().generate_async(prompt="hi")
        got = await streamed(made())
        assert [type(one) for one in got] == [StreamError]

    async def test_a_model_that_fails_within_a_message_leaves_what_it_wrote(self):
        class Breaks(FakeLLMModel):
            async def stream_async(self, prompt, *, stop=None, **params):
                async for chunk in super().stream_async(prompt, stop=stop, **params):
                    yield chunk
                raise OSError("gone")

        got = await streamed(app(TALK, None, llm=Breaks(["  ask", '"Hello there'])))
        assert "".join(got[:-1]) == "Fixed.\nHello there"
        assert isinstance(got[-1], StreamError)
        got = await streamed(app(TALK, None, llm=Breaks(["  ask", ""])))
        assert "".join(got[:-1]) == "Fixed."

    async def test_one_text_of_several_is_picked_or_the_first_taken(self):
        colang = ASK + 'define bot hi\n  "A"\n  "B"\n  "C"\ndefine flow\n  user ask\n  bot hi\n'
        first = app(colang, "rails: {dialog: {text_choice: first}}", *["  ask"] * 20)
        assert {await first.generate_async(prompt="x") for _ in range(20)} == {"A"}
        any_one = app(colang, None, *["  ask"] * 40)
        assert {await any_one.generate_async(prompt="x") for _ in range(40)} > {"A"}


REPLIES = st.lists(
    st.sampled_from(["  ", "\n", '"', "user ", "bot x", "a", " b ", "\\", "n", ",", "#", "stop", "ask"]),
    max_size=9,
).map("".join)


class TestWhateverAModelSays:
    """What is said is told the same way streamed and not streamed."""

    @given(st.tuples(REPLIES, REPLIES, REPLIES))
    @settings(max_examples=60, deadline=None)
    def test_to_three_calls(self, replies):
        assert len(set(asyncio.run(both(lambda: app(ASK, None, *replies))))) == 1

    @given(REPLIES)
    @settings(max_examples=60, deadline=None)
    def test_to_a_single_call(self, reply):
        yaml = "rails: {dialog: {single_call: {enabled: true}}}"
        assert len(set(asyncio.run(both(lambda: app(ASK, yaml, reply))))) == 1


class TestTakingBack:
    COLANG = dedent(
        """
        define bot remove last message
          "(remove last message)"

        define flow
          user ask
          bot "One."
          bot free
          bot remove last message
          bot "Three."
        """
    )

    async def test_a_message_may_take_the_one_before_it_back(self):
        got = await both(lambda: app(ASK + self.COLANG, None, "  ask", '"a b c"'))
        assert got == ("One.\nThree.",) * 2

    async def test_what_has_left_stays(self):
        async def speak():
            return ActionResult(events=[{"type": "BotMessage", "text": "(remove last message)"}])

        colang = ASK + 'define flow\n  user ask\n  bot "One."\n  execute speak\n'
        got = await both(lambda: app(colang, None, "  ask", actions={"speak": speak}))
        assert got == ("One.",) * 2


class TestOutputRails:
    def made(self, *replies, more=""):
        return app(TALK + GUARD, output("guard", more=more), *replies)

    async def test_a_block_ends_the_turn_after_what_was_said(self):
        whole = await self.made("  ask", '  "a cat"').generate_async(prompt="hi")
        assert whole == f"Fixed.\n{REFUSAL}"

    async def test_a_block_ends_a_stream(self):
        *said, end = await evented(self.made("  ask", '  "one two three four a cat here"'))
        assert "".join(one.text for one in said) == "Fixed.\none two three four"
        assert (end.rail, end.stage, end.reply) == ("guard", "output", REFUSAL)

    async def test_a_block_ends_half_finished_flows(self):
        colang = """
            define flow
              user ask
              bot say something
              user ask
              bot second
            define bot second
              "Second."
            """
        replies = ("  ask", '"a cat"', "  ask", '"a dog"', "  ask")
        made = app(ASK + GUARD + dedent(colang), output("guard"), *replies)
        messages = []
        for _ in range(3):
            messages.append({"role": "user", "content": "hi"})
            messages.append(await made.generate_async(messages=messages))
        assert [one["content"] for one in messages[1::2]] == [REFUSAL, "a dog", "Second."]

    async def test_a_rewrite_is_what_the_dialog_goes_on_from(self):
        colang = """
            define flow
              user ask
              bot free
              bot repeat

            define bot repeat
              "$last_bot_message / $bot_message"

            define subflow mask
              $bot_message = $bot_message.replace("cat", "***")
            """
        yaml = "rails: {output: {flows: [mask], streaming: {enabled: true, stream_first: false}}}"
        assert (
            await both(lambda: app(ASK + dedent(colang), yaml, "  ask", '"a cat"'))
            == ("a ***\na *** / a ***",) * 2
        )

    async def test_the_authors_own_words_pass(self):
        colang = ASK + GUARD + 'define flow\n  user ask\n  bot "my cat"\n'
        assert await app(colang, output("guard"), "  ask").generate_async(prompt="x") == "my cat"

    async def test_the_value_of_a_variable_is_judged(self):
        colang = ASK + GUARD + 'define flow\n  user ask\n  $x = "a cat"\n  bot $x\n'
        assert await app(colang, output("guard"), "  ask").generate_async(prompt="x") == REFUSAL


class TestInputRails:
    async def test_a_blocked_message_never_reaches_the_dialog(self):
        colang = """
            define subflow no
              bot refuse to respond
              stop

            define flow
              event UtteranceUserActionFinished
              bot "heard"
            """
        assert await both(lambda: app(colang, inputs("no"))) == (REFUSAL,) * 2

    async def test_what_a_rail_says_besides_comes_first(self):
        colang = TALK + 'define subflow warn\n  bot "Careful."\n'
        got = await both(lambda: app(colang, inputs("warn"), "  ask", '"x"'))
        assert got == ("Careful.\nFixed.\nx\nFixed.",) * 2


class TestActions:
    async def test_a_failure_ends_the_turn_with_a_neutral_sentence(self):
        async def broken():
            raise ValueError("secret")

        colang = ASK + 'define flow\n  user ask\n  bot "Wait."\n  execute broken\n  bot "Done."\n'
        got = await both(lambda: app(colang, None, "  ask", actions={"broken": broken}))
        assert got == (f"Wait.\n{NEUTRAL}",) * 2

    async def test_a_failed_turn_leaves_later_prompts(self):
        async def broken():
            raise ValueError("secret")

        colang = ASK + "define flow\n  user ask\n  execute broken\n"
        made = app(colang, None, "  ask", "  other", "bot x", '"fine"', actions={"broken": broken})
        messages = [{"role": "user", "content": "first words"}]
        messages.append(await made.generate_async(messages=messages))
        messages.append({"role": "user", "content": "second words"})
        await made.generate_async(messages=messages)
        prompts = "\n".join(str(call.prompt) for call in made.llm.calls[1:])
        assert "second words" in prompts
        assert "first words" not in prompts

    async def test_they_may_speak_and_stop(self):
        async def speak():
            events = [
                {"type": "StartUtteranceBotAction", "script": "from an action"},
                {"type": "BotIntent", "intent": "stop"},
            ]
            return ActionResult(events=events)

        colang = ASK + 'define flow\n  user ask\n  execute speak\n  bot "never"\n'
        got = await both(lambda: app(colang, None, "  ask", actions={"speak": speak}))
        assert got == ("from an action",) * 2

    async def test_what_they_say_is_judged(self):
        async def speak():
            return ActionResult(events=[{"type": "BotMessage", "text": "a cat"}])

        colang = ASK + GUARD + "define flow\n  user ask\n  execute speak\n"
        made = app(colang, output("guard"), "  ask", actions={"speak": speak})
        assert await made.generate_async(prompt="x") == REFUSAL

    async def test_the_tasks_of_the_model_can_be_replaced(self):
        async def generate_user_intent():
            return ActionResult(events=[{"type": "UserIntent", "intent": "other"}])

        async def generate_next_steps():
            return ActionResult(events=[{"type": "BotIntent", "intent": "unheard of"}])

        async def generate_bot_message(events):
            return ActionResult(events=[{"type": "BotMessage", "text": events[-1]["intent"]}])

        own = (generate_user_intent, generate_next_steps, generate_bot_message)
        got = await both(lambda: app(ASK, None, actions={one.__name__: one for one in own}))
        assert got == ("unheard of",) * 2


class TestExceptions:
    COLANG = (
        ASK + 'define flow\n  user ask\n  bot "Hm."\n  create event OddException(message="no way")\n  stop\n'
    )

    async def test_are_the_answer(self):
        got = await app(self.COLANG, None, "  ask").generate_async(messages=HI)
        assert (got["role"], got["content"]["message"]) == ("exception", "no way")

    async def test_end_a_stream_with_an_error(self):
        *said, end = await streamed(app(self.COLANG, None, "  ask"))
        assert said == ["Hm."]
        assert json.loads(end)["error"]["message"] == "no way"

    async def test_are_typed_events(self):
        got = await evented(app(self.COLANG, None, "  ask"))
        assert [type(one) for one in got] == [TextDelta, Blocked, Finished]
        assert got[1].stage == "dialog"


class TestSingleCall:
    YAML = "rails: {dialog: {single_call: {enabled: true}}}"
    FREE = ASK + "define flow\n  user ask\n  bot tell\n"

    async def test_the_message_streams(self):
        got = await evented(app(self.FREE, self.YAML, '  ask\nbot tell\n  "One two three"\nuser x'))
        assert "".join(one.text for one in got[:-1]) == "One two three"
        assert len(got) > 2

    @pytest.mark.parametrize("reply", ["", "ask", "ask\n", "ask\nbot tell", "ask\nbot tell\n\n"])
    async def test_a_short_reply_does_not_hang(self, reply):
        async with asyncio.timeout(5):
            got = await both(lambda: app(ASK, self.YAML, reply))
        assert got == ("I'm not sure what to say.",) * 2

    async def test_a_failing_model_does_not_hang(self):
        async with asyncio.timeout(5):
            got = await streamed(app(ASK, self.YAML, llm=FakeLLMModel(llm_exception=ValueError("no"))))
        assert [type(one) for one in got] == [StreamError]

    async def test_a_message_that_is_not_wanted_is_not_read(self):
        class Watched(FakeLLMModel):
            chunks = 0

            async def stream_async(self, prompt, *, stop=None, **params):
                async for chunk in super().stream_async(prompt, stop=stop, **params):
                    self.chunks += 1
                    yield chunk

        model = Watched(["  ask\nbot fixed\n" + "word " * 50])
        colang = ASK + 'define bot fixed\n  "Fixed."\n'
        assert "".join(await streamed(app(colang, self.YAML, llm=model))) == "Fixed."
        assert model.chunks < 10


class TestModelSteps:
    async def test_a_stop_of_the_model_ends_the_turn(self):
        assert await both(lambda: app(ASK, None, "  x", "bot stop")) == ("",) * 2

    async def test_deterministic_tasks_are_asked_with_the_lowest_temperature(self):
        made = app(ASK, "lowest_temperature: 0.25", "  x", "bot y", '"z"')
        await made.generate_async(messages=HI, options={"llm_params": {"temperature": 0.9}})
        assert [call.params.get("temperature") for call in made.llm.calls] == [0.25, 0.25, 0.9]

    async def test_examples_stand_in_the_prompts_the_nearest_last(self):
        colang = """
            define user ask price
              "how much is it"
            define user ask place
              "where is it"
            define bot tell price
              "Ten."
            define flow
              user ask place
              bot tell place
            """
        made = app(colang, None, "  ask hours", "bot tell hours", '"Nine to five."')
        await made.generate_async(prompt="where is it?")
        intent, step, message = (str(call.prompt) for call in made.llm.calls)
        assert intent.index("how much is it") < intent.index('user "where is it"')
        assert "ask place" in intent
        assert "user ask place\\nbot tell place" in step.replace("  ", "")
        assert "Ten." in message


class TestEvents:
    COLANG = ASK + 'define flow\n  event UserSilent\n  bot "Hello?"\n'

    async def test_an_event_may_make_the_bot_speak(self):
        messages = [{"role": "event", "event": {"type": "UserSilent"}}]
        assert (await app(self.COLANG).generate_async(messages=messages))["content"] == "Hello?"

    async def test_an_event_does_not_repeat_the_users_message(self):
        colang = self.COLANG + "define subflow no\n  bot refuse to respond\n  stop\n"
        messages = [*HI, {"role": "event", "event": {"type": "UserSilent"}}]
        assert (await app(colang, inputs("no")).generate_async(messages=messages))["content"] == "Hello?"

    async def test_without_a_dialog_an_event_is_not_answered(self):
        messages = [*HI, {"role": "event", "event": {"type": "UserSilent"}}]
        assert (await app(None, None, "never").generate_async(messages=messages))["content"] == ""

    async def test_through_the_events_api(self):
        got = await app(self.COLANG).generate_events_async([{"type": "UserSilent"}])
        assert [one["script"] for one in got if one["type"] == "StartUtteranceBotAction"] == ["Hello?"]


class TestPassthrough:
    async def test_bot_messages_come_from_the_callers_messages(self):
        made = app(TALK, "passthrough: true", "  ask", "  raw  ")
        assert await made.generate_async(prompt="hi") == "Fixed.\n  raw  \nFixed."
        assert [(one.role.value, one.content) for one in made.llm.calls[1].prompt] == [("user", "hi")]


LOG = {"activated_rails": True, "internal_events": True, "colang_history": True}


class TestLog:
    def made(self):
        async def act():
            return 1

        colang = ASK + GUARD + "define flow talk\n  user ask\n  $r = execute act\n  bot free\n"
        return app(colang, output("guard"), "  ask", '"Hello"', actions={"act": act})

    async def test_the_steps_of_a_turn_streamed_and_not(self):
        expected = [
            (
                "dialog",
                "generate user intent",
                ["execute generate_user_intent"],
                ["generate_user_intent"],
                False,
            ),
            ("dialog", "talk", ["execute act", "free"], ["act"], False),
            (
                "generation",
                "generate bot message",
                ["execute retrieve_relevant_chunks", "execute generate_bot_message"],
                ["retrieve_relevant_chunks", "generate_bot_message"],
                False,
            ),
            ("output", "guard", [], [], False),
        ]
        got = await response(self.made(), log=LOG)
        assert activated(got) == expected
        stream = self.made().stream_async(messages=HI, options={"log": LOG})
        async for _ in stream:
            pass
        assert activated(await stream.result) == expected

    async def test_the_next_step_of_the_model_has_an_entry(self):
        got = await response(app(ASK, None, "  x", "bot y", '"z"'), log=LOG)
        assert [rail.name for rail in got.log.activated_rails] == [
            "generate user intent",
            "generate next step",
            "generate bot message",
        ]

    async def test_a_stop_is_marked(self):
        got = await response(app(ASK + "define flow f\n  user ask\n  stop\n", None, "  ask"), log=LOG)
        assert activated(got)[-1] == ("dialog", "f", ["stop"], [], True)

    async def test_model_calls_stand_under_their_steps(self):
        got = await response(self.made(), log={**LOG, "llm_calls": True})
        calls = {
            action.action_name: [call.task for call in action.llm_calls]
            for rail in got.log.activated_rails
            for action in rail.executed_actions
        }
        assert calls["generate_user_intent"] == ["generate_user_intent"]
        assert calls["generate_bot_message"] == ["generate_bot_message"]

    async def test_the_events_of_a_turn(self):
        got = await response(self.made(), log=LOG)
        types = [event["type"] for event in got.log.internal_events]
        own = [one for one in types if "System" not in one and one != "ContextUpdate" and "Rail" not in one]
        assert own == [
            "UtteranceUserActionFinished",
            "UserMessage",
            "UserIntent",
            "BotIntent",
            "BotMessage",
            "StartUtteranceBotAction",
            "Listen",
        ]

    async def test_the_history_as_colang(self):
        made = self.made()
        got = await response(made, log=LOG)
        history = 'user "hi"\n  ask\nexecute act\n# The result was 1\nbot free\n  "Hello"'
        assert got.log.colang_history == history
        assert made.explain().colang_history == history
