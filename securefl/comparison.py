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

from securefl.federation.personal import PersonalModel
from securefl.federation.server import State
from securefl.process import Process


def compare(process: Process, state: State) -> dict[str, object] | None:
    """Accuracies by client and what becomes of them; None without personalisation.

    Under `fine_tune` every client takes its steps from `state` here; else a client that never took part has
    no model of its own and keeps the shared one. Under `private_half` that is the base model, for half an
    adapter adds nothing.

    Raises:
        RunDirectoryError: the file of a personal model is damaged.
    """
    settings = process.terms.config.personalisation
    if settings is None:
        return None
    train, held_out = process.terms.dataset.train, process.terms.held_out
    shared, personal = [], []
    for client, model in process.personal.items():
        kept = train.take(held_out[client])
        own = (
            model.trained(state.model, state.model, state.round)
            if settings.kind == "fine_tune" and isinstance(model, PersonalModel)
            else model.beside(state.model)
        )
        shared.append(process.learner.evaluate(state.model, kept).accuracy)
        personal.append(shared[-1] if own is None else process.learner.evaluate(own, kept).accuracy)
    return {
        "kind": settings.kind,
        "held_out": sum(len(each) for each in held_out),
        "shared": spread(shared),
        "personal": spread(personal),
        "loses": float(np.mean([own < common for own, common in zip(personal, shared, strict=True)])),
    }


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
