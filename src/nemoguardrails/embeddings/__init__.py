"""Texts to vectors to nearest items."""

# SPDX-License-Identifier: Apache-2.0

from .index import EmbeddingsIndex, IndexItem

__all__ = ["EmbeddingsIndex", "IndexItem"]
