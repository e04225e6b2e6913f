"""A model's `parameters`, parted: what the client takes for itself, and what is sent with each request."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from ...exceptions import InvalidModelConfigurationError


class ConnectionParameters(BaseModel):
    """What the client takes for itself; times in seconds."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, coerce_numbers_to_str=True)

    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout: float | None = Field(default=None, gt=0)
    connect_timeout: float | None = Field(default=None, gt=0)
    first_token_timeout: float | None = Field(default=None, gt=0)
    idle_timeout: float | None = Field(default=None, gt=0)
    max_retries: int = Field(default=2, ge=0)
    retry_budget: float = Field(default=10.0, ge=0)
    default_headers: dict[str, str] = Field(default_factory=dict, repr=False)
    default_query: dict[str, str] = Field(default_factory=dict, repr=False)
    trust_env: bool = False
    azure_endpoint: str | None = None
    azure_deployment: str | None = None
    api_version: str | None = None

    @property
    def key(self) -> str | None:
        """The key in plain text."""
        return self.api_key.get_secret_value() if self.api_key else None


def parted(engine: str, parameters: Mapping[str, Any]) -> tuple[ConnectionParameters, dict[str, Any]]:
    """The client's own parameters, and the request parameters that are left.

    Raises:
        InvalidModelConfigurationError: a value of the client's cannot be used; the text names the key.
    """
    own = {key: value for key, value in parameters.items() if key in ConnectionParameters.model_fields}
    rest = {key: value for key, value in parameters.items() if key not in own}
    try:
        return ConnectionParameters(**{key: value for key, value in own.items() if value is not None}), rest
    except ValidationError as error:
        wrong = "; ".join(f"`parameters.{fault['loc'][0]}`: {fault['msg']}" for fault in error.errors())
        raise InvalidModelConfigurationError(f"models, engine {engine!r}: {wrong}") from None


def azure_connection(engine: str, given: ConnectionParameters, key: str | None) -> ConnectionParameters:
    """The parameters with Azure's rules applied: address of the deployment, version, key in its own header.

    Raises:
        InvalidModelConfigurationError: something is missing or given twice.
    """
    where = f"models, engine {engine!r}"
    if (given.azure_endpoint is None) == (given.base_url is None):
        raise InvalidModelConfigurationError(
            f"{where}: give exactly one of `parameters.azure_endpoint` and `parameters.base_url`"
        )
    for name in ("azure_deployment", "api_version"):
        if getattr(given, name) is None:
            raise InvalidModelConfigurationError(f"{where}: `parameters.{name}` is missing")
    query = _with(given.default_query, "api-version", given.api_version, f"{where}: `default_query`")
    headers = given.default_headers
    if key:
        headers = _with(headers, "api-key", key, f"{where}: `default_headers`")
    base_url = given.base_url
    if given.azure_endpoint is not None:
        deployment = quote(given.azure_deployment or "", safe="")
        base_url = f"{given.azure_endpoint.rstrip('/')}/openai/deployments/{deployment}"
    changed = {"base_url": base_url, "api_key": None, "default_query": query, "default_headers": headers}
    return given.model_copy(update=changed)


def _with(given: Mapping[str, str], name: str, value: str | None, where: str) -> dict[str, str]:
    """The mapping with one more entry; an entry of that name with another value is refused."""
    for key, present in given.items():
        if key.lower() == name and present != value:
            raise InvalidModelConfigurationError(f"{where} has a conflicting `{name}`; remove one of the two")
    return {**{key: present for key, present in given.items() if key.lower() != name}, name: value or ""}
