"""`init_llm_model`: a model from its name, its provider's name and its parameters."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from ...types import LLMModel
from ..frameworks import get_default_framework, get_framework


class ModelInitializationError(Exception):
    """A model could not be made; the cause is chained."""


def init_llm_model(
    model_name: str | None,
    provider_name: str,
    kwargs: dict[str, Any] | str | None = None,
    mode: str | dict[str, Any] | None = "chat",
) -> LLMModel:
    """A model of a provider.

    Args:
        kwargs: its parameters.
        mode: `chat` or `text`. Older code passes `mode` before `kwargs`; both orders are understood.

    Raises:
        ModelInitializationError: the provider is unknown, or its parameters cannot work.
    """
    parameters, chosen = (
        (mode, kwargs) if isinstance(kwargs, str) or isinstance(mode, dict) else (kwargs, mode)
    )
    given = dict(parameters) if isinstance(parameters, dict) else {}
    try:
        framework = get_framework(get_default_framework())
        return framework.create_model(model_name or "", provider_name, {**given, "mode": chosen or "chat"})
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise ModelInitializationError(
            f"The model {model_name!r} of {provider_name!r} could not be made: {error}"
        ) from error
