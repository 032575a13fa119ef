"""What the server holds constant over a run.

What this file does NOT do: play rounds (`securefl.federation.server`).
"""

from __future__ import annotations

from securefl import config as configuration
from securefl.building.session import task_id
from securefl.crypto.randomness import Randomness
from securefl.encoding import NoisyFixedPoint
from securefl.federation.central_noise import CentralNoise
from securefl.federation.optimizer import ServerOptimizer
from securefl.federation.server import Setting
from securefl.guarantee import Terms
from securefl.secagg import Roster


def build_setting(terms: Terms, roster: Roster, run: str, source: Randomness) -> Setting:
    """What the server holds constant over a run."""
    config = terms.config
    secagg, robust, server = config.secure_aggregation, config.robust, config.server
    return Setting(
        task=task_id(run),
        config_digest=configuration.digest(config),
        roster=roster,
        groups=config.groups,
        threshold=secagg.threshold,
        colluding=secagg.max_colluding,
        encoding=terms.encoding,
        masking=secagg.masking,
        epoch_rounds=secagg.epoch_rounds,
        max_redraws=secagg.max_redraws,
        cohort=None if config.participation.kind == "all" else config.cohort_size,
        seed=config.seed,
        rule=terms.rule,
        max_malicious=robust.max_malicious,
        norm_guard=robust.norm_guard,
        optimizer=ServerOptimizer(**server.optimizer.model_dump()),
        weights=server.weights.kind,
        public_weights=terms.weights,
        spare_releases=config.privacy.spare_releases,
        rounds=server.rounds,
        max_dropout=secagg.dropout_bound,
        agreement=secagg.agreement,
        survivors_min=config.fewest_survivors,
        before=robust.steps,
        noise=central_noise(terms, source),
        turns=terms.subsample or terms.turns,
    )


def central_noise(terms: Terms, source: Randomness) -> CentralNoise | None:
    """What a trusted server does to every sum first; None where clients add the noise, or nobody."""
    encoding = terms.encoding
    if not isinstance(encoding, NoisyFixedPoint) or encoding.shared:
        return None
    return CentralNoise(encoding, source)
