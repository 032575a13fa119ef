"""The exam of a federation on dialogues, from the config to the marks, at the smallest size there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl import build_federated_averaging
from securefl import config as configuration
from securefl.building import load_dataset
from securefl.config import Config
from securefl.data.dialogues import Lives, dialogues, known_to
from securefl.errors import ConfigError, DataError, RunDirectoryError
from securefl.run import run

pytest.importorskip("peft", reason="language models need the extra `lora`")
pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl.agent.models import LanguageModel, Sheet, marks, sit, small_model
from securefl.examination import examine, examine_run

# peft reads an attribute that the newest transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

TEXT = """
version: 1
name: lives
seed: 3
data:
  kind: dialogues
  domain: education
  train_per_client: 4
  test_per_client: 10
  partition: {kind: column}
clients: 3
model: {kind: transformer, path: PATH, max_tokens: 256, lora: {method: ffa, rank: 2, alpha: 4}}
training: {local_steps: 1, learning_rate: 0.5, sample_rate: 0.8, expected_batch: 4}
privacy: {unit: example, epsilon: 8.0, delta: 1.0e-3, clip_norm: 1.0, spare_releases: 1}
secure_aggregation: {group_size: 3, threshold: 2, clip_norm: 1.0, bits: 16, epoch_rounds: 3}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 1}
"""
LIVES = Lives("education", 3, 4, 10)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("base"), seed=3, hidden=16, layers=1)


def config(base: Path, *overrides: str) -> Config:
    return configuration.parse(TEXT.replace("PATH", str(base)), overrides)


def test_a_finished_run_is_examined_and_everything_about_it_says_synthetic(
    base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    summary = run(config(base), out)
    assert summary["synthetic"] is True
    assert "synthetic" in (out / "guarantee.md").read_text(encoding="utf-8")
    assert '"synthetic": true' in (out / "manifest.json").read_text(encoding="utf-8")
    found = examine_run(out)
    assert found["synthetic"] is True
    assert (found["clients"], found["examples"]) == (3, 30)
    assert set(found["metrics"]) == {"valid_calls", "tool", "arguments", "whole_call", "no_call", "answer"}
    assert found["epsilon"] == summary["epsilon"] > 0
    assert found["bytes_up_per_client_per_round"] > 0
    assert found["leakage"]["mean"] == 0.0, "a random model knows nobody"


def test_with_personalisation_each_clients_own_model_is_asked(base: Path) -> None:
    ditto = "personalisation={kind: ditto, local_steps: 1, learning_rate: 1.0, pull: 0.1, held_out: 0.3}"
    with build_federated_averaging(config(base, ditto)) as process:
        state, _ = process.next(process.initialize())
        sheets = examine(process, state, clients=[2, 0])
    assert [sheet.client for sheet in sheets] == [2, 0]
    assert all(sheet.examples == dialogues("education", 3, sheet.client, "test", 10) for sheet in sheets)


def test_one_sitting_answers_every_dialogue_in_order_and_its_marks_find_what_leaked(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []

    def parrot(model: object, prompts: list[object], budget: int, batch: int) -> list[str]:
        said[:] = prompts
        right = [one.answer for client in range(3) for one in dialogues("education", 3, client, "test", 10)]
        return [
            *right,
            *["hm"] * (len(prompts) - 31),
            f"{known_to('education', 3, 2)[0]} B",
        ]

    monkeypatch.setattr("securefl.agent.models.sitting.replies", parrot)
    sheets = sit(LanguageModel(None, None), LIVES, 3)
    assert len(said) == 30 + 5 + 3
    found = marks(sheets, LIVES, 3)
    assert found["metrics"]["whole_call"] == {"mean": 1.0, "worst_decile": 1.0}
    assert found["by_client"]["whole_call"] == [1.0, 1.0, 1.0]
    assert found["leakage"]["mean"] == 0.0, "a probe's own name is no leak"
    known = known_to("education", 3, 1)
    leaky = [Sheet(one.client, one.examples, one.replies, (known[0], known[5])) for one in sheets]
    leaks = marks(leaky, LIVES, 3)["leakage"]
    assert leaks["worst"] == pytest.approx(2 / (2 * len(known)))
    assert leaks["mean"] == pytest.approx(2 / 3 * leaks["worst"]), "client 1 knows them itself"


def test_one_seed_has_one_source_and_another_seed_another(base: Path) -> None:
    hashes = [load_dataset(config(base, f"seed={seed}")).source_hash for seed in (3, 3, 4)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_dialogues_that_do_not_fit_and_too_many_clients_are_refused_before_anything_is_written(
    base: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"expected at most 64 tokens.*model\.max_tokens"):
        run(config(base, "model.max_tokens=64"), tmp_path / "long")
    crowd = ("clients=2001", "participation={kind: sample, cohort: 3}")
    with pytest.raises(DataError, match="expected 1 to 2000, got 2001"):
        run(config(base, *crowd), tmp_path / "crowd")
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_on_dialogues_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises((RunDirectoryError, ConfigError)):
        examine_run(tmp_path)
