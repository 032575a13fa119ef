"""Whom a personal model helps: the shared model against every client's own, on what the client held out.

Rules kept here:
- Both models are scored on the same examples of the same client, which neither trained on.
- The mean hides who loses, so the worst tenth of the clients and the part that loses stand beside it.

What this file does NOT do: send anything. These are exact scores on private examples, for the operator of a
simulation; no epsilon covers them.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from securefl.federation.personal import PersonalModel, Vector
from securefl.federation.server import State
from securefl.process import Process


def compare(process: Process, state: State) -> dict[str, object] | None:
    """Accuracies by client and what becomes of them; None without personalisation.

    A client that never took part keeps the shared one. Under `private_half` that is the base model, for half
    an adapter adds nothing.

    Raises:
        RunDirectoryError: the file of a personal model is damaged.
    """
    settings = process.terms.config.personalisation
    if settings is None:
        return None
    train, held_out = process.terms.dataset.train, process.terms.held_out
    shared, personal = [], []
    for client in process.personal:
        kept, own = train.take(held_out[client]), own_model(process, state, client)
        shared.append(process.learner.evaluate(state.model, kept).accuracy)
        personal.append(shared[-1] if own is None else process.learner.evaluate(own, kept).accuracy)
    return {
        "kind": settings.kind,
        "held_out": sum(len(each) for each in held_out),
        "shared": spread(shared),
        "personal": spread(personal),
        "loses": float(np.mean([own < common for own, common in zip(personal, shared, strict=True)])),
    }


def own_model(process: Process, state: State, client: int) -> Vector | None:
    """A client's own model beside the shared one in `state`; None if it has none.

    Under `fine_tune` it takes its steps from `state` here; else it is what the rounds left.

    Raises:
        RunDirectoryError: its file is damaged.
    """
    settings, model = process.terms.config.personalisation, process.personal.get(client)
    if settings is None or model is None:
        return None
    if settings.kind == "fine_tune" and isinstance(model, PersonalModel):
        return model.trained(state.model, state.model, state.round)
    return model.beside(state.model)


def spread(accuracies: list[float]) -> dict[str, object]:
    """Mean over clients, mean of the worst tenth (one client or more), and each.

    Example:
        >>> spread([0.5, 1.0, 0.75])
        {'mean': 0.75, 'worst_tenth': 0.5, 'clients': [0.5, 1.0, 0.75]}
    """
    worst = sorted(accuracies)[: ceil(len(accuracies) / 10)]
    return {
        "mean": float(np.mean(accuracies)),
        "worst_tenth": float(np.mean(worst)),
        "clients": accuracies,
    }
