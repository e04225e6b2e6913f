"""From an entry of `models` in a configuration to a model that can be called."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.models import canonical_parameters
from ...exceptions import InvalidModelConfigurationError
from ...types import LLMModel
from ..frameworks import get_default_framework, get_framework
from ..providers.builtin import ModelRequest, model_for

if TYPE_CHECKING:
    from ...config.models import Model


def build_model(model: Model, *, config_path: str | Path | None = None) -> LLMModel:
    """The model that a section of the configuration describes; nothing is sent, nothing changed.

    Args:
        config_path: the configuration's folder or file, where relative paths in `parameters` begin.

    Raises:
        InvalidModelConfigurationError: the engine is unknown, or its parameters cannot work.
    """
    key = os.environ.get(model.api_key_env_var) if model.api_key_env_var else None
    parameters = model.plain_parameters()
    framework = get_default_framework()
    if framework != "default":
        return _by_framework(framework, model, parameters, key)
    return model_for(
        ModelRequest(
            engine=model.engine,
            model=model.model,
            mode=model.mode,
            parameters=parameters,
            client_parameters=canonical_parameters(model.engine, parameters)[0],
            key=key or None,
            folder=_folder(config_path),
        )
    )


def _by_framework(framework: str, model: Model, parameters: dict[str, object], key: str | None) -> LLMModel:
    try:
        found = get_framework(framework)
    except KeyError as error:
        raise InvalidModelConfigurationError(
            f"models, engine {model.engine!r}: {error.args[0]} (chosen by `set_default_framework` or the "
            "environment variable NEMOGUARDRAILS_LLM_FRAMEWORK)"
        ) from None
    named_key = {"api_key": key} if key else {}
    return found.create_model(
        model.model or "", model.engine, {**parameters, **named_key, "mode": model.mode}
    )


def _folder(config_path: str | Path | None) -> Path | None:
    if config_path is None:
        return None
    path = Path(config_path)
    return path.parent if path.is_file() else path
