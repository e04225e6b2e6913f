"""Playing one flow with its actions to its end."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.actions import ActionResult, action
from nemoguardrails.actions.dispatcher import CallScope, Dispatcher
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.actions.registry import ActionRegistry
from nemoguardrails.colang.load import parse_sources
from nemoguardrails.config.rails_config import ColangSource
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.logging.record import RailRecord
from nemoguardrails.runtime.runner import Runner, Said


async def ran(flow, context=None, **actions):
    """How a flow ended, its context after it, and its record."""
    registry = ActionRegistry()
    for name, one in actions.items():
        registry.register(one, name)
    program = parse_sources([ColangSource("main.co", f"define subflow it\n{flow}")], "1.0")
    variables = dict(context or {})
    record = RailRecord("input", "it", 0.0)

    async def say(step, scope):
        return Said(step.value or step.text or f"<{step.intent}>", trusted=step.value is None)

    runner = Runner(Dispatcher(registry, {}), say)
    play = program.player().play("it", variables, None)
    return await runner.run(play, CallScope(variables, rail=record)), variables, record


async def test_to_its_end():
    got, context, _ = await ran("  $a = 1\n")
    assert (got.stopped, got.reply, got.failure, context["a"]) == (False, None, None, 1)


async def test_to_a_stop_with_what_was_said():
    got, _, record = await ran('  bot greet\n  bot "Bye."\n  stop\n  bot "never"\n')
    assert (got.stopped, got.reply) == (True, "<greet>\nBye.")
    assert record.decisions == ["greet"]


async def test_a_variable_that_is_said_is_not_trusted():
    got, _, _ = await ran("  bot $a\n", {"a": "x"})
    assert list(got.said) == [Said("x", trusted=False)]


async def test_an_exception_event_is_kept():
    got, _, _ = await ran('  create event OneException(message="a")\n  stop\n')
    assert (got.exception["type"], got.exception["message"]) == ("OneException", "a")


async def test_other_events_are_collected():
    got, _, _ = await ran("  create event Noticed(what=1)\n")
    assert [(event["type"], event["what"]) for event in got.events] == [("Noticed", 1)]


async def test_results_reach_variables_and_events():
    async def look():
        return ActionResult("x", events=[{"type": "Seen"}], context_updates={"b": 2})

    got, context, record = await ran("  $a = execute look\n", look=look)
    assert (context["a"], context["b"]) == ("x", 2)
    assert [event["type"] for event in got.events] == ["Seen"]
    assert record.decisions == ["execute look"]


async def test_an_event_of_an_action_may_stop_it():
    async def look():
        return ActionResult(events=[{"type": "BotIntent", "intent": "stop"}])

    got, _, _ = await ran('  execute look\n  bot "never"\n', look=look)
    assert (got.stopped, got.reply) == (True, None)


async def test_an_action_that_raises_ends_it():
    async def look():
        raise KeyError("x")

    got, _, _ = await ran('  execute look\n  bot "never"\n', look=look)
    assert (got.failure, got.reply) == ("Action look failed with status: failed", None)
    assert isinstance(got.error, KeyError)


async def test_a_missing_action_ends_it():
    got, _, record = await ran("  execute nobody\n")
    assert got.failure == "Action nobody failed with status: failed"
    assert record.actions[0].failure is not None


async def test_a_failed_expression_ends_it():
    got, _, _ = await ran("  if $a.b > 1\n    stop\n", {"a": None})
    assert got.failure == "The flow could not be played to its end"
    assert "main.co, line 2" in str(got.error)


async def test_a_model_that_cannot_be_called_is_raised():
    async def look():
        raise LLMCallException("gone")

    with pytest.raises(LLMCallException):
        await ran("  execute look\n", look=look)


@pytest.mark.parametrize(
    ("value", "outcome", "plain"),
    [
        (RailOutcome.block(reason="r"), True, "allow"),
        (RailOutcome.allow(), False, "allow"),
        (False, False, "block"),
        (0.2, False, "block"),
        (True, False, "allow"),
        ("text", False, "allow"),
        (None, False, "allow"),
    ],
)
async def test_the_verdict_of_a_value_is_noted(value, outcome, plain):
    async def look():
        return value

    got, _, _ = await ran("  execute look\n", look=look)
    assert (got.outcome is not None, got.plain, got.refused) == (outcome, plain, False)


async def test_a_declared_mapping_reads_the_value():
    @action(output_mapping=lambda value: value == "bad")
    async def look():
        return "bad"

    got, _, _ = await ran("  execute look\n", look=look)
    assert (got.refused, got.plain) == (True, "allow")
