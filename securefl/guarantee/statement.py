"""One sentence that epsilon never goes without: unit, neighbouring relation, delta, sampler, accountant.

What this file does NOT do: say who is protected from whom (`card`).
"""

from __future__ import annotations

from securefl.config import Config
from securefl.guarantee.terms import Terms


def privacy_statement(terms: Terms, spent: float | None, private: bool = True) -> str:
    """What `spent` means: the epsilon of the client that spent most, over all runs in its ledger.

    Args:
        terms: of the run.
        spent: epsilon so far; None where it is infinite.
        private: False under the replayable test source, which promises nothing.
    """
    budget = terms.budget
    if budget is None:
        return "epsilon is infinite: no differential privacy"
    if not private or spent is None:
        return "epsilon is infinite: NOT PRIVATE, replayable test source"
    relation = neighbouring_relation(terms.config)
    return (
        f"epsilon = {spent:.4f} at delta = {budget.delta:g} for the client that spent most, over all runs in "
        f"its ledger (unit: {_unit(terms.config)}; neighbouring relation: {relation}; "
        f"sampler: {_sampler(terms.config)}; accountant: {budget.accountant.upper()})"
    )


def neighbouring_relation(config: Config) -> str:
    """Which two data sets the promise compares."""
    if config.privacy.unit == "client":
        return (
            "replace the update of one client by zeros (zero-out); that a client is on the roster and took "
            "part is not hidden"
        )
    if config.server.weights.kind == "examples":
        return (
            "replace one example of one client by a null example (zero-out), data-set sizes are not protected"
        )
    return "add or remove one example of one client"


def _unit(config: Config) -> str:
    if config.central_noise:
        return "one client, against everybody but the trusted server"
    return "one client" if config.privacy.unit == "client" else "one training example"


def _sampler(config: Config) -> str:
    if config.privacy.unit == "client":
        return "none, full participation"
    return f"Poisson, rate {config.training.sample_rate:g}"
