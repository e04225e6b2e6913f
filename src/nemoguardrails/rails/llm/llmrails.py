"""The public home of `LLMRails`."""

# SPDX-License-Identifier: Apache-2.0

from ..llmrails import LLMRails

__all__ = ["LLMRails"]
