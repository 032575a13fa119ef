"""The one file that knows both the config and the objects: it builds a run from its terms.

    process = build_federated_averaging("quickstart.yaml")
    state = process.initialize()
    state, metrics = process.next(state)

Rules kept here:
- Objects get numbers from `Terms`, the same that the guarantee card prints.
- `clients` is the seam for everything that is not honest: a function that gets the honest clients
  and returns the parties that really take part. Nothing below this line knows the difference.
- The replayable test source comes in through `randomness` only; it cannot meet a shared ledger.

What this file does NOT do: run directories, files and progress (`securefl.run`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from securefl import config as configuration
from securefl.config import Config
from securefl.crypto.keys import Identity
from securefl.crypto.randomness import Randomness, SystemRandomness
from securefl.data import Dataset, load
from securefl.data.dialogues import Lives
from securefl.encoding import NoisyFixedPoint
from securefl.errors import ConfigError
from securefl.federation.central_noise import CentralNoise
from securefl.federation.client import Charge, Client, Party
from securefl.federation.contribution import LocalUpdate, Trainer
from securefl.federation.enrolment import Enrolment, enrol
from securefl.federation.feedback import WithFeedback
from securefl.federation.optimizer import ServerOptimizer, Vector
from securefl.federation.personal import FOLDER, PersonalModel, WithPersonal, file_of
from securefl.federation.private_half import PrivateHalf
from securefl.federation.server import Setting
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms, check_ledger, model_spec, settle, with_rule
from securefl.privacy.ledger import Ledger
from securefl.process import Engine, Process
from securefl.robust import OwnRule
from securefl.secagg import Member, Policy, Roster
from securefl.training.lora import TransformerSpec, place_of
from securefl.transport import InProcess, Processes

if TYPE_CHECKING:
    from torch import nn

    from securefl.training import Learner, LocalSettings
    from securefl.training.tokens import ModelTokens
    from securefl.training.turns import Turns

Parties = Callable[[Mapping[int, Client]], Mapping[int, Party]]


def build_federated_averaging(
    config: Config | str | Path,
    clients: Parties | None = None,
    *,
    dataset: Dataset | None = None,
    model: nn.Module | None = None,
    randomness: Randomness | None = None,
    ledger: Path | None = None,
    run: str | None = None,
    rule: OwnRule | None = None,
) -> Process:
    """Builds a federated-averaging process from a config.

    Args:
        config: a validated config or the path of a YAML file.
        clients: from the honest clients (by id) to the parties that take part; None for all honest.
        dataset: the caller's own data; loaded from the config if None.
        model: the caller's own module; built from the config if None.
        randomness: SystemRandomness if None. A replayable source makes the run NOT PRIVATE.
        ledger: path of the run's ledger; a temporary file if None and the config names none.
        run: id of the run, to resume it; a fresh one if None.
        rule: the caller's own rule over group means, in place of the config's; the card says so.

    Raises:
        ConfigError: the config cannot run, or would break a guarantee.
        DataError: the data cannot be read or split.
        BudgetExceeded: the ledger has too little left for the whole run.
    """
    _refuse_other_types(config, clients, dataset, model)
    if not isinstance(config, Config):
        config = configuration.load(Path(config))
    source = randomness or SystemRandomness()
    refuse_unfit(config, source, clients, dataset, model)
    parameters = None if model is None else sum(p.numel() for p in model.parameters() if p.requires_grad)
    if parameters == 0:
        raise ConfigError(
            "expected at least one trainable parameter, the module has none; unfreeze a layer", "model"
        )
    terms = settle(config, dataset or load_dataset(config), parameters, run)
    if rule is not None:
        terms = with_rule(terms, rule)
    return assemble(terms, clients, model=model, randomness=source, ledger=ledger, run=run)


def assemble(
    terms: Terms,
    clients: Parties | None = None,
    *,
    model: nn.Module | None = None,
    randomness: Randomness | None = None,
    ledger: Path | None = None,
    run: str | None = None,
    enrolment: Enrolment | None = None,
    create: bool = True,
) -> Process:
    """Builds the process of settled terms; arguments as for `build_federated_averaging`.

    Args:
        create: make the ledger where there is none; False for a run that has begun with one.
    """
    source = randomness or SystemRandomness()
    refuse_unfit(terms.config, source, clients, model)
    run = run or uuid.uuid4().hex
    enrolment = enrolment or enrol(terms.config.clients, source)
    closing = ExitStack()
    try:
        home = _home(ledger, closing)
        path = _ledger_path(terms.config, ledger, home)
        store = closing.enter_context(Ledger.open(path, create=create, private=source.private, run=run))
        if terms.budget is not None:
            check_ledger(store, terms.dataset, terms.budget, run)
        return _process(terms, source, store, path, home, run, clients, model, enrolment, closing)
    except BaseException:
        closing.close()
        raise


def refuse_unfit(config: Config, source: Randomness, *objects: object) -> None:
    """Returns if the config can be played with this randomness and with the caller's own objects, if any.

    Raises:
        ConfigError: a test source would meet a real ledger, or objects would have to reach other processes.
    """
    if config.engine.kind == "processes" and any(one is not None for one in objects):
        raise ConfigError(
            "expected clients, data and model from the config under engine 'processes', got Python objects; "
            "use engine.kind: in_process with them",
            "engine.kind",
        )
    if not source.private and config.privacy.ledger is not None:
        raise ConfigError(
            "expected the operating system's entropy for a real ledger, got a replayable test source; "
            "leave privacy.ledger out in tests",
            "privacy.ledger",
        )


def _refuse_other_types(config: object, clients: object, dataset: object, model: object) -> None:
    """Returns if what comes through the Python door is what its annotations say; else a ConfigError."""
    if not isinstance(config, Config | str | Path):
        _refuse("config", "a Config or the path of a YAML file", config)
    if clients is not None and not callable(clients):
        _refuse("clients", "a function from the honest clients by id to the parties that take part", clients)
    if dataset is not None and not isinstance(dataset, Dataset):
        _refuse("dataset", "a securefl.data.Dataset", dataset)
    if model is not None:
        from securefl.training import is_module

        if not is_module(model):
            _refuse("model", "a torch.nn.Module (the config's model.kind names the built-in ones)", model)


def _refuse(argument: str, expected: str, got: object) -> NoReturn:
    raise ConfigError(f"expected {expected}, got {got!r}; pass one or leave it out", argument)


def load_dataset(config: Config) -> Dataset:
    """The data that the config names."""
    data = config.data
    return load(
        data.kind,
        path=None if data.path is None else Path(data.path),
        label=data.label,
        client=data.client,
        roles=data.roles,
        test_fraction=data.test_fraction,
        seed=config.seed,
        tokenize=tokenizer_of(config),
        lives=lives_of(config),
    )


def lives_of(config: Config) -> Lives | None:
    """Whose dialogues the config asks for; None with other data."""
    data = config.data
    if data.domain is None or data.train_per_client is None or data.test_per_client is None:
        return None
    return Lives(data.domain, config.clients, data.train_per_client, data.test_per_client)


def tokenizer_of(config: Config) -> ModelTokens | None:
    """How the config's language model reads texts; None for other models."""
    if config.model.kind != "transformer":
        return None
    from securefl.training import model_tokens

    return model_tokens(place_of(str(config.model.path)), config.model.gguf_file, config.model.max_tokens)


def _ledger_path(config: Config, inside_run: Path | None, home: Path) -> Path:
    """Where the ledger lies: the shared one of the config, or the run's own."""
    shared = config.privacy.ledger
    return Path(shared) if shared is not None else inside_run or home / "ledger.sqlite"


def _home(ledger: Path | None, closing: ExitStack) -> Path:
    """The folder of the run's own files: where its ledger lies, or a temporary one."""
    if ledger is not None:
        return ledger.parent
    return Path(closing.enter_context(TemporaryDirectory(prefix="securefl-")))


def build_learner(terms: Terms, model: nn.Module | None = None) -> tuple[Learner, Vector]:
    """The resident model of one process, with the terms' local settings, and its initial flat vector."""
    from securefl.training import LocalSettings, get_vector

    config = terms.config
    training = config.training
    settings = LocalSettings(
        steps=training.local_steps,
        learning_rate=training.learning_rate,
        sample_rate=training.sample_rate,
        expected_batch=training.expected_batch,
        momentum=training.momentum,
        proximal=training.proximal,
        clip_norm=config.privacy.clip_norm,
        noise_multiplier=terms.gradient_noise,
        micro_batch=training.micro_batch,
        gradient_checkpointing=training.gradient_checkpointing,
    )
    module = model or _module(terms)
    # A half that stays at home trains with the other one: what takes turns there is the travelling.
    learner = _learner(terms, module, settings, None if _kept_at_home(terms) else terms.turns)
    return learner, get_vector(module)


def personal_models(
    terms: Terms, home: Path, run: str, source: Randomness, shared: Learner, initial: Vector
) -> dict[int, PersonalModel | PrivateHalf]:
    """The personal model of every client; none without personalisation.

    Args:
        terms: the terms of the run.
        home: the folder of the run's own files.
        run: its id.
        source: where the batches come from.
        shared: the resident model; what is frozen in it serves the personal ones too.
        initial: its first flat vector.
    """
    from securefl.training import LocalSettings

    personal, training = terms.config.personalisation, terms.config.training
    if personal is None:
        return {}
    paths = {client: file_of(home / FOLDER, client) for client in range(len(terms.shares))}
    if personal.kind == "private_half":
        assert terms.turns is not None  # noqa: S101 - the terms are settled
        return {client: PrivateHalf(run, path, shared, terms.turns) for client, path in paths.items()}
    settings = LocalSettings(
        steps=personal.local_steps,
        learning_rate=personal.learning_rate,
        sample_rate=training.sample_rate,
        expected_batch=training.expected_batch,
        proximal=personal.pull if personal.kind == "ditto" else 0.0,
        micro_batch=training.micro_batch,
        gradient_checkpointing=training.gradient_checkpointing,
    )
    learner = _learner(terms, shared.module(initial), settings)
    return {
        client: PersonalModel(
            client=client,
            run=run,
            path=paths[client],
            trainer=learner,
            examples=terms.dataset.train.take(share),
            randomness=source,
        )
        for client, share in enumerate(terms.shares)
    }


def _module(terms: Terms) -> nn.Module:
    from securefl.training import build_model

    data, config = terms.dataset, terms.config
    return build_model(model_spec(config, data.task), data.shape, data.classes, config.seed)


def _learner(terms: Terms, module: nn.Module, settings: LocalSettings, turns: Turns | None = None) -> Learner:
    from securefl.training import TASKS, Learner

    data = terms.dataset
    learner = Learner(module, settings, terms.config.device, TASKS[data.task], turns)
    learner.require(data.shape, data.classes, data.vocabulary)
    return learner


def _process(
    terms: Terms,
    source: Randomness,
    store: Ledger,
    path: Path,
    home: Path,
    run: str,
    clients: Parties | None,
    model: nn.Module | None,
    enrolment: Enrolment,
    closing: ExitStack,
) -> Process:
    config = terms.config
    stopwatch = Stopwatch()
    learner, initial = build_learner(terms, model)
    setting = build_setting(terms, enrolment.roster, run, source)
    personal = personal_models(terms, home, run, source, learner, initial)
    if _averages_apart(config) and terms.subsample is None:
        from securefl.training import cross_term_of

        spec = model_spec(config, terms.dataset.task)
        assert isinstance(spec, TransformerSpec) and spec.lora is not None  # noqa: S101 - it has a method
        module = learner.module(initial)
        setting = replace(setting, cross_term=cross_term_of(module, spec.lora))
    engine: Engine
    if config.engine.kind == "processes":
        hosts = partial(_hosts, configuration.dump(config), enrolment, source, path, home, run)
        engine = Processes(hosts, enrolment.roster.ids, config.engine.workers)
    else:
        honest = build_clients(terms, enrolment, source, store, run, learner, stopwatch, followers=personal)
        parties = honest if clients is None else clients(honest)
        if not isinstance(parties, Mapping):
            _refuse("clients", "a function that returns a mapping from ids to parties", parties)
        engine = InProcess(parties)
    closing.callback(engine.close)
    return Process(
        terms, setting, learner, initial, engine, store, source.private, stopwatch, closing, personal
    )


def _averages_apart(config: Config) -> bool:
    """Whether adapters' factors are averaged apart where the server sees what every client sent."""
    lora, secagg = config.model.lora, config.secure_aggregation
    return lora is not None and lora.method == "fedit" and not secagg.masking and secagg.group_size == 1


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


def task_id(run: str) -> bytes:
    """32 bytes that name a run in every protocol message."""
    return hashlib.sha256(b"securefl task " + run.encode()).digest()


def build_clients(
    terms: Terms,
    enrolment: Enrolment,
    source: Randomness,
    store: Ledger,
    run: str,
    learner: Learner,
    stopwatch: Stopwatch,
    only: tuple[int, ...] | None = None,
    followers: Mapping[int, PersonalModel | PrivateHalf] | None = None,
) -> dict[int, Client]:
    """The honest clients of a run that share one resident model; `only` restricts them to some ids.

    Under `ditto` the `followers`, personal models by client, train beside them in every round; private halves
    train with them.
    """
    roster = enrolment.roster
    policy = client_policy(terms, roster, run)
    charge = _charge(terms, run)
    personal = terms.config.personalisation

    def contribution(client: int) -> LocalUpdate | WithFeedback | WithPersonal:
        own = None if followers is None else followers.get(client)
        trainer = own if isinstance(own, PrivateHalf) else learner
        local = _local_update(terms, client, source, trainer, stopwatch)
        update: LocalUpdate | WithFeedback = local
        if terms.subsample is not None:
            recalled = partial(store.unsent, client)
            update = WithFeedback(local, terms.dim, terms.turns, terms.subsample, recalled)
        if isinstance(own, PersonalModel) and personal is not None and personal.kind == "ditto":
            return WithPersonal(update, own, stopwatch)
        return update

    return {
        client: Client(
            member=Member(client, Identity.from_bytes(enrolment.keys[client]), roster, policy, source),
            contribution=contribution(client),
            store=store,
            charge=charge,
            stopwatch=stopwatch,
        )
        for client in (roster.ids if only is None else only)
    }


def local_update(
    terms: Terms, client: int, source: Randomness, learner: Trainer, stopwatch: Stopwatch
) -> LocalUpdate:
    """The honest contribution of one client, for whoever plays it without a durable store.

    Raises:
        ConfigError: a part of the update would travel and the rest have nowhere to stay, or half of the model
            stays at home.
    """
    if terms.subsample is not None:
        raise ConfigError(
            "expected whole updates in audits, arenas and open rounds, where a client has no durable store "
            "for the rest, got a part; leave the key out there, one release costs the same",
            "secure_aggregation.subsample",
        )
    if _kept_at_home(terms):
        raise ConfigError(
            "expected a method whose contributions need nothing of a client's own here, got 'fedsa'; use ffa",
            "model.lora.method",
        )
    return _local_update(terms, client, source, learner, stopwatch)


def _local_update(
    terms: Terms, client: int, source: Randomness, learner: Trainer, stopwatch: Stopwatch
) -> LocalUpdate:
    return LocalUpdate(
        client=client,
        trainer=learner,
        examples=terms.dataset.train.take(terms.shares[client]),
        encoding=terms.encoding,
        weight=terms.weights[client],
        randomness=source,
        stopwatch=stopwatch,
        parameters=None if terms.turns is None and terms.subsample is None else terms.dim,
    )


def _kept_at_home(terms: Terms) -> bool:
    """Whether a part of the model never travels."""
    return terms.turns is not None and len(terms.turns.at_home) > 0


def client_policy(terms: Terms, roster: Roster, run: str) -> Policy:
    """What a client insists on, from its own copy of the config; the server may only tighten it."""
    secagg = terms.config.secure_aggregation
    fewest = terms.config.fewest_survivors
    return Policy(
        task=task_id(run),
        config=configuration.digest(terms.config),
        authority=roster.authority,
        length=terms.encoding.length,
        ring_bits=terms.encoding.ring_bits,
        threshold_min=secagg.threshold,
        group_min=fewest,
        survivors_min=fewest,
        colluding=secagg.max_colluding,
        epoch_rounds=secagg.epoch_rounds,
        masking=secagg.masking,
        max_redraws=secagg.max_redraws,
        draw_min=fewest,  # and as many per group as `group_min` says, for the number of groups is fixed
        groups=terms.config.groups,
        rounds=terms.config.server.rounds,
        max_attempts=terms.config.privacy.spare_releases,
        max_dropout=secagg.dropout_bound,
        agreement=secagg.agreement,
    )


def _charge(terms: Terms, run: str) -> Charge | None:
    budget = terms.budget
    if budget is None:
        return None
    source = terms.dataset.source_hash
    return Charge(source, run, budget.event, budget.releases, budget.cap, budget.delta, budget.accountant)


def _hosts(
    config_yaml: str,
    enrolment: Enrolment,
    source: Randomness,
    path: Path,
    home: Path,
    run: str,
    clients: tuple[int, ...],
    stopwatch: Stopwatch,
) -> Mapping[int, Party]:
    from securefl.training import limit_threads

    limit_threads(1)
    config = configuration.parse(config_yaml)
    terms = settle(config, load_dataset(config), run=run)
    learner, initial = build_learner(terms)
    store = Ledger.open(path, create=False, private=source.private, run=run)
    personal = personal_models(terms, home, run, source, learner, initial)
    return build_clients(terms, enrolment, source, store, run, learner, stopwatch, clients, personal)
