"""Models from configurations."""

# SPDX-License-Identifier: Apache-2.0

from .build import build_model
from .initializer import ModelInitializationError, init_llm_model

__all__ = ["ModelInitializationError", "build_model", "init_llm_model"]
