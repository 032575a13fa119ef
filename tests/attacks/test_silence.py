from __future__ import annotations

from collections.abc import Callable

import securefl
from securefl.attacks.silence import silenced
from securefl.config import Config


def test_silent_clients_are_in_no_group_and_the_others_go_on(small: Callable[..., Config]) -> None:
    config = small("server.rounds=1", "privacy={unit: none}", "robust={rule: mean, max_malicious: 0}")
    with securefl.build_federated_averaging(config, lambda honest: silenced(honest, 1)) as process:
        _, metrics = process.next(process.initialize())
    assert metrics.record.status == "done"
    members = {client for group in metrics.record.groups for client in group.members}
    assert members == set(range(1, 9))
    assert "says nothing" in metrics.record.refusals[0]
