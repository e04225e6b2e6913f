"""For the tests that users write: a scripted model, a chat, an HTTP client that records."""

# SPDX-License-Identifier: Apache-2.0

from .chat import TestChat
from .fake_model import FakeLLMModel
from .http import HTTPAnswer, RecordedRequest, RecordingHTTPClient

__all__ = ["FakeLLMModel", "HTTPAnswer", "RecordedRequest", "RecordingHTTPClient", "TestChat"]
