"""Whether code runs inside an event loop."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio


def is_in_loop() -> bool:
    """Whether a loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
