"""Prepares what the actions need; `init` is called once, when the rails are built."""

# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

from nemoguardrails import LLMRails


class Parcels:
    """Where every parcel is. Yours would ask a database or a service.

    Args:
        file: a JSON object, parcels by their number.
    """

    def __init__(self, file: Path) -> None:
        self._parcels = json.loads(file.read_text(encoding="utf-8"))

    async def find(self, number: str) -> dict[str, object] | None:
        """The parcel of a number, if there is one."""
        return self._parcels.get(number.upper())


async def working_days(days: int) -> str:
    """A number of days in words."""
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} working days")


def init(app: LLMRails) -> None:
    """Gives every action a parameter `parcels`, and registers an action that has no decorator."""
    file = Path(__file__).parent / app.config.custom_data["parcels_file"]
    app.register_action_param("parcels", Parcels(file))
    app.register_action(working_days, "in words")
