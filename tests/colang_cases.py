"""Reads the conformance cases of Colang 1.0 and runs them: through `LLMRails`, or on the machine alone."""

# SPDX-License-Identifier: Apache-2.0

import asyncio
import inspect
import json
import re

import yaml

from nemoguardrails.streaming.render import StreamError
from nemoguardrails.types import LLMResponse, LLMResponseChunk
from recordings import SHARED

PATH = SHARED / "spec" / "colang-1-cases.yaml"


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
            assert [without_none(one) for one in actions] == [without_none(one) for one in self.actions]
        for text in self.in_prompts if prompts is not None else ():
            assert any(text in prompt for prompt in prompts), f"no prompt holds {text!r}: {prompts}"


def without_none(call):
    """The call of an action with its parameters that are not None."""
    return {
        name: {key: value for key, value in given.items() if value is not None}
        for name, given in call.items()
    }


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
        for piece in re.findall(r"\s*\S+|\s+", answer.content):
            yield LLMResponseChunk(delta_content=piece)
        yield LLMResponseChunk(finish_reason="stop")


WORDSET = {"embedding_search_provider": {"name": "wordset"}}


def wordset():
    """An index in which texts are alike as far as they share words."""
    from nemoguardrails.embeddings import EmbeddingsIndex

    class WordSet(EmbeddingsIndex):
        def __init__(self):
            self.items = []

        async def add_items(self, items):
            self.items.extend(items)

        async def search(self, text, max_results=20, threshold=None):
            asked = words(text)
            scored = [
                (len(asked & words(item.text)) / len(asked | words(item.text)), item) for item in self.items
            ]
            scored.sort(key=lambda one: -one[0])
            return [item for score, item in scored if threshold is None or score >= threshold][:max_results]

    def words(text):
        return set(re.findall(r"[a-z0-9$]+", text.lower())) or {""}

    return WordSet()


class Conversation:
    """A case on one instance of `LLMRails`; the list of messages grows and is sent whole each time.

    With `api: state` the newest message alone is sent, with the state of the answer before.
    """

    def __init__(self, case, *, streamed=False):
        from nemoguardrails import LLMRails, RailsConfig

        wanted = {"rails": {"dialog": {"text_choice": "first"}}, "core": WORDSET}
        if streamed:
            wanted["rails"]["output"] = {"streaming": {"enabled": True, "stream_first": False}}
        config = RailsConfig.from_content(case["colang"], case["config"] or None, wanted)
        self.model, self.calls = ScriptedModel(case.get("llm_replies", ())), []
        self.rails = LLMRails(config, llm=self.model)
        self.rails.register_embedding_search_provider("wordset", wordset)
        for name, spec in (case.get("actions") or {}).items():
            self.rails.register_action(self._function(Stub(name, spec, self.calls)), name)
        self.streamed = streamed
        self.state = {} if case.get("api") == "state" else None
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
        message = await self._answer(turn.get("options"))
        self.messages = [] if self.state is not None else [*self.messages, message]
        Expected(turn).check(
            message["content"],
            tasks=[call.task for call in self.rails.explain().llm_calls],
            actions=self.calls[ran:],
            prompts=self.model.prompts[seen:],
        )

    async def _answer(self, options):
        if self.streamed:
            return await self._streamed_answer(options)
        answer = await self.rails.generate_async(messages=self.messages, options=options, state=self.state)
        if self.state is not None:
            self.state = json.loads(json.dumps(answer.state))
        return answer if isinstance(answer, dict) else answer.response[-1]

    async def _streamed_answer(self, options):
        """What a stream gives; its joined text is the answer, unless it ends with an error."""
        stream = self.rails.stream_async(messages=self.messages, options=options, state=self.state)
        pieces = [piece async for piece in stream]
        response = await stream.result
        if self.state is not None:
            self.state = json.loads(json.dumps(response.state))
        if pieces and isinstance(pieces[-1], StreamError):
            return response.response[-1]
        return {"role": "assistant", "content": "".join(pieces)}

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
