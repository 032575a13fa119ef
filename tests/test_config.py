"""Broken configs and what is said about each; and that good ones survive the way to YAML and back."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl import config as configuration
from securefl.errors import ConfigError, NotAvailable, SecureFLError
from securefl.robust import Before

QUICKSTART = Path(__file__).parent.parent / "examples" / "configs" / "quickstart.yaml"
TEXT = QUICKSTART.read_text(encoding="utf-8")
CLIENTS = "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 1e-3}"


@dataclass(frozen=True)
class Broken:
    """One broken config: overrides on quickstart, and what the message must show."""

    overrides: tuple[str, ...]
    path: str
    says: tuple[str, ...]
    error: type[SecureFLError] = ConfigError


def broken(
    *overrides: str, path: str, says: str | tuple[str, ...], error: type[SecureFLError] = ConfigError
) -> Broken:
    return Broken(overrides, path, (says,) if isinstance(says, str) else says, error)


ONE_KEY = (
    broken("clinets=12", path="clinets", says=("'clinets'", "12", "did you mean 'clients'?")),
    broken("training.lerning_rate=0.1", path="training.lerning_rate", says=("0.1", "'learning_rate'")),
    broken("training.batch_size=32", path="training.batch_size", says=("32", "expected_batch")),
    broken("server.weights.kapp=3", path="server.weights.kapp", says=("3", "remove it")),
    broken("data=null", path="data", says=("expected the data, got nothing", "write for example")),
    broken("privacy=null", path="privacy", says=("promised", "got nothing")),
    broken(
        "secure_aggregation.group_size=null", path="secure_aggregation.group_size", says="`group_size: 4`"
    ),
    broken("training=fast", path="training", says=("expected a section", "'fast'")),
    broken("training={}", path="training.local_steps", says=("SGD steps", "training.sample_rate")),
    broken("version=2", path="version", says=("expected 1, got 2",)),
    broken("version=null", path="version", says=("Version".lower(), "`version: 1`")),
    broken("name=../../etc", path="name", says=("letters, digits", "'../../etc'", "name: ")),
    broken("seed=-1", path="seed", says=("of at least 0, got -1",)),
    broken("seed=seven", path="seed", says=("expected a whole number, got 'seven'", "`seed: 7`")),
    broken("device=tpu", path="device", says=("expected cpu or cuda, got 'tpu'",)),
    broken("clients=0", path="clients", says=("of at least 1, got 0", "`clients: 12`")),
    broken("clients=12.0", path="clients", says=("expected a whole number, got 12.0",)),
    broken("clients=true", path="clients", says=("expected a whole number, got True",)),
    broken("data.kind=digit", path="data.kind", says=("got 'digit'", "did you mean 'digits'?")),
    broken("data.test_fraction=1.5", path="data.test_fraction", says=("below 1, got 1.5", "0.2")),
    broken("data.partition.alpha=-1", path="data.partition.alpha", says=("above 0, got -1",)),
    broken("data.partition.kind=dirichelet", path="data.partition.kind", says="did you mean 'dirichlet'?"),
    broken(
        "participation.kind=some", path="participation.kind", says=("expected all or sample, got 'some'",)
    ),
    broken("participation={}", path="participation.kind", says=("expected this key", "add it")),
    broken("model.hidden=100", path="model.hidden", says=("expected a list such as [100], got 100",)),
    broken("model={kind: mlp, hidden: [0]}", path="model.hidden.0", says=("of at least 1, got 0",)),
    broken("training.local_steps=0", path="training.local_steps", says=("of at least 1, got 0",)),
    broken("training.learning_rate=.inf", path="training.learning_rate", says=("a finite number, got inf",)),
    broken("training.learning_rate=.nan", path="training.learning_rate", says=("a finite number, got nan",)),
    broken("training.learning_rate='0.5'", path="training.learning_rate", says=("a number, got '0.5'",)),
    broken("training.momentum=1.0", path="training.momentum", says=("below 1, got 1.0",)),
    broken("training.sample_rate=1.2", path="training.sample_rate", says=("at most 1, got 1.2",)),
    broken("training.expected_batch=0", path="training.expected_batch", says=("above 0, got 0",)),
    broken("privacy.epsilon=0", path="privacy.epsilon", says=("above 0, got 0", "`epsilon: 8.0`")),
    broken("privacy.delta=null", path="privacy.delta", says=("got nothing", "`delta: 1e-05`")),
    broken("privacy.epsilon=null", path="privacy.epsilon", says=("over the whole run, got nothing",)),
    broken("privacy.delta=1", path="privacy.delta", says=("below 1, got 1",)),
    broken(
        "privacy.unit=exmaple", path="privacy.unit", says=("expected example or client or none", "'example'?")
    ),
    broken("privacy.spare_releases=-1", path="privacy.spare_releases", says=("at least 0, got -1",)),
    broken("secure_aggregation.bits=2", path="secure_aggregation.bits", says=("of at least 4, got 2",)),
    broken("secure_aggregation.bits=40", path="secure_aggregation.bits", says=("of at most 32, got 40",)),
    broken("secure_aggregation.masking=1", path="secure_aggregation.masking", says=("true or false, got 1",)),
    broken("secure_aggregation.rotation=1", path="secure_aggregation.rotation", says=("true or false",)),
    broken("robust.rule=trimed_mean", path="robust.rule", says=("got 'trimed_mean'", "'trimmed_mean'?")),
    broken("robust.rule=centered_clipping", path="robust.rule", says="did you mean 'centred_clipping'?"),
    broken(
        "robust.before=clipping", path="robust.before", says=("expected a list", "'clipping'", "`before: [")
    ),
    broken("robust.before=[clipping]", path="robust.before.0", says=("a section", "'clipping'")),
    broken("robust.before=[{kind: clip}]", path="robust.before.0.kind", says=("'clip'", "mean 'clipping'?")),
    broken(
        "robust.before=[{kind: nearest_neighbours}, {kind: clipping}]",
        path="robust.before.1.norm",
        says=("the L2 norm that no row passes", "got nothing", "`norm: 0.5`"),
    ),
    broken(
        "robust.before=[{kind: bucketing, size: 1}]", path="robust.before.0.size", says=("at least 2, got 1",)
    ),
    broken(
        "robust.before=[{kind: quantile_clipping, quantile: 1.0}]",
        path="robust.before.0.quantile",
        says=("below 1, got 1.0",),
    ),
    broken(
        "robust.before=[{kind: clipping, norm: 1, quantile: 0.5}]",
        path="robust.before.0.quantile",
        says=("a key that robust.before.0 has", "'quantile' with 0.5"),
    ),
    broken("server.rounds=0", path="server.rounds", says=("of at least 1, got 0", "`rounds: 30`")),
    broken(
        "server.optimizer.kind=adamw", path="server.optimizer.kind", says=("'adamw'", "did you mean 'adam'?")
    ),
    broken(
        "server.optimizer.kind=momentum",
        path="server.optimizer.kind",
        says=("'momentum'", "write {kind: sgd, momentum: 0.9}"),
    ),
    broken("server.optimizer.beta1=0.9", path="server.optimizer.beta1", says=("0.9", "momentum")),
    broken("server.weights={kind: examples}", path="server.weights.cap", says=("cap of one", "got nothing")),
    broken("simulation.dropout=1.0", path="simulation.dropout", says=("below 1, got 1.0",)),
    broken("engine={kind: processes, workers: 0}", path="engine.workers", says=("at least 1, got 0",)),
    broken(
        "engine.kind=threads", path="engine.kind", says=("expected in_process or processes, got 'threads'",)
    ),
)

TOO_LARGE = (
    broken(
        "training.local_steps=100000000", path="training.local_steps", says=("at most 100,000", "steps: 5")
    ),
    broken("server.rounds=100000000", path="server.rounds", says=("at most 100,000, got 1000", "rounds: 30")),
    broken("privacy.epsilon=1e12", path="privacy.epsilon", says=("at most 100, got 1", "`epsilon: 8.0`")),
    broken("privacy.budget=1e12", path="privacy.budget", says=("at most 100, got 1",)),
    broken(
        "model={kind: mlp, hidden: [1000000000]}", path="model.hidden.0", says=("at most 65,536, got 1000",)
    ),
    broken(
        "model={kind: mlp, hidden: [" + "1," * 65 + "]}",
        path="model.hidden",
        says=("at most 64 values, got 65", "`hidden: [100]`"),
    ),
    broken(
        "training.local_steps=100000",
        path="training.local_steps",
        says=("at most 1,000,000 local steps", "100,000 x (30 + 2) = 3,200,000", "plan fewer"),
    ),
    broken(
        "privacy.spare_releases=1000000",
        path="training.local_steps",
        says=("3 x (30 + 1,000,000) = 3,000,090",),
    ),
    broken(
        "clients=16500", path="clients", says=("at most 16,384 clients in a round", "got 16,500", "sample")
    ),
    broken(
        "clients=20000",
        "participation={kind: sample, cohort: 16385}",
        path="participation.cohort",
        says=("at most 16,384", "got 16,385"),
    ),
)

SEVERAL_KEYS = (
    broken("data.path=digits.csv", path="data.path", says=("digits.csv'", "remove it", "jsonl read")),
    broken("data.label=y", path="data.label", says=("expected nothing with data.kind 'digits', got 'y'",)),
    broken("data.roles=8", path="data.roles", says=("only shakespeare read it",)),
    broken(
        "data.kind=csv", path="data.path", says=("with data.kind 'csv', got nothing", "path of your data")
    ),
    broken("data.kind=csv", "data.path=x.csv", path="data.label", says=("got nothing", "label of your")),
    broken(
        "data.partition={kind: dirichlet}", path="data.partition.alpha", says=("got nothing", "`alpha: 1.0`")
    ),
    broken("data.partition.kind=iid", path="data.partition.alpha", says=("with kind 'iid', got 1", "remove")),
    broken(
        "data.partition={kind: column}",
        path="data.partition.kind",
        says=("'column' with data.kind 'digits'", "use iid or dirichlet"),
    ),
    broken(
        "data={kind: csv, path: x.csv, label: y, partition: {kind: column}}",
        path="data.partition.kind",
        says=("'column' with data.kind 'csv'", "data.client"),
    ),
    broken("model.hidden=[10]", path="model.hidden", says=("got [10]", "remove")),
    broken("model.kind=cnn", path="model.channels", says=("got none", "for example")),
    broken("model.kind=mlp", path="model.hidden", says=("got none", "for example")),
    broken(
        "participation={kind: sample, cohort: 13}",
        path="participation.cohort",
        says=("at most the 12 clients, got 13", "lower the cohort"),
    ),
    broken(
        "participation={kind: sample, cohort: 3}",
        path="secure_aggregation.group_size",
        says=("the 3 clients of a round, got 4", "smaller"),
    ),
    broken("clients=3", path="secure_aggregation.group_size", says=("the 3 clients of a round, got 4",)),
    broken(
        "secure_aggregation.threshold=2", path="secure_aggregation.threshold", says=("at least 3", "got 2")
    ),
    broken(
        "secure_aggregation.threshold=5", path="secure_aggregation.threshold", says=("at most the 4", "5")
    ),
    broken(
        "secure_aggregation.max_colluding=2",
        path="secure_aggregation.threshold",
        says=("at least 4", "2t > k + n_c", "got 3"),
    ),
    # 15 clients make 3 groups of 5; a threshold that is safe for groups of 4 is not for 5 and one colluder.
    broken(
        "clients=15",
        "secure_aggregation.max_colluding=1",
        path="secure_aggregation.threshold",
        says=("at least 4 for 5 members", "got 3"),
    ),
    broken(
        "secure_aggregation.group_size=1",
        "secure_aggregation.threshold=1",
        path="secure_aggregation.group_size",
        says=("at least 2 with masking on, got 1", "a mask hides nothing", "masking: false"),
    ),
    broken(
        "clients=200",
        "secure_aggregation.group_size=65",
        "secure_aggregation.threshold=40",
        path="secure_aggregation.threshold",
        says=("groups above 64 members", "got 40", "leave it out"),
    ),
    broken(
        "clients=200",
        "secure_aggregation.group_size=66",
        "secure_aggregation.threshold=null",
        path="secure_aggregation.max_dropout",
        says=("a bound on dropouts", "got none", "for example 0.1"),
    ),
    broken(
        "secure_aggregation.threshold=null",
        path="secure_aggregation.threshold",
        says=("expected a number of members for groups of 4", "3 is the smallest safe one"),
    ),
    broken(
        "secure_aggregation.key_agreement=rsa",
        path="secure_aggregation.key_agreement",
        says=("'rsa'", "x25519-mlkem768"),
    ),
    broken("robust.max_malicious=2", path="robust.max_malicious", says=("= 5 groups", "got 3", "lower f")),
    broken("clients=8", path="robust.max_malicious", says=("= 3 groups", "got 2 (8 clients in groups of 4)")),
    broken(
        "robust={rule: mean, max_malicious: 3}", path="robust.max_malicious", says=("fewer than the 3", "3;")
    ),
    broken(
        "robust.rule=krum",
        path="robust.max_malicious",
        says=(
            "expected 2 f + 3 = 5 groups",
            "got 3",
            "use geometric_median or trimmed_mean, for which 3 are",
        ),
    ),
    broken(
        "robust.rule=multi_krum", path="robust.max_malicious", says=("2 f + 3 = 5", "use geometric_median")
    ),
    broken(
        "robust={rule: bulyan, max_malicious: 2}",
        "clients=40",
        path="robust.max_malicious",
        says=("4 f + 3 = 11 groups", "got 10", "for which 5 are enough", "lower f to 1"),
    ),
    broken(
        "robust.before=[{kind: bucketing, size: 2}]",
        path="robust.max_malicious",
        says=("2 f + 1 rows behind bucketing = 5 groups", "got 3", "leave out robust.before"),
    ),
    broken(
        "robust={rule: mean, max_malicious: 2, before: [{kind: nearest_neighbours}]}",
        path="robust.max_malicious",
        says=("1 rows behind nearest_neighbours = 5 groups", "got 3", "leave out robust.before"),
    ),
    broken(
        "robust.before=[{kind: clipping, norm: 3.0}]",
        path="robust.before.0.norm",
        says=("below secure_aggregation.clip_norm = 3, got 3", "clips nothing", "remove the step"),
    ),
    broken(
        "robust={rule: median, max_malicious: 0, before: [{kind: nearest_neighbours}]}",
        path="robust.before.0",
        says=("max_malicious of at least 1", "becomes the mean"),
    ),
    broken(
        "robust={rule: mean, max_malicious: 0, before: [{kind: bucketing, size: 2}]}",
        path="robust.before.0",
        says=("robust rule behind bucketing", "'mean'", "use geometric_median"),
    ),
    broken(
        "privacy.budget=4", path="privacy.budget", says=("privacy.epsilon = 8", "got 4", "raise the budget")
    ),
    broken(
        "server.weights={kind: public, values: [1, 2]}", path="server.weights.values", says=("12", "got 2")
    ),
    broken(
        "server.weights={kind: public, values: [1, -2]}", path="server.weights.values.1", says=("1, got -2",)
    ),
    broken("robust.max_malicious=0", "clients=13.5", path="clients", says="whole number, got 13.5"),
)

REFUSED_ON_PURPOSE = (
    broken("adversary={kind: sign_flip}", path="adversary", says=("no attacker", "sign_flip", "clients=")),
    broken("simulation.attack=poison", path="simulation.attack", says=("'poison'", "threat model")),
    broken("robust.attackers=3", path="robust.attackers", says=("got 3", "remove the key", "from outside")),
    broken(
        "privacy.unit=none",
        path="privacy.epsilon",
        says=("got 8.0", "promises nothing", "remove epsilon, delta"),
    ),
    broken("privacy={unit: none, delta: 1e-5}", path="privacy.delta", says=("got 1e-05", "remove delta")),
    broken("privacy.accountant=gdp", path="privacy.accountant", says=("'gdp'", "falls below", "use pld")),
    broken(
        "privacy.unit=client",
        path="privacy.accountant",
        says=("'pld'", "unit 'client'", "no loss distribution", "use rdp"),
    ),
    broken(
        "privacy={unit: client, noise: central, epsilon: 8.0, delta: 1e-3}",
        path="privacy.trusted_server",
        says=("`trusted_server: true`", "got false with 'central'", "protects nobody from the server"),
    ),
    broken(
        f"{CLIENTS[:-1]}, trusted_server: true}}",
        path="privacy.trusted_server",
        says=("nothing with 'distributed'", "got true"),
    ),
    broken(
        f"{CLIENTS[:-1]}, clip_norm: 1.0}}",
        path="privacy.clip_norm",
        says=("got 1.0", "derived from secure_aggregation.clip_norm", "remove this key"),
    ),
    broken(
        "privacy={unit: client, epsilon: 8.0, delta: 1e-3}",
        path="privacy.noise",
        says=("adds a share", "got nothing", '`noise: "distributed"`'),
    ),
    broken(
        CLIENTS,
        "secure_aggregation.masking=false",
        path="secure_aggregation.masking",
        says=("expected masking", "one client's share is too little", "unit 'example'"),
    ),
    broken(
        CLIENTS,
        "server.weights={kind: examples, cap: 100}",
        path="server.weights.kind",
        says=("expected uniform", "got 'examples'", "protected less"),
    ),
    broken(
        CLIENTS,
        "server.weights={kind: public, values: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}",
        path="server.weights.kind",
        says=("expected uniform", "got 'public'"),
    ),
    broken(
        CLIENTS,
        "clients=28",
        "robust.max_malicious=3",
        path="secure_aggregation.threshold",
        says=("an honest share of noise", "3, less max_colluding 0", "max_malicious 3 leave 0"),
    ),
    broken(
        CLIENTS,
        "privacy.delta=0.1",
        path="privacy.delta",
        says=("below 1/n = 0.083 for 12 clients, got 0.1", "all of one client"),
    ),
    broken(
        CLIENTS,
        "privacy.budget=1.0",
        path="privacy.budget",
        says=("expected at least privacy.epsilon = 8", "got 1"),
    ),
    broken(
        "privacy.adaptive_clip={quantile: 0.5}",
        path="privacy.adaptive_clip",
        says=("unit 'example'", "no noise is added to sums", "an exact count", "Use unit 'client'"),
    ),
    broken(
        "privacy={unit: none, adaptive_clip: {}}", path="privacy.adaptive_clip", says=("promises nothing",)
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: {{quantile: 1.0}}}}",
        path="privacy.adaptive_clip.quantile",
        says=("below 1, got 1.0", "`quantile: 0.5`"),
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: {{learning_rate: 5.5}}}}",
        path="privacy.adaptive_clip.learning_rate",
        says=("at most 5, got 5.5", "`learning_rate: 0.2`"),
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: {{bit_share: 0.0}}}}",
        path="privacy.adaptive_clip.bit_share",
        says=("at least 0.01, got 0.0", "`bit_share: 0.2`"),
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: true}}",
        path="privacy.adaptive_clip",
        says=("a section (keys and values)", "got True"),
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: {{quantil: 0.5}}}}",
        path="privacy.adaptive_clip.quantil",
        says=("'quantil' with 0.5", "did you mean 'quantile'?"),
    ),
    broken(
        f"{CLIENTS[:-1]}, adaptive_clip: {{}}}}",
        "robust.before=[{kind: clipping, norm: 0.5}]",
        path="robust.before.0.norm",
        says=("no fixed norm beside privacy.adaptive_clip, got 0.5", "Use quantile_clipping"),
    ),
    broken("privacy.noise=distributed", path="privacy.noise", says=("that privacy has", "'distributed'")),
    broken("privacy={unit: none, noise: distributed}", path="privacy.noise", says=("promises nothing",)),
    broken(
        "engine.kind=flower", path="engine.kind", says=("'flower'", "later", "processes"), error=NotAvailable
    ),
    broken("engine.kind=ray", path="engine.kind", says=("'ray'", "later", "in_process"), error=NotAvailable),
    broken(
        "robust.rule=fltrust",
        path="robust.rule",
        says=("'fltrust'", "root data", "securefl.robust.combine", "use geometric_median"),
    ),
    broken("robust.rule=monna", path="robust.rule", says=("'monna'", "computes itself", "geometric_median")),
    broken(
        "robust.rule=norm_clipping", path="robust.rule", says=("a step before a rule", "before: [{kind: clip")
    ),
    broken("lora={rank: 8}", path="lora", says=("{'rank': 8}", "a key of the model")),
    broken("task=causal_lm", path="task", says=("'causal_lm'", "follows from the data")),
    broken(
        "model.kind=lora",
        path="model.kind",
        says=("'lora'", "a key of"),
    ),
)

TEXTS = (
    "data={kind: jsonl, path: talks.jsonl, partition: {kind: iid}}",
    "model={kind: transformer, path: tiny-llama, lora: {method: ffa}}",
)
ADAPTERS = (
    broken(
        *TEXTS, "model.lora.method=flora", path="model.lora.method", says=("flora stacks", "ffa averages")
    ),
    broken(*TEXTS, "model.lora.method=fedex", path="model.lora.method", says=("residual", "ffa")),
    broken(*TEXTS, "model.lora.method=flexlora", path="model.lora.method", says=("SVD", "fed_sb")),
    broken(
        *(*TEXTS, "model.lora.method=fedsa", "personalisation={kind: private_half}"),
        path="model.lora.method",
        says=("without noise", "Use ffa with personalisation {kind: ditto", "unit 'client'"),
    ),
    broken(
        *(*TEXTS, "model.lora.method=fedsa", "privacy={unit: none}"),
        path="personalisation",
        says=("{kind: private_half} with model.lora.method fedsa", "got nothing"),
    ),
    broken("personalisation={kind: private_half}", path="personalisation", says=("with no other method",)),
    broken(*TEXTS, "model.trust_remote_code=true", path="model.trust_remote_code", says=("never run",)),
    broken(*TEXTS, "model.path=null", path="model.path", says=("tiny-llama", "name it")),
    broken(*TEXTS, "model.lora=null", path="model.lora", says=("gradients per example", "unit 'client'")),
    broken(
        *TEXTS, "data={kind: digits, partition: {kind: iid}}", path="model.kind", says=("'digits'", "jsonl")
    ),
    broken(
        *TEXTS,
        "training.gradient_checkpointing=true",
        path="training.gradient_checkpointing",
        says=("runs every layer once more", "micro_batch"),
    ),
    broken(
        "privacy={unit: none}",
        "training.gradient_checkpointing=true",
        path="training.gradient_checkpointing",
        says=("only transformer reads it",),
    ),
    broken("model.lora={method: ffa}", path="model.lora", says=("only transformer reads it",)),
    broken("model.kind=transformer", path="model.kind", says=("texts",)),
)

LIVES = (
    "data={kind: dialogues, domain: education, train_per_client: 40, test_per_client: 20, "
    "partition: {kind: column}}",
    TEXTS[1],
)
DIALOGUES = (
    broken(*LIVES, "data.domain=banking", path="data.domain", says=("'banking'", "medical_booking")),
    broken(*LIVES, "data.domain=null", path="data.domain", says=("name it",)),
    broken(*LIVES, "data.train_per_client=null", path="data.train_per_client", says=("name it",)),
    broken(*LIVES, "data.train_per_client=0", path="data.train_per_client", says=("0",)),
    broken(*LIVES, "data.test_per_client=9", path="data.test_per_client", says=("10",)),
    broken(*LIVES, "data.path=x", path="data.path", says=("remove it",)),
    broken(
        *LIVES,
        "data.partition={kind: iid}",
        path="data.partition.kind",
        says=("belongs to a client's life", "column"),
    ),
    broken("data.domain=education", path="data.domain", says=("only dialogues read it",)),
    broken("data.train_per_client=4", path="data.train_per_client", says=("only dialogues read it",)),
)

TABLE = (*DIALOGUES, *ADAPTERS, *ONE_KEY, *TOO_LARGE, *SEVERAL_KEYS, *REFUSED_ON_PURPOSE)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: " ".join(case.overrides))
def test_a_broken_config_is_refused_with_path_value_and_advice(case: Broken) -> None:
    with pytest.raises(SecureFLError) as caught:
        configuration.parse(TEXT, case.overrides)
    message = str(caught.value)
    assert type(caught.value) is case.error, message
    assert message.startswith(f"{case.path}: "), message
    for part in case.says:
        assert part in message
    if isinstance(caught.value, ConfigError):
        assert caught.value.path == case.path


def test_the_table_of_broken_configs_is_long_enough() -> None:
    assert len(TABLE) >= 40


RAW = {
    "a tag": (
        "name: !!python/object/apply:os.system ['true']\n",
        ("python/object", "line 1", "never names code"),
    ),
    "a local tag": ("name: !Thing x\n", ("'!Thing'", "remove it")),
    "an anchor": ("name: &a x\nseed: *a\n", ("anchor", "'a'", "line 1", "write the value out")),
    "a duplicate key": ("clients: 12\nclients: 13\n", ("clients: ", "second time", "line 2", "remove one")),
    "a nested duplicate": ("data:\n  kind: digits\n  kind: csv\n", ("'kind' a second time", "line 3")),
    "bad indentation": ("data:\n kind: digits\n   path: x\n", ("expected YAML", "line 3", "correct it")),
    "an empty file": ("", ("an empty file", "securefl init")),
    "a list": ("- 1\n- 2\n", ("a list", "securefl init")),
    "a scalar": ("quickstart", ("a str", "securefl init")),
    "a number as key": ("1: 2\n", ("expected text as key, got 1",)),
    "two documents": ("name: a\n---\nname: b\n", ("expected YAML", "correct it")),
    "deep nesting": ("[" * 5000, ("deep nesting", "correct it")),
    "a huge file": ("#" * (1 << 20) + "\n", ("at most 1048576 bytes", "got 1048577")),
}


@pytest.mark.parametrize("name", RAW)
def test_text_that_is_no_plain_config_is_refused_with_a_reason(name: str) -> None:
    text, says = RAW[name]
    with pytest.raises(ConfigError) as caught:
        configuration.parse(text)
    for part in says:
        assert part in str(caught.value)


def test_all_findings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        configuration.parse(TEXT, ["clients=0", "server.rounds=-1", "privacy.epsilom=3"])
    for path in ("clients: ", "server.rounds: ", "privacy.epsilom: "):
        assert path in str(caught.value)


@pytest.mark.parametrize("text", ["server.rounds", "=3", "server..rounds=3", ".=1"])
def test_an_override_that_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set: expected section\.key=value"):
        configuration.parse(TEXT, [text])


def test_an_override_into_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected a section at 'clients', got 12"):
        configuration.parse(TEXT, ["clients.number=3"])


def test_overrides_are_yaml_and_apply_in_order() -> None:
    config = configuration.parse(
        TEXT, ["privacy.delta=1e-6", "clients=8", "clients=16", "participation={kind: sample, cohort: 12}"]
    )
    assert config.privacy.delta == 1e-6
    assert (config.clients, config.cohort_size, config.groups) == (16, 12, 3)


def test_a_section_can_be_replaced_as_a_whole() -> None:
    config = configuration.parse(TEXT, ["privacy={unit: none}"])
    assert config.privacy.unit == "none"
    assert config.privacy.epsilon is None
    assert config.privacy.delta is None


def test_null_removes_a_key_and_its_default_returns() -> None:
    assert configuration.parse(TEXT, ["server.weights=null", "seed=null"]).seed == 0


def test_a_missing_or_unreadable_file_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; `securefl init` writes one"):
        configuration.load(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="expected readable UTF-8 text"):
        configuration.load(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="expected readable UTF-8 text"):
        configuration.load(tmp_path)


def test_paths_are_relative_to_the_file_and_overrides_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "configs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    tree = yaml.safe_load(TEXT)
    tree["data"] |= {"kind": "csv", "path": "rows.csv", "label": "y"}
    tree["privacy"]["ledger"] = "shared.sqlite"
    (folder / "own.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    config = configuration.load("../configs/own.yaml", ["data.path=other.csv"])
    assert config.privacy.ledger == str(folder / "shared.sqlite")
    assert config.data.path == str(elsewhere / "other.csv")


def test_the_number_of_groups_follows_from_clients_and_group_size() -> None:
    config = configuration.parse(TEXT, ["clients=14"])
    assert (config.groups, config.smallest_group, config.largest_group) == (3, 4, 5)


def test_without_masks_groups_of_one_are_classical_robust_learning() -> None:
    config = configuration.parse(
        TEXT, ["secure_aggregation={masking: false, group_size: 1, threshold: 1, clip_norm: 1.0}"]
    )
    assert config.groups == 12


@pytest.mark.parametrize(
    ("rule", "factor", "beyond"),
    [
        ("geometric_median", 2, 1),
        ("centred_clipping", 2, 1),
        ("krum", 2, 3),
        ("multi_krum", 2, 3),
        ("bulyan", 4, 3),
    ],
)
@pytest.mark.parametrize("masking", [True, False])
def test_a_rule_is_accepted_from_its_own_bound_on_with_masks_and_without(
    rule: str, factor: int, beyond: int, masking: bool
) -> None:
    for f in (1, 2):
        needed = factor * f + beyond
        for groups, fits in ((needed - 1, False), (needed, True)):
            overrides = (
                f"clients={3 * groups}",
                f"secure_aggregation={{masking: {str(masking).lower()}, group_size: 3, threshold: 2, "
                "clip_norm: 1.0}}".replace("}}", "}"),
                f"robust={{rule: {rule}, max_malicious: {f}}}",
            )
            if fits:
                assert configuration.parse(TEXT, overrides).groups == needed
            else:
                with pytest.raises(ConfigError, match=f"= {needed} groups or more for {rule}"):
                    configuration.parse(TEXT, overrides)


def test_the_steps_before_a_rule_come_in_the_order_of_the_file() -> None:
    steps = "[{kind: quantile_clipping, quantile: 0.5}, {kind: nearest_neighbours}]"
    config = configuration.parse(TEXT, [f"robust.before={steps}"])
    assert config.robust.steps == (Before("quantile_clipping", 0.5), Before("nearest_neighbours"))
    assert configuration.parse(TEXT).robust.steps == ()


def test_the_largest_cap_that_a_total_holds_is_accepted_and_one_more_is_refused() -> None:
    largest = 2**53 // 4  # a float64 holds the weight total of a group of 4 exactly

    def weights(cap: int) -> str:
        return f"server.weights={{kind: examples, cap: {cap}}}"

    assert configuration.parse(TEXT, [weights(largest)]).server.weights.kind == "examples"
    with pytest.raises(ConfigError, match=r"server\.weights\.cap: expected weights of 4 members that add up"):
        configuration.parse(TEXT, [weights(largest + 1)])


def test_a_config_is_frozen() -> None:
    config = configuration.parse(TEXT)
    with pytest.raises(ValueError, match="frozen"):
        config.clients = 3  # type: ignore[misc]


def test_a_config_built_in_python_is_checked_too() -> None:
    values = configuration.parse(TEXT).model_dump()
    with pytest.raises(ConfigError, match=r"robust\.max_malicious"):
        configuration.Config.model_validate(values | {"robust": {"rule": "median", "max_malicious": 7}})


VARIANTS = (
    (),
    (
        "clients=40",
        "robust={rule: multi_krum, max_malicious: 1, before: [{kind: bucketing, size: 2}, "
        "{kind: clipping, norm: 1.5}, {kind: quantile_clipping, quantile: 0.5}, {kind: nearest_neighbours}]}",
    ),
    ("privacy={unit: none}", "secure_aggregation.masking=false"),
    ("server.optimizer={kind: yogi, learning_rate: 0.03}", "server.weights={kind: examples, cap: 50}"),
    ("participation={kind: sample, cohort: 12}", "clients=40", "engine={kind: processes}"),
    (
        "model={kind: cnn, channels: [16, 32], hidden: [64]}",
        "data={kind: fashion_mnist, partition: {kind: iid}}",
    ),
    ("data={kind: csv, path: x.csv, label: y, client: c, partition: {kind: column}}", "privacy.budget=9"),
)


@pytest.mark.parametrize("overrides", VARIANTS)
def test_what_is_dumped_reads_back_as_the_same_config(overrides: tuple[str, ...]) -> None:
    config = configuration.parse(TEXT, overrides)
    again = configuration.parse(configuration.dump(config))
    assert again == config
    assert configuration.digest(again) == configuration.digest(config)


def test_the_digest_depends_on_values_and_not_on_layout() -> None:
    shuffled = yaml.safe_dump(yaml.safe_load(TEXT), sort_keys=True, default_flow_style=True)
    assert configuration.digest(configuration.parse(shuffled)) == configuration.digest(
        configuration.parse(TEXT)
    )


def test_the_digest_changes_with_what_parties_must_agree_on_only() -> None:
    def digest(*overrides: str) -> bytes:
        return configuration.digest(configuration.parse(TEXT, overrides))

    assert len(digest()) == 32
    assert (
        digest("engine={kind: processes}") == digest("device=cuda") == digest("privacy.ledger=x") == digest()
    )
    assert digest("privacy.ledger=x", f"privacy.ledger_head='{'0' * 64}'") == digest()
    for change in ("seed=8", "privacy.epsilon=7.5", "secure_aggregation.masking=false", "server.rounds=29"):
        assert digest(change) != digest()


@settings(max_examples=60, deadline=None)
@given(
    clients=st.integers(1, 80),
    group_size=st.integers(1, 12),
    threshold=st.integers(1, 12),
    colluding=st.integers(0, 4),
    malicious=st.integers(0, 4),
)
def test_what_is_accepted_keeps_the_promises_of_the_design(
    clients: int, group_size: int, threshold: int, colluding: int, malicious: int
) -> None:
    overrides = (
        f"clients={clients}",
        f"secure_aggregation.group_size={group_size}",
        f"secure_aggregation.threshold={threshold}",
        f"secure_aggregation.max_colluding={colluding}",
        f"robust.max_malicious={malicious}",
    )
    try:
        config = configuration.parse(TEXT, overrides)
    except ConfigError:
        return
    assert 2 * threshold > config.largest_group + colluding
    assert threshold <= config.smallest_group
    assert threshold - colluding >= 2
    assert config.groups >= 2 * malicious + 1
    assert config.groups * group_size <= clients


def test_every_field_teaches_what_it_means_and_shows_a_value() -> None:
    definitions = configuration.schema()["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in definitions.items():
        assert definition["description"], name
        for key, field in definition["properties"].items():
            assert field["description"], f"{name}.{key}"
            assert field["examples"], f"{name}.{key}"


def test_the_schema_names_units_and_forbids_unknown_keys() -> None:
    schema = configuration.schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["clients"]["unit"] == "clients"  # type: ignore[index]
    assert schema["$defs"]["SecureAggregation"]["properties"]["bits"]["unit"] == "bits"  # type: ignore[index]
