"""Frameworks: families of providers that make models by name; `default` is the house's own."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from typing import Any, Literal, cast

from ..config.models import canonical_parameters
from ..exceptions import InvalidModelConfigurationError
from ..types import LLMFramework, LLMModel
from .providers.builtin import ModelRequest, model_for
from .providers.registry import get_provider_names, register_provider

FRAMEWORK_VARIABLE = "NEMOGUARDRAILS_LLM_FRAMEWORK"
_METHODS = ("create_model", "register_provider", "get_provider_names", "reset")


class DefaultFramework:
    """The registered providers, the built-in engines and OpenAI-compatible servers."""

    def create_model(
        self, model_name: str, provider_name: str, model_kwargs: dict[str, Any] | None = None
    ) -> LLMModel:
        """A model of an engine; `model_kwargs` are its parameters, and `mode` (`chat` or `text`).

        Raises:
            InvalidModelConfigurationError: the engine is unknown, or its parameters cannot work.
        """
        parameters = dict(model_kwargs or {})
        mode = parameters.pop("mode", "chat")
        if mode not in ("chat", "text"):
            raise InvalidModelConfigurationError(f"`mode` must be 'chat' or 'text', not {mode!r}")
        return model_for(
            ModelRequest(
                engine=provider_name,
                model=model_name or None,
                mode=cast(Literal["chat", "text"], mode),
                parameters=parameters,
                client_parameters=canonical_parameters(provider_name, parameters)[0],
            )
        )

    def register_provider(self, name: str, cls: Any) -> None:
        """Adds a provider, as `nemoguardrails.llm.providers.register_provider`."""
        register_provider(name, cls)

    def get_provider_names(self) -> list[str]:
        """The engine names it knows, sorted."""
        return get_provider_names()

    async def reset(self) -> None:
        """Closes the connections of the running loop."""
        from .providers.connections import close_all

        await close_all()


_frameworks: dict[str, LLMFramework] = {"default": DefaultFramework()}
_chosen: list[str] = []


def register_framework(name: str, framework: Any) -> None:
    """Adds a framework.

    Raises:
        TypeError: it lacks one of the four methods of `LLMFramework`.
        ValueError: the name is taken.
    """
    missing = [method for method in _METHODS if not callable(getattr(framework, method, None))]
    if missing:
        raise TypeError(f"The framework {name!r} lacks {', '.join(missing)}")
    if name in _frameworks:
        raise ValueError(f"A framework named {name!r} is registered already")
    _frameworks[name] = framework


def get_framework(name: str) -> LLMFramework:
    """The framework of a name.

    Raises:
        KeyError: there is none.
    """
    try:
        return _frameworks[name]
    except KeyError:
        known = ", ".join(sorted(_frameworks))
        raise KeyError(f"No framework named {name!r} is registered; known are: {known}") from None


def set_default_framework(name: str) -> None:
    """Makes a framework the one that builds models from now on.

    Raises:
        KeyError: there is none of that name.
    """
    get_framework(name)
    _chosen[:] = [name]


def get_default_framework() -> str:
    """The name of the framework that builds models: as set, else as the environment says, else `default`."""
    return _chosen[0] if _chosen else os.environ.get(FRAMEWORK_VARIABLE) or "default"
