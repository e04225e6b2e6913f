"""Where users import `OpenAICompatibleClient` from."""

# SPDX-License-Identifier: Apache-2.0

from ..providers.openai import OpenAICompatibleClient

__all__ = ["OpenAICompatibleClient"]
