"""Conversations that are remembered by their messages."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.colang.v1_0.state import Instance, State
from nemoguardrails.runtime.conversations import Conversations, Past, Trace


def user(text):
    return {"role": "user", "content": text}


def bot(text, **more):
    return {"role": "assistant", "content": text, **more}


def context(**variables):
    return {"role": "context", "content": variables}


def keep(store, messages, answer, *, events=(), **variables):
    store.keep(Trace(messages), answer, State(dict(variables)), Past(None, tuple(events)))


def found(store, *messages):
    got = store.find(Trace(messages))
    return None if got is None else got.state.context


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_conversation_goes_on_from_its_last_answer():
    store = Conversations()
    keep(store, [user("a")], bot("b"), x=1)
    got = store.find(Trace([user("a"), bot("b"), context(y=2), user("c")]))
    assert (got.known, got.state.context) == (2, {"x": 1})


def test_what_is_found_belongs_to_the_finder():
    store = Conversations()
    store.keep(Trace([user("a")]), bot("b"), State({}, [Instance(1, "f", 0)]), Past(None, ()))
    first = store.find(Trace([user("a"), bot("b")]))
    first.state.context["x"] = 1
    first.state.instances[0].at = 7
    second = store.find(Trace([user("a"), bot("b")]))
    assert (second.state.context, second.state.instances[0].at) == ({}, 0)


def test_lists_of_one_finder_are_not_anothers():
    store, items = Conversations(), [{"n": 1}]
    keep(store, [user("a")], bot("b"), items=items)
    items[0]["n"] = 2
    found(store, user("a"), bot("b"))["items"].append("mine")
    assert found(store, user("a"), bot("b")) == {"items": [{"n": 1}]}


@pytest.mark.parametrize(
    "other",
    [
        [user("a:b")],
        [bot("a"), bot("b")],
        [user("a"), bot("b", tool_calls=[{"id": "1"}])],
        [user("a"), bot("b", name="n")],
        [context(x=1), user("a"), bot("b")],
        [{"role": "system", "content": "s"}, user("a"), bot("b")],
        [user("ab"), bot("")],
        [user([{"type": "text", "text": "a"}]), bot("b")],
    ],
)
def test_other_messages_are_another_conversation(other):
    store = Conversations()
    keep(store, [user("a")], bot("b"), x=1)
    assert found(store, *other, user("c")) is None


def test_the_thoughts_in_an_answer_do_not_count():
    store = Conversations()
    keep(store, [user("a")], bot("b"), x=1)
    assert found(store, user("a"), bot("<think>hm</think>\nb"), user("c")) == {"x": 1}


class TestEqualMessages:
    def test_of_different_variables_are_given_to_nobody(self):
        store = Conversations()
        keep(store, [user("a")], bot("b"), who="ann")
        keep(store, [user("a")], bot("b"), who="bob")
        assert found(store, user("a"), bot("b"), user("c")) is None
        keep(store, [user("a")], bot("b"), who="ann")
        assert found(store, user("a"), bot("b"), user("c")) is None

    def test_of_different_events_are_given_to_nobody(self):
        store = Conversations()
        for value in (1, 2):
            keep(store, [user("a")], bot("b"), events=[{"type": "X", "return_value": value}])
        assert found(store, user("a"), bot("b"), user("c")) is None

    def test_that_came_to_the_same_are_shared(self):
        store = Conversations()
        for uid in "pq":
            keep(store, [user("a")], bot("b"), events=[{"type": "X", "uid": uid}], who="ann")
        assert found(store, user("a"), bot("b"), user("c")) == {"who": "ann"}

    def test_with_names_are_told_apart(self):
        store = Conversations()
        for name in ("ann", "bob"):
            keep(store, [context(conversation_id=name), user("a")], bot("b"), who=name)
        got = [found(store, context(conversation_id=n), user("a"), bot("b")) for n in ("ann", "bob")]
        assert got == [{"who": "ann"}, {"who": "bob"}]

    def test_of_one_name_are_one_conversation_and_the_latest_counts(self):
        store = Conversations()
        for count in (1, 2):
            keep(store, [context(conversation_id="x"), user("a")], bot("b"), count=count)
        assert found(store, context(conversation_id="x"), user("a"), bot("b")) == {"count": 2}

    def test_whose_values_cannot_be_compared_are_given_to_nobody(self):
        class Odd:
            def __eq__(self, other):
                raise ValueError("no")

            __hash__ = None

        store = Conversations()
        for _ in range(2):
            keep(store, [user("a")], bot("b"), odd=Odd())
        assert found(store, user("a"), bot("b"), user("c")) is None


class TestBounds:
    def test_the_least_recently_used_goes_first(self):
        store = Conversations(limit=2)
        keep(store, [user("1")], bot("b"), x=1)
        keep(store, [user("2")], bot("b"), x=2)
        found(store, user("1"), bot("b"))
        keep(store, [user("3")], bot("b"), x=3)
        assert len(store) == 2
        assert [found(store, user(n), bot("b")) for n in "123"] == [{"x": 1}, None, {"x": 3}]

    def test_nothing_is_kept_for_ever(self):
        clock = Clock()
        store = Conversations(time_to_live_s=10, clock=clock)
        keep(store, [user("a")], bot("b"), x=1)
        clock.now = 9
        assert found(store, user("a"), bot("b")) == {"x": 1}
        clock.now = 10
        assert found(store, user("a"), bot("b")) is None
        keep(store, [user("a")], bot("b"), x=2)
        assert found(store, user("a"), bot("b")) == {"x": 2}

    def test_turns_share_the_events_before_them(self):
        first = Past(None, ({"type": "A"},))
        second = Past(first, ({"type": "B"}, {"type": "C"}))
        assert [event["type"] for event in second.all()] == ["A", "B", "C"]
        assert second.before is first
