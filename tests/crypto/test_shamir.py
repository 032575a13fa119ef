from contextlib import suppress
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.crypto import SeededRandomness, combine, combine_with, lagrange_at_zero, split
from securefl.crypto.shamir import PRIME
from securefl.errors import DecodeError, ProtocolError

SECRETS = st.binary(min_size=32, max_size=32)


def stream(*label):
    return SeededRandomness(b"shamir").stream(*label)


def is_prime(number):
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def test_the_modulus_is_the_smallest_prime_above_every_secret():
    assert is_prime(PRIME)
    assert not any(is_prime(number) for number in range(2**256 + 1, PRIME, 2))


@given(SECRETS, st.integers(1, 7), st.data())
@settings(deadline=None, max_examples=60)
def test_every_set_of_threshold_or_more_shares_rebuilds_the_secret(secret, count, data):
    threshold = data.draw(st.integers(1, count))
    points = data.draw(st.lists(st.integers(1, 2**32), min_size=count, max_size=count, unique=True))
    shares = split(secret, threshold, points, stream(count))
    for size in range(threshold, count + 1):
        for chosen in combinations(points, size):
            assert combine({point: shares[point] for point in chosen}) == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, (2**255).to_bytes(32, "big")])
def test_the_extreme_secrets_survive(secret):
    shares = split(secret, 3, range(1, 65), stream())
    assert combine({point: shares[point] for point in (64, 1, 33)}) == secret


def test_shares_are_the_values_of_one_polynomial_of_degree_below_the_threshold():
    shares = {x: int.from_bytes(y, "big") for x, y in split(b"s" * 32, 3, range(1, 8), stream()).items()}
    for x in range(1, 5):
        third_difference = shares[x + 3] - 3 * shares[x + 2] + 3 * shares[x + 1] - shares[x]
        assert third_difference % PRIME == 0
    assert (shares[3] - 2 * shares[2] + shares[1]) % PRIME != 0


def test_known_shares_combine_to_a_value_worked_out_by_hand():
    # f(x) = 5 + 7 x + 11 x^2
    shares = {x: (5 + 7 * x + 11 * x * x).to_bytes(33, "big") for x in (1, 4, 9)}
    assert combine(shares) == (5).to_bytes(32, "big")


@given(SECRETS, SECRETS)
@settings(deadline=None, max_examples=40)
def test_shares_below_the_threshold_fit_every_secret(secret, other):
    known = {point: share for point, share in split(secret, 3, [1, 2, 3], stream()).items() if point != 3}
    # Whoever holds the shares at 1 and 2 finds, for any secret, a share at 3 that completes it.
    weights = dict(zip((1, 2, 3), lagrange_at_zero([1, 2, 3]), strict=True))
    partial = sum(weights[point] * int.from_bytes(share, "big") for point, share in known.items())
    missing = (int.from_bytes(other, "big") - partial) * pow(weights[3], -1, PRIME) % PRIME
    assert combine({**known, 3: missing.to_bytes(33, "big")}) == other


def test_one_share_below_the_threshold_is_uniform_whatever_the_secret():
    for secret in (bytes(32), b"\xff" * 32):
        source = stream("uniform")
        low = [split(secret, 2, [1, 2], source)[1][-1] for _ in range(8192)]
        statistic = float(((np.bincount(low, minlength=256) - 32.0) ** 2 / 32.0).sum())
        # Chi-square with 255 degrees of freedom; six standard deviations.
        assert abs(statistic - 255) < 6 * np.sqrt(2 * 255)


def test_fewer_shares_than_the_threshold_do_not_rebuild_the_secret():
    shares = split(b"s" * 32, 4, range(1, 7), stream())
    for chosen in combinations(shares, 3):
        # Almost every wrong value has 32 bytes; the rest raise.
        with suppress(ProtocolError):
            assert combine({point: shares[point] for point in chosen}) != b"s" * 32


def test_one_set_of_weights_serves_every_secret_of_the_same_holders():
    secrets = [bytes([number]) * 32 for number in range(5)]
    source = stream()
    batches = [split(secret, 3, [2, 5, 7, 9], source) for secret in secrets]
    weights = lagrange_at_zero([9, 2, 5])
    assert [combine_with(weights, [batch[x] for x in (9, 2, 5)]) for batch in batches] == secrets


@given(st.lists(st.integers(1, 2**32), min_size=1, max_size=12, unique=True))
@settings(deadline=None, max_examples=60)
def test_the_weights_are_those_of_the_textbook_formula(points):
    for own, weight in zip(points, lagrange_at_zero(points), strict=True):
        expected = 1
        for other in points:
            if other != own:
                expected = expected * other * pow(other - own, -1, PRIME) % PRIME
        assert weight == expected


def test_the_weights_of_many_and_of_far_points_interpolate_a_constant():
    # f(x) = 1 is a polynomial of any degree below the threshold, so the weights sum to one.
    for points in (range(1, 1001), range(2**32 - 200, 2**32 + 1), (1, 2**32)):
        assert sum(lagrange_at_zero(list(points))) % PRIME == 1


def test_equal_secrets_have_different_shares_each_time():
    source = stream()
    assert split(b"s" * 32, 2, [1, 2], source) != split(b"s" * 32, 2, [1, 2], source)


def test_a_threshold_of_one_is_the_secret_itself():
    assert split(b"s" * 32, 1, [1, 2], stream()) == {1: b"\0" + b"s" * 32, 2: b"\0" + b"s" * 32}


@pytest.mark.parametrize("share", [b"", bytes(32), bytes(34), PRIME.to_bytes(33, "big"), b"\xff" * 33])
def test_a_share_of_the_wrong_size_or_range_is_a_decode_error(share):
    with pytest.raises(DecodeError, match="share"):
        combine({1: share, 2: bytes(33)})


def test_shares_of_no_32_byte_secret_raise():
    with pytest.raises(ProtocolError, match="no 32-byte secret"):
        combine({1: (2**256).to_bytes(33, "big")})


@pytest.mark.parametrize("points", [[0, 1], [1, 1], [-1, 2], [1, 2**32 + 1]])
def test_points_that_repeat_or_leave_their_range_are_refused(points):
    with pytest.raises(ProtocolError, match="distinct"):
        split(bytes(32), 2, points, stream())
    with pytest.raises(ProtocolError, match="distinct"):
        lagrange_at_zero(points)


def test_impossible_thresholds_secrets_and_batches_are_refused():
    for threshold in (0, 3):
        with pytest.raises(ValueError, match="threshold lies between 1 and the 2 points"):
            split(bytes(32), threshold, [1, 2], stream())
    with pytest.raises(ValueError, match="32 bytes, got 31"):
        split(bytes(31), 1, [1], stream())
    with pytest.raises(ValueError, match="one share per weight"):
        combine_with([1, 2], [bytes(33)])
    with pytest.raises(ProtocolError, match="at least one share"):
        combine({})
