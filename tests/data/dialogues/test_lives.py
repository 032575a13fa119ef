"""Lives as a data set: a function of the seed, each client its own, nothing cut, and called synthetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.data import Dataset, load, partition
from securefl.data.answers import Answered
from securefl.data.dialogues import DESCRIPTION, Lives, dialogues
from securefl.errors import DataError


class Letters:
    """A tokenizer that keeps what it was given, one row of the answer's length each."""

    vocabulary = 5000

    def __init__(self, most: int = 4000) -> None:
        self.most, self.given = most, list[Answered]()

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise NotImplementedError

    def answers(
        self, answered: Sequence[Answered], whole: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        assert whole, "a dialogue is never cut"
        self.given += answered
        sizes = [[sum(len(content) for _, content in one.prompt)] for one in answered]
        if max(sizes)[0] > self.most:
            raise DataError(f"expected at most {self.most} tokens")
        return np.array(sizes, dtype=np.float32), np.array(sizes)


def lived(seed: int = 3, tokenize: Letters | None = None, **changed: int | str) -> Dataset:
    lives = Lives(**{"domain": "education", "clients": 12, "train": 10, "test": 10} | changed)
    return load("dialogues", lives=lives, seed=seed, tokenize=tokenize or Letters())


def test_every_client_has_its_own_life_in_order_and_nothing_else() -> None:
    tokenize = Letters()
    data = lived(tokenize=tokenize)
    assert (data.task, data.classes, data.client_names[11]) == ("causal_lm", 5000, "life 11")
    assert [len(share) for share in partition(data, "column", 12, 0)] == [10] * 12
    for client, share in enumerate(partition(data, "column", 12, 0)):
        own = dialogues("education", 3, client, "train", 10)
        assert [tokenize.given[row].answer for row in share] == [one.answer for one in own]
    assert data.test_clients.tolist() == [client for client in range(12) for _ in range(10)]


def test_one_seed_has_one_hash_and_whatever_is_changed_has_another() -> None:
    same = lived().source_hash
    assert lived(tokenize=Letters(3999)).source_hash == same, "tokens do not matter"
    others = [
        lived(seed=4),
        lived(clients=11),
        lived(train=11),
        lived(test=11),
        lived(domain="medical_booking"),
    ]
    assert len({same, *(other.source_hash for other in others)}) == 6


def test_the_data_set_says_that_it_is_synthetic() -> None:
    data = lived()
    assert data.synthetic
    assert data.description == DESCRIPTION


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"domain": "banking"}, "expected a domain of"),
        ({"clients": 2001}, "expected 1 to 2000, got 2001"),
        ({"clients": 0}, "expected 1 to 2000"),
        ({"train": 0}, "at least 1 dialogue"),
        ({"test": 0}, "at least 1 dialogue"),
    ],
)
def test_lives_that_there_are_not_are_refused(changed: dict[str, int | str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        lived(**changed)


def test_a_dialogue_that_is_too_long_other_kinds_with_lives_and_dialogues_without_are_refused() -> None:
    with pytest.raises(DataError, match="at most 100 tokens"):
        lived(tokenize=Letters(100))
    with pytest.raises(DataError, match="expected lives with kind 'dialogues'"):
        load("dialogues", tokenize=Letters())
    with pytest.raises(DataError, match="expected lives with kind 'dialogues'"):
        load("digits", lives=Lives("education", 1, 1, 1))
