"""What a flow may ask Python to do."""

# SPDX-License-Identifier: Apache-2.0

from .actions import ActionResult, action
from .rail_outcome import RailDecision, RailOutcome, TransformSpec, TransformTarget

__all__ = ["ActionResult", "RailDecision", "RailOutcome", "TransformSpec", "TransformTarget", "action"]
