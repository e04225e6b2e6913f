"""Where users import `OpenAIChatModel` from."""

# SPDX-License-Identifier: Apache-2.0

from ..providers.openai import OpenAIChatModel, OpenAITextModel

__all__ = ["OpenAIChatModel", "OpenAITextModel"]
