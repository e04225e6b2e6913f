"""The recorded provider streams beside the checkout: found, and given as bodies of an HTTP answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("SLUICE_SHARED") or Path(__file__).parents[2] / "shared")
STREAMS = SHARED / "data" / "streams"
not_here = pytest.mark.skipif(
    not STREAMS.is_dir(), reason="the recorded streams (shared/data/streams) are not beside this checkout"
)


def recordings(*protocols: str, at_most_bytes: int | None = None) -> list[Any]:
    """Parameters for the sidecars of some protocols, sorted."""
    found = []
    for path in sorted(STREAMS.glob("*/*.json")):
        sidecar = json.loads(path.read_text())
        is_small = at_most_bytes is None or sidecar["bytes"] <= at_most_bytes
        if sidecar["protocol"] in protocols and is_small:
            found.append(pytest.param(path, id=f"{path.parent.name}-{path.stem.rpartition('-')[2]}"))
    return found


def body_of(path: Path, sidecar: dict[str, Any]) -> bytes:
    """The body of a recording; payloads that were kept alone get the frames around them back."""
    body = (path.parent / sidecar["body"]).read_bytes()
    if sidecar["kind"] != "payload-lines":
        return body
    return b"".join(b"data: " + line + b"\n\n" for line in [*body.splitlines(), b"[DONE]"])
