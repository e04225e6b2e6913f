"""From an engine's name to a model: one short function per kind of engine, and their order."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import InvalidModelConfigurationError
from ...types import LLMModel
from .presets import AZURE_ENGINES, LANGCHAIN_ENGINES, PRESETS, Preset
from .registry import get_provider_names, made, registered

if TYPE_CHECKING:
    from .openai_wire import Mode
    from .parameters import ConnectionParameters


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a configuration says about one model.

    Args:
        parameters: as they stand in the configuration; a registered provider gets these.
        client_parameters: the same under the names of the built-in client.
        key: the key, where the configuration names a variable for it.
        folder: where relative paths begin.
    """

    engine: str
    model: str | None
    mode: Mode = "chat"
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    client_parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    key: str | None = field(default=None, repr=False)
    folder: Path | None = None


def model_for(request: ModelRequest) -> LLMModel:
    """The model of an engine; the first that knows the engine makes it.

    Registered providers come first, then the engines of `PRESETS`, then any engine with a `base_url`.

    Raises:
        InvalidModelConfigurationError: nobody knows the engine, or its parameters cannot work.
    """
    engine = request.engine
    provider = registered(engine)
    if provider is not None:
        parameters = dict(request.parameters)
        if request.key is not None:
            parameters.setdefault("api_key", request.key)
        return made(engine, provider, request.model, parameters)
    if engine in ("scripted", "fake"):
        return _scripted(request)
    if engine in AZURE_ENGINES:
        return _azure(request)
    if engine in PRESETS:
        return _compatible(request, PRESETS[engine])
    if request.client_parameters.get("base_url"):
        return _compatible(request, Preset(None))
    raise _unknown(engine)


def _scripted(request: ModelRequest) -> LLMModel:
    from .scripted import scripted_model

    return scripted_model(
        request.engine, request.model or request.engine, request.parameters, folder=request.folder
    )


def _compatible(request: ModelRequest, preset: Preset) -> LLMModel:
    from .parameters import parted

    connection, defaults = parted(request.engine, request.client_parameters)
    base_url = connection.base_url or preset.base_url
    if base_url is None:
        raise InvalidModelConfigurationError(
            f"models, engine {request.engine!r}: `parameters.base_url` is missing: the address of "
            f"{preset.about or 'the server'}, for example http://localhost:8000/v1"
        )
    key = _key(request, connection, preset.key_variable)
    # Another address may be a gateway that needs no key; the engine's own always does.
    is_own = base_url.rstrip("/") == preset.base_url
    missing = preset.key_variable if is_own and key is None and not connection.default_headers else None
    return _model(request, connection, base_url, key, defaults, missing_key=missing)


def _azure(request: ModelRequest) -> LLMModel:
    from .parameters import azure_connection, parted

    given, defaults = parted(request.engine, request.client_parameters)
    connection = azure_connection(request.engine, given, _key(request, given, "AZURE_OPENAI_API_KEY"))
    return _model(request, connection, connection.base_url or "", None, defaults)


def _model(
    request: ModelRequest,
    connection: ConnectionParameters,
    base_url: str,
    key: str | None,
    defaults: Mapping[str, Any],
    *,
    missing_key: str | None = None,
) -> LLMModel:
    from .openai import OpenAIChatModel, OpenAICompatibleClient, OpenAITextModel

    if request.model is None:
        raise InvalidModelConfigurationError(f"models, engine {request.engine!r}: `model` is missing")
    client = OpenAICompatibleClient(
        base_url,
        key,
        connection.timeout,
        connection.connect_timeout,
        connection.max_retries,
        connection.default_headers,
        connection.default_query,
        first_token_timeout=connection.first_token_timeout,
        idle_timeout=connection.idle_timeout,
        retry_budget=connection.retry_budget,
        trust_env=connection.trust_env,
        missing_key=missing_key,
    )
    cls = OpenAIChatModel if request.mode == "chat" else OpenAITextModel
    return cls(client, request.model, provider_name=request.engine, **defaults)


def _key(request: ModelRequest, connection: ConnectionParameters, variable: str | None) -> str | None:
    return request.key or connection.key or (os.environ.get(variable) if variable else None) or None


def _unknown(engine: str) -> InvalidModelConfigurationError:
    near = get_close_matches(engine, get_provider_names(), n=3, cutoff=0.7)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    why = (
        "it speaks a protocol of its own, which needs LangChain, and this release has no adapter for it"
        if engine in LANGCHAIN_ENGINES
        else "no provider of that name is known"
    )
    return InvalidModelConfigurationError(
        f"models, engine {engine!r}: {why}.{hint} There are three ways to make it work: give "
        "`parameters.base_url` if it has an OpenAI-compatible address; register a provider of that name in "
        "`config.py` (`nemoguardrails.llm.providers.register_provider`); or install a package that offers it "
        "by the entry point `nemoguardrails.providers`."
    )
