"""Customer service, synthetic: a client is a shop whose orders and customers nobody else knows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from securefl.calls import ARGUMENTS
from securefl.data.dialogues.domain import Domain, Private, Slot, Words, act


class OrderStatus(BaseModel):
    """Say where an order is."""

    model_config = ARGUMENTS
    order: Words


class CancelOrder(BaseModel):
    """Cancel an order."""

    model_config = ARGUMENTS
    order: Words
    reason: Literal["late", "broken", "unwanted"]


class ReturnItem(BaseModel):
    """Take an item back."""

    model_config = ARGUMENTS
    order: Words
    item: Words


class BookCallback(BaseModel):
    """Call a customer back."""

    model_config = ARGUMENTS
    customer: Words
    hour: Annotated[int, Field(ge=8, le=18)]


class GiveDiscount(BaseModel):
    """Take some percent off an order."""

    model_config = ARGUMENTS
    order: Words
    percent: Annotated[int, Field(ge=5, le=50)]


class SendInvoice(BaseModel):
    """Send an invoice once more."""

    model_config = ARGUMENTS
    order: Words
    customer: Words


CUSTOMER_SERVICE = Domain(
    "customer_service",
    (
        act(
            OrderStatus,
            (
                "where is order {order}",
                "what is the status of order {order}",
                "has {order} been sent",
                "when will order {order} arrive",
                "track {order} for me",
            ),
            ("where is {order}, has it been sent", "track the status of order {order}"),
            "order {order} is on its way",
        ),
        act(
            CancelOrder,
            (
                "cancel order {order}, it is {reason}",
                "stop order {order} because it is {reason}",
                "order {order} is {reason}, cancel it",
                "I do not want {order} any more, it is {reason}",
                "call off order {order}, reason {reason}",
            ),
            ("{order} is {reason}, stop the order", "I do not want order {order}, reason {reason}"),
            "order {order} is cancelled",
        ),
        act(
            ReturnItem,
            (
                "send back the {item} from order {order}",
                "return the {item} of {order}",
                "order {order}: the {item} goes back",
                "take back my {item}, order {order}",
                "the {item} in {order} is wrong, return it",
            ),
            ("return my {item} from order {order}", "the {item} of {order} goes back"),
            "a label for the {item} was sent",
        ),
        act(
            BookCallback,
            (
                "call {customer} back at {hour}",
                "ring {customer} at {hour} o'clock",
                "{customer} wants a call at {hour}",
                "phone {customer} about it at {hour}",
                "note a callback for {customer}, {hour} o'clock",
            ),
            ("{customer} wants a callback at {hour} o'clock", "phone {customer} back at {hour}"),
            "{customer} will be called at {hour}",
        ),
        act(
            GiveDiscount,
            (
                "take {percent} percent off order {order}",
                "give {percent} percent discount on {order}",
                "order {order} gets {percent} percent off",
                "lower {order} by {percent} percent",
                "grant a discount of {percent} percent for order {order}",
            ),
            ("{order} gets a discount of {percent} percent", "grant order {order} {percent} percent off"),
            "order {order} costs {percent} percent less",
        ),
        act(
            SendInvoice,
            (
                "send the invoice of {order} to {customer}",
                "{customer} needs the invoice for order {order}",
                "mail {customer} the bill of {order}",
                "invoice {order} again for {customer}",
                "the bill for order {order} goes to {customer}",
            ),
            ("{customer} needs the bill of {order}", "mail the invoice for order {order} to {customer}"),
            "{customer} has the invoice of {order}",
        ),
    ),
    {
        "order": Private("code"),
        "customer": Private("name"),
        "reason": Slot(("late", "broken", "unwanted")),
        "item": Slot(
            ("lamp", "chair", "jacket", "kettle", "carpet", "mirror", "shelf", "blanket", "teapot", "clock"),
            ("curtain", "toaster", "sofa", "basket"),
        ),
        "hour": Slot((8, 9, 10, 11, 12, 14, 16, 17), (13, 15, 18)),
        "percent": Slot((5, 10, 20, 30, 40, 50), (15, 25, 35)),
    },
)
