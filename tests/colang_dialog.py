"""A turn of dialog around the machine of Colang 1.0, as a runtime drives it: no rails, prompts or waiting."""

# SPDX-License-Identifier: Apache-2.0

import json

from nemoguardrails.colang.interpreter import ColangRuntimeError, Emit, Execute
from nemoguardrails.colang.load import parse_sources
from nemoguardrails.colang.source import SourceText
from nemoguardrails.colang.v1_0.state import State, state_from_json, state_to_json
from nemoguardrails.colang.v1_0.texts import render_text, unescape_newlines

NEUTRAL = "I'm sorry, an internal error has occurred."


class Result:
    """What an action returns besides a plain value."""

    def __init__(self, value=None, updates=None, events=()):
        self.value, self.updates, self.events = value, updates or {}, events


class Dialog:
    """One conversation; `replies` are the model's, in order, `actions` are functions of parameters.

    Between two turns the state goes through JSON, as it does for a server.
    """

    def __init__(self, colang, replies=(), actions=None, *, multi_step=False, limits=None):
        self.program = parse_sources([SourceText("main.co", colang)])
        self.machine = self.program.machine(limits)
        self.state = State()
        self.replies = iter(replies)
        self.actions = actions or {}
        self.multi_step = multi_step
        self.tasks, self.ran, self.said = [], [], []

    def user(self, text, context=None):
        """The answer to a message."""
        return self._turn(lambda: self._message(text), context)

    def event(self, event, context=None):
        """The answer to an event of the application."""
        return self._turn(lambda: self.machine.step(self.state, event), context)

    def _turn(self, start, context):
        self.tasks, self.ran, self.said = [], [], []
        stored = json.dumps(state_to_json(self.state, self.program.flows))
        self.state = state_from_json(json.loads(stored), self.program.flows)
        self.state.context.update(context or {})
        self.machine.begin_turn(self.state)
        try:
            reaction = start()
            while reaction is not None and reaction.decision is not None:
                reaction = self._carry_out(reaction.decision)
        except (ColangRuntimeError, ArithmeticError, LookupError):
            self.said.append(NEUTRAL)
            self.machine.reset(self.state)
        return "\n".join(self.said)

    def _message(self, text):
        step, state = self.machine.step, self.state
        reaction = step(state, {"type": "UtteranceUserActionFinished", "final_transcript": text})
        if reaction.decision is None:
            reaction = step(state, {"type": "UserMessage", "text": text})
        if reaction.decision is not None:
            return reaction
        reply = self._model("generate_user_intent")
        intent = next((line.strip() for line in reply.split("\n") if line.strip()), "unknown message")
        reaction = step(state, {"type": "UserIntent", "intent": intent.removeprefix("user ")})
        return reaction if reaction.decision is not None else self._next_step()

    def _next_step(self):
        reply = self._model("generate_next_steps")
        if self.multi_step and (reaction := self.machine.start_generated(self.state, reply)):
            return reaction
        line = reply.strip().split("\n")[0]
        intent = (
            line[4:].split('"')[0].split(",")[0].strip() if line.startswith("bot ") else "general response"
        )
        self.machine.step(self.state, {"type": "BotIntent", "intent": intent})
        return self._say(self._words(intent, self.state.context))

    def _carry_out(self, decision):
        command = decision.command
        if isinstance(command, Execute):
            return self._execute(command)
        reaction = self.machine.step(self.state, decision.event)
        if isinstance(command, Emit):
            return self.machine.step(self.state, command.event)
        if command is None:
            return reaction
        if command.value is not None:
            return self._say(command.value)
        if command.text is not None:
            return self._say(render_text(command.text, command.context))
        return self._say(self._words(command.intent, command.context))

    def _words(self, intent, context):
        known = self.program.bot_messages.get(intent)
        if known is not None and known.texts:
            return render_text(known.texts[0], context)
        return (
            unescape_newlines(self._model("generate_bot_message").strip().strip('"'))
            or "I'm not sure what to say."
        )

    def _say(self, text):
        self.said.append(text)
        self.machine.step(self.state, {"type": "StartUtteranceBotAction", "script": text})
        return self.machine.resume(self.state)

    def _execute(self, command):
        if command.action == "generate_value":
            result = self._model("generate_value").strip().removesuffix(";").strip("\"'")
        else:
            self.ran.append({command.action: command.params})
            result = self.actions[command.action](**command.params)
        result = result if isinstance(result, Result) else Result(result)
        updates = dict(result.updates)
        if command.result_key:
            updates[command.result_key] = result.value
        self.machine.step(self.state, {"type": "ContextUpdate", "data": updates})
        finished = {
            "type": "InternalSystemActionFinished",
            "action_name": command.action,
            "status": "success",
            "return_value": result.value,
        }
        reaction = self.machine.step(self.state, finished)
        for event in result.events:
            reaction = self.machine.step(self.state, event)
        return reaction

    def _model(self, task):
        self.tasks.append(task)
        return next(self.replies)
