"""The intents that a model names stand among the events of the turn."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from nemoguardrails import LLMRails, RailsConfig

FLOWS = 'define user greet\n  "hello"\n'
REPLIES = """
models:
  - type: main
    engine: scripted
    parameters:
      replies:
        - {task: generate_user_intent, reply: greet}
        - {task: generate_next_steps, reply: bot greet}
        - {task: generate_bot_message, reply: '"Hi!"'}
        - {task: generate_intent_steps_message, reply: "greet\\nbot greet\\n  \\"Hi!\\""}
  - {type: embeddings, engine: hash}
"""
SINGLE = "rails: {dialog: {single_call: {enabled: true}}}\n"


async def intents(yaml: str) -> list[tuple[str, str]]:
    rails = LLMRails(RailsConfig.from_content(colang_content=FLOWS, yaml_content=yaml))
    response = await rails.generate_async(
        messages=[{"role": "user", "content": "hello"}], options={"log": {"internal_events": True}}
    )
    events = response.log.internal_events
    return [(event["type"], event["intent"]) for event in events if "intent" in event]


async def test_those_of_single_tasks():
    assert await intents(REPLIES) == [("UserIntent", "greet"), ("BotIntent", "greet")]


async def test_those_of_a_single_call():
    assert await intents(REPLIES + SINGLE) == [("UserIntent", "greet"), ("BotIntent", "greet")]
