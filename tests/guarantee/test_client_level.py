"""Client-level terms and their card: sized for the guaranteed honest shares, and said in full."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from securefl.building import load_dataset
from securefl.config import Config
from securefl.encoding import NoisyFixedPoint
from securefl.errors import BudgetExceeded, ConfigError, PrivacyError
from securefl.guarantee import Card, Terms, card, privacy_statement, settle
from securefl.guarantee.client_level import client_level
from securefl.guarantee.noisy_sum import noisy_sum
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import DistributedDiscreteGaussian, SampledGaussian
from securefl.privacy.ledger import Ledger, Release

Make = Callable[..., Config]
SMALLER_CLIP = "secure_aggregation.clip_norm=0.25"


def settled(config: Config) -> Terms:
    return settle(config, load_dataset(config))


def event_of(terms: Terms) -> DistributedDiscreteGaussian:
    assert terms.budget is not None
    assert isinstance(terms.budget.event, DistributedDiscreteGaussian)
    return terms.budget.event


def noisy(terms: Terms) -> NoisyFixedPoint:
    assert isinstance(terms.encoding, NoisyFixedPoint)
    return terms.encoding


def lines(shown: Card) -> str:
    return shown.markdown()


def test_what_is_charged_is_what_is_encoded(small_client_level: Make) -> None:
    terms = settled(small_client_level())
    event, encoding = event_of(terms), noisy(terms)
    assert event.sigma == encoding.noise.sigma
    assert event.squared_sensitivity == encoding.squared_norm
    assert event.length == encoding.length
    assert encoding.clip_norm == terms.config.secure_aggregation.clip_norm
    assert encoding.members == terms.config.largest_group
    assert encoding.sums == terms.config.groups
    assert terms.gradient_noise is None, "local training adds no noise of its own"


def test_epsilon_is_for_rounds_and_spare_releases_and_holds_the_target(small_client_level: Make) -> None:
    terms = settled(small_client_level())
    assert terms.budget is not None
    assert terms.budget.releases == 3 + 1
    assert terms.budget.epsilon == epsilon(((event_of(terms), 4),), 1e-3, "rdp") <= 8.0
    assert epsilon(((event_of(terms), 5),), 1e-3, "rdp") > 8.0


@pytest.mark.parametrize(
    ("overrides", "shares"),
    [
        ((), 3 - 1),
        (("robust={rule: mean, max_malicious: 0}",), 3),
        (("robust={rule: mean, max_malicious: 0}", "secure_aggregation.max_colluding=1"), 2),
        # Twelve clients in two groups of six, of which four survive.
        (
            (
                "secure_aggregation={group_size: 6, threshold: 5, max_colluding: 2, clip_norm: 0.5}",
                "robust={rule: mean, max_malicious: 1}",
            ),
            5 - 2 - 1,
        ),
    ],
)
def test_only_shares_that_are_guaranteed_to_be_honest_count(
    small_client_level: Make, overrides: tuple[str, ...], shares: int
) -> None:
    assert event_of(settled(small_client_level(*overrides))).shares == shares


def test_the_noise_grows_with_the_clip_and_not_with_anything_else_of_it(small_client_level: Make) -> None:
    one, other = (settled(small_client_level(*more)) for more in ((), (SMALLER_CLIP,)))
    assert event_of(one) == event_of(other), (
        "in steps the noise is the same, and a step is a part of the clip"
    )
    assert one.encoding.step == 2 * other.encoding.step


def test_a_cohort_does_not_lower_the_noise(small_client_level: Make) -> None:
    everybody = settled(small_client_level("clients=24"))
    cohort = settled(small_client_level("clients=24", "participation={kind: sample, cohort: 12}"))
    assert event_of(everybody) == event_of(cohort)


def test_vectors_are_rotated_only_where_that_makes_them_shorter(small_client_level: Make) -> None:
    config = small_client_level()
    assert config.privacy.unit == "client"
    assert noisy_sum(config, config.privacy, 650)[0].rotation is None
    many = small_client_level(
        "clients=60",
        "privacy.epsilon=50.0",
        "secure_aggregation={group_size: 60, threshold: 55, clip_norm: 0.5}",
        "robust={rule: mean, max_malicious: 0}",
    )
    assert many.privacy.unit == "client"
    rotated, event = noisy_sum(many, many.privacy, 2**16)
    assert rotated.rotation is not None
    assert event.length == rotated.length == 2**16
    plain = NoisyFixedPoint(0.5, 16, 2**16, 60, rotated.noise, None, 1)
    assert rotated.wire_bytes < plain.wire_bytes


def test_noise_beyond_what_can_be_sampled_is_refused_with_advice(small_client_level: Make) -> None:
    with pytest.raises(ConfigError, match=r"secure_aggregation.bits: .*lower the bits"):
        settled(small_client_level("secure_aggregation.bits=32", "privacy.epsilon=0.1"))


def test_a_ledger_of_the_other_unit_is_refused(small_client_level: Make, tmp_path: Path) -> None:
    config = small_client_level(f"privacy.ledger={tmp_path / 'ledger.sqlite'}")
    dataset = load_dataset(config)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.intend(Release(dataset.source_hash, "other", 0, 1, 0, SampledGaussian(1.0, 0.2, 5)))
    with pytest.raises(PrivacyError, match="cannot be added up"):
        settle(config, dataset)


def test_a_shared_ledger_adds_runs_up_and_refuses_what_passes_its_cap(
    small_client_level: Make, tmp_path: Path
) -> None:
    config = small_client_level(f"privacy.ledger={tmp_path / 'ledger.sqlite'}")
    dataset = load_dataset(config)
    event = event_of(settle(config, dataset))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.intend(Release(dataset.source_hash, "other", 0, 1, 0, event))
    with pytest.raises(BudgetExceeded, match="above the cap of 8"):
        settle(config, dataset)


def test_the_card_says_unit_relation_mechanism_shares_and_price(small_client_level: Make) -> None:
    terms = settled(small_client_level())
    event, shown = event_of(terms), lines(card(terms))
    for part in (
        "Unit: one client with all its examples",
        "replace the update of one client by zeros",
        "at delta = 0.001 over the whole run: 4 vectors sent (3 rounds and 1 spare ones)",
        "Accountant: RDP",
        "full participation is accounted",
        f"noise of {event.sigma:.1f} steps",
        "sized for h = 2 shares: the 3 survivors that every opened sum has at least, less 0 that may collude "
        "with the server and 1 that may poison",
        "The noise is exact",
        f"about {math.sqrt(3):.2g} times as noisy",
        "the norm guard excludes nobody and uses up none of f",
        "overflow it with probability at most 2^-40 per round",
    ):
        assert part in shown
    for wrong in (
        "one training example.",
        "overflow is impossible",
        "per-example gradients",
        "floating-point (its",
    ):
        assert wrong not in shown


def test_the_price_on_the_card_is_the_noise_of_a_full_groups_mean(small_client_level: Make) -> None:
    terms = settled(small_client_level())
    deviation = event_of(terms).sigma * terms.encoding.step / math.sqrt(4)
    said = lines(card(terms))
    assert f"mean of a full group of 4 carries noise of {deviation:.3g} on every coordinate" in said
    assert f"L2 norm about {deviation * math.sqrt(terms.dim):.3g}" in said


CENTRAL = "privacy={unit: client, noise: central, trusted_server: true, epsilon: 8.0, delta: 1e-3}"


def test_noise_of_the_server_is_one_share_and_the_card_says_who_is_trusted(small_client_level: Make) -> None:
    terms = settled(small_client_level(CENTRAL))
    assert event_of(terms).shares == 1
    assert not noisy(terms).shared
    shown = lines(card(terms))
    assert "TRUSTED SERVER: the server adds the noise, and it sees every sum before that" in shown
    assert "every group sum gets discrete Gaussian noise" in shown
    assert "against everybody but the trusted server" in privacy_statement(terms, 3.25)
    deviation = event_of(terms).sigma * terms.encoding.step / 4
    assert f"carries noise of {deviation:.3g} on every coordinate" in shown
    for wrong in ("TRUSTED SERVER", "trusted server"):
        assert wrong not in lines(card(settled(small_client_level())))


def test_noise_of_the_server_is_less_because_nobody_has_to_be_left_out(small_client_level: Make) -> None:
    shared, central = (settled(small_client_level(*more)) for more in ((), (CENTRAL,)))
    # The same spare releases; a full group of 4 has 4 shares of which 2 would be enough.
    assert event_of(central).sigma * math.sqrt(1) < event_of(shared).sigma * math.sqrt(4)


def test_under_the_test_source_nothing_is_promised(small_client_level: Make) -> None:
    said = lines(card(settled(small_client_level()), private=False))
    assert "NOT PRIVATE" in said
    assert "spends at most" not in said


def test_the_statement_names_the_unit_and_what_is_compared(small_client_level: Make) -> None:
    said = privacy_statement(settled(small_client_level()), 3.25)
    for part in ("unit: one client", "zero-out", "none, full participation", "accountant: RDP"):
        assert part in said


def test_above_64_members_the_card_says_that_epsilon_leans_on_the_ring(small_client_level: Make) -> None:
    terms = settled(small_client_level())
    assert terms.budget is not None
    ring = small_client_level(
        "clients=100",
        "secure_aggregation={group_size: 100, max_colluding: 5, max_dropout: 0.05, clip_norm: 0.5}",
        "robust={rule: mean, max_malicious: 0}",
    )
    said = " ".join(client_level(replace(terms, config=ring), terms.budget, event_of(terms)))
    assert "but for the chance below that one who picks the dropouts splits a sum" in said
    assert "splits a sum" not in lines(card(terms))


def test_a_rotation_of_ones_own_is_refused_where_the_noisy_encoding_chooses(small_client_level: Make) -> None:
    with pytest.raises(ConfigError, match=r"secure_aggregation\.rotation: expected nothing"):
        small_client_level("secure_aggregation.rotation=true")
