"""Embedding providers: their base, and their registration."""

# SPDX-License-Identifier: Apache-2.0

from .base import EmbeddingModel
from .registry import embedding_engine_names, register_embedding_provider

__all__ = ["EmbeddingModel", "embedding_engine_names", "register_embedding_provider"]
