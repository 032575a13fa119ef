"""The manifest: what a run was begun with, and what may be different when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from securefl import manifest
from securefl import run_directory as folder
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness, SystemRandomness
from securefl.crypto.randomness import Randomness
from securefl.errors import RunDirectoryError
from securefl.guarantee import settle

Make = Callable[..., Config]


def begun(config: Config, out: Path, source: Randomness) -> manifest.Manifest:
    terms = settle(config, load_dataset(config))
    folder.write_json(out / folder.MANIFEST, manifest.describe(terms, "f00d", source, "5eed"))
    return manifest.read(out)


def test_a_manifest_says_what_was_run_on_what_by_which_versions(small: Make, tmp_path: Path) -> None:
    assert begun(small(), tmp_path, SystemRandomness()).run_id == "f00d"
    plain = folder.read_json(tmp_path / folder.MANIFEST)
    assert (plain["seed"], plain["private"], plain["parameters"]) == (3, True, 650)
    assert {"python", "securefl", "torch", "opacus"} <= plain["versions"].keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("private", ["{unit: none}", None])
def test_a_run_without_a_promise_is_not_called_private(
    small: Make, tmp_path: Path, private: str | None
) -> None:
    source = SystemRandomness() if private else SeededRandomness(b"m")
    begun(small(*([f"privacy={private}"] if private else [])), tmp_path, source)
    assert folder.read_json(tmp_path / folder.MANIFEST)["private"] is False


def test_where_a_run_computes_may_change_and_what_it_computes_may_not(small: Make, tmp_path: Path) -> None:
    was = begun(small(), tmp_path, SystemRandomness())
    for same in ("engine={kind: processes, workers: 3}", "device=cuda"):
        manifest.refuse_other_config(tmp_path, was, small(same))
    for other in ("server.rounds=4", "seed=4", "training.learning_rate=0.6", "privacy.epsilon=7.9"):
        with pytest.raises(RunDirectoryError, match="put the file back or start a new run"):
            manifest.refuse_other_config(tmp_path, was, small(other))
    with pytest.raises(RunDirectoryError, match=r"privacy.ledger: expected none as at the start, got /x"):
        manifest.refuse_other_config(tmp_path, was, small("privacy.ledger=/x"))


def test_a_test_source_and_the_operating_systems_never_take_over_from_each_other(
    small: Make, tmp_path: Path
) -> None:
    was = begun(small(), tmp_path, SeededRandomness(b"m"))
    manifest.refuse_other_randomness(tmp_path, was, SeededRandomness(b"n"))
    with pytest.raises(RunDirectoryError, match="expected the replayable randomness"):
        manifest.refuse_other_randomness(tmp_path, was, SystemRandomness())


@pytest.mark.parametrize("lost", ["run_id", "randomness", "config_digest", "ledger", "data"])
def test_a_manifest_that_lacks_something_is_refused_by_name(small: Make, tmp_path: Path, lost: str) -> None:
    begun(small(), tmp_path, SystemRandomness())
    plain = folder.read_json(tmp_path / folder.MANIFEST)
    del plain[lost]
    folder.write_json(tmp_path / folder.MANIFEST, plain)
    with pytest.raises(RunDirectoryError, match=f"got {lost} missing"):
        manifest.read(tmp_path)
