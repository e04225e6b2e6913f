"""Running actions: kinds, injection, results, failures, records."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from nemoguardrails.actions import ActionResult, RailOutcome, action
from nemoguardrails.actions.builtin import create_event, register_built_in_actions
from nemoguardrails.actions.dispatcher import ActionFailed, CallScope, Dispatcher, Done
from nemoguardrails.actions.registry import ActionRegistry
from nemoguardrails.exceptions import ActionNotFoundError, LLMCallException
from nemoguardrails.logging.explain import LLMCallInfo
from nemoguardrails.logging.record import TurnRecord


@pytest.fixture
def registry(tmp_path: Path) -> ActionRegistry:
    """A registry without library."""
    return ActionRegistry(library=tmp_path / "no library")


@pytest.fixture
def params() -> dict[str, Any]:
    """What the dispatcher injects by name."""
    return {}


@pytest.fixture
def dispatcher(registry: ActionRegistry, params: dict[str, Any]) -> Dispatcher:
    """A dispatcher over both."""
    return Dispatcher(registry, params)


@pytest.fixture
def run(registry, dispatcher):
    """Registers an action as `act` and runs it."""

    async def run_action(declared, explicit=None, **scope):
        registry.register(declared, "act")
        return await dispatcher.run("act", explicit or {}, CallScope(**scope))

    return run_action


class TestKinds:
    async def test_coroutine_function(self, run):
        async def act(a, b=2):
            return a + b

        assert await run(act, {"a": 1}) == Done(3)

    async def test_plain_function_runs_in_a_worker_thread_with_the_context_variables(self, run):
        var: ContextVar[str] = ContextVar("var")
        var.set("seen")

        def act():
            return threading.current_thread() is threading.main_thread(), var.get()

        assert (await run(act)).value == (False, "seen")

    async def test_inline_function_runs_on_the_loop(self, run):
        @action(inline=True)
        def act():
            return threading.current_thread() is threading.main_thread()

        assert (await run(act)).value is True

    async def test_wrapped_coroutine_function_is_awaited(self, run):
        async def inner(a):
            return a

        @functools.wraps(inner)
        def act(*args, **kwargs):
            return inner(*args, **kwargs)

        assert (await run(act, {"a": 5})).value == 5
        assert (await run(functools.partial(inner, a=6))).value == 6

    async def test_class_is_instantiated_once_and_its_async_run_awaited(self, run, registry, dispatcher):
        made = []

        class Act:
            def __init__(self):
                made.append(self)

            async def run(self, text):
                return f"ran {text}"

        assert (await run(Act, {"text": "a"})).value == "ran a"
        assert (await dispatcher.run("act", {"text": "b"}, CallScope())).value == "ran b"
        assert len(made) == 1

    async def test_run_is_injected_by_signature(self, run, params):
        params["config"] = "the config"

        class Act:
            def run(self, text, config, context):
                return text, config, context

        assert (await run(Act(), {"text": "a"}, context={"c": 1})).value == ("a", "the config", {"c": 1})

    async def test_ainvoke_gets_the_explicit_parameters_alone(self, run, params):
        params["llm"] = "model"

        class Tool:
            async def ainvoke(self, input):
                return input

        assert (await run(Tool(), {"q": 1}, context={"c": 1}, keywords={"k": 1})).value == {"q": 1}

    async def test_callable_object(self, run):
        class Act:
            async def __call__(self, a):
                return a

        assert (await run(Act(), {"a": 1})).value == 1

    async def test_method_keeps_its_declaration(self, registry, dispatcher):
        class Things:
            @action(name="count things", output_mapping=lambda value: value > 1)
            async def count(self):
                return 2

        registry.register(Things().count)
        bound = dispatcher.bind("count_things")
        assert (await bound({}, CallScope())).value == 2
        assert bound.output_mapping(2) is True


class TestInjection:
    async def test_only_what_the_signature_names(self, run, params):
        params.update(config="C", llm="L", secret="S")

        async def act(config, events, *, state=None):
            return config, events, state

        assert (await run(act, events=["e"], state="st", context={"x": 1})).value == ("C", ["e"], "st")

    async def test_the_scope_replaces_explicit_parameters_but_others_win(self, run, params):
        params["llm"] = "injected"

        async def act(context, llm):
            return context, llm

        result = await run(act, {"context": "explicit", "llm": "explicit"}, context={"real": 1})
        assert result.value == ({"real": 1}, "explicit")

    async def test_model_of_the_action_wins_over_the_main_model(self, registry, dispatcher, params):
        params.update(llm="main", self_check_input_llm="own")

        @action()
        async def self_check_input(llm):
            return llm

        registry.register(self_check_input)
        registry.register(self_check_input, "another")
        assert (await dispatcher.run("SelfCheckInputAction", {}, CallScope())).value == "own"
        assert (await dispatcher.run("another", {}, CallScope())).value == "main"

    async def test_params_registered_later_are_seen(self, run, params, dispatcher):
        async def act(db="none"):
            return db

        assert (await run(act)).value == "none"
        params["db"] = "database"
        assert (await dispatcher.run("act", {}, CallScope())).value == "database"

    async def test_standard_names_without_value_are_none(self, run):
        async def act(kb, llm, http_client, model_caches="default"):
            return kb, llm, http_client, model_caches

        assert (await run(act)).value == (None, None, None, "default")

    async def test_single_context_variables(self, run):
        async def act(__context__user_message, __context__absent):
            return __context__user_message, __context__absent

        assert (await run(act, context={"user_message": "hi"})).value == ("hi", None)

    async def test_keywords_go_to_actions_that_take_any(self, run):
        async def takes(**kwargs):
            return kwargs

        async def takes_not(a):
            return a

        keywords = {"context": {"bot_message": "b"}, "a": "from scope"}
        assert (await run(takes, {"a": 1}, keywords=keywords)).value == {
            "context": {"bot_message": "b"},
            "a": 1,
        }
        assert (await run(takes_not, {"a": 1}, keywords=keywords)).value == 1

    async def test_text_that_looks_like_a_variable_stays_text(self, run):
        async def act(text):
            return text

        assert (await run(act, {"text": "$secret"}, context={"secret": "s"})).value == "$secret"

    async def test_explicit_parameters_are_not_changed(self, run):
        async def act(a, context):
            return None

        explicit = {"a": 1}
        await run(act, explicit, context={"x": 1})
        assert explicit == {"a": 1}

    async def test_a_function_without_signature_gets_the_explicit_parameters(self, run):
        assert (await run(functools.partial(dict, a=1), {"b": 2})).value == {"a": 1, "b": 2}


class TestResults:
    async def test_action_result_is_taken_apart(self, run):
        async def act():
            return ActionResult("v", [{"type": "E"}], {"x": 1})

        assert await run(act) == Done("v", [{"type": "E"}], {"x": 1})

    async def test_verdicts_are_found(self, run):
        block = RailOutcome.block()
        masked = RailOutcome.masked("bot_message", "m", changed=True)

        async def act(value):
            return value

        assert (await run(act, {"value": block})).outcome is block
        assert (await run(act, {"value": masked})).outcome is masked.outcome
        assert (await run(act, {"value": ActionResult(block)})).outcome is block
        assert (await run(act, {"value": "plain"})).outcome is None


class TestFailures:
    async def test_unknown_action(self, dispatcher):
        rail = TurnRecord().rail("input", "r")
        end = await dispatcher.run("nobody", {}, CallScope(rail=rail))
        assert isinstance(end, ActionFailed)
        assert end.kind == "missing"
        assert isinstance(end.error, ActionNotFoundError)
        assert str(end.error) == "Action 'nobody' not found."
        assert rail.decisions == ["execute nobody"]
        assert rail.actions[0].failure == "ActionNotFoundError: Action 'nobody' not found."

    async def test_what_an_action_raises_is_returned(self, run, caplog):
        async def act(text):
            raise KeyError("x")

        with caplog.at_level(logging.INFO):
            end = await run(act, {"text": "the user's words"})
        assert end.kind == "raised"
        assert isinstance(end.error, KeyError)
        assert "the user's words" not in caplog.text
        assert "Action 'act' failed: KeyError" in caplog.text

    @pytest.mark.parametrize("explicit", [{}, {"a": 1, "unknown": 2}])
    async def test_wrong_parameters_are_a_failure(self, run, explicit):
        async def act(a):
            return a

        assert isinstance((await run(act, explicit)).error, TypeError)

    async def test_a_class_that_cannot_be_made_is_a_failure(self, run):
        class Act:
            def __init__(self):
                raise ValueError("no database")

        assert (await run(Act)).kind == "raised"

    async def test_model_errors_are_passed_on(self, run):
        async def act():
            raise LLMCallException("down")

        rail = TurnRecord().rail("input", "r")
        with pytest.raises(LLMCallException):
            await run(act, rail=rail)
        assert rail.actions[0].failure == "LLMCallException: LLM Call Exception: down"
        assert rail.actions[0].finished_at is not None

    async def test_cancelling_is_passed_on(self, run):
        started = asyncio.Event()

        async def act():
            started.set()
            await asyncio.Event().wait()

        rail = TurnRecord().rail("input", "r")
        task = asyncio.create_task(run(act, rail=rail))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rail.actions[0].finished_at is not None

    async def test_keys_do_not_reach_the_record(self, run):
        async def act():
            raise ValueError("refused sk-abcdef123456")

        rail = TurnRecord().rail("input", "r")
        await run(act, rail=rail)
        assert rail.actions[0].failure == "ValueError: refused sk-***"


class TestRecords:
    async def test_the_call_is_recorded_in_its_rail(self, run):
        async def act(a, context):
            return "value"

        rail = TurnRecord().rail("output", "r")
        await run(act, {"a": 1}, rail=rail)
        (record,) = rail.actions
        assert (record.name, record.params, record.return_value) == ("act", {"a": 1}, "value")
        assert record.started_at <= record.finished_at
        assert rail.decisions == ["execute act"]

    async def test_model_calls_are_those_of_the_action_that_made_them(self, registry, dispatcher):
        turn = TurnRecord()
        both_run = asyncio.Barrier(2)

        async def act(name):
            await both_run.wait()
            turn.model_calling(LLMCallInfo(task=name))

        registry.register(act)
        rail = turn.rail("input", "r")
        await asyncio.gather(*(dispatcher.run("act", {"name": name}, CallScope(rail=rail)) for name in "ab"))
        turn.model_calling(LLMCallInfo(task="outside"))
        assert {a.params["name"]: [call.task for call in a.llm_calls] for a in rail.actions} == {
            "a": ["a"],
            "b": ["b"],
        }
        assert sorted(call.task for call in turn.llm_calls) == ["a", "b", "outside"]

    async def test_a_listener_hears_of_each_step(self, run):
        heard = []
        turn = TurnRecord(listener=lambda topic, record: heard.append(topic))

        async def act():
            call = LLMCallInfo()
            turn.model_calling(call)
            turn.model_called(call)

        rail = turn.rail("input", "r")
        await run(act, rail=rail)
        rail.finish()
        turn.finish()
        assert heard == [
            "rail",
            "action",
            "model call",
            "model call finished",
            "action finished",
            "rail finished",
            "turn finished",
        ]


class TestBinding:
    async def test_the_signature_is_read_once(self, registry, dispatcher):
        async def act(): ...

        registry.register(act)
        assert dispatcher.bind("act") is dispatcher.bind("act")

    async def test_a_new_registration_is_used_at_once(self, registry, dispatcher):
        async def first():
            return 1

        async def second():
            return 2

        registry.register(first, "act")
        assert (await dispatcher.run("act", {}, CallScope())).value == 1
        registry.register(second, "act")
        assert (await dispatcher.run("act", {}, CallScope())).value == 2

    def test_unknown_name_raises(self, dispatcher):
        with pytest.raises(ActionNotFoundError):
            dispatcher.bind("nobody")


class TestBuiltIn:
    async def test_create_event(self, registry, dispatcher):
        register_built_in_actions(registry)
        event = {"_type": "Alarm", "level": 3, "text": "$secret"}
        end = await dispatcher.run("create_event", {"event": event}, CallScope(context={"secret": "s"}))
        (made,) = end.events
        assert {
            "type": "Alarm",
            "level": 3,
            "text": "$secret",
            "source_uid": "NeMoGuardrails",
        }.items() <= made.items()
        assert made["uid"]
        assert made["event_created_at"]
        assert event["_type"] == "Alarm"

    async def test_create_event_without_type(self):
        with pytest.raises(ValueError, match="_type"):
            await create_event({"level": 3})

    async def test_current_time(self, registry, dispatcher):
        register_built_in_actions(registry)
        end = await dispatcher.run("GetCurrentDateTimeAction", {}, CallScope())
        assert end.value[4] == "-"
