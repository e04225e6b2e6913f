"""The public home of `llm_call` for users' actions."""

# SPDX-License-Identifier: Apache-2.0

from ...llm.call import LLMText, llm_call

__all__ = ["LLMText", "llm_call"]
