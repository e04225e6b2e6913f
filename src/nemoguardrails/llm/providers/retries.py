"""When a request is sent again, and how long that waits: a plan without a clock of its own."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ...exceptions import LLMClientError
from .http_errors import retry_after_s

_LONGEST_RETRY_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failed request is repeated, and within which waiting time in total."""

    max_retries: int = 2
    budget_s: float = 10.0
    jitter: Callable[[float, float], float] = field(default=random.uniform, repr=False)


@dataclass(slots=True)
class RetryPlan:
    """The retries of one request."""

    policy: RetryPolicy
    done: int = 0
    waited_s: float = 0.0

    def wait_s(self, error: LLMClientError, *, now: float) -> float | None:
        """Seconds to wait before the next attempt; `None` if the error is to be passed on.

        Without a word from the server the delay is random between 0 and `min(0.5 * 2**n, 8)` seconds.
        A `retry-after` beyond what is left of the budget is not waited for.

        Args:
            now: Unix time, for a `retry-after` that is a date.
        """
        if not error.retryable or self.done >= self.policy.max_retries:
            return None
        asked = retry_after_s(error.response_headers, now=now)
        delay = self.policy.jitter(0.0, min(0.5 * 2**self.done, 8.0)) if asked is None else asked
        if delay > _LONGEST_RETRY_AFTER_S or self.waited_s + delay > self.policy.budget_s:
            return None
        self.done += 1
        self.waited_s += delay
        return delay
