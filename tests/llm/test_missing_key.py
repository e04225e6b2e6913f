"""A hosted engine without its key says so at the first call, and sends nothing."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from nemoguardrails.config.models import Model
from nemoguardrails.exceptions import LLMAuthenticationError
from nemoguardrails.llm.models.build import build_model


@pytest.mark.parametrize(("engine", "variable"), [("openai", "OPENAI_API_KEY"), ("nim", "NVIDIA_API_KEY")])
async def test_the_error_names_the_variable(
    engine: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    model = build_model(Model(type="main", engine=engine, model="m"))
    with pytest.raises(LLMAuthenticationError, match=variable) as raised:
        await model.generate_async("hi")
    assert raised.value.status_code == 0
    with pytest.raises(LLMAuthenticationError, match=variable):
        async for _ in model.stream_async("hi"):
            pass


async def test_another_address_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    parameters = {"base_url": "http://127.0.0.1:9/v1", "max_retries": 0}
    model = build_model(Model(type="main", engine="openai", model="m", parameters=parameters))
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as raised:
        await model.generate_async("hi")
    assert not isinstance(raised.value, LLMAuthenticationError)
