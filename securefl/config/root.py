"""The whole config: all sections, and the checks that need more than one of them.

Rules kept here: a `Config` that exists is consistent, however it was made: the checks across sections
run on construction.

What this file does NOT do: read YAML (`document`), state the checks (`consistency`).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from securefl.config import consistency
from securefl.config.aggregation import Engine, InProcess, SecureAggregation, Server, Simulation
from securefl.config.learning import AllParticipate, Data, Model, Participation, Privacy, Training
from securefl.config.personalisation import Personalisation
from securefl.config.robustness import Robust
from securefl.config.section import Count, Section, Seed, doc


class Config(Section):
    """One run, as its YAML file describes it.

    Raises:
        ConfigError: sections that contradict each other.
        pydantic.ValidationError: when built in Python from wrong values; `parse` and `load` translate it.
    """

    version: Annotated[Literal[1], doc("Version of this file format.", 1)]
    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
        doc("Name of the run, and of its folder under runs/.", "quickstart"),
    ] = "run"
    seed: Annotated[
        Seed,
        doc(
            "Drives data split, partition, initial model and simulated dropouts; never keys, masks or noise.",
            7,
        ),
    ] = 0
    device: Annotated[Literal["cpu", "cuda"], doc("Where local training runs.", "cpu")] = "cpu"
    data: Annotated[Data, doc("The data.", {"kind": "digits", "partition": {"kind": "iid"}})]
    clients: Annotated[Count, Field(le=100_000), doc("Clients on the roster.", 12, "clients")]
    participation: Annotated[Participation, doc("Who takes part in a round.", {"kind": "all"})] = (
        AllParticipate(kind="all")
    )
    model: Annotated[Model, doc("The model.", {"kind": "linear"})]
    training: Annotated[Training, doc("Local training of one client in one round.", {"local_steps": 5})]
    privacy: Annotated[Privacy, doc("What is promised to the training examples.", {"unit": "example"})]
    secure_aggregation: Annotated[SecureAggregation, doc("Masked sums inside groups.", {"group_size": 4})]
    robust: Annotated[Robust, doc("The rule over group means.", {"rule": "trimmed_mean"})]
    server: Annotated[Server, doc("The server's side.", {"rounds": 30})]
    personalisation: Annotated[
        Personalisation | None,
        doc("A model of every client's own, which never leaves it.", {"kind": "fine_tune"}),
    ] = None
    simulation: Annotated[Simulation, doc("What only a simulation has.", {"dropout": 0.1})] = Simulation()
    engine: Annotated[Engine, doc("Where clients run.", {"kind": "in_process"})] = InProcess(
        kind="in_process"
    )

    @property
    def cohort_size(self) -> int:
        """Clients that take part in a round."""
        return self.clients if self.participation.kind == "all" else self.participation.cohort

    @property
    def groups(self) -> int:
        """Groups of a round; clients left over make some groups one larger."""
        return self.cohort_size // self.secure_aggregation.group_size

    @property
    def smallest_group(self) -> int:
        """Members of the smallest group when a cohort is split as evenly as it goes."""
        return self.cohort_size // self.groups

    @property
    def largest_group(self) -> int:
        """Members of the largest group when a cohort is split as evenly as it goes."""
        return -(-self.cohort_size // self.groups)

    @property
    def fewest_survivors(self) -> int:
        """Fewest members of a sum, however small its group was drawn; 1 where nothing is masked."""
        secagg = self.secure_aggregation
        return secagg.shape(self.smallest_group).survivors if secagg.masking else 1

    @property
    def central_noise(self) -> bool:
        """Whether a trusted server adds the noise."""
        return self.privacy.unit == "client" and self.privacy.noise == "central"

    @property
    def honest_shares(self) -> int:
        """h: shares of noise that every sum is guaranteed to have.

        Members that collude with the server or poison count for none; noise of the server is one share.
        """
        if self.central_noise:
            return 1
        return self.fewest_survivors - self.secure_aggregation.max_colluding - self.robust.max_malicious

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        consistency.check(self)
        return self
