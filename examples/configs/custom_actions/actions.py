"""Actions that flows call; parameters that a flow does not give are filled in by name."""

# SPDX-License-Identifier: Apache-2.0

from typing import Any

from nemoguardrails.actions import ActionResult, action


@action(name="find parcel")
async def find_parcel(number: str, parcels: Any) -> ActionResult:
    """Whether there is such a parcel; its data become the variable `$parcel`.

    Args:
        number: given by the flow.
        parcels: registered in config.py.
    """
    parcel = await parcels.find(number)
    return ActionResult(return_value=parcel is not None, context_updates={"parcel": parcel})


@action(name="shipping price")
def shipping_price(context: dict[str, Any]) -> str:
    """What it costs to send the parcel on, in euros.

    Args:
        context: all variables of the conversation.
    """
    return f"{4.5 + 0.8 * context['parcel']['weight_kg']:.2f}"
