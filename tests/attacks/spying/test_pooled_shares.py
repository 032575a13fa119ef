"""The protocol's own bound, met from both sides: t colluders read a vector, t - 1 do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from securefl import config as configuration
from securefl.config import Config
from securefl.errors import ConfigError
from securefl.threats.trial import Trial, play

Make = Callable[..., Config]
GROUP = "secure_aggregation={group_size: 9, threshold: 6, max_colluding: 2, clip_norm: 1.0, bits: 16}"


@pytest.fixture
def harm(small: Make, tmp_path: Path) -> Callable[..., float]:
    """The harm of one spy in one round of a group of nine with threshold 6; arguments are overrides."""

    def measure(attack: str, count: int | str, *overrides: str) -> float:
        config = small(GROUP, "robust={rule: mean, max_malicious: 0}", "privacy={unit: none}", *overrides)
        path = tmp_path / "run.yaml"
        path.write_text(configuration.dump(config))
        (found,) = play(Trial(str(path), (), ((attack, None),), count, 0))
        return found.harm

    return measure


@pytest.mark.parametrize("agreement", ["x25519", "x25519-mlkem768"])
@pytest.mark.parametrize(("count", "part"), [("declared", 0.0), (5, 0.0), ("threshold", 1.0)])
def test_shares_of_t_members_open_everybody_and_of_one_less_nobody(
    harm: Callable[..., float], count: int | str, part: float, agreement: str
) -> None:
    assert harm("pooled_shares", count, f"secure_aggregation.key_agreement={agreement}") == part


@pytest.mark.parametrize(("count", "part"), [("threshold", 0.0), (7, 0.0), ("all_but_one", 1.0)])
def test_own_keys_open_the_last_honest_member_and_nobody_before(
    harm: Callable[..., float], count: int | str, part: float
) -> None:
    assert harm("pooled_keys", count) == part


def test_a_plain_request_is_refused_where_members_mask_and_answered_where_they_do_not(
    harm: Callable[..., float],
) -> None:
    assert harm("plain_request", 0) == 0.0
    assert harm("plain_request", 0, "secure_aggregation.masking=false") == 1.0


@pytest.mark.parametrize("spy", ["pooled_shares", "pooled_keys"])
def test_nothing_is_pooled_where_nothing_is_masked(harm: Callable[..., float], spy: str) -> None:
    assert harm(spy, "threshold", "secure_aggregation.masking=false") == 0.0


def test_what_travels_in_part_is_read_by_those_who_need_no_place_in_it_and_refused_to_the_others(
    harm: Callable[..., float],
) -> None:
    part = "secure_aggregation.subsample=0.3"
    assert harm("pooled_shares", "threshold", part) == 1.0
    assert harm("pooled_shares", "declared", part) == 0.0
    for spy in ("label_from_message", "label_from_sum"):
        with pytest.raises(ConfigError, match="a wrong guess would say nothing about labels"):
            harm(spy, "declared", part)
