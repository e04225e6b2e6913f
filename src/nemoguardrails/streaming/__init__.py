"""The sluice: knows text, not rails, models or Colang."""

# SPDX-License-Identifier: Apache-2.0

from .handler import END_OF_STREAM, StreamingHandler
from .render import StreamError

__all__ = ["END_OF_STREAM", "StreamError", "StreamingHandler"]
