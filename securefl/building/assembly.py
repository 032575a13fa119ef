"""From a config or settled terms to a process that plays rounds, here or with workers.

What this file does NOT do: decide any number (`securefl.guarantee`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from securefl import config as configuration
from securefl.building.client_side import ClientSide
from securefl.building.inputs import load_dataset
from securefl.building.learners import build_learner, personal_models
from securefl.building.server_side import build_setting
from securefl.building.session import Session
from securefl.config import Config
from securefl.crypto.randomness import Randomness, SystemRandomness
from securefl.data import Dataset
from securefl.errors import ConfigError
from securefl.federation.client import Client, Party
from securefl.federation.enrolment import Enrolment, enrol
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms, check_ledger, model_spec, settle, with_rule
from securefl.privacy.ledger import Ledger
from securefl.process import Engine, Process
from securefl.robust import OwnRule
from securefl.training.lora import TransformerSpec
from securefl.transport import InProcess, Processes

if TYPE_CHECKING:
    from torch import nn

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
        session = Session(run, home, _ledger_path(terms.config, ledger, home), source, enrolment)
        store = closing.enter_context(session.opened(create=create))
        if terms.budget is not None:
            check_ledger(store, terms.dataset, terms.budget, run)
        return _process(terms, session, store, clients, model, closing)
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


def _ledger_path(config: Config, inside_run: Path | None, home: Path) -> Path:
    """Where the ledger lies: the shared one of the config, or the run's own."""
    shared = config.privacy.ledger
    return Path(shared) if shared is not None else inside_run or home / "ledger.sqlite"


def _home(ledger: Path | None, closing: ExitStack) -> Path:
    """The folder of the run's own files: where its ledger lies, or a temporary one."""
    if ledger is not None:
        return ledger.parent
    return Path(closing.enter_context(TemporaryDirectory(prefix="securefl-")))


def _process(
    terms: Terms,
    session: Session,
    store: Ledger,
    clients: Parties | None,
    model: nn.Module | None,
    closing: ExitStack,
) -> Process:
    config, roster = terms.config, session.enrolment.roster
    learner, initial = build_learner(terms, model)
    setting = build_setting(terms, roster, session.run, session.source)
    if _averages_apart(config) and terms.subsample is None:
        from securefl.training import cross_term_of

        spec = model_spec(config, terms.dataset.task)
        assert isinstance(spec, TransformerSpec) and spec.lora is not None  # noqa: S101 - it has a method
        setting = replace(setting, cross_term=cross_term_of(learner.module(initial), spec.lora))
    here = ClientSide(
        terms, session, store, learner, personal_models(terms, session, learner, initial), Stopwatch()
    )
    engine: Engine
    if config.engine.kind == "processes":
        hosts = partial(_hosts, configuration.dump(config), session)
        engine = Processes(hosts, roster.ids, config.engine.workers)
    else:
        engine = InProcess(_parties(here.clients(roster.ids), clients))
    closing.callback(engine.close)
    return Process(
        terms,
        setting,
        learner,
        initial,
        engine,
        store,
        here.stopwatch,
        closing,
        here.personal,
    )


def _parties(honest: Mapping[int, Client], clients: Parties | None) -> Mapping[int, Party]:
    parties = honest if clients is None else clients(honest)
    if not isinstance(parties, Mapping):
        _refuse("clients", "a function that returns a mapping from ids to parties", parties)
    return parties


def _hosts(
    config_yaml: str, session: Session, clients: tuple[int, ...], stopwatch: Stopwatch
) -> Mapping[int, Party]:
    """The same clients in a worker process, which builds everything of theirs anew."""
    from securefl.training import limit_threads

    limit_threads(1)
    config = configuration.parse(config_yaml)
    terms = settle(config, load_dataset(config), run=session.run)
    learner, initial = build_learner(terms)
    personal = personal_models(terms, session, learner, initial)
    return ClientSide(terms, session, session.opened(create=False), learner, personal, stopwatch).clients(
        clients
    )


def _averages_apart(config: Config) -> bool:
    """Whether adapters' factors are averaged apart where the server sees what every client sent."""
    lora, secagg = config.model.lora, config.secure_aggregation
    return lora is not None and lora.method == "fedit" and not secagg.masking and secagg.group_size == 1
