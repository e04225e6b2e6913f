"""The founding documents' snippet for Hugging Face pipelines runs as it stands, and streams."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from typing import Any

import pytest

from guarded import NO_SECRETS, output
from huggingface_toys import FakePipeline, WordTokenizer
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.llm.providers.huggingface import HuggingFacePipelineCompatible
from recordings import SHARED

SEEDS = sorted((SHARED / "seeds").glob("*.md"))
YAML = output("no secrets")

pytestmark = pytest.mark.skipif(not SEEDS, reason="the founding documents (shared/seeds) are not here")


def snippets() -> list[str]:
    """The Python blocks of the documents that make a pipeline's model."""
    found = []
    for path in SEEDS:
        blocks = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
        found += [block for block in blocks if "HuggingFacePipelineCompatible(" in block]
    return found


@pytest.mark.parametrize(
    ("yaml", "colang"), [("", None), (YAML, NO_SECRETS)], ids=["bare", "with an output rail"]
)
async def test_the_snippet_streams_token_by_token(yaml: str, colang: str | None) -> None:
    (snippet,) = snippets()
    tokenizer = WordTokenizer()

    def pipeline(**params: Any) -> FakePipeline:
        return FakePipeline("The capital of France is Paris. ", tokenizer=tokenizer, **params)

    space: dict[str, Any] = {
        "tokenizer": tokenizer,
        "pipeline": pipeline,
        "HuggingFacePipelineCompatible": HuggingFacePipelineCompatible,
    }
    exec(compile(snippet, "seed", "exec"), space)
    rails = LLMRails(RailsConfig.from_content(colang, yaml), llm=space["llm"])
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    for _ in range(2):
        chunks = [chunk async for chunk in rails.stream_async(messages=messages)]
        assert chunks == ["The ", "capital ", "of ", "France ", "is ", "Paris."]
    assert space["pipe"].asked[0]["temperature"] == 0.01
    assert space["streamer"].text_queue.empty()
