"""A pipeline and a tokenizer that need no model: words are tokens, and a step can be held back."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

WAIT_S = 20.0
"""Longer than any step takes; only a fault reaches it."""


class WordTokenizer:
    """Each word with the space behind it is a token; ids are given as words are met."""

    chat_template: str | None = None
    eos_token_id = 0

    def __init__(self) -> None:
        self._ids = {"<end>": 0}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [self._ids.setdefault(word, len(self._ids)) for word in re.findall(r"\S+\s*|\s+", text)]

    def decode(self, token_ids: Iterable[int], **kwargs: Any) -> str:
        words = list(self._ids)
        return "".join(words[int(one)] for one in token_ids if int(one) != 0)


class ChatTokenizer(WordTokenizer):
    """Has a chat template."""

    chat_template = "yes"

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        lines = [f"<{turn['role']}> {turn['content']}" for turn in conversation]
        return " ".join([*lines, "<assistant> "] if add_generation_prompt else lines)


class FakePipeline:
    """Generates as `transformers` does: token by token, asking the stopping criteria after each.

    Args:
        answer: prompt -> the words of the answer; `<end>` is the token that ends an answer.
        steps: is acquired before each token: with 0 permits the generation stands still.
        init: arguments of the pipeline itself.
    """

    def __init__(
        self,
        answer: Callable[[str], str] | str = "The capital of France is Paris. ",
        *,
        tokenizer: WordTokenizer | None = None,
        task: str | None = "text-generation",
        steps: threading.Semaphore | None = None,
        error: BaseException | None = None,
        **init: Any,
    ) -> None:
        self.tokenizer = tokenizer or WordTokenizer()
        self.task = task
        self.model = SimpleNamespace(name_or_path="toy", generation_config=SimpleNamespace(eos_token_id=0))
        self._answer = answer
        self._steps = steps
        self._error = error
        self._forward_params = init
        self._lock = threading.Lock()
        self.prompts: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.threads: list[str] = []
        self.generated = 0
        self.running = 0
        self.most_running = 0
        self.finished = threading.Semaphore(0)

    def __call__(self, text: str, **kwargs: Any) -> list[dict[str, str]]:
        with self._lock:
            self.prompts.append(text)
            self.asked.append(kwargs)
            self.threads.append(threading.current_thread().name)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            return [{"generated_text": self._generate(text, **{**self._forward_params, **kwargs})}]
        finally:
            with self._lock:
                self.running -= 1
            self.finished.release()

    def _generate(
        self,
        text: str,
        streamer: Any = None,
        stopping_criteria: Iterable[Callable[..., bool]] = (),
        max_new_tokens: int | None = None,
        **_: Any,
    ) -> str:
        row = self.tokenizer.encode(text)
        start = len(row)
        answer = self._answer if isinstance(self._answer, str) else self._answer(text)
        if streamer is not None:
            streamer.put(np.array([row]))
        for token in self.tokenizer.encode(answer)[:max_new_tokens]:
            if self._steps is not None:
                assert self._steps.acquire(timeout=WAIT_S)
            row.append(token)
            self.generated += 1
            if streamer is not None:
                streamer.put(np.array([token]))
            verdicts = [criterion(np.array([row]), None) for criterion in stopping_criteria]
            if any(verdicts):
                break
        if self._error is not None:
            raise self._error
        if streamer is not None:
            streamer.end()
        return self.tokenizer.decode(row[start:])

    def wait_for_end(self) -> None:
        """Returns when one more generation has left its thread."""
        assert self.finished.acquire(timeout=WAIT_S)
