"""Keeps credentials that stand in free-form parameters out of dumps, prints and logs."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

_SECRET_KEY = re.compile(
    r"(?i)(?:^|.*[_-])(?:api[_-]?key|(?:access|secret|subscription|private)[_-]?key|secret|password|passwd"
    r"|(?:access|api|auth|bearer|refresh|session|hf)[_-]?token|authorization|credentials?)$|^(?:token|cookie)$"
)


def concealed(value: Any, key: str = "") -> Any:
    """A copy of the data in which every text under a key that names a credential is a `SecretStr`.

    Args:
        key: the key under which `value` itself stands.
    """
    if isinstance(value, Mapping):
        return {name: concealed(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [concealed(item, key) for item in value]
    return SecretStr(value) if isinstance(value, str) and _SECRET_KEY.match(key) else value


def revealed(value: Any) -> Any:
    """A copy of the data with every secret as plain text; only for the hands that send it."""
    if isinstance(value, Mapping):
        return {name: revealed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value
