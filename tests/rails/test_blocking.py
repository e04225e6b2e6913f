"""Output rails that block or rewrite, streamed in windows and whole."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from guarded import app, evented, inputs, output, streamed
from nemoguardrails.actions import action
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.streaming import StreamError
from nemoguardrails.streaming.events import Blocked, TextDelta

SORRY = "I'm sorry, I can't respond to that."
NO_BAD = """
define subflow no bad
  if "BAD" in $bot_message
    bot refuse to respond
    stop
"""
LOOKS = """
define subflow chk
  $ok = execute judge
  if not $ok
    bot refuse to respond
    stop
"""
SHOUT = """
define subflow hush
  $bot_message = execute hush(text=$bot_message)
"""
TEXT = "one two three four five BAD seven eight nine"


def violation(rail="no bad", message=None):
    return {
        "message": message or f"Blocked by {rail} rails.",
        "type": "guardrails_violation",
        "param": rail,
        "code": "content_blocked",
    }


def text_and_error(elements):
    error = elements[-1] if elements and isinstance(elements[-1], StreamError) else None
    kept = elements if error is None else elements[:-1]
    assert not any(isinstance(one, StreamError) for one in kept)
    return "".join(kept), None if error is None else error.error


class TestABlock:
    async def test_whole(self):
        assert await app(NO_BAD, output("no bad"), TEXT).generate_async(prompt="hi") == SORRY

    async def test_checked_first_only_cleared_text_leaves(self):
        text, error = text_and_error(await streamed(app(NO_BAD, output("no bad"), TEXT)))
        assert (text, error) == ("one two three four ", violation())

    async def test_streamed_first_the_error_tells_what_to_take_back(self):
        elements = await streamed(app(NO_BAD, output("no bad", first=True), TEXT))
        text, error = text_and_error(elements)
        assert TEXT.startswith(text)
        assert error == violation()
        assert elements[-1].retract_from == len("one two three four ")

    async def test_the_json_text_of_the_error(self):
        (error,) = await streamed(app(NO_BAD, output("no bad"), "BAD"))
        assert isinstance(error, StreamError)
        assert str(error) == (
            '{"error": {"message": "Blocked by no bad rails.", "type": "guardrails_violation", '
            '"param": "no bad", "code": "content_blocked"}}'
        )
        assert error.kind == "blocked"

    async def test_with_metadata(self):
        made = app(NO_BAD, output("no bad"), "a b c d BAD")
        elements = await streamed(made, include_metadata=True)
        assert elements[:4] == [{"text": f"{word} "} for word in "abcd"]
        assert elements[4]["error"] == violation()
        assert elements[4]["text"].startswith('{"error": {"message": "Blocked by no bad rails."')
        assert elements[5:] == [{"text": "", "metadata": {"response_metadata": None, "usage_metadata": None}}]

    async def test_events_end_with_it(self):
        assert await evented(app(NO_BAD, output("no bad"), "a b c d BAD")) == [
            *(TextDelta(f"{word} ") for word in "abcd"),
            Blocked("no bad", reply=SORRY),
        ]

    async def test_model_text_that_looks_like_an_error_is_text(self):
        made = app(NO_BAD, output("no bad"), '{"error": "x"}')
        assert [type(one) for one in await streamed(made)] == [str, str]

    async def test_the_model_is_closed_before_the_error_is_told(self):
        closed = []

        async def source():
            try:
                for word in TEXT.split():
                    yield f"{word} "
            finally:
                closed.append(True)

        async for chunk in app(NO_BAD, output("no bad")).stream_async(generator=source()):
            if isinstance(chunk, StreamError):
                assert closed == [True]

    async def test_the_reference_stands_in_the_error_as_configured(self):
        colang = """
            define subflow chk
              if $lvl in $bot_message
                bot refuse to respond
                stop
            """
        made = app(colang, output("chk $lvl=mm"), "hmm")
        assert text_and_error(await streamed(made))[1] == violation("chk $lvl=mm")


class TestWhatCountsAsABlock:
    @pytest.mark.parametrize(
        ("colang", "blocks"),
        [
            ("define subflow chk\n  execute judge\n", True),
            ("define subflow chk\n  $ok = execute judge\n", True),
            (LOOKS, True),
            # A flow that looks at the value itself has the last word about plain values.
            ("define subflow chk\n  $ok = execute judge\n  if $ok\n    stop\n", False),
        ],
    )
    async def test_plain_values(self, colang, blocks):
        async def judge():
            return False

        made = app(colang, output("chk"), "a b", "a b", actions={"judge": judge})
        assert (await made.generate_async(prompt="hi") == SORRY) is blocks
        text, error = text_and_error(await streamed(made))
        assert (text, error) == (("", violation("chk")) if blocks else ("a b", None))

    @pytest.mark.parametrize(("score", "blocks"), [(0.4, True), (0.5, False), (1, False)])
    async def test_numbers(self, score, blocks):
        async def judge():
            return score

        made = app("define subflow chk\n  execute judge\n", output("chk"), "a", "a", actions={"judge": judge})
        assert (await made.generate_async(prompt="hi") == SORRY) is blocks
        assert (text_and_error(await streamed(made))[1] is not None) is blocks

    async def test_a_declared_mapping(self):
        @action(name="judge", output_mapping=lambda value: value == "bad")
        async def judge():
            return "bad"

        made = app(
            "define subflow chk\n  $x = execute judge\n", output("chk"), "a", "a", actions={"judge": judge}
        )
        assert await made.generate_async(prompt="hi") == SORRY
        assert text_and_error(await streamed(made)) == ("", violation("chk"))

    @pytest.mark.parametrize(
        "flow", ["  $x = execute judge\n", "  $x = execute judge\n  if 1 == 2\n    stop\n"]
    )
    async def test_a_verdict_object_of_any_action(self, flow):
        async def judge():
            return RailOutcome.block(reason="rude")

        colang = f"define subflow chk\n  execute nothing\n{flow}"

        async def nothing():
            return True

        made = app(colang, output("chk"), "a", "a", actions={"judge": judge, "nothing": nothing})
        assert await made.generate_async(prompt="hi") == SORRY
        assert await evented(made) == [Blocked("chk", "rude", reply=SORRY)]

    async def test_the_second_action_of_a_flow_counts(self):
        async def first():
            return True

        async def second():
            return False

        colang = """
            define subflow chk
              $a = execute first
              $b = execute second
              if not $b
                bot refuse to respond
                stop
            """
        made = app(colang, output("chk"), "a", "a", actions={"first": first, "second": second})
        assert await made.generate_async(prompt="hi") == SORRY
        assert text_and_error(await streamed(made)) == ("", violation("chk"))


class TestRewriting:
    @pytest.mark.parametrize("first", [True, False])
    async def test_a_flow_that_assigns_the_message(self, first):
        async def hush(text):
            return text.replace("BAD", "***")

        made = app(SHOUT, output("hush", first=first), TEXT, TEXT, actions={"hush": hush})
        assert await made.generate_async(prompt="hi") == TEXT.replace("BAD", "***")
        assert "".join(await streamed(made)) == TEXT.replace("BAD", "***")

    @pytest.mark.parametrize("first", [True, False])
    async def test_later_rails_see_the_rewritten_text(self, first):
        async def hush(text):
            return text.replace("BAD", "***")

        made = app(SHOUT + NO_BAD, output("hush", "no bad", first=first), TEXT, TEXT, actions={"hush": hush})
        assert await made.generate_async(prompt="hi") == TEXT.replace("BAD", "***")
        assert "".join(await streamed(made)) == TEXT.replace("BAD", "***")

    async def test_the_log_and_history_have_what_the_user_saw(self):
        async def hush(text):
            return "hidden"

        made = app(SHOUT, output("hush"), "secret", actions={"hush": hush})
        assert await made.generate_async(prompt="hi") == "hidden"
        assert made.explain().colang_history.splitlines() == ['user "hi"', '  "hidden"']

    async def test_an_input_rail_rewrites_what_the_model_sees(self):
        colang = 'define subflow mask\n  $user_message = "my name is ***"\n'
        for more in ("", "passthrough: true"):
            made = app(colang, inputs("mask", more=more), "ok", "ok")
            assert await made.generate_async(prompt="my name is Ann") == "ok"
            assert await streamed(made, "my name is Ann") == ["ok"]
            for call in made.llm.calls:
                text = str(call.prompt)
                assert "my name is ***" in text
                assert "Ann" not in text

    async def test_multimodal_content_that_is_rewritten(self):
        async def drop(parts):
            return [part for part in parts if part["type"] == "text"]

        colang = "define subflow mask\n  $user_message = execute drop(parts=$user_message)\n"
        made = app(colang, inputs("mask", more="passthrough: true"), "ok", actions={"drop": drop})
        content = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]
        await made.generate_async(messages=[{"role": "user", "content": content}])
        assert made.llm.calls[0].prompt[0].content == [{"type": "text", "text": "a"}]
        assert len(content) == 2


class TestPredefinedMessages:
    COLANG = """
        define bot greet
          "Hello BAD $name!"

        define bot wave
          "Hello BAD!"

        define subflow greets
          if "name" in $user_message
            bot greet
            stop

        define subflow waves
          if "wave" in $user_message
            bot wave
            stop

        define subflow warns
          if "warn" in $user_message
            bot greet
    """ + NO_BAD.replace("\n", "\n        ")

    def made(self, more="", *replies):
        yaml = f"""
rails:
  input: {{flows: [greets, waves, warns]}}
  output:
    flows: [no bad]
    streaming: {{enabled: true, chunk_size: 4, context_size: 2, stream_first: false}}
{more}
"""
        return app(self.COLANG, yaml, *replies)

    async def test_the_authors_own_words_are_not_judged(self):
        made = self.made()
        assert await made.generate_async(prompt="wave") == "Hello BAD!"
        assert await streamed(made, "wave") == ["Hello BAD!"]

    async def test_a_filled_in_variable_makes_them_judged(self):
        made = self.made()
        assert await made.generate_async(prompt="name") == SORRY
        assert text_and_error(await streamed(made, "name")) == ("", violation())

    async def test_of_a_rail_that_goes_on_too(self):
        made = self.made("", "never")
        assert await made.generate_async(prompt="warn") == SORRY
        assert text_and_error(await streamed(made, "warn")) == ("", violation())
        assert made.llm.inference_count == 0

    async def test_all_are_judged_on_request(self):
        made = self.made("    check_predefined: true")
        assert await made.generate_async(prompt="wave") == SORRY
        assert text_and_error(await streamed(made, "wave")) == ("", violation())


class TestMessagesThatTheModelWrites:
    COLANG = """
define subflow chk
  bot explain why not
  stop
"""

    @pytest.mark.parametrize(("reply", "said"), [("Because.", "Because."), ("A BAD reason.", SORRY)])
    async def test_a_message_without_a_text_is_written_and_judged(self, reply, said):
        yaml = inputs("chk") + output("no bad").replace("\nrails:\n", "")
        made = app(self.COLANG + NO_BAD, yaml, *[f'  "{reply}"'] * 2)
        assert await made.generate_async(prompt="hi") == said
        text, error = text_and_error(await streamed(made))
        assert (text, error) == ((said, None) if said == reply else ("", violation()))
        assert [call.task for call in made.explain().llm_calls] == ["generate_bot_message"]

    async def test_a_variable_that_is_said_is_judged(self):
        colang = 'define subflow chk\n  $text = "BAD"\n  bot $text\n  stop\n' + NO_BAD
        made = app(colang, inputs("chk") + output("no bad").replace("\nrails:\n", ""))
        assert await made.generate_async(prompt="hi") == SORRY


class TestVariablesOfRails:
    async def test_rails_of_a_whole_message_see_each_others_variables(self):
        colang = """
            define subflow first
              $mood = "good"

            define subflow second
              if $mood == "good"
                bot "seen"
                stop
            """
        made = app(colang, output("first", "second"), "a")
        assert await made.generate_async(prompt="hi") == "seen"

    async def test_windows_never_see_each_others(self):
        seen = []

        async def note(context):
            seen.append(context.get("count"))
            return True

        colang = "define subflow counts\n  execute note\n  $count = 1\n"
        made = app(colang, output("counts"), "a b c d e f g h", actions={"note": note})
        stream = made.stream_async(prompt="hi", options={"output_vars": ["count"]})
        assert len([chunk async for chunk in stream]) == 8
        assert seen == [None, None, None]
        assert (await stream.result).output_data == {"count": 1}

    async def test_parameters_do_not_reach_the_next_rail(self):
        colang = """
            define subflow a
              pass

            define subflow b
              if $level
                stop
            """
        made = app(colang, output("a $level=high", "b"), "fine", "fine")
        assert await made.generate_async(prompt="hi") == "fine"
        assert await streamed(made) == ["fine"]

    async def test_the_triggered_rail_stays_after_a_block(self):
        made = app(NO_BAD, output("no bad"), "BAD", "fine")
        for expected in ("no bad", None):
            got = await made.generate_async(prompt="hi", options={"output_vars": ["triggered_output_rail"]})
            assert got.output_data == {"triggered_output_rail": expected}

    async def test_a_loop_variable_of_a_rail_disables_nothing(self):
        colang = """
            define subflow spoils
              $i = 99
              $input_flows = []
              $triggered_input_rail = None

            define subflow stops
              bot "stopped"
              stop
            """
        made = app(colang, inputs("spoils", "stops"))
        assert await made.generate_async(prompt="hi") == "stopped"


class TestManyRails:
    async def test_their_number_is_no_limit(self):
        names = [f"rail {n}" for n in range(60)]
        colang = "".join(f"define subflow {name}\n  $x = 1\n" for name in names)
        made = app(colang, inputs(*names), "fine")
        assert await made.generate_async(prompt="hi") == "fine"
