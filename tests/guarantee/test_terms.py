"""The terms: what a run derives before it starts, and what it refuses on this data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import securefl
from securefl.building import load_dataset
from securefl.config import Config
from securefl.errors import BudgetExceeded, ConfigError, LedgerError, LedgerUnusable
from securefl.guarantee import Terms, settle
from securefl.guarantee.terms import client_weights
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import SampledGaussian
from securefl.privacy.ledger import Ledger, Release

Make = Callable[..., Config]


def settled(config: Config, run: str | None = None) -> Terms:
    return settle(config, load_dataset(config), run=run)


def test_every_training_example_sits_at_exactly_one_client(small: Make) -> None:
    terms = settled(small("data.partition={kind: dirichlet, alpha: 0.3}"))
    everything = np.sort(np.concatenate(terms.shares))
    assert np.array_equal(everything, np.arange(len(terms.dataset.train)))
    assert len(terms.shares) == 9


def test_the_noise_is_sized_for_rounds_and_spare_releases_and_not_for_one_more(small: Make) -> None:
    budget = settled(small("privacy.spare_releases=2")).budget
    assert budget is not None
    assert budget.releases == 3 + 2
    assert budget.epsilon == epsilon(((budget.event, 5),), 1e-5) <= 8.0
    assert epsilon(((budget.event, 6),), 1e-5) > 8.0
    assert budget.epsilon_rdp == epsilon(((budget.event, 5),), 1e-5, "rdp")
    assert budget.cap == 8.0


def test_the_event_is_what_a_client_really_does_in_a_round(small: Make) -> None:
    budget = settled(small("training.local_steps=4", "training.sample_rate=0.3")).budget
    assert budget is not None
    assert (budget.event.sample_rate, budget.event.steps) == (0.3, 4)


def test_a_cohort_does_not_lower_the_noise(small: Make) -> None:
    everybody = settled(small("clients=18")).budget
    some = settled(small("clients=18", "participation={kind: sample, cohort: 9}")).budget
    assert everybody == some


def test_without_a_unit_there_is_no_budget_at_all(small: Make) -> None:
    assert settled(small("privacy={unit: none}")).budget is None


@pytest.mark.parametrize(
    ("weights", "expected", "cap"),
    [
        ("{kind: uniform}", [1] * 9, 1),
        ("{kind: public, values: [3, 1, 2, 5, 1, 1, 4, 1, 2]}", [3, 1, 2, 5, 1, 1, 4, 1, 2], 5),
        ("{kind: examples, cap: 60}", [60] * 9, 60),
        ("{kind: examples, cap: 500}", [100] * 7 + [99] * 2, 500),
    ],
)
def test_weights_are_one_the_declared_constant_or_the_capped_number_of_examples(
    small: Make, weights: str, expected: list[int], cap: int
) -> None:
    terms = settled(small(f"server.weights={weights}"))
    assert sorted(terms.weights.values(), reverse=True) == sorted(expected, reverse=True)
    assert terms.weights == client_weights(terms.config, terms.shares)
    assert terms.encoding.cap == cap, "public: it does not depend on anybody's number of examples"


def test_the_encoding_bears_the_largest_group(small: Make) -> None:
    assert settled(small("clients=11", "secure_aggregation.threshold=3")).encoding.members == 4


def test_delta_at_one_over_n_is_refused_with_the_number(small: Make) -> None:
    with pytest.raises(ConfigError, match=r"privacy.delta: expected delta below 1/n = 0.0011 for 898"):
        settled(small("privacy.delta=0.0012"))


def test_a_shared_ledger_that_cannot_bear_the_whole_run_refuses_it_and_says_by_how_much(
    small: Make, tmp_path: Path
) -> None:
    shared = f"privacy.ledger={tmp_path / 'shared.sqlite'}"
    config = small(shared)
    assert settled(config).budget is not None
    assert not list(tmp_path.iterdir()), "settling writes nothing"
    with securefl.build_federated_averaging(config, run="first") as process:
        state, _ = process.next(process.initialize())
        process.next(state)
    path = tmp_path / "shared.sqlite"
    with pytest.raises(
        BudgetExceeded, match=rf"^privacy.ledger: {path}: this run would .* above the cap of 8"
    ):
        settled(config)
    assert settled(config, run="first").budget is not None, "a resumed run's own releases are in its plan"


def test_a_shared_ledger_that_does_not_contain_the_pinned_head_is_refused_also_when_it_is_missing(
    small: Make, tmp_path: Path
) -> None:
    path = tmp_path / "shared.sqlite"
    with Ledger.open(path) as ledger:
        ledger.intend(Release("other data", "run", 0, 1, 0, SampledGaussian(2.0, 1.0, 1)))
        old, copied = path.read_bytes(), ledger.head()
        ledger.intend(Release("other data", "run", 0, 2, 0, SampledGaussian(2.0, 1.0, 1)))
        pinned = ledger.head()
    shared = f"privacy.ledger={path}"
    for head in (copied, pinned):
        settled(small(shared, f"privacy.ledger_head='{head}'"))
    path.write_bytes(old)
    settled(small(shared, f"privacy.ledger_head='{copied}'"))
    with pytest.raises(LedgerUnusable, match=r"^privacy.ledger: .* an older copy or another file"):
        settled(small(shared, f"privacy.ledger_head='{pinned}'"))
    path.unlink()
    with pytest.raises(LedgerUnusable, match="forget the spent budget"):
        settled(small(shared, f"privacy.ledger_head='{pinned}'"))
    with pytest.raises(ConfigError, match=r"privacy.ledger_head: expected privacy.ledger beside it"):
        small(f"privacy.ledger_head='{pinned}'")
    with pytest.raises(ConfigError, match=r"privacy.ledger_head"):
        small(shared, "privacy.ledger_head=abc")


def test_a_shared_ledger_in_no_folder_or_of_other_bytes_is_refused(small: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"privacy.ledger: expected a file in a folder that exists"):
        settled(small(f"privacy.ledger={tmp_path / 'absent' / 'ledger.sqlite'}"))
    (tmp_path / "notes.txt").write_text("not a ledger")
    for name, says in (("notes.txt", "Do not delete it to go on"), ("", "")):
        with pytest.raises(LedgerError, match=rf"^privacy.ledger: {tmp_path / name}: .*{says}"):
            settled(small(f"privacy.ledger={tmp_path / name}"))


@pytest.mark.parametrize("there", [False, True])
def test_a_shared_ledger_that_cannot_be_written_is_found_out_before_the_run(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    if there:
        ledger.touch()
    locked = ledger if there else tmp_path
    # The tests may run as root, who may write anywhere; so the answer of the system is put in.
    monkeypatch.setattr("os.access", lambda path, mode: path != locked)
    with pytest.raises(
        ConfigError, match=rf"privacy.ledger: expected a file that can .*{locked} is read-only"
    ):
        settled(small(f"privacy.ledger={ledger}"))
