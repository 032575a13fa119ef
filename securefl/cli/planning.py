"""`securefl check` and `securefl budget`: what a config promises and what it would cost. Nothing runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from securefl.cli import output
from securefl.cli.arguments import ConfigFile, Json, Overrides

if TYPE_CHECKING:
    from securefl.config import Config
    from securefl.privacy.planning import BudgetRow

_TITLES = {
    "noise_multiplier": "Other noise, at {rounds} rounds and sample rate {sample_rate:g}",
    "rounds": "Other rounds, at noise multiplier {noise_multiplier:.4g} and sample rate {sample_rate:g}",
    "sample_rate": "Other sample rates, at noise multiplier {noise_multiplier:.4g} and {rounds} rounds",
}


def check(config: ConfigFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Validate CONFIG against its data and print the guarantee card. Trains and writes nothing.

    It does not try the device, nor whether the model trains: that needs torch, and `run` checks it before it
    writes anything.
    """
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.building import load_dataset
        from securefl.guarantee import card, settle

        settled = configuration.load(config, overrides or ())
        promised = card(settle(settled, load_dataset(settled)))
        if as_json:
            output.print_json(promised.as_dict())
        else:
            output.print_markdown(promised.markdown())


def budget(config: ConfigFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Bytes per client and round, and epsilon against noise, rounds and sample rate. Reads no ledger."""
    with output.told(as_json):
        from securefl import config as configuration

        settled = configuration.load(config, overrides or ())
        refused = _why_no_tables(settled)
        tables = {} if refused else budget_tables(settled)
        kinds, said = _bytes(settled)
        if as_json:
            output.print_json(
                {
                    "bytes_per_client_and_round": kinds,
                    "target_epsilon": settled.privacy.epsilon,
                    "delta": settled.privacy.delta,
                    "tables": {name: [asdict(row) for row in rows] for name, rows in tables.items()},
                    "notes": [said, *refused],
                }
            )
            return
        cells = [(kind, f"{count:,}") for kind, count in kinds.items()]
        output.print_table("Bytes per client and round", ("message", "bytes"), cells)
        output.print_text(f"{said}\n")
        if refused:
            output.print_text(f"No tables of epsilon: {refused[0]}")
        else:
            _print_budget(settled, tables)


def budget_tables(config: Config) -> dict[str, tuple[BudgetRow, ...]]:
    """Three tables, each moving one of noise, rounds and sample rate around the config's plan.

    Raises:
        ConfigError: the config promises nothing, so that there is nothing to plan.
    """
    from securefl.errors import ConfigError
    from securefl.privacy.accountant import noise_multiplier_for
    from securefl.privacy.planning import around_noise, around_rate, around_rounds, budget_table

    if refused := _why_no_tables(config):
        raise ConfigError(refused[0], "privacy.unit")
    privacy, training, rounds = config.privacy, config.training, config.server.rounds
    assert privacy.unit == "example"  # noqa: S101 - the others were refused
    steps = training.local_steps * (rounds + privacy.spare_releases)
    noise = noise_multiplier_for(
        privacy.epsilon, privacy.delta, training.sample_rate, steps, method=privacy.accountant
    )
    plan: tuple[tuple[float, ...], tuple[int, ...], tuple[float, ...]]
    plan = ((noise,), (rounds,), (training.sample_rate,))
    grids = {
        "noise_multiplier": (around_noise(noise), plan[1], plan[2]),
        "rounds": (plan[0], around_rounds(rounds), plan[2]),
        "sample_rate": (plan[0], plan[1], around_rate(training.sample_rate)),
    }
    return {
        name: budget_table(
            *grid,
            local_steps=training.local_steps,
            delta=privacy.delta,
            spare_releases=privacy.spare_releases,
            method=privacy.accountant,
        )
        for name, grid in grids.items()
    }


def _why_no_tables(config: Config) -> tuple[str, ...]:
    """Why epsilon is not tabulated for a unit; empty where it is."""
    if config.privacy.unit == "none":
        return (
            "expected a unit to plan a budget for, got 'none', which promises nothing; use unit 'example'",
        )
    if config.privacy.unit == "client":
        return (
            "expected unit 'example' for tables over noise and sample rates, got 'client', whose noise "
            "follows from epsilon, rounds and groups; `securefl check` prints it",
        )
    return ()


def _bytes(config: Config) -> tuple[dict[str, int], str]:
    """Bytes by kind of message, and a sentence about them; or why they are not known: no data, no base."""
    from securefl.building import load_dataset
    from securefl.errors import ConfigError, DataError
    from securefl.guarantee import traffic, traffic_sentence, wire

    try:
        counted = traffic(config, wire(config, load_dataset(config)))
    except ConfigError as reason:
        if reason.path != "model.path":
            raise
        return {}, f"Bytes are not known without the base model: {reason}"
    except DataError as reason:
        return {}, f"Bytes are not known without the data, which say how large the model is: {reason}"
    return counted.kinds(), traffic_sentence(config, counted)


def _print_budget(config: Config, tables: dict[str, tuple[BudgetRow, ...]]) -> None:
    privacy = config.privacy
    output.print_text(
        f"Target: epsilon {privacy.epsilon:g} at delta {privacy.delta:g} for one training example (add or "
        f"remove), per client over the whole run:\n{config.training.local_steps} Poisson-sampled steps per "
        f"round, {privacy.spare_releases} spare releases included, accountant {privacy.accountant}. What "
        "other runs spent in a shared\nledger is not in it; `securefl check` reads that.\n"
    )
    for name, rows in tables.items():
        plan = asdict(rows[len(rows) // 2])
        cells = [(f"{asdict(row)[name]:.4g}", f"{row.epsilon:.3f}") for row in rows]
        output.print_table(_TITLES[name].format(**plan), (name.replace("_", " "), "epsilon"), cells)
