import subprocess
import sys

import numpy as np
import pytest

from securefl.crypto import SeededRandomness, Stream, SystemRandomness
from securefl.errors import ProtocolError

FORK = """
import os
from securefl.crypto import SystemRandomness
from securefl.errors import ProtocolError

stream = SystemRandomness().stream("masks")
stream.take(1)
child = os.fork()
if child == 0:
    reads = (lambda: stream.take(1), lambda: stream.uniforms(1), lambda: stream.take(1 << 20))
    for read in reads:
        try:
            read()
        except ProtocolError:
            continue
        os._exit(1)
    os._exit(0 if len(SystemRandomness().stream("masks").take(32)) == 32 else 2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(stream.take(32)) == 32
"""


def test_a_stream_is_the_published_aes_256_keystream():
    # Counters 0, 1 and 2 under the zero key: hash key, and test cases 13 and 14 of the GCM specification.
    assert Stream(bytes(32)).take(48).hex() == (
        "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18"
    )
    # NIST AESAVS, KeySbox, 256 bits, first entry.
    key = bytes.fromhex("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558")
    assert Stream(key).take(16).hex() == "46f2fb342d6f0ab477476fc501242c5f"


def test_a_forked_child_cannot_read_its_parents_stream():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)


def test_a_stream_notices_another_process_before_the_first_byte(monkeypatch):
    stream = SystemRandomness().stream()
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(ProtocolError, match="crossed a fork"):
        stream.take(1)


def test_reading_in_pieces_gives_the_same_bytes_as_reading_at_once():
    whole, pieces = Stream(b"k" * 32), Stream(b"k" * 32)
    sizes = [0, 1, 15, 16, 17, 1000, 1 << 16, (1 << 16) + 1]
    assert b"".join(pieces.take(size) for size in sizes) == whole.take(sum(sizes))


def test_a_key_of_the_wrong_size_is_refused():
    for size in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            Stream(bytes(size))


def test_a_seeded_source_replays_and_separates_its_labels():
    labels = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), (1, "a"), ("a", 11), ("a", 1, 1)]
    drawn = [SeededRandomness(b"s").stream(*label).take(32) for label in labels]
    assert drawn == [SeededRandomness(b"s").stream(*label).take(32) for label in labels]
    assert len(set(drawn)) == len(labels)
    assert SeededRandomness(b"t").stream(*labels[1]).take(32) not in drawn


def test_a_seeded_source_is_marked_not_private_and_the_system_is_private():
    assert not SeededRandomness(b"s").private
    assert SystemRandomness().private


def test_system_streams_differ_even_under_one_label():
    drawn = {SystemRandomness().stream("client", 3).take(32) for _ in range(100)}
    assert len(drawn) == 100


def test_every_byte_value_is_equally_frequent():
    counts = np.bincount(np.frombuffer(Stream(b"k" * 32).take(1 << 20), dtype=np.uint8), minlength=256)
    statistic = float(((counts - 4096.0) ** 2 / 4096.0).sum())
    # Chi-square with 255 degrees of freedom: mean 255, variance 2 * 255; six standard deviations.
    assert abs(statistic - 255) < 6 * np.sqrt(2 * 255)


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_words_are_the_streams_bytes(dtype):
    words = Stream(b"k" * 32).words(5, dtype)
    assert words.dtype == dtype
    assert words.tobytes() == Stream(b"k" * 32).take(words.nbytes)


def test_uniforms_lie_strictly_inside_the_unit_interval_and_are_uniform():
    count = 1 << 18
    uniforms = Stream(b"k" * 32).uniforms(count)
    assert uniforms.min() > 0.0
    assert uniforms.max() < 1.0
    counts = np.bincount((uniforms * 1024).astype(np.int64), minlength=1024)
    statistic = float(((counts - count / 1024) ** 2 / (count / 1024)).sum())
    # Chi-square with 1023 degrees of freedom; six standard deviations.
    assert abs(statistic - 1023) < 6 * np.sqrt(2 * 1023)
    # The mean of `count` uniforms has standard deviation 1 / sqrt(12 count); six of them.
    assert abs(uniforms.mean() - 0.5) < 6 / np.sqrt(12 * count)


def test_the_extreme_words_give_uniforms_with_finite_logarithms(monkeypatch):
    monkeypatch.setattr(Stream, "take", lambda self, size: bytes(size // 2) + b"\xff" * (size // 2))
    smallest, largest = Stream(bytes(32)).uniforms(2)
    assert 0.0 < smallest < largest < 1.0
    assert np.isfinite(np.log([smallest, largest, 1.0 - largest])).all()
