"""Engine name -> embedding model; one model object for equal engine, model and parameters."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakValueDictionary

from ... import plugins
from ...exceptions import ConfigurationError, InvalidModelConfigurationError
from .base import EmbeddingModel

ENTRY_POINTS = "nemoguardrails.embeddings"
DEFAULT_ENGINE = "FastEmbed"
FALLBACK_ENGINE = "hash"

_OWN: Mapping[str, str] = {
    FALLBACK_ENGINE: "hashing:HashingModel",
    DEFAULT_ENGINE: "fastembed:FastEmbedModel",
    "SentenceTransformers": "sentence_transformers:SentenceTransformersModel",
    "openai": "openai:OpenAIEmbeddingModel",
    "AzureOpenAI": "azureopenai:AzureOpenAIEmbeddingModel",
    "nim": "nim:NIMEmbeddingModel",
    "cohere": "cohere:CohereEmbeddingModel",
    "google": "google:GoogleEmbeddingModel",
}
_ALIASES = {"azure": "azureopenai", "nvidiaaiendpoints": "nim"}
_SEPARATORS = str.maketrans("", "", "_- ")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model makes the vectors; `None` for the engine's own default.

    Args:
        parameters: keyword arguments of the model's class, credentials as plain text.
    """

    engine: str
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def identity(self) -> str:
        """What tells the vectors of this model from others, as text; no credentials.

        Raises:
            ConfigurationError: nobody knows the engine.
        """
        provider = provider_class(self.engine)
        known = getattr(provider, "identity", EmbeddingModel.identity)
        model = self.model or getattr(provider, "default_model", None)
        parts = {"engine": canonical(self.engine), "model": model, "parameters": known(self.parameters)}
        return json.dumps(parts, sort_keys=True, default=repr)


def register_embedding_provider(cls: type[Any], engine_name: str | None = None) -> None:
    """Makes an engine name mean the given class, in the whole process; the latest registration counts.

    Args:
        cls: called as `cls(model, **parameters)`; it needs `encode` or `encode_async`.
        engine_name: the name in configurations; else `cls.engine_name`.

    Raises:
        ValueError: there is no name, or none of the two methods.
    """
    name = engine_name or getattr(cls, "engine_name", None)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{cls.__qualname__} needs a name: give `engine_name`, or set it on the class")
    if not any(_is_own(cls, method) for method in ("encode", "encode_async")):
        raise ValueError(f"The embedding provider {name!r} needs `encode` or `encode_async`")
    _registered[canonical(name)] = cls
    _names[canonical(name)] = name


def embedding_engine_names() -> list[str]:
    """Every engine name that is known: built in, registered, or installed as an entry point; sorted."""
    return sorted({*_OWN, *_ALIASES, *_names.values(), *plugins.entry_points(ENTRY_POINTS)}, key=str.casefold)


def default_engine() -> str:
    """`FastEmbed` where its package is installed, else `hash`."""
    return DEFAULT_ENGINE if importlib.util.find_spec("fastembed") is not None else FALLBACK_ENGINE


def provider_class(engine: str) -> type[Any]:
    """The class behind an engine name, in any spelling.

    Raises:
        ConfigurationError: nobody knows the name.
    """
    name = canonical(engine)
    if name in _registered:
        return _registered[name]
    own = next((path for given, path in _OWN.items() if canonical(given) == name), None)
    if own is not None:
        return cast("type[Any]", plugins.imported(f"{__name__.rpartition('.')[0]}.{own}"))
    for given in plugins.entry_points(ENTRY_POINTS):
        if canonical(given) == name:
            return cast("type[Any]", plugins.load(ENTRY_POINTS, given))
    raise ConfigurationError(
        f"The embedding engine {engine!r} is unknown; use one of {', '.join(embedding_engine_names())}, "
        "or register yours with `register_embedding_provider`"
    )


def shared_model(choice: ModelChoice) -> EmbeddingModel:
    """The model of a choice, made if nobody holds an equal one. Blocks: models may be loaded.

    Raises:
        ConfigurationError: the engine is unknown, or its model cannot be made.
        MissingExtraError: the engine's package is not installed.
    """
    provider = provider_class(choice.engine)
    parameters = {name: _plain(value) for name, value in choice.parameters.items()}
    described = json.dumps([choice.model, parameters], sort_keys=True, default=repr)
    key = (provider, hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest())
    with _locks.setdefault(key, threading.Lock()):  # only those who want the same model wait for each other
        model = _models.get(key)
        if model is None:
            model = _models[key] = _made(provider, choice, parameters)
    return model


def canonical(engine: str) -> str:
    """An engine name without case, `_`, `-` and blanks, aliases resolved."""
    folded = engine.casefold().translate(_SEPARATORS)
    return _ALIASES.get(folded, folded)


class _Adapted(EmbeddingModel):
    """A user's model that is no `EmbeddingModel`."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def encode(self, documents: list[str]) -> list[list[float]]:
        if hasattr(self._model, "encode"):
            return cast("list[list[float]]", self._model.encode(documents))
        return asyncio.run(self._model.encode_async(documents))

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        if hasattr(self._model, "encode_async"):
            return cast("list[list[float]]", await self._model.encode_async(documents))
        return await asyncio.to_thread(self.encode, documents)


_registered: dict[str, type[Any]] = {}
_names: dict[str, str] = {}
_locks: dict[tuple[type[Any], str], threading.Lock] = {}
_models: WeakValueDictionary[tuple[type[Any], str], EmbeddingModel] = WeakValueDictionary()


def _made(provider: type[Any], choice: ModelChoice, parameters: Mapping[str, Any]) -> EmbeddingModel:
    name = choice.model or getattr(provider, "default_model", None)
    try:
        made = provider(**parameters) if name is None else provider(name, **parameters)
    except TypeError as error:
        raise InvalidModelConfigurationError(
            f"embeddings, engine {choice.engine}: {provider.__qualname__} could not be made with model "
            f"{name!r} and parameters {', '.join(sorted(parameters)) or '(none)'}: {error}"
        ) from error
    return made if isinstance(made, EmbeddingModel) else _Adapted(made)


def _is_own(cls: type[Any], method: str) -> bool:
    """Whether a class has a method that is not the base's, which rests on the other one."""
    return getattr(cls, method, None) not in (None, getattr(EmbeddingModel, method))


def _plain(value: Any) -> Any:
    """A configuration keeps credentials wrapped; models get them as plain text."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
