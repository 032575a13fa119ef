"""Medical booking, synthetic: a client is a practice whose patients, doctors and cases nobody else knows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from securefl.calls import ARGUMENTS
from securefl.data.dialogues.domain import Domain, Private, Slot, Words, act

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]


class BookVisit(BaseModel):
    """Book a visit."""

    model_config = ARGUMENTS
    patient: Words
    day: Day
    hour: Annotated[int, Field(ge=8, le=18)]


class CancelVisit(BaseModel):
    """Cancel a visit."""

    model_config = ARGUMENTS
    patient: Words
    day: Day


class RenewMedicine(BaseModel):
    """Renew a prescription."""

    model_config = ARGUMENTS
    patient: Words
    medicine: Words


class FindDoctor(BaseModel):
    """Find a doctor for a part of the body."""

    model_config = ARGUMENTS
    part: Words
    day: Day


class ShowResults(BaseModel):
    """Show the results of a case."""

    model_config = ARGUMENTS
    case: Words


class ReferPatient(BaseModel):
    """Refer a patient to a ward."""

    model_config = ARGUMENTS
    patient: Words
    ward: Literal["heart", "eyes", "bones"]
    urgent: bool


MEDICAL_BOOKING = Domain(
    "medical_booking",
    (
        act(
            BookVisit,
            (
                "book {patient} for {day} at {hour}",
                "{patient} needs an appointment on {day} at {hour}",
                "a visit for {patient}, {day} {hour} o'clock",
                "put {patient} down for {day} at {hour}",
                "{patient} comes on {day} at {hour}",
            ),
            ("book a visit for {patient} on {day} at {hour}", "{patient} needs {day} at {hour} o'clock"),
            "{patient} comes on {day} at {hour}",
        ),
        act(
            CancelVisit,
            (
                "cancel the visit of {patient} on {day}",
                "{patient} cannot make it on {day}",
                "take {patient} off the list for {day}",
                "no appointment for {patient} on {day} any more",
                "delete {patient} from {day}",
            ),
            ("delete the visit of {patient} on {day}", "no visit for {patient} on {day} any more"),
            "the visit of {patient} is cancelled",
        ),
        act(
            RenewMedicine,
            (
                "renew {medicine} for {patient}",
                "{patient} needs more {medicine}",
                "a new prescription of {medicine} for {patient}",
                "prescribe {patient} {medicine} again",
                "{patient} is out of {medicine}",
            ),
            ("renew the prescription of {medicine} for {patient}", "{patient} needs {medicine} again"),
            "{medicine} for {patient} is renewed",
        ),
        act(
            FindDoctor,
            (
                "find a doctor for my {part} on {day}",
                "who looks at a {part} on {day}",
                "my {part} hurts, is there a doctor on {day}",
                "I need a {part} doctor on {day}",
                "on {day} somebody has to see my {part}",
            ),
            ("is there a doctor for my {part} on {day}", "on {day} I need somebody who looks at my {part}"),
            "there is a doctor on {day}",
        ),
        act(
            ShowResults,
            (
                "show the results of case {case}",
                "what came out of {case}",
                "are the results for {case} there",
                "lab results, case {case}",
                "open the findings of case {case}",
            ),
            ("show what came out of case {case}", "are the findings of {case} there"),
            "the results of {case} are there",
        ),
        act(
            ReferPatient,
            (
                "refer {patient} to the {ward} ward, urgent {urgent}",
                "{patient} has to go to {ward}, urgent: {urgent}",
                "{ward} ward for {patient}, urgent {urgent}",
                "send {patient} to {ward}, urgency {urgent}",
                "transfer {patient} to the {ward} ward, urgent is {urgent}",
            ),
            (
                "send {patient} to the {ward} ward, urgent: {urgent}",
                "{patient} has to go to {ward}, urgency {urgent}",
            ),
            "{ward} expects {patient}",
        ),
    ),
    {
        "patient": Private("name"),
        "case": Private("code"),
        "day": Slot(("monday", "tuesday", "wednesday", "thursday", "friday")),
        "hour": Slot((8, 9, 10, 11, 14, 15, 16), (12, 13, 17, 18)),
        "medicine": Slot(
            ("aspirin", "insulin", "ibuprofen", "vitamin drops", "cough syrup", "eye drops"),
            ("iron tablets", "nose spray", "hand cream"),
        ),
        "part": Slot(("knee", "ear", "back", "foot", "hand", "tooth", "eye"), ("elbow", "hip", "shoulder")),
        "ward": Slot(("heart", "eyes", "bones")),
        "urgent": Slot((True, False)),
    },
)
