"""Asks a model for a verdict, or finds it in the cache."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..types import LLMModel
from .cache import LFUCache, verdict_key
from .call import LLMText, recorded_call
from .recording import AnyPrompt, CachedAnswer, cacheable, record_cached

Read = TypeVar("Read")


async def judged_call(
    llm: LLMModel | None,
    prompt: AnyPrompt,
    read: Callable[[LLMText], Read],
    *,
    task: str,
    cache: LFUCache | None = None,
    keep: Callable[[Read], bool] = lambda value: True,
    stop: Sequence[str] | None = None,
    llm_params: Mapping[str, Any] | None = None,
) -> Read:
    """What `read` makes of the model's answer; from the cache where the same was asked before.

    Concurrent equal questions share one call. A hit is recorded like a call, with `from_cache`.

    Args:
        read: reads the answer; what it raises is raised here, and nothing is kept.
        keep: whether a reading is a real verdict, which may be kept; "undecided" is not.

    Raises:
        LLMCallException: the call failed; nothing is kept.
    """
    called = False

    async def ask() -> CachedAnswer:
        nonlocal called
        called = True
        answer = await recorded_call(llm, prompt, stop, llm_params, task=task)
        return cacheable(read(answer.text), answer.call)

    if cache is None or llm is None:
        answer: CachedAnswer = await ask()
        return answer.value  # type: ignore[no-any-return]  # a cache keeps values of any type
    model = f"{getattr(llm, 'provider_name', None)}/{getattr(llm, 'model_name', None)}"
    key = verdict_key(prompt, model=model, task=task)
    began = time.perf_counter()
    answer = await cache.get_or_compute(key, ask, keep=lambda found: keep(found.value))
    if not called:
        record_cached(answer, prompt, task=task, began=began)
    return answer.value  # type: ignore[no-any-return]  # as above
