"""Epsilon with everything that it needs beside it, or the plain word that it is infinite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from securefl.building import load_dataset
from securefl.config import Config
from securefl.guarantee import privacy_statement, settle

Make = Callable[..., Config]


@pytest.mark.parametrize(
    ("overrides", "relation"),
    [
        ((), "add or remove one example of one client"),
        (("server.weights={kind: examples, cap: 100}", "robust={rule: mean, max_malicious: 0}"), "zero-out"),
    ],
)
def test_epsilon_comes_with_unit_relation_delta_sampler_and_accountant(
    small: Make, overrides: tuple[str, ...], relation: str
) -> None:
    config = small("privacy.accountant=rdp", *overrides)
    said = privacy_statement(settle(config, load_dataset(config)), 3.25)
    assert said.startswith("epsilon = 3.2500 at delta = 1e-05 for the client that spent most")
    for part in ("unit: one training example", relation, "Poisson, rate 0.2", "accountant: RDP"):
        assert part in said


def test_what_is_not_private_has_no_number(small: Make) -> None:
    config = small()
    terms = settle(config, load_dataset(config))
    assert "NOT PRIVATE" in privacy_statement(terms, None, private=False)
    assert "NOT PRIVATE" in privacy_statement(terms, 3.25, private=False)
    config = small("privacy={unit: none}")
    assert "no differential privacy" in privacy_statement(settle(config, load_dataset(config)), None)
