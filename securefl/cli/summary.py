"""The summary of a run as a small table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securefl.cli import output


def print_summary(summary: Mapping[str, object], folder: Path, report: Path) -> None:
    """Prints what summary.json says first, and where everything lies."""
    output.print_table(f"{summary['name']}: {summary['status']}", ("", "value"), rows(summary))
    if "privacy_statement" in summary:
        output.print_text(str(summary["privacy_statement"]))
    clients = summary.get("clients_accuracy")
    if isinstance(clients, Mapping):
        cells = [
            (str(name), _real(one["accuracy"]), _real(one["majority"]), str(one["examples"]))
            for name, one in clients.items()
        ]
        columns = ("client", "test accuracy", "its majority class", "examples")
        output.print_table("Test accuracy per client of the data", columns, cells)
    personal = summary.get("personalisation")
    if isinstance(personal, Mapping):
        _print_personal(personal)
    output.print_text(f"Run: {folder}\nReport: {report}")


def _print_personal(personal: Mapping[str, Any]) -> None:
    columns = ("model", "mean over clients", "worst tenth of them")
    cells = [
        (name, _real(personal[name]["mean"]), _real(personal[name]["worst_tenth"]))
        for name in ("shared", "personal")
    ]
    title = (
        f"Accuracy on {personal['held_out']} examples held out at clients ({personal['kind']}, simulation)"
    )
    output.print_table(title, columns, cells)
    output.print_text(f"Better off with the shared model: {personal['loses']:.0%} of the clients")


def rows(summary: Mapping[str, object]) -> list[tuple[str, str]]:
    """Names and values, in the order of interest."""
    epsilon = summary["epsilon"]
    if summary["privacy_unit"] == "none":
        spent = "infinite: no differential privacy"
    elif epsilon is None:
        spent = "infinite: NOT PRIVATE, replayable test source"
    else:
        spent = f"{_real(epsilon)} at delta {summary['delta']:g}, unit {summary['privacy_unit']}"
    groups = "1 group" if summary["groups"] == 1 else f"{summary['groups']} groups"
    done, abandoned = summary.get("rounds_done", summary["rounds"]), summary.get("rounds_abandoned", 0)
    return [
        (
            "test accuracy",
            f"{_real(summary['test_accuracy'])} (majority {_real(summary['majority_accuracy'])})",
        ),
        ("epsilon", spent),
        ("rounds", f"{done} of {summary['rounds']} done, {abandoned} abandoned"),
        ("clients", f"{summary['clients']} in {groups}, {summary['dropped']} dropouts"),
        ("sent per client and round", f"{summary['bytes_up_per_client_per_round']:,.0f} bytes"),
        ("time", f"{summary['seconds_total']:.1f} s"),
    ]


def _real(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
