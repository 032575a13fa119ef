"""A federated-averaging process: rounds, scores, curves and epsilon, once everything is built.

Rules kept here:
- A round is the server's own (`federation.play`); scores beside it are of the server's test set.
- Epsilon is what the ledger says, over all runs in it.

What this file does NOT do: make the objects (`building`), or run directories and files (`run`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from securefl.federation.optimizer import Vector
from securefl.federation.personal import PersonalModel
from securefl.federation.private_half import PrivateHalf
from securefl.federation.record import RoundRecord
from securefl.federation.server import Setting, State, initial_state, play
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms
from securefl.privacy.accountant import epsilon
from securefl.privacy.ledger import Ledger
from securefl.secagg import Exchange
from securefl.transport import Dropouts, lossy

if TYPE_CHECKING:
    from torch import nn

    from securefl.training import Learner, Scores


class Engine(Protocol):
    """An exchange with a lifetime."""

    refusals: dict[int, str]

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        """One exchange."""

    def collect(self, stopwatch: Stopwatch) -> None:
        """Hands over client-side seconds measured elsewhere."""

    def close(self) -> None:
        """Ends what the engine started."""


@dataclass(frozen=True)
class Metrics:
    """What one attempt at a round gave.

    Attributes:
        record: the round record.
        test_accuracy: on the server's test set, in [0, 1].
        test_loss: mean cross-entropy there, in nats.
        epsilon: spent so far by the client that spent most; None without differential privacy or
            under the replayable test source, where it is infinite.
        clients: number of clients in the run.
    """

    record: RoundRecord
    test_accuracy: float
    test_loss: float
    epsilon: float | None
    clients: int


class Process:
    """A federated-averaging process: `initialize`, then `next` until `finished`.

    A resource: close it, or use it as a context, so that workers and ledgers end.
    """

    def __init__(
        self,
        terms: Terms,
        setting: Setting,
        learner: Learner,
        initial: Vector,
        engine: Engine,
        ledger: Ledger,
        stopwatch: Stopwatch,
        closing: ExitStack,
        personal: Mapping[int, PersonalModel | PrivateHalf],
    ) -> None:
        self.terms = terms
        self.setting = setting
        self.learner = learner
        self._initial = initial
        self.engine = engine
        self.personal = personal
        self.ledger = ledger
        self._stopwatch = stopwatch
        self._closing = closing
        config = terms.config
        self._exchange: Exchange = engine
        if config.simulation.dropout > 0.0:
            self._exchange = lossy(engine, Dropouts(config.simulation.dropout, config.seed))

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def private(self) -> bool:
        """Whether charges count; False under a replayable test source."""
        return self.ledger.private

    def initialize(self) -> State:
        """The state before the first round: the public initial model."""
        return initial_state(self.setting, self._initial)

    def finished(self, state: State) -> bool:
        """Whether the configured number of rounds has been played."""
        return state.round >= self.terms.config.server.rounds

    def next(self, state: State) -> tuple[State, Metrics]:
        """One attempt at the next round; an abandoned one leaves the model as it was."""
        self.engine.refusals.clear()
        after, record = play(self.setting, state, self._exchange, self._stopwatch)
        self.engine.collect(self._stopwatch)
        with self._stopwatch.measure("evaluation"):
            scores = self.evaluate(after)
            curves = self._client_curves(after)
        seconds = dict(record.seconds)
        for phase, value in self._stopwatch.take().items():
            seconds[phase] = seconds.get(phase, 0.0) + value
        record = replace(record, seconds=seconds, refusals=dict(self.engine.refusals), simulation_only=curves)
        return after, Metrics(record, scores.accuracy, scores.loss, self.epsilon(), self.terms.config.clients)

    def evaluate(self, state: State) -> Scores:
        """The model's scores on the server's test set."""
        return self.learner.evaluate(state.model, self.terms.dataset.test)

    def module(self, state: State) -> nn.Module:
        """The state's model as a torch module of its own."""
        return self.learner.module(state.model)

    def epsilon(self) -> float | None:
        """Spent so far by the client that spent most, over all runs in the ledger."""
        budget = self.terms.budget
        if not self.private or budget is None:
            return None
        spent = self.ledger.spent(self.terms.dataset.source_hash)
        return epsilon(spent, budget.delta, budget.accountant)

    def close(self) -> None:
        """Ends the engine and closes the ledger; safe to call twice."""
        self._closing.close()

    def forget(self) -> None:
        """Erases the clients' answers in flight and closes their rounds: the run is over."""
        with self.ledger.transaction():
            for client in self.setting.roster.ids:
                self.ledger.forget_all(client)

    def _client_curves(self, state: State) -> dict[str, dict[str, float]]:
        if not self.terms.config.simulation.client_curves:
            return {}
        train = self.terms.dataset.train
        scores = {
            str(client): self.learner.evaluate(state.model, train.take(share))
            for client, share in enumerate(self.terms.shares)
        }
        return {
            "client_loss": {client: one.loss for client, one in scores.items()},
            "client_accuracy": {client: one.accuracy for client, one in scores.items()},
        }
