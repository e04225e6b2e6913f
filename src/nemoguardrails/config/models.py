"""The `models` section: which model plays which role, and the caches of rail models."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ..exceptions import InvalidModelConfigurationError, InvalidRailsConfigurationError
from .schema import ConfigSection
from .secret_values import concealed, revealed

_BUILT_IN = frozenset({"openai", "nim", "nvidia_ai_endpoints", "ollama", "azure", "azure_openai"})
_NAME_KEYS = ("model", "model_name")
_PROVIDER_PREFIXED = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*_(api_key|base_url|api_base|endpoint)$")
_PLAIN_NAMES = {"api_base": "base_url", "endpoint": "base_url", "request_timeout": "timeout"}
_NO_MEANING = frozenset(
    {"streaming", "disable_streaming", "verbose", "cache", "callbacks", "tags", "metadata", "name"}
)


class CacheStatsConfig(ConfigSection):
    """Statistics of a model's cache; `log_interval` in seconds, `None` for no log lines."""

    enabled: bool = False
    log_interval: float | None = None


class ModelCacheConfig(ConfigSection):
    """The cache of a rail model's verdicts.

    Attributes:
        maxsize: how many verdicts are kept; the least recently used goes first.
        ttl_seconds: how old a verdict may be; `None` for no limit.
    """

    enabled: bool = False
    maxsize: int = 50_000
    stats: CacheStatsConfig = Field(default_factory=CacheStatsConfig)
    ttl_seconds: float | None = Field(default=None, gt=0)


class ReasoningModelConfig(ConfigSection):
    """Legacy: accepted, without effect."""

    remove_reasoning_traces: bool = True
    start_token: str | None = None
    end_token: str | None = None


class Model(ConfigSection):
    """One entry of `models`.

    Attributes:
        type: the role: "main", "embeddings", an action or task, or a name that rails refer to.
        engine: the provider.
        model: the model's name at the provider, taken from `parameters` if it stands there. `None` only
            for engines that are not built in, whose factory may know the model itself.
        api_key_env_var: the environment variable that holds the key; it must be set.
        parameters: everything else for the provider, as written; credentials are `SecretStr`.
    """

    type: str
    engine: str
    model: str | None = None
    mode: Literal["chat", "text"] = "chat"
    api_key_env_var: str | None = None
    parameters: Annotated[dict[str, Any], AfterValidator(concealed)] = Field(default_factory=dict)
    cache: ModelCacheConfig | None = None
    reasoning_config: ReasoningModelConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_in_one_place(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        parameters = given.get("parameters")
        inner = dict(parameters) if isinstance(parameters, Mapping) else {}
        names = [given.get("model"), *(inner.pop(key, None) for key in _NAME_KEYS)]
        found = [name for name in names if name is not None]
        is_blank = any(isinstance(name, str) and not name.strip() for name in found)
        is_missing = not found and str(given.get("engine")) in _BUILT_IN
        if len(found) > 1 or is_blank or is_missing:
            raise InvalidModelConfigurationError(
                f"models, type {given.get('type')!r}: the model's name must be given in exactly one place, "
                "either `model` or `parameters.model` (or `parameters.model_name`), and must not be blank"
            )
        if not isinstance(parameters, Mapping) or given.get("model") is not None:
            return given
        return {**given, "model": found[0] if found else None, "parameters": inner}

    @model_validator(mode="after")
    def _key_is_set(self) -> Model:
        name = self.api_key_env_var
        if name is not None and not os.environ.get(name):
            hint = (
                "give the name without `$`"
                if name.startswith("$")
                else "set it, or correct `api_key_env_var`"
            )
            raise InvalidRailsConfigurationError(
                f"models, type {self.type!r}: the environment variable {name!r} is not set; {hint}"
            )
        return self

    def plain_parameters(self) -> dict[str, Any]:
        """A copy of `parameters` as written, credentials as plain text; for whoever calls the provider."""
        plain: dict[str, Any] = revealed(self.parameters)
        return plain

    def client_parameters(self) -> dict[str, Any]:
        """Like `plain_parameters`, under the names of the built-in client (see `canonical_parameters`)."""
        return canonical_parameters(self.engine, self.plain_parameters())[0]


def canonical_parameters(
    engine: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Parameters with the names of LangChain days translated, and (key, remark) for each of those.

    A parameter given under its own name wins over one given under an old name.
    """
    made: dict[str, Any] = {}
    remarks: list[tuple[str, str]] = []
    inner = given.get("model_kwargs")
    flat = {**inner, **given} if isinstance(inner, Mapping) else dict(given)
    if isinstance(inner, Mapping):
        del flat["model_kwargs"]
        remarks.append(("model_kwargs", "its entries are read as parameters"))
    for key, value in flat.items():
        if key in _NO_MEANING:
            remarks.append((key, "belongs to LangChain; without effect on the built-in client"))
            continue
        name = _present_name(engine, key)
        if name != key:
            remarks.append((key, f"an old name of `{name}`; read as that"))
        if name == key or name not in flat:
            made[name] = value
    return made, remarks


def _present_name(engine: str, key: str) -> str:
    if key == "azure_endpoint" and engine in ("azure", "azure_openai"):
        return key
    prefixed = _PROVIDER_PREFIXED.match(key)
    plain = prefixed[1] if prefixed else key
    return _PLAIN_NAMES.get(plain, plain) if prefixed or plain != "endpoint" else key
