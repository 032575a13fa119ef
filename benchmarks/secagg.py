"""The masked sum: speed against the bare keystream and Flower's SecAgg+, bytes on the wire, memory, growth.

    make bench-secagg                 everything but the peer's slow parts repeated (some minutes)
    make bench-secagg ARGS=--quick    a tenth of the coordinates, no long vector: to see that it runs
    make bench-secagg ARGS=--growth   only groups of 50 to 400 members, and both key agreements
    make bench-secagg ARGS=--full     with groups of 1,000 and 2,000 members; draws the plot

One process with pinned threads; both sides of a ratio run in turn, the ratio of each turn is of CPU times and
the median of the turns is reported. The same number of members, coordinates, dropouts and bits of the ring
(32, the peer's default) on both sides. The primitives stand in a complete graph on both: 99 neighbours. The
real steps stand on the ring that a group of 100 has, and the peer gets as many neighbours. What each side
does is in `secagg_ours`, `secagg_round` and `secagg_peer`; the peer's checks are as it has them.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
from collections.abc import Callable, Sequence
from math import ceil, log2

import bench
import numpy as np
import secagg_growth
import secagg_ours
import secagg_peer
import secagg_round
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from securefl.crypto import add_mask
from securefl.encoding import FixedPoint, pack, unpack

MEMBERS, THRESHOLD, DROPPED = 100, 67, 10
DIM, LONG_DIM = 1_000_000, 100_000_000
CODEC_BITS = 25  # 25 bits and 100 members fill the ring of 32 bits, as wide as the peer's


def main() -> None:
    """Runs all parts, prints the table, writes benchmarks/results/secagg.json."""
    options = _options()
    grown, growth, notes = _growth(options.full)
    if options.growth:
        bench.finish("secagg_growth", growth, grown, notes)
        return
    quick = options.quick
    dim = DIM // 10 if quick else DIM
    (client, peer_client), (server, peer_server, note) = _client(dim), _server(dim)
    checks = [*_masks(dim), client, server, *_wire(dim), *_packing(dim), _sharing()]
    checks += _memory(dim if quick else 10 * DIM, None if quick else LONG_DIM)
    real, on_ring, floor = _real(dim, peer_client, peer_server)
    checks += on_ring + growth
    figures = [real.row("real steps"), *grown]
    notes += [
        "peer: Flower's SecAgg+ building blocks, the workflow's defaults",
        note,
        floor,
        "real steps: every check and signature, states sealed, sum compared with the plain one",
    ]
    if quick:
        notes.append("--quick: no figure here is one to quote")
    bench.finish("secagg", checks, figures, notes)


def _growth(full: bool) -> tuple[list[bench.Figure], list[bench.Check], list[str]]:
    costs, agreements = secagg_growth.grow(full), secagg_growth.agreements()
    rows = [cost.row("growth") for cost in costs] + [cost.row("key agreement") for cost in agreements]
    if full:
        secagg_growth.plot(costs)
    return rows, secagg_growth.checks(costs), [secagg_growth.fit(costs), secagg_growth.cold(costs)]


def _masks(dim: int) -> list[bench.Check]:
    seed, words = b"k" * 32, np.zeros(dim, dtype=np.uint32)
    zeros, target = bytes(words.nbytes), bytearray(words.nbytes + 16)
    vector = [np.zeros(dim, dtype=np.int64)]

    def keystream() -> None:
        Cipher(algorithms.AES256(seed), modes.CTR(bytes(16))).encryptor().update_into(zeros, target)

    # Below a millisecond the clock of the process is coarse, so each turn is many masks.
    ours, bare = _turns(lambda: _times(100, lambda: add_mask(words, seed, 1)), lambda: _times(100, keystream))
    # The peer's seeds are 44 bytes of text.
    mine, peer = _turns(
        lambda: _times(10, lambda: add_mask(words, seed, 1)),
        lambda: _times(10, lambda: secagg_peer.mask_and_add(vector, b"k" * 44)),
    )
    return [
        bench.at_most(
            "mask generated and added / bare keystream", _ratio(ours, bare), 1.5, "CPU, median of 5"
        ),
        bench.at_least("mask per neighbour: peer / ours", _ratio(peer, mine), 5, "x CPU, median of 5"),
    ]


def _client(dim: int) -> tuple[bench.Check, float]:
    codec = FixedPoint(clip_norm=1.0, bits=CODEC_BITS, dim=dim, members=MEMBERS)
    update = np.random.default_rng(0).normal(size=dim).astype(np.float32)
    ours = secagg_ours.Client(codec, MEMBERS, THRESHOLD)
    peer = secagg_peer.Client(MEMBERS, THRESHOLD)
    mine, theirs = _turns(lambda: ours.run(update), lambda: peer.run(update), turns=3)
    name = f"client total, n = {MEMBERS}: peer / ours"
    check = bench.at_least(name, _ratio(theirs, mine), 15, f"x CPU, median of 3, ours {min(mine):.3f} s")
    return check, min(theirs)


def _server(dim: int) -> tuple[bench.Check, float, str]:
    ours = secagg_ours.Server(MEMBERS, THRESHOLD, DROPPED)
    peer = secagg_peer.Server(MEMBERS, THRESHOLD, DROPPED)
    words, total = np.zeros(dim, dtype=np.uint32), np.zeros(dim, dtype=np.int64)
    mine, theirs = _turns(lambda: ours.unmask(words), lambda: peer.unmask(total), turns=1)
    # The peer takes minutes: one turn of it, between two of ours, of which the slower one counts.
    mine.append(bench.cpu_seconds(lambda: ours.unmask(words)))
    name = f"server unmasking, n = {MEMBERS}, {DROPPED} dropped: peer / ours"
    check = bench.at_least(name, theirs[0] / max(mine), 100, f"x CPU, one turn, ours {max(mine):.3f} s")
    return check, theirs[0], _with_fewer_shares(peer, theirs[0], max(mine))


def _with_fewer_shares(peer: secagg_peer.Server, theirs: float, mine: float) -> str:
    """What the ratio would be if the peer combined no more shares than it needs."""
    saved = sum(
        count
        * (
            bench.cpu_seconds(lambda s=shares: secagg_peer.combine_shares(s))
            - bench.cpu_seconds(lambda s=shares: secagg_peer.combine_shares(s[:THRESHOLD]))
        )
        for count, shares in ((peer.survivors, peer.seed_shares), (peer.dropped, peer.key_shares))
    )
    return (
        f"server unmasking: the peer combines all {peer.survivors} shares that arrive, as its workflow does; "
        f"with {THRESHOLD} of them the ratio would be about {(theirs - saved) / mine:.0f}"
    )


def _wire(dim: int) -> list[bench.Check]:
    worst = max(
        FixedPoint(1.0, bits, dim, members, cap, weighted).wire_bytes * 8 / dim - _allowed(bits, members, cap)
        for bits in (4, 8, 16, 24, 32)
        for members in (3, 64, MEMBERS, 1000)
        for cap in (1, 10, 1000)
        for weighted in (False, cap > 1)
    )
    codec = FixedPoint(1.0, 16, dim, MEMBERS)
    sent = len(secagg_ours.Client(codec, MEMBERS, THRESHOLD).run(np.zeros(dim, dtype=np.float32)))
    constant = 8 * 1024 / dim
    return [
        bench.at_most("wire, 16 bits, n = 100, signature included", sent * 8 / dim,
                      _allowed(16, MEMBERS, 1) + constant, "bits per coordinate"),
        bench.at_most("wire beyond bits + log n + log cap + 1, worst of 100 shapes", worst, constant,
                      "bits per coordinate"),
    ]  # fmt: skip


def _allowed(bits: int, members: int, cap: int) -> int:
    return bits + ceil(log2(members)) + ceil(log2(cap)) + 1


def _packing(dim: int) -> list[bench.Check]:
    slowest = {"pack": (0.0, 0), "unpack": (0.0, 0)}
    draws = np.random.default_rng(0)
    for width in range(1, 65):
        dtype = np.uint32 if width <= 32 else np.uint64
        words = draws.integers(0, 1 << width, size=dim, dtype=np.uint64, endpoint=False) if width < 64 else (
            draws.integers(0, 1 << 63, size=dim, dtype=np.uint64))  # fmt: skip
        words = words.astype(dtype)
        data = pack(words, width)
        works = {"pack": lambda w=words, b=width: pack(w, b),
                 "unpack": lambda p=data, b=width, t=dtype: unpack(p, b, dim, t)}  # fmt: skip
        for name, work in works.items():
            slowest[name] = max(slowest[name], (1e3 * bench.best_cpu_seconds(work), width))
    return [
        bench.at_most(
            f"{name}, slowest of the widths 1 to 64 (at {width})", milliseconds, 30, "CPU ms, best of 5"
        )
        for name, (milliseconds, width) in slowest.items()
    ]


def _sharing() -> bench.Check:
    seconds = bench.best_cpu_seconds(lambda: secagg_ours.sharing(MEMBERS, THRESHOLD))
    name = f"both secrets shared and rebuilt, n = {MEMBERS}, t = {THRESHOLD}"
    return bench.at_most(name, 1e3 * seconds, 5, "CPU ms, best of 5")


def _memory(dim: int, long_dim: int | None) -> list[bench.Check]:
    beyond = bench.alone("secagg_memory.py", "heap", dim)["heap_beyond_bytes"]
    name = f"client heap beyond vector and ring image, d = {dim:.0e}"
    checks = [bench.at_most(name, beyond / 2**20, 2, "MiB: one chunk")]
    if long_dim is not None:
        found = bench.alone("secagg_memory.py", "rss", long_dim)
        name = f"client, d = {long_dim:.0e}, model in the request: peak RSS"
        unit = f"GB, {found['cpu_seconds']:.1f} CPU s"
        checks.append(bench.at_most(name, found["peak_rss_bytes"] / 1e9, 1.5, unit))
    return checks


def _real(
    dim: int, complete_client: float, complete_server: float
) -> tuple[secagg_round.Cost, list[bench.Check], str]:
    """A round of real steps on a ring, the peer with as many neighbours, and what no step does without."""
    codec = FixedPoint(clip_norm=1.0, bits=CODEC_BITS, dim=dim, members=MEMBERS)
    real = secagg_round.play(codec, MEMBERS, model=bytes(4 * dim))
    k, t = real.holders, real.threshold
    update, total = np.zeros(dim, dtype=np.float32), np.zeros(dim, dtype=np.int64)
    client, server = secagg_peer.Client(k + 1, t), secagg_peer.Server(MEMBERS, t, DROPPED, k + 1)
    clients = min(bench.cpu_seconds(lambda: client.run(update)) for _ in range(3))
    servers = bench.cpu_seconds(lambda: server.unmask(total))
    ring = f"real steps, n = {MEMBERS} on a ring of k = {k}, t = {t}"
    mine, ours = f"x CPU, ours {real.client:.3f} s, median of 90", f"x CPU, ours {real.unmasking:.3f} s"
    return real, [
        bench.at_least(f"client total, {ring}: peer with k neighbours / ours", clients / real.client,
                       15, mine),
        bench.at_least(f"client total, {ring}: peer's complete graph / ours", complete_client / real.client,
                       15, mine),
        bench.at_least(f"server unmasking, {ring}: peer with k neighbours / ours", servers / real.unmasking,
                       100, ours),
        bench.at_least(f"server unmasking, {ring}: peer's complete graph / ours",
                       complete_server / real.unmasking, 100, ours),
    ], _floor(dim, codec, real, clients / 15, servers / 100)  # fmt: skip


def _floor(dim: int, codec: FixedPoint, real: secagg_round.Cost, client: float, server: float) -> str:
    """What the masks and hashes of a round cost without any protocol, beside what the goals would leave."""
    seed, words, model = b"k" * 32, np.zeros(dim, dtype=np.uint32), bytes(4 * dim)
    zeros, target = bytes(words.nbytes), bytearray(words.nbytes + 16)
    update, stream = np.zeros(dim, dtype=np.float32), secagg_ours.SOURCE.stream("floor")

    def keystream() -> None:
        Cipher(algorithms.AES256(seed), modes.CTR(bytes(16))).encryptor().update_into(zeros, target)

    bare = bench.best_cpu_seconds(keystream)
    alone = (
        (real.holders + 1) * bench.best_cpu_seconds(lambda: add_mask(words, seed, 1))
        + bench.best_cpu_seconds(lambda: codec.encode(update, stream))
        + 2 * bench.best_cpu_seconds(lambda: hashlib.sha256(model).digest())
    )
    survivors = MEMBERS - DROPPED
    masks = survivors + DROPPED * round(real.holders * survivors / MEMBERS)
    return (
        f"with k neighbours on both sides the goals leave a client {client:.3f} s, of which masks, encoding "
        f"and hashes of model and vector alone take {alone:.3f} s; the server {server:.3f} s, of which the "
        f"bare AES keystream of its {masks} masks alone takes {masks * bare:.3f} s"
    )


def _turns(
    ours: Callable[[], object], other: Callable[[], object], turns: int = bench.REPEATS
) -> tuple[list[float], list[float]]:
    """CPU seconds of both, in turn."""
    pairs = [(bench.cpu_seconds(ours), bench.cpu_seconds(other)) for _ in range(turns)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def _times(count: int, work: Callable[[], object]) -> None:
    for _ in range(count):
        work()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the coordinates, no long vector")
    parser.add_argument("--growth", action="store_true", help="only the growth with the group's size")
    parser.add_argument("--full", action="store_true", help="groups of up to 2,000 members, and the plot")
    return parser.parse_args()


if __name__ == "__main__":
    main()
