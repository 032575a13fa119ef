"""The audited release is the run's own: same words, same noise, same claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from securefl.audit import audit, example_subject
from securefl.audit.example import candidates, joined, released, scored, strongest_canary
from securefl.building import assemble, build_learner, load_dataset, local_update
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import ConfigError
from securefl.federation import Client, LocalUpdate, Stopwatch
from securefl.guarantee import Terms, settle

Make = Callable[..., Config]
SEED = SeededRandomness(b"audit")
UNSAMPLED = ("training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 20}",)


def terms(small: Make, *overrides: str) -> Terms:
    config = small(*overrides)
    return settle(config, load_dataset(config))


def contribution(settled: Terms, client: int) -> LocalUpdate:
    learner, _ = build_learner(settled)
    return local_update(settled, client, SEED, learner, Stopwatch())


@pytest.mark.parametrize("masking", [True, False])
def test_the_masked_sum_shows_the_sum_of_the_very_words_that_an_audit_draws(
    small: Make, masking: bool
) -> None:
    overrides = (
        "robust={rule: mean, max_malicious: 0}",
        f"secure_aggregation.masking={str(masking).lower()}",
    )
    settled = terms(small, "clients=3", "secure_aggregation.group_size=3", *overrides)
    sent: dict[int, np.ndarray] = {}

    def watched(honest: Mapping[int, Client]) -> dict[int, Client]:
        def watch(client: int, one: Client) -> Client:
            def contribute(model: bytes, round: int) -> np.ndarray:
                sent[client] = one.contribution(model, round)
                return sent[client].copy()

            return replace(one, contribution=contribute)

        return {client: watch(client, one) for client, one in honest.items()}

    with assemble(settled, watched, randomness=SEED, run="audit") as process:
        before = process.initialize()
        after, _ = process.next(before)
    model = before.model.astype("<f4").tobytes()
    drawn = [contribution(settled, client)(model, 1) for client in range(3)]
    for client in range(3):
        assert np.array_equal(drawn[client], sent[client]), "an audit draws what the client sends"
    mask = settled.encoding.dtype((1 << settled.encoding.ring_bits) - 1)
    mean, _ = settled.encoding.decode(np.sum(drawn, axis=0, dtype=settled.encoding.dtype) & mask, 3)
    assert np.array_equal(after.model, (before.model + mean).astype(np.float32))


def test_a_draw_is_the_contribution_along_the_canary_and_no_more(small: Make) -> None:
    settled = terms(small)
    subject = example_subject(settled, SEED)
    honest = contribution(settled, 0)
    few = honest.examples.take(np.arange(8))
    canary, direction = strongest_canary(settled, 0, few)
    _, initial = build_learner(settled)
    for there, examples in ((False, few), (True, joined(few, canary))):
        words = replace(honest, examples=examples)(initial.astype("<f4").tobytes(), 2 * 7 + there)
        assert subject.draw(there, 7) == scored(released(honest, words), direction)


def test_draws_of_other_numbers_and_worlds_have_noise_of_their_own(small: Make) -> None:
    subject = example_subject(terms(small), SEED)
    drawn = [subject.draw(there, number) for number in range(20) for there in (False, True)]
    assert len(set(drawn)) == len(drawn)


def test_the_canary_uses_up_its_clip_and_is_orthogonal_to_the_others(small: Make) -> None:
    settled = terms(small, *UNSAMPLED)
    few = contribution(settled, 0).examples.take(np.arange(8))
    canary, direction = strongest_canary(settled, 0, few)
    assert np.linalg.norm(direction) == pytest.approx(1.0)
    assert np.abs(few.features.reshape(8, -1) @ canary.features.reshape(-1)).max() < 1e-4
    calm = replace(
        settled, budget=replace(settled.budget, event=replace(settled.budget.event, noise_multiplier=1e-9))
    )
    learner, initial = build_learner(calm)
    update = local_update(calm, 0, SEED, learner, Stopwatch())
    moved = replace(update, examples=joined(few, canary)).update(initial, 0)
    moved -= replace(update, examples=few).update(initial, 0)
    # learning rate x clip / expected batch, the most that one example can do; float32 and Opacus' 1e-6.
    assert np.linalg.norm(moved) == pytest.approx(0.5 * 1.0 / 20, rel=1e-3)


def test_the_worlds_differ_by_what_the_accountant_says_they_do(small: Make) -> None:
    settled = terms(small, *UNSAMPLED)
    subject = example_subject(settled, SEED)
    scores = np.array([[subject.draw(there, number)[0] for number in range(300)] for there in (False, True)])
    unit = 0.5 * 1.0 / 20
    noise = settled.budget.event.noise_multiplier
    # Means deviate by noise / sqrt(300), standard deviations by 1 / sqrt(600) of themselves; five of these.
    assert (scores[1].mean() - scores[0].mean()) / unit == pytest.approx(
        1.0, abs=5 * noise * np.sqrt(2 / 300)
    )
    assert scores.std(axis=1) / (unit * noise) == pytest.approx([1.0, 1.0], abs=5 / np.sqrt(600))


@pytest.mark.parametrize("overrides", [(), UNSAMPLED], ids=["sampled", "unsampled"])
def test_the_runs_own_mechanism_is_not_refuted(small: Make, overrides: tuple[str, ...]) -> None:
    found = audit(example_subject(terms(small, *overrides), SEED), 100, 1 - 1e-6)
    assert not found.refuted
    assert found.upper < found.claim.upper_run <= 8.0


def test_one_release_of_the_unsampled_gaussian_is_seen_nearly_as_far_as_the_accountant_goes(
    small: Make,
) -> None:
    one_round = ("server.rounds=1", "privacy.spare_releases=0", "secure_aggregation.epoch_rounds=1")
    found = audit(example_subject(terms(small, *UNSAMPLED, *one_round), SEED), 400, 0.99)
    assert 3.0 < found.lower.epsilon <= found.upper == pytest.approx(8.0, abs=0.01)


def test_a_run_that_promises_nothing_is_refused(small: Make) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        example_subject(terms(small, "privacy={unit: none}"), SEED)


def test_candidates_of_every_class_grow(small: Make) -> None:
    settled = terms(small)
    few = contribution(settled, 0).examples.take(np.arange(3))
    found = list(candidates(few, 10))
    assert [int(one.labels[0]) for one in found] == list(range(10)) * 3
    norms = [float(np.linalg.norm(one.features)) for one in found]
    assert norms == sorted(norms)
    assert found[0].features.shape == (1, *few.features.shape[1:])
