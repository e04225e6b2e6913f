"""Tool calls and tool results in passthrough mode, and the rails on them."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from guarded import HI, activated, app, evented, response, streamed
from nemoguardrails.streaming.events import Blocked, Failed, Finished, TextDelta, ToolCallDelta, ToolCalls
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, LLMResponseChunk, ToolCall, ToolCallFragment, ToolCallFunction
from scripted_model import StreamingModel

SORRY = "I'm sorry, I can't respond to that."
CALL = ToolCall("c1", function=ToolCallFunction("send", {"to": "bob"}))
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{"to": "bob"}'}}
    ],
}
RESULT = {"role": "tool", "content": "sent", "name": "send", "tool_call_id": "c1"}
FLOWS = """
define subflow no bob
  $ok = execute allowed(calls=$tool_calls)
  if not $ok
    bot refuse to respond
    stop

define subflow only ann
  $tool_calls = execute replaced(calls=$tool_calls)

define subflow no secrets
  if "secret" in $tool_message
    bot "The tool $tool_name said too much."
    stop

define subflow trim
  $tool_message = execute trimmed(text=$tool_message)

define subflow raises
  create event ToolException(message="no")
  stop

define subflow no bot
  if "tool" in $bot_message
    bot refuse to respond
    stop
"""


async def allowed(calls):
    return all(call["function"]["arguments"].get("to") != "bob" for call in calls)


async def replaced(calls):
    return [
        {
            **call,
            "function": {**call["function"], "arguments": {**call["function"]["arguments"], "to": "ann"}},
        }
        for call in calls
    ]


async def trimmed(text):
    return text.strip()


def made_with(*answers, tool_output=(), tool_input=(), output=(), more=""):
    yaml = (
        "passthrough: true\n"
        f"{more}rails:\n"
        f"  tool_output: {{flows: {json.dumps(list(tool_output))}}}\n"
        f"  tool_input: {{flows: {json.dumps(list(tool_input))}}}\n"
        f"  output:\n    flows: {json.dumps(list(output))}\n"
        "    streaming: {enabled: true, stream_first: false}\n"
    )
    return app(
        FLOWS,
        yaml,
        llm=FakeLLMModel(llm_responses=list(answers)),
        actions={"allowed": allowed, "replaced": replaced, "trimmed": trimmed},
    )


def calling(text="", call=CALL):
    return LLMResponse(text, tool_calls=[call])


class TestCalls:
    async def test_they_are_returned_as_plain_data(self):
        made = made_with(calling(), calling())
        message = await made.generate_async(messages=HI)
        assert message == {"role": "assistant", "content": "", "tool_calls": [CALL.to_dict()]}
        got = await response(made)
        assert got.tool_calls == [CALL.to_dict()]
        assert json.loads(got.model_dump_json())["tool_calls"] == [CALL.to_dict()]

    async def test_a_plain_stream_shows_the_text_alone(self):
        assert await streamed(made_with(calling("I look it up"))) == ["I ", "look ", "it ", "up"]

    async def test_as_typed_events(self):
        assert await evented(made_with(calling("on it"))) == [
            TextDelta("on "),
            TextDelta("it"),
            ToolCalls([CALL]),
            Finished("tool_calls", "fake"),
        ]


class TestResults:
    async def test_the_model_is_given_the_whole_conversation(self):
        made = made_with(LLMResponse("Done."))
        messages = [{"role": "system", "content": "be brief"}, *HI, CALLED, RESULT]
        assert await made.generate_async(messages=messages) == {"role": "assistant", "content": "Done."}
        prompt = made.llm.calls[0].prompt
        assert [(message.role.value, message.content) for message in prompt] == [
            ("system", "be brief"),
            ("user", "hi"),
            ("assistant", None),
            ("tool", "sent"),
        ]
        assert prompt[2].tool_calls == [CALL]
        assert (prompt[3].tool_call_id, prompt[3].name) == ("c1", "send")

    async def test_appending_a_result_does_not_get_a_message_past_the_input_rails(self):
        colang = 'define subflow nope\n  if "bomb" in $user_message\n    bot refuse to respond\n    stop\n'
        made = app(colang, "passthrough: true\nrails: {input: {flows: [nope]}}", "never")
        got = await made.generate_async(messages=[{"role": "user", "content": "a bomb"}, RESULT])
        assert got["content"] == SORRY


class TestOutputRails:
    async def test_calls_that_pass(self):
        other = ToolCall("c2", function=ToolCallFunction("send", {"to": "ann"}))
        made = made_with(calling("ok", other), calling("ok", other), tool_output=["no bob"])
        got = await response(made, log={"activated_rails": True})
        assert (got.response[0]["content"], got.tool_calls) == ("ok", [other.to_dict()])
        assert activated(got)[-1] == ("tool_output", "no bob", ["execute allowed"], ["allowed"], False)
        assert await evented(made) == [TextDelta("ok"), ToolCalls([other]), Finished("tool_calls", "fake")]

    async def test_refused_calls_stay_beside_the_refusal_and_the_log_tells(self):
        made = made_with(calling("Let me"), calling(), tool_output=["no bob"])
        got = await response(made, log={"activated_rails": True})
        assert got.response == [{"role": "assistant", "content": f"Let me\n{SORRY}"}]
        assert got.tool_calls == [CALL.to_dict()]
        assert activated(got)[-1][4] is True
        assert (await made.generate_async(messages=HI))["content"] == SORRY

    async def test_strict_tools_removes_them(self):
        made = made_with(calling(), calling(), tool_output=["no bob"])
        got = await response(made, rails={"strict_tools": True})
        assert (got.response[0]["content"], got.tool_calls) == (SORRY, None)
        assert await evented(made, options={"rails": {"strict_tools": True}}) == [
            Blocked("no bob", stage="tool_output", reply=SORRY),
            TextDelta(SORRY),
            Finished("stop", "fake"),
        ]

    async def test_the_stream_says_what_the_answer_says(self):
        made = made_with(calling("Let me"), tool_output=["no bob"])
        assert "".join(await streamed(made)) == f"Let me\n{SORRY}"

    async def test_fragments_wait_for_the_verdict(self):
        chunks = [
            LLMResponseChunk(tool_call_fragments=[ToolCallFragment(0, "c1", "send", '{"to": "bob"}')]),
            LLMResponseChunk(delta_tool_calls=[CALL], finish_reason="tool_calls"),
        ]
        yaml = "passthrough: true\nrails: {tool_output: {flows: [no bob]}}"
        made = app(FLOWS, yaml, llm=StreamingModel(*chunks), actions={"allowed": allowed})
        kinds = [type(event) for event in await evented(made)]
        assert kinds == [Blocked, TextDelta, ToolCalls, Finished]
        unguarded = app(None, "passthrough: true", llm=StreamingModel(*chunks))
        assert [type(event) for event in await evented(unguarded)] == [ToolCallDelta, ToolCalls, Finished]

    async def test_a_rail_may_change_the_calls(self):
        made = made_with(calling(), tool_output=["only ann", "no bob"])
        got = await response(made)
        assert got.tool_calls[0]["function"] == {"name": "send", "arguments": {"to": "ann"}}

    async def test_they_can_be_switched_off(self):
        made = made_with(calling(), tool_output=["no bob"])
        got = await response(made, rails={"tool_output": False})
        assert (got.response[0]["content"], got.tool_calls) == ("", [CALL.to_dict()])

    async def test_an_exception_event(self):
        made = made_with(calling(), calling(), tool_output=["raises"], more="enable_rails_exceptions: true\n")
        got = await made.generate_async(messages=HI)
        assert (got["role"], got["content"]["type"]) == ("exception", "ToolException")
        (error,) = await streamed(made)
        assert error.error["message"] == "no"

    async def test_a_failing_rail_refuses(self):
        yaml = "passthrough: true\nrails: {tool_output: {flows: [no bob]}}"

        async def broken(calls):
            raise ValueError("no")

        made = app(FLOWS, yaml, llm=FakeLLMModel(llm_responses=[calling()]), actions={"allowed": broken})
        got = await response(made, rails={"strict_tools": True})
        assert got.response[0]["content"] == "I'm sorry, an internal error has occurred."
        assert got.tool_calls is None

    async def test_calls_that_a_rail_makes_nonsense_of_never_leave(self):
        async def nonsense(calls):
            return [{"function": {"name": "x", "arguments": 3}}]

        yaml = "passthrough: true\nrails: {tool_output: {flows: [only ann]}}"
        made = app(FLOWS, yaml, llm=FakeLLMModel(llm_responses=[calling()]), actions={"replaced": nonsense})
        assert [type(event) for event in await evented(made)] == [Failed]


class TestInputRails:
    MESSAGES = (*HI, CALLED, RESULT)

    def said(self, text):
        return [*HI, CALLED, {**RESULT, "content": text}]

    async def test_results_that_pass_are_given_on_as_the_rail_left_them(self):
        made = made_with(LLMResponse("Done."), tool_input=["no secrets", "trim"])
        messages = self.said("  fine ")
        got = await made.generate_async(messages=messages, options={"log": {"activated_rails": True}})
        assert got.response[0]["content"] == "Done."
        assert made.llm.calls[0].prompt[-1].content == "fine"
        assert messages[-1]["content"] == "  fine "
        assert [rail[:2] for rail in activated(got)][:2] == [
            ("tool_input", "no secrets"),
            ("tool_input", "trim"),
        ]

    async def test_a_refused_result_never_reaches_the_model(self):
        made = made_with(LLMResponse("never"), tool_input=["no secrets"])
        messages = self.said("a secret")
        text = "The tool send said too much."
        assert (await made.generate_async(messages=messages))["content"] == text
        assert await evented(made, messages=messages) == [
            Blocked("no secrets", stage="tool_input", reply=text),
            TextDelta(text),
            Finished("stop"),
        ]
        assert made.llm.inference_count == 0

    async def test_its_words_are_judged_where_a_variable_is_filled_in(self):
        made = made_with(LLMResponse("never"), tool_input=["no secrets"], output=["no bot"])
        assert (await made.generate_async(messages=self.said("a secret")))["content"] == SORRY

    async def test_every_result_is_judged_with_its_variables(self):
        seen = []

        async def look(context):
            names = ("tool_message", "tool_name", "tool_call_id", "triggered_tool_input_rail")
            seen.append((*(context[name] for name in names), len(context["tool_messages"])))

        yaml = "passthrough: true\nrails: {tool_input: {flows: [look]}}"
        made = app("define subflow look\n  execute look\n", yaml, "ok", actions={"look": look})
        await made.generate_async(messages=[*HI, CALLED, RESULT, {"role": "tool", "content": "b"}])
        assert seen == [("sent", "send", "c1", "look", 2), ("b", "unknown", "", "look", 2)]

    @pytest.mark.parametrize("messages", [HI, [*HI, CALLED, RESULT, *HI]])
    async def test_only_where_the_conversation_ends_with_results(self, messages):
        made = made_with(LLMResponse("ok"), tool_input=["raises"])
        assert (await made.generate_async(messages=messages))["content"] == "ok"
