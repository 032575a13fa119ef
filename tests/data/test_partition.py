"""Partitions: every example at one client, no client empty, skew as alpha says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.data import Dataset, Examples, load, partition
from securefl.data.partition import as_one_client, label_skew
from securefl.errors import DataError


def dataset(labels: np.ndarray, clients: np.ndarray | None = None) -> Dataset:
    part = Examples(np.zeros((len(labels), 1), dtype=np.float32), labels)
    names = None if clients is None else ("a", "b", "c")
    return Dataset("mine", part, part, int(labels.max()) + 2, "0" * 64, clients, clients, names)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=80),
    st.sampled_from(["iid", "dirichlet"]), st.integers(1, 12), st.floats(1e-9, 1e6), st.integers(0, 99),
)  # fmt: skip
def test_every_example_goes_to_one_client_and_sizes_differ_by_one(
    labels: list[int], kind: str, clients: int, alpha: float, seed: int
) -> None:
    clients = min(clients, len(labels))
    parts = partition(dataset(np.array(labels)), kind, clients, seed, alpha)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    assert {len(part) for part in parts} <= {len(labels) // clients, -(-len(labels) // clients)}
    assert all(np.array_equal(part, np.sort(part)) and part.dtype == np.int64 for part in parts)


@pytest.mark.parametrize("kind", ["iid", "dirichlet"])
def test_the_public_seed_decides_the_partition(kind: str) -> None:
    data = dataset(np.arange(200) % 5)
    one, again, other = (partition(data, kind, 4, seed, 1.0) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_large_alpha_is_nearly_iid_and_a_small_one_gives_clients_of_few_classes() -> None:
    labels = np.repeat(np.arange(10), 400)

    def distance(alpha: float) -> float:
        """Mean total variation between a client's and the population's class proportions."""
        parts = label_skew(labels, 20, alpha, np.random.default_rng(4))
        shares = np.array([np.bincount(labels[part], minlength=10) / len(part) for part in parts])
        return float(np.abs(shares - 0.1).sum(axis=1).mean() / 2)

    # Multinomial noise alone: 10 classes, 200 draws, sqrt(0.1 * 0.9 / 200) * 0.8 * 10 / 2 = 0.085.
    assert distance(1e5) < 0.12
    assert 0.2 < distance(1.0) < 0.5
    assert distance(0.05) > 0.6


def test_first_clients_proportions_follow_the_dirichlet_of_alpha_per_class() -> None:
    labels = np.repeat(np.arange(4), 500)
    random = np.random.default_rng(8)
    shares = [np.mean(labels[label_skew(labels, 20, 2.0, random)[0]] == 0) for _ in range(1500)]
    # One class of four: Beta(2, 6), 100 multinomial draws: mean 1/4, variance 1/48 + E[p(1-p)] / 100 = 1/600.
    variance = 1 / 48 + 1 / 600
    assert abs(np.mean(shares) - 0.25) < 5 * np.sqrt(variance / 1500)
    # Relative standard error of a variance with this kurtosis (about 3): sqrt(2 / 1500) = 3.7 %; 5 of them.
    assert abs(np.var(shares) / variance - 1) < 0.19


def test_by_column_gives_one_client_per_value() -> None:
    data = dataset(np.array([0, 1, 0, 1]), np.array([2, 0, 1, 0]))
    assert [part.tolist() for part in partition(data, "column", 3, seed=0)] == [[1, 3], [2], [0]]


@pytest.mark.parametrize(
    ("kind", "clients", "alpha", "message"),
    [
        ("iid", 5, None, "expected 1 to 4 .* got 5; a client without data"),
        ("iid", 0, None, "expected 1 to 4 .* got 0"),
        ("dirichlet", 2, None, "alpha: expected a number above 0, got None"),
        ("dirichlet", 2, 0.0, "alpha: expected a number above 0, got 0.0"),
        ("dirichlet", 2, float("inf"), "alpha: expected a number above 0, got inf"),
        ("random", 2, None, "expected iid, dirichlet, column, got 'random'"),
        ("column", 2, None, "expected a client column"),
    ],
)
def test_an_impossible_partition_is_refused(
    kind: str, clients: int, alpha: float | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        partition(dataset(np.array([0, 1, 0, 1])), kind, clients, 0, alpha)


def test_a_column_partition_with_another_number_of_clients_or_an_empty_one_is_refused() -> None:
    data = dataset(np.array([0, 1, 0]), np.array([0, 0, 1]))
    with pytest.raises(DataError, match=r"expected 3, one per value of the client column \(a, b, c\), got 4"):
        partition(data, "column", 4, 0)
    with pytest.raises(DataError, match="client 'c': expected training examples, got none"):
        partition(data, "column", 3, 0)


def test_quickstart_gives_twelve_clients_of_equal_size() -> None:
    parts = partition(load("digits", seed=7), "dirichlet", 12, seed=7, alpha=1.0)
    assert {len(part) for part in parts} == {119, 120}


def test_a_data_set_as_one_client_has_the_rows_asked_for_and_all_of_the_test_part() -> None:
    labels = np.arange(8) % 2
    part = (np.arange(8.0).reshape(8, 1), labels)
    data = Dataset.of_arrays("eight", part, part, 2, "0" * 64)
    alone = as_one_client(data, np.array([5, 2]))
    assert alone.train.features[:, 0].tolist() == [5.0, 2.0]
    assert len(alone.test) == 8
    assert [share.tolist() for share in partition(alone, "column", 1, 0)] == [[0, 1]]
