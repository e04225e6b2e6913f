"""Providers of users' making, by name: registered in code or by entry point, and made into models."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

from ... import plugins
from ...exceptions import InvalidModelConfigurationError
from ...types import LLMModel
from .presets import AZURE_ENGINES, PRESETS

Kind: TypeAlias = Literal["any", "chat", "llm"]

ENTRY_POINTS = "nemoguardrails.providers"
_OWN_ENGINES = frozenset({*PRESETS, *AZURE_ENGINES, "scripted", "fake"})

_registered: dict[str, tuple[Kind, Any]] = {}


def register_provider(name: str, cls: Any) -> None:
    """Makes an engine name mean the given provider, in the whole process; the latest registration counts.

    Args:
        name: the engine, as `models[].engine` will give it.
        cls: a class with `generate_async` (and `stream_async`, for true streaming), called as
            `cls(model=<name>, **parameters)`; or an object that has them already; or a function
            `async def f(prompt, **kwargs)` that returns text, or an asynchronous generator of text.

    Raises:
        TypeError: it is none of these.
    """
    _register(name, cls, "any")


def register_chat_provider(name: str, cls: Any) -> None:
    """As `register_provider`; the name is listed among the chat providers."""
    _register(name, cls, "chat")


def register_llm_provider(name: str, cls: Any) -> None:
    """As `register_provider`; the name is listed among the text completion providers.

    Raises:
        TypeError: also for a LangChain text class that lacks `_acall`.
    """
    if _is_langchain(cls) and not hasattr(cls, "_acall"):
        raise TypeError(f"The provider {name!r} needs an `_acall` method to be called without blocking")
    _register(name, cls, "llm")


def get_provider_names() -> list[str]:
    """Every engine name that is known: built in, registered, or installed as an entry point; sorted."""
    return sorted({*_OWN_ENGINES, *_registered, *plugins.entry_points(ENTRY_POINTS)})


def get_chat_provider_names() -> list[str]:
    """The engine names for `mode: chat`, sorted."""
    return sorted(set(get_provider_names()) - _of_kind("llm"))


def get_llm_provider_names() -> list[str]:
    """The engine names for `mode: text`, sorted."""
    return sorted(set(get_provider_names()) - _of_kind("chat"))


def get_community_chat_provider_names() -> list[str]:
    """Always empty: community packages are reached through LangChain, which is not asked here."""
    return []


def registered(name: str) -> Any | None:
    """The provider that code or an installed package registered under a name."""
    if name in _registered:
        return _registered[name][1]
    return plugins.load(ENTRY_POINTS, name)


def made(name: str, provider: Any, model_name: str | None, parameters: Mapping[str, Any]) -> LLMModel:
    """The model of a registered provider.

    Args:
        parameters: keyword arguments of the class, or of each call of a function.

    Raises:
        InvalidModelConfigurationError: the class does not take these arguments, or is LangChain's.
    """
    from .callables import FunctionModel

    if _is_langchain(provider):
        raise InvalidModelConfigurationError(
            f"models, engine {name!r}: {_name_of(provider)} is a LangChain class, which this release cannot "
            "wrap; register a class with `generate_async` and `stream_async`, or an async function"
        )
    if inspect.isasyncgenfunction(provider):
        return FunctionModel(pieces=provider, model=model_name or name, provider_name=name, **parameters)
    if inspect.iscoroutinefunction(provider):
        return FunctionModel(answer=provider, model=model_name or name, provider_name=name, **parameters)
    instance = _constructed(name, provider, model_name, parameters) if inspect.isclass(provider) else provider
    return _as_model(name, instance)


def _as_model(name: str, instance: Any) -> LLMModel:
    if isinstance(instance, LLMModel):
        return instance
    from .callables import AdaptedModel

    return AdaptedModel(instance, name)


def _register(name: str, provider: Any, kind: Kind) -> None:
    is_function = inspect.iscoroutinefunction(provider) or inspect.isasyncgenfunction(provider)
    if not (is_function or hasattr(provider, "generate_async") or _is_langchain(provider)):
        raise TypeError(
            f"The provider {name!r} must have `generate_async`, or be an async function or an async "
            f"generator function; {_name_of(provider)} is none of these"
        )
    _registered[name] = (kind, provider)


def _of_kind(kind: Kind) -> set[str]:
    return {name for name, (its_kind, _) in _registered.items() if its_kind == kind}


def _constructed(name: str, cls: type, model_name: str | None, parameters: Mapping[str, Any]) -> Any:
    arguments = dict(parameters)
    if model_name is not None and (key := _name_key(cls)) is not None:
        arguments[key] = model_name
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise InvalidModelConfigurationError(
            f"models, engine {name!r}: {_name_of(cls)} could not be made from `parameters` "
            f"({', '.join(sorted(arguments)) or 'none'}): {type(error).__name__}: {error}"
        ) from error


def _name_key(cls: type) -> str | None:
    """The argument that takes the model's name; `None` for a class that has none."""
    known = inspect.signature(cls).parameters
    for key in ("model", "model_name"):
        if key in known or key in getattr(cls, "model_fields", ()):
            return key
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    return "model" if takes_any else None


def _is_langchain(provider: Any) -> bool:
    ancestry = getattr(provider, "__mro__", type(provider).__mro__)
    return any(cast(str, ancestor.__module__).startswith("langchain") for ancestor in ancestry)


def _name_of(provider: Any) -> str:
    return str(getattr(provider, "__qualname__", type(provider).__qualname__))
