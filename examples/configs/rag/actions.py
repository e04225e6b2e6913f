"""The action behind the retrieval rail."""

# SPDX-License-Identifier: Apache-2.0

from nemoguardrails.actions import action


@action(name="without_internal_notes")
def without_internal_notes(text: str | None) -> str:
    """The text without its lines that begin with `Internal:`."""
    lines = (text or "").splitlines()
    return "\n".join(line for line in lines if not line.startswith("Internal:"))
