"""Reads the conformance cases of Colang 1.0 and runs them: through `LLMRails`, or on the machine alone."""

# SPDX-License-Identifier: Apache-2.0

import asyncio
import inspect
import os
import re
from pathlib import Path

import yaml

from nemoguardrails.types import LLMResponse, LLMResponseChunk

_SHARED = Path(os.environ.get("SLUICE_SHARED") or Path(__file__).parents[2] / "shared")
PATH = _SHARED / "spec" / "colang-1-cases.yaml"


def read_cases():
    """All cases; none where the specification is not at hand."""
    return yaml.safe_load(PATH.read_text(encoding="utf-8")) if PATH.exists() else []


class Expected:
    """What a turn of a case must give: the wanted value where we differ, else the observed one."""

    def __init__(self, turn):
        differs = "want" in turn or "want_match" in turn
        self.answer = turn.get("want", None if "want_match" in turn else turn.get("bot"))
        self.pattern = turn.get("want_match")
        self.exception = None if differs else turn.get("exception")
        self.tasks = turn.get("want_llm_tasks", None if differs else turn.get("llm_tasks"))
        self.actions = turn.get("want_actions", turn.get("actions"))
        self.in_prompts = [*turn.get("prompt_contains", ()), *turn.get("want_prompt_contains", ())]

    def check(self, answer, *, tasks, actions, prompts=None):
        if self.pattern is not None:
            assert re.search(self.pattern, answer)
        elif self.exception is not None:
            assert {key: answer.get(key) for key in self.exception} == self.exception
        else:
            assert answer == self.answer
        if self.tasks is not None:
            assert tasks == self.tasks
        if self.actions is not None:
            assert actions == self.actions
        for text in self.in_prompts if prompts is not None else ():
            assert any(text in prompt for prompt in prompts), f"no prompt holds {text!r}: {prompts}"


class Stub:
    """A stub action: computes what its spec says, and notes each call with its parameters."""

    def __init__(self, name, spec, calls):
        self.name, self.spec, self.calls = name, spec or {}, calls
        self.left = list(self.spec.get("returns_seq", ()))

    def value(self, given):
        """The value for the parameters, after the call is noted."""
        self.calls.append({self.name: {key: value for key, value in given.items() if value is not None}})
        spec = self.spec
        if "raises" in spec:
            raise LookupError(spec["raises"])
        if self.left:
            return self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if "returns_upper" in spec:
            return given[spec["returns_upper"]].upper()
        if "returns_contains" in spec:
            parameter, word = spec["returns_contains"]
            return word in given[parameter]
        return given.get(spec["returns_param"]) if "returns_param" in spec else spec.get("returns")


class ScriptedModel:
    """Gives the replies of a case in order and notes the prompt of each call."""

    model_name = "scripted"
    provider_name = "test"
    provider_url = None

    def __init__(self, replies):
        self.replies, self.prompts = list(replies), []

    async def generate_async(self, prompt, *, stop=None, **params):
        self.prompts.append(prompt if isinstance(prompt, str) else "\n".join(str(m.content) for m in prompt))
        if not self.replies:
            raise RuntimeError("the model is called more often than the case says")
        return LLMResponse(self.replies.pop(0))

    async def stream_async(self, prompt, *, stop=None, **params):
        answer = await self.generate_async(prompt, stop=stop, **params)
        yield LLMResponseChunk(delta_content=answer.content)
        yield LLMResponseChunk(finish_reason="stop")


class Conversation:
    """A case on one instance of `LLMRails`; the list of messages grows and is sent whole each time."""

    def __init__(self, case):
        from nemoguardrails import LLMRails, RailsConfig

        config = RailsConfig.from_content(colang_content=case["colang"], yaml_content=case["config"] or None)
        self.model, self.calls = ScriptedModel(case.get("llm_replies", ())), []
        self.rails = LLMRails(config, llm=self.model)
        for name, spec in (case.get("actions") or {}).items():
            self.rails.register_action(self._function(Stub(name, spec, self.calls)), name)
        self.messages = []
        if case.get("context"):
            self.messages.append({"role": "context", "content": case["context"]})

    async def turn(self, turn):
        """Sends a turn and checks what came of it."""
        seen, ran = len(self.model.prompts), len(self.calls)
        if turn.get("context"):
            self.messages.append({"role": "context", "content": turn["context"]})
        new = (
            {"role": "user", "content": turn["user"]}
            if "user" in turn
            else {"role": "event", "event": turn["event"]}
        )
        self.messages.append(new)
        answer = await self.rails.generate_async(messages=self.messages, options=turn.get("options"))
        message = answer if isinstance(answer, dict) else answer.response[-1]
        self.messages.append(message)
        Expected(turn).check(
            message["content"],
            tasks=[call.task for call in self.rails.explain().llm_calls],
            actions=self.calls[ran:],
            prompts=self.model.prompts[seen:],
        )

    def _function(self, stub):
        from nemoguardrails.actions import ActionResult, action

        async def run(**given):
            value = stub.value(given)
            await asyncio.sleep(stub.spec.get("delay", 0))
            if "context_updates" in stub.spec or "events" in stub.spec:
                return ActionResult(value, stub.spec.get("events"), stub.spec.get("context_updates", {}))
            return value

        keyword = inspect.Parameter.KEYWORD_ONLY
        names = stub.spec.get("params", ())
        run.__signature__ = inspect.Signature([inspect.Parameter(n, keyword, default=None) for n in names])
        return action(name=stub.name, is_system_action=bool(stub.spec.get("system")))(run)
