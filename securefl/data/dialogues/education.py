"""Education, synthetic: a client is a school whose pupils and files nobody else knows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from securefl.calls import ARGUMENTS
from securefl.data.dialogues.domain import Domain, Private, Slot, Words, act

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]


class EnterGrade(BaseModel):
    """Enter a grade."""

    model_config = ARGUMENTS
    pupil: Words
    subject: Words
    grade: Annotated[int, Field(ge=1, le=6)]


class BookTutoring(BaseModel):
    """Book a lesson for one pupil."""

    model_config = ARGUMENTS
    pupil: Words
    subject: Words
    day: Day


class ReportAbsence(BaseModel):
    """Note that a pupil is not there."""

    model_config = ARGUMENTS
    pupil: Words
    day: Day


class StartQuiz(BaseModel):
    """Start a quiz."""

    model_config = ARGUMENTS
    subject: Words
    questions: Annotated[int, Field(ge=3, le=20)]


class LendDevice(BaseModel):
    """Lend a device to a pupil."""

    model_config = ARGUMENTS
    pupil: Words
    device: Literal["tablet", "laptop", "camera"]


class OpenFile(BaseModel):
    """Open a pupil's file by its number."""

    model_config = ARGUMENTS
    file: Words


EDUCATION = Domain(
    "education",
    (
        act(
            EnterGrade,
            (
                "give {pupil} a {grade} in {subject}",
                "{pupil} gets a {grade} in {subject}",
                "enter {grade} for {pupil}, {subject}",
                "note a {grade} in {subject} for {pupil}",
                "{subject}: {pupil} has earned a {grade}",
            ),
            ("{pupil} has earned a {grade} in {subject}", "note {grade} for {pupil} in {subject}"),
            "{pupil} has a {grade} in {subject}",
        ),
        act(
            BookTutoring,
            (
                "book {subject} tutoring for {pupil} on {day}",
                "{pupil} needs help with {subject} on {day}",
                "a lesson in {subject} for {pupil}, {day}",
                "plan {subject} with {pupil} on {day}",
                "on {day} {pupil} gets extra {subject}",
            ),
            ("plan a lesson in {subject} with {pupil} on {day}", "{pupil} needs {subject} tutoring on {day}"),
            "{pupil} has {subject} on {day}",
        ),
        act(
            ReportAbsence,
            (
                "{pupil} is ill on {day}",
                "note that {pupil} is absent on {day}",
                "{pupil} cannot come on {day}",
                "mark {pupil} as missing on {day}",
                "on {day} {pupil} stays at home",
            ),
            ("mark {pupil} as ill on {day}", "{pupil} stays at home on {day}"),
            "{pupil} is excused on {day}",
        ),
        act(
            StartQuiz,
            (
                "start a {subject} quiz with {questions} questions",
                "quiz the class in {subject}, {questions} questions",
                "{questions} questions about {subject}",
                "test {subject} with {questions} questions",
                "make a quiz of {questions} questions on {subject}",
            ),
            (
                "start {questions} questions about {subject}",
                "test the class in {subject} with {questions} questions",
            ),
            "a quiz of {questions} questions begins",
        ),
        act(
            LendDevice,
            (
                "lend {pupil} a {device}",
                "{pupil} needs a {device}",
                "give a {device} to {pupil}",
                "hand out a {device} for {pupil}",
                "{pupil} borrows a {device}",
            ),
            ("hand {pupil} a {device}", "lend a {device} to {pupil}"),
            "{pupil} has a {device}",
        ),
        act(
            OpenFile,
            (
                "open file {file}",
                "show me file {file}",
                "I need the file {file}",
                "look up {file}",
                "get the pupil's file {file}",
            ),
            ("show the file {file}", "I need to look up file {file}"),
            "file {file} is open",
        ),
    ),
    {
        "pupil": Private("name"),
        "file": Private("code"),
        "day": Slot(("monday", "tuesday", "wednesday", "thursday", "friday")),
        "device": Slot(("tablet", "laptop", "camera")),
        "subject": Slot(
            ("history", "algebra", "music", "biology", "french", "physics", "art", "geography"),
            ("chemistry", "latin", "drama"),
        ),
        "grade": Slot((1, 2, 3, 4, 5, 6)),
        "questions": Slot((3, 5, 6, 8, 10, 15, 20), (4, 7, 12)),
    },
)
