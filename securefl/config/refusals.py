"""Keys and values that are understood and refused, each with its reason.

Rules kept here: what comes in a later version is refused as not available, never ignored and never
stubbed; what does not belong into a config is refused with the place where it does belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from securefl.errors import ConfigError, NotAvailable
from securefl.training.lora import NEEDS_FACTORS

REMOTE_CODE = "trust_remote_code"
ATTACK_KEYS = ("adversary", "adversaries", "attack", "attacks", "attacker", "attackers", "byzantine")

MISPLACED = {
    "lora": "adapters are a key of the model; write {kind: transformer, path: ..., lora: {method: ffa}}",
    "task": "the task follows from the data: classes of texts, or prompts with answers (data.kind jsonl)",
}

LATER_KEYS = {
    "agent": "an agent is a command and no key of a run: `securefl agent DIR`",
    "audit": "audits are a command and no key of a run: `securefl audit CONFIG`",
    "personalization": "the key is spelled personalisation, `{kind: fine_tune, ...}` or `{kind: ditto, ...}`",
    "secure_aggregation.aggregators": "two aggregators with norm proofs come with a later version; there is "
    "one server, with groups",
}

_FLOWER = "comes with a later version; use in_process, or processes on one machine"

LATER_VALUES: Mapping[str, Mapping[str, str]] = {
    "engine.kind": {"flower": _FLOWER, "ray": _FLOWER},
}

_GAUSSIAN = (
    "the Gaussian-DP approximation falls below the true epsilon, so it is no guarantee and is never offered; "
    "use pld (tight) or rdp"
)
_OWN_UPDATE = (
    "it compares with an update that the server computes itself on root data, which a run does not have. In "
    "Python, pass reference= to securefl.robust.combine; here use geometric_median, which needs none"
)
_STEP = "it is a step before a rule. Write `before: [{kind: clipping, norm: 0.5}]` under robust, and a rule"
WRONG_VALUES: Mapping[str, Mapping[str, str]] = {
    "model.kind": {
        "lora": "adapters are a key of a language model; write {kind: transformer, path: ..., lora: "
        "{method: ffa}}",
        "causal_lm": f"{MISPLACED['task']}; use transformer",
        "sequence_classification": f"{MISPLACED['task']}; use transformer",
    },
    "model.lora.method": NEEDS_FACTORS,
    "robust.rule": {"fltrust": _OWN_UPDATE, "monna": _OWN_UPDATE, "norm_clipping": _STEP, "clipping": _STEP},
    "server.optimizer.kind": {
        "momentum": "momentum is a key of sgd, not a kind; write {kind: sgd, momentum: 0.9}"
    },
    "privacy.accountant": {"gdp": _GAUSSIAN, "gaussian": _GAUSSIAN},
}

_PROMISES = (
    *("epsilon", "delta", "budget", "ledger", "clip_norm", "accountant"),
    *("noise", "trusted_server", "adaptive_clip"),
)
_NOT_OF_UNIT: Mapping[str, Mapping[tuple[str, object], str]] = {
    "client": {
        ("accountant", "pld"): "sums of discrete Gaussian shares have a published Renyi bound and no loss "
        "distribution; use rdp, or leave the key out",
        ("clip_norm", None): "the noise is derived from secure_aggregation.clip_norm, the one clip of an "
        "update; set that and remove this key",
    },
    "example": {
        ("adaptive_clip", None): "the bits that would tell a quantile go through the noisy sum of whole "
        "clients' updates, and here no noise is added to sums: a bit would be an exact count. Use unit "
        "'client', or remove this key",
    },
}
"""By unit: (key, the value that is refused; None for any) -> why."""


def check(tree: Mapping[str, object]) -> None:
    """Return if nothing in the tree is known to be refused.

    Raises:
        ConfigError: an attacker, or a value that would be no guarantee or belongs elsewhere.
        NotAvailable: part of a later version.
    """
    for path, value in _nodes(tree):
        if path.rpartition(".")[2] in ATTACK_KEYS:
            raise ConfigError(
                "expected no attacker in the config of a deployment (honest code does not know that attacks "
                f"exist), got {_short(value)}; remove the key and put the attacker in from outside, through "
                "clients= of securefl.build_federated_averaging in Python or a threat model",
                path,
            )
        if path.rpartition(".")[2] == REMOTE_CODE:
            raise ConfigError(
                "expected no such key: code that comes with a model is never run, whatever it says; "
                "remove it",
                path,
            )
        if path in MISPLACED:
            raise ConfigError(f"expected no such section, got {_short(value)}; {MISPLACED[path]}", path)
        if path in LATER_KEYS:
            raise NotAvailable(f"{path}: got {_short(value)}; {LATER_KEYS[path]}. Remove the key")
        if isinstance(value, str):
            _check_value(path, value)
    _check_no_promise(tree.get("privacy"))
    _check_unit(tree.get("privacy"))


def _check_value(path: str, value: str) -> None:
    later = LATER_VALUES.get(path, {})
    if value in later:
        raise NotAvailable(f"{path}: {value!r}: {later[value]}")
    wrong = WRONG_VALUES.get(path, {})
    if value in wrong:
        raise ConfigError(f"got {value!r}: {wrong[value]}", path)


def _check_no_promise(privacy: object) -> None:
    if not isinstance(privacy, Mapping) or privacy.get("unit") != "none":
        return
    given = [key for key in _PROMISES if key in privacy]
    if given:
        raise ConfigError(
            f"expected nothing with privacy.unit 'none', which promises nothing, got "
            f"{_short(privacy[given[0]])}; remove {', '.join(given)} (`--set 'privacy={{unit: none}}'` "
            "replaces the whole section), or use unit 'example'",
            f"privacy.{given[0]}",
        )


def _check_unit(privacy: object) -> None:
    if not isinstance(privacy, Mapping):
        return
    unit = str(privacy.get("unit"))
    for (key, value), reason in _NOT_OF_UNIT.get(unit, {}).items():
        if key in privacy and value in (None, privacy[key]):
            raise ConfigError(
                f"got {_short(privacy[key])} with privacy.unit {unit!r}: {reason}", f"privacy.{key}"
            )


def _nodes(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        yield path, value
        if isinstance(value, Mapping):
            yield from _nodes(value, f"{path}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
