"""Checks that need more than one key: what cannot run, or would quietly break a guarantee.

Rules kept here:
- The bounds are the lower layers' own functions: threshold (`secagg`), rows (`robust`), ring (`encoding`),
  widths (`training.shapes`).
- A setting without effect is refused, so that nobody believes that it had one.

What this file does NOT do: checks that need data (`securefl.guarantee`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from securefl.config.robustness import check_robust
from securefl.data.load import TEXTS
from securefl.encoding import FixedPoint
from securefl.errors import ConfigError
from securefl.secagg import MAX_COMPLETE, MAX_MEMBERS, check_threshold, smallest_threshold
from securefl.training.settings import refuse_checkpointing
from securefl.training.shapes import ModelSpec

if TYPE_CHECKING:
    from securefl.config.learning import Data
    from securefl.config.root import Config

MAX_NOISY_STEPS = 1_000_000
"""Of one client over the whole run; the accountant answers for so many within seconds."""
_THRESHOLD = "secure_aggregation.threshold"
_OWN_DATA = ("csv", "npz")
_WITH_CLIENTS = (*_OWN_DATA, "heart_disease", "shakespeare", "dialogues", "jsonl")
_WITH_PATH = (*_OWN_DATA, "fashion_mnist", "jsonl")
_ANSWERS = ("shakespeare", "dialogues", "jsonl")
_LIVES = ("domain", "train_per_client", "test_per_client")


def check(config: Config) -> None:
    """Return if all sections fit together.

    Raises:
        ConfigError: the first contradiction, with its path.
    """
    _check_data(config.data)
    _check_model(config)
    _check_private_half(config)
    _check_budget(config)
    _check_pinned_head(config)
    _check_cohort(config)
    _check_groups(config)
    check_robust(config)
    _check_weights(config)
    _check_client_level(config)


def _check_model(config: Config) -> None:
    """A language model and texts need each other; keys of the other kinds of model are refused."""
    model, texts = config.model, config.data.kind in TEXTS
    language = model.kind == "transformer"
    if config.training.gradient_checkpointing:
        _check_checkpointing(config)
    if language != texts:
        raise ConfigError(
            f"expected a language model for texts and another one for numbers, got {model.kind!r} with "
            f"data.kind "
            f"{config.data.kind!r}; use one of {', '.join(TEXTS)} with transformer",
            "model.kind",
        )
    if not language:
        ModelSpec(model.kind, model.hidden, model.channels)
        for key in ("path", "gguf_file", "lora"):
            if getattr(model, key) is not None:
                raise ConfigError(
                    f"expected nothing for kind {model.kind!r}, got one; remove the key, only transformer "
                    f"reads it",
                    f"model.{key}",
                )
        return
    if model.path is None:
        raise ConfigError(
            "expected a folder, a hub id or tiny-llama with kind 'transformer', got nothing; name it",
            "model.path",
        )
    for key, widths in (("hidden", model.hidden), ("channels", model.channels)):
        if widths:
            raise ConfigError("expected nothing for kind 'transformer'; remove the key", f"model.{key}")
    if model.pooling != "model" and (config.data.kind in _ANSWERS or model.lora is None):
        raise ConfigError(
            "expected `model` for answers and without adapters, got 'mean', which is for classes of texts; "
            "remove the key",
            "model.pooling",
        )
    if model.dtype != "float32" and (model.lora is None or config.data.kind not in _ANSWERS):
        raise ConfigError(
            "expected float32 where the base or a new head trains, got bfloat16; it is for adapters of "
            "causal_lm",
            "model.dtype",
        )
    if model.lora is None and config.privacy.unit == "example":
        raise ConfigError(
            "expected adapters with privacy.unit 'example', got none; norms and embeddings of a language "
            "model "
            "have no gradients per example here. Write `lora: {method: ffa}`, or use unit 'client'",
            "model.lora",
        )


def _check_checkpointing(config: Config) -> None:
    refuse_checkpointing(config.privacy.unit == "example")
    if config.model.kind != "transformer":
        raise ConfigError(
            f"expected nothing with model.kind {config.model.kind!r}, got true; remove the key, only "
            "transformer reads it",
            "training.gradient_checkpointing",
        )


def _check_private_half(config: Config) -> None:
    """A half that stays at home and the method that leaves it there need each other, and no unit example."""
    lora, personal = config.model.lora, config.personalisation
    fedsa = lora is not None and lora.method == "fedsa"
    if fedsa and config.privacy.unit == "example":
        raise ConfigError(
            "expected another method with privacy.unit 'example', got 'fedsa': B stays at its client without "
            "noise, and every later gradient of A hangs on it, so that no noise on A's gradients covers an "
            "example. Use ffa with personalisation {kind: ditto, ...}, or unit 'client'",
            "model.lora.method",
        )
    if fedsa != (personal is not None and personal.kind == "private_half"):
        raise ConfigError(
            "expected {kind: private_half} with model.lora.method fedsa, whose B is that half, and with no "
            f"other method, got {'nothing' if personal is None else personal.kind}; write both or neither",
            "personalisation",
        )
    if fedsa and config.secure_aggregation.subsample is not None:
        raise ConfigError(
            "expected whole updates with model.lora.method fedsa, half of which stays at home, got a part; "
            "leave the key out, or use ffa",
            "secure_aggregation.subsample",
        )


def _check_data(data: Data) -> None:
    _refuse_setting("path", data.path, data.kind, _WITH_PATH)
    _refuse_setting("label", data.label, data.kind, _OWN_DATA)
    _refuse_setting("client", data.client, data.kind, _OWN_DATA)
    _refuse_setting("roles", data.roles, data.kind, ("shakespeare",))
    if data.kind == "jsonl" and not data.path:
        raise ConfigError("expected a file with data.kind 'jsonl', got nothing; give its path", "data.path")
    _check_lives(data)
    if data.kind in _OWN_DATA:
        for key, value in (("path", data.path), ("label", data.label)):
            if not value:
                raise ConfigError(
                    f"expected a name with data.kind {data.kind!r}, got nothing; give the {key} of your data",
                    f"data.{key}",
                )
    split = data.partition
    if split.kind == "dirichlet" and split.alpha is None:
        raise ConfigError(
            "expected a number above 0 with kind 'dirichlet', got nothing; write for example `alpha: 1.0`",
            "data.partition.alpha",
        )
    if split.kind == "dirichlet" and data.kind in _ANSWERS:
        raise ConfigError(
            "expected iid or column for prompts with answers, which have no classes to skew, got 'dirichlet'",
            "data.partition.kind",
        )
    if split.kind != "dirichlet" and split.alpha is not None:
        raise ConfigError(
            f"expected nothing with kind {split.kind!r}, got {split.alpha:g}; remove it or use 'dirichlet'",
            "data.partition.alpha",
        )
    if split.kind == "column" and (data.kind not in _WITH_CLIENTS or _lacks_column(data)):
        advice = "name the column in data.client" if data.kind in _OWN_DATA else "use iid or dirichlet"
        raise ConfigError(
            f"expected data that names its clients, got 'column' with data.kind {data.kind!r}; {advice}",
            "data.partition.kind",
        )


def _check_lives(data: Data) -> None:
    """Dialogues need all of `_LIVES` and belong to their clients; other data read none of them."""
    for key in _LIVES:
        _refuse_setting(key, getattr(data, key), data.kind, ("dialogues",))
        if data.kind == "dialogues" and getattr(data, key) is None:
            raise ConfigError("expected with data.kind 'dialogues', got nothing; name it", f"data.{key}")
    if data.kind == "dialogues" and data.partition.kind != "column":
        raise ConfigError(
            f"expected 'column', for every dialogue belongs to a client's life, got {data.partition.kind!r}; "
            "write `partition: {kind: column}`",
            "data.partition.kind",
        )


def _refuse_setting(key: str, value: object, kind: str, kinds: tuple[str, ...]) -> None:
    if value is not None and kind not in kinds:
        raise ConfigError(
            f"expected nothing with data.kind {kind!r}, got {value!r}; remove it, only {' and '.join(kinds)} "
            "read it",
            f"data.{key}",
        )


def _lacks_column(data: Data) -> bool:
    return data.kind in _OWN_DATA and not data.client


def _check_budget(config: Config) -> None:
    privacy = config.privacy
    if privacy.unit != "none" and privacy.budget is not None and privacy.budget < privacy.epsilon:
        raise ConfigError(
            f"expected at least privacy.epsilon = {privacy.epsilon:g}, the cost of this one run, got "
            f"{privacy.budget:g}; raise the budget or lower epsilon",
            "privacy.budget",
        )

    steps = config.training.local_steps * (config.server.rounds + privacy.spare_releases)
    if privacy.unit == "example" and steps > MAX_NOISY_STEPS:
        raise ConfigError(
            f"expected at most {MAX_NOISY_STEPS:,} local steps in all rounds and spare releases, got "
            f"{config.training.local_steps:,} x ({config.server.rounds:,} + {privacy.spare_releases:,}) = "
            f"{steps:,}; plan fewer steps or rounds",
            "training.local_steps",
        )


def _check_client_level(config: Config) -> None:
    """Returns if every opened sum has honest shares of noise, and nothing else leaves a client."""
    privacy, secagg = config.privacy, config.secure_aggregation
    if privacy.unit != "client":
        return
    if privacy.trusted_server != config.central_noise:
        raise ConfigError(
            "expected `trusted_server: true` with noise 'central', and nothing with 'distributed', got "
            f"{str(privacy.trusted_server).lower()} with {privacy.noise!r}; noise of the server protects "
            "nobody from the server: say so, or use distributed, which needs no trust",
            "privacy.trusted_server",
        )
    if not secagg.masking and not config.central_noise:
        raise ConfigError(
            "expected masking with noise 'distributed', got none; one client's share is too little noise for "
            "its update to be seen alone. Turn masking on, or use privacy.unit 'example'",
            "secure_aggregation.masking",
        )
    if secagg.rotation:
        raise ConfigError(
            "expected nothing with privacy.unit 'client', got true; its encoding rotates by itself wherever "
            "that makes a vector shorter, and both cost the same epsilon. Remove the key",
            "secure_aggregation.rotation",
        )
    if config.server.weights.kind != "uniform":
        raise ConfigError(
            f"expected uniform with privacy.unit 'client', got {config.server.weights.kind!r}; the noise is "
            "the same for every client, so that a heavier one would be protected less. Remove the weights",
            "server.weights.kind",
        )
    if config.honest_shares < 1:
        raise ConfigError(
            f"expected sums with an honest share of noise, got none: the fewest survivors of a group, "
            f"{config.fewest_survivors}, less max_colluding {secagg.max_colluding} and robust.max_malicious "
            f"{config.robust.max_malicious} leave {config.honest_shares}; raise the threshold and the groups",
            _THRESHOLD,
        )
    if privacy.delta >= 1.0 / config.clients:
        raise ConfigError(
            f"expected delta below 1/n = {1.0 / config.clients:.2g} for {config.clients} clients, got "
            f"{privacy.delta:g}; at 1/n a mechanism may publish all of one client: choose 1/(10 n) or less",
            "privacy.delta",
        )


def _check_pinned_head(config: Config) -> None:
    if config.privacy.ledger_head is not None and config.privacy.ledger is None:
        raise ConfigError(
            "expected privacy.ledger beside it, the shared file that must contain this head, got none; name "
            "the file, or leave the head out: a run's own ledger is new",
            "privacy.ledger_head",
        )


def _check_cohort(config: Config) -> None:
    if config.cohort_size > MAX_MEMBERS:
        raise ConfigError(
            f"expected at most {MAX_MEMBERS:,} clients in a round, which is what a message holds, got "
            f"{config.cohort_size:,}; let a sample of them take part, "
            "`participation: {kind: sample, cohort: 1000}`",
            "clients" if config.participation.kind == "all" else "participation.cohort",
        )
    if config.cohort_size > config.clients:
        raise ConfigError(
            f"expected at most the {config.clients} clients, got {config.cohort_size}; lower the cohort or "
            "declare more clients",
            "participation.cohort",
        )
    group_size = config.secure_aggregation.group_size
    if group_size > config.cohort_size:
        raise ConfigError(
            f"expected at most the {config.cohort_size} clients of a round, got {group_size}; make the "
            "groups smaller or let more clients take part",
            "secure_aggregation.group_size",
        )


def _check_groups(config: Config) -> None:
    secagg = config.secure_aggregation
    _check_threshold_given(config)
    if secagg.threshold is not None and secagg.threshold > config.smallest_group:
        raise ConfigError(
            f"expected at most the {config.smallest_group} members of a group, got {secagg.threshold}; lower "
            "it or make the groups larger",
            _THRESHOLD,
        )
    if not secagg.masking:
        return
    if secagg.group_size == 1:
        raise ConfigError(
            "expected at least 2 with masking on, got 1; a sum over one client is its update, so a mask "
            "hides nothing. Make the groups larger, or say `masking: false` and let the server see updates",
            "secure_aggregation.group_size",
        )
    if secagg.threshold is not None:
        check_threshold(config.largest_group, secagg.threshold, secagg.max_colluding)
    for members in (config.smallest_group, config.largest_group):
        secagg.shape(members)


def _check_threshold_given(config: Config) -> None:
    """Up to 64 members the threshold is a choice; above, it follows from the group."""
    secagg, large = config.secure_aggregation, config.largest_group > MAX_COMPLETE
    if secagg.threshold is None and not large:
        raise ConfigError(
            f"expected a number of members for groups of {config.largest_group}, got nothing; "
            f"{smallest_threshold(config.largest_group, secagg.max_colluding)} is the smallest safe one",
            _THRESHOLD,
        )
    if secagg.threshold is not None and large and secagg.masking:
        raise ConfigError(
            f"expected nothing for groups above {MAX_COMPLETE} members, got {secagg.threshold}; leave it "
            "out: it follows from max_colluding and max_dropout",
            _THRESHOLD,
        )


def _check_weights(config: Config) -> None:
    weights = config.server.weights
    if weights.kind == "public" and len(weights.values) != config.clients:
        raise ConfigError(
            f"expected one value for each of the {config.clients} clients, got {len(weights.values)}; list "
            "them in the order of the clients",
            "server.weights.values",
        )
    # One coordinate is enough: the ring has to hold the sum of any one of them, and of the weights.
    FixedPoint(
        clip_norm=config.secure_aggregation.clip_norm,
        bits=config.secure_aggregation.bits,
        dim=1,
        members=config.largest_group,
        cap=largest_weight(config),
        weighted=weights.kind == "examples",
    )


def largest_weight(config: Config) -> int:
    """The largest weight that one client can have."""
    weights = config.server.weights
    if weights.kind == "uniform":
        return 1
    return max(weights.values) if weights.kind == "public" else weights.cap
