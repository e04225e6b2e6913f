"""Search provider name -> index: the default search, and those that users register."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from ..exceptions import ConfigurationError
from .index import CacheConfig, EmbeddingsIndex
from .providers.registry import DEFAULT_ENGINE, canonical, default_engine

DEFAULT_PROVIDER = "default"
_MODEL_KEYS = ("embedding_engine", "embedding_model", "embedding_parameters")
_log = logging.getLogger(__name__)


class SearchSection(Protocol):
    """An `embedding_search_provider` section; `config.services.EmbeddingSearchProvider` is one."""

    @property
    def name(self) -> str:
        """`default`, or a registered name."""
        ...

    @property
    def cache(self) -> CacheConfig:
        """How computed vectors are kept."""
        ...

    def plain_parameters(self) -> dict[str, Any]:
        """The provider's parameters, credentials as plain text."""
        ...


@dataclass(slots=True)
class EmbeddingDefaults:
    """The model of searches that name none: the entry of `models` with the type `embeddings`.

    Args:
        engine: `None` for `FastEmbed`, or `hash` where that is not installed.
        model: `None` for the engine's default.
        parameters: keyword arguments of the engine's model, credentials as plain text.
    """

    engine: str | None = None
    model: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)


class SearchProviders:
    """The search providers of one `LLMRails`.

    Args:
        defaults: may be changed until the first index is made.

    Attributes:
        registered: the users' searches by name.
    """

    def __init__(self, defaults: EmbeddingDefaults | None = None) -> None:
        self.defaults = defaults or EmbeddingDefaults()
        self.registered: dict[str, Callable[..., EmbeddingsIndex]] = {}

    def register(self, name: str, cls: Callable[..., EmbeddingsIndex]) -> None:
        """Makes a name mean a class, which is called with the section's parameters as keyword arguments."""
        self.registered[name] = cls

    def names(self) -> list[str]:
        """The names that a section may give, sorted."""
        return sorted({DEFAULT_PROVIDER, *self.registered})

    def search_index(self, section: SearchSection) -> EmbeddingsIndex:
        """A new, empty index for a section.

        Raises:
            ConfigurationError: the name is unknown, or its class does not take the parameters.
        """
        return self.search_provider(section.name, section.plain_parameters(), section.cache)

    def search_provider(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        cache_config: CacheConfig | None = None,
    ) -> EmbeddingsIndex:
        """As `search_index`, from the parts of a section.

        Args:
            cache_config: for `default` only; other providers keep what they like.
        """
        given = dict(parameters or {})
        if name in self.registered:
            return _made(name, self.registered[name], given)
        if name != DEFAULT_PROVIDER:
            raise ConfigurationError(
                f"unknown embedding search provider {name!r}: use one of {', '.join(self.names())}, or "
                "register yours with `register_embedding_search_provider` in `config.py`"
            )
        from .basic import BasicEmbeddingsIndex

        given.update(self._model_of(given))
        return _made(name, BasicEmbeddingsIndex, {**given, "cache_config": cache_config})

    def _model_of(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Engine, model and their parameters: the section's own, else the defaults as far as they fit."""
        engine, model, own = (parameters.get(key) for key in _MODEL_KEYS)
        defaults = self.defaults
        if engine is None and defaults.engine is None:
            engine = _chosen_by_default()
        elif engine is None or (defaults.engine and canonical(engine) == canonical(defaults.engine)):
            engine, model = defaults.engine, model or defaults.model
            own = {**defaults.parameters, **(own or {})}
        return dict(zip(_MODEL_KEYS, (engine, model, own), strict=True))


@cache
def _chosen_by_default() -> str:
    engine = default_engine()
    if engine != DEFAULT_ENGINE:
        _log.warning(
            "fastembed is not installed; texts are compared by spelling alone (engine `hash`). For meaning: "
            "pip install 'sluice-guardrails[embeddings]'; to silence this: set `embedding_engine: hash`"
        )
    return engine


def _made(name: str, cls: Callable[..., EmbeddingsIndex], parameters: Mapping[str, Any]) -> EmbeddingsIndex:
    try:
        return cls(**parameters)
    except TypeError as error:
        taken = ", ".join(sorted(key for key in parameters if key != "cache_config"))
        raise ConfigurationError(
            f"embedding_search_provider {name!r} could not be made from `parameters` "
            f"({taken or 'none'}): {error}"
        ) from error
