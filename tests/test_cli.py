"""The commands as a person or a program meets them: words in, text or JSON and an exit code out."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from securefl import config as configuration
from securefl.building import load_dataset
from securefl.cli import app, given_data
from securefl.cli.given_data import aligned, read
from securefl.cli.running import free_folder
from securefl.cli.starting import template_text, templates
from securefl.cli.summary import print_summary, rows
from securefl.data import Dataset, Examples
from securefl.errors import ConfigError, DataError, LedgerError
from securefl.guarantee import settle

EXAMPLES = Path(__file__).parent.parent / "examples" / "configs"
QUICKSTART = str(EXAMPLES / "quickstart.yaml")
RUNS = sorted(path for path in EXAMPLES.glob("*.yaml") if not path.stem.startswith("arena"))
SHORT = ("--set", "server.rounds=2", "--set", "simulation.dropout=0.0", "--set", "name=short")
COMMANDS = (
    "run",
    "resume",
    "check",
    "budget",
    "init",
    "schema",
    "report",
    "evaluate",
    "export",
    "arena",
    "audit",
)


def securefl(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    out = tmp_path_factory.mktemp("cli") / "runs" / "short"
    yield out, securefl("run", QUICKSTART, *SHORT, "--out", out, "--json")
    shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_exit_codes(command: str) -> None:
    result = securefl(command, "--help")
    assert result.exit_code == 0
    for part in ("0 done", "1 the run failed", "2 bad"):
        assert part in " ".join(result.stdout.split())


def test_check_says_what_it_does_not_try() -> None:
    assert "does not try the device, nor whether the model trains" in " ".join(
        securefl("check", "--help").stdout.split()
    )


def test_the_version_is_that_of_the_package() -> None:
    assert securefl("--version").stdout.strip() == f"securefl {import_module('securefl').__version__}"


def test_check_prints_the_guarantee_card_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = securefl("check", QUICKSTART)
    assert result.exit_code == 0
    assert "epsilon = 8.000 at delta = 1e-05" in result.stdout
    assert "Not promised" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_check_as_json_is_the_card() -> None:
    result = securefl("check", QUICKSTART, "--set", "name=other", "--json")
    assert result.exit_code == 0
    card = json.loads(result.stdout)
    assert card["title"] == "other"
    assert card["sections"]


def test_check_and_budget_do_not_load_a_learning_framework() -> None:
    code = (
        "import sys\n"
        "from securefl.cli import app\n"
        f"config = {QUICKSTART!r}\n"
        "for words in (['check', config], ['budget', config], ['schema'], ['init', '--list']):\n"
        "    app(words, standalone_mode=False)\n"
        "print([name for name in ('torch', 'opacus', 'matplotlib') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_bad_input_is_one_message_without_traceback_and_exit_code_two() -> None:
    result = securefl("check", QUICKSTART, "--set", "privacy.epsilom=3")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: privacy.epsilom: ")
    assert "did you mean 'epsilon'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_bad_input_as_json_is_an_object_on_stderr() -> None:
    result = securefl("check", QUICKSTART, "--set", "clients=3", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stderr)
    assert (error["error"], error["path"]) == ("ConfigError", "secure_aggregation.group_size")
    assert "got 4" in error["message"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("privacy.delta=0.001",), "privacy.delta: expected delta below 1/n"),
        (("clients=2000", "data.partition={kind: iid}"), "clients"),
        (("data.kind=heart_disease", "data.partition={kind: column}"), "client"),
        (("engine.kind=flower",), "later version"),
        (("data={kind: csv, path: absent.csv, label: y, partition: {kind: iid}}",), "absent.csv"),
    ],
)
def test_what_only_data_can_show_is_bad_input_too(overrides: tuple[str, ...], says: str) -> None:
    words = [word for one in overrides for word in ("--set", one)]
    result = securefl("check", QUICKSTART, *words)
    assert result.exit_code == 2, result.output
    assert says in result.stderr


def test_a_missing_argument_is_bad_input() -> None:
    assert securefl("check").exit_code == 2
    assert securefl("no-such-command").exit_code == 2


def test_the_budget_hits_its_target_and_grows_with_rounds_and_rate_and_shrinks_with_noise() -> None:
    result = securefl("budget", QUICKSTART, "--json")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    epsilons = {name: [row["epsilon"] for row in rows] for name, rows in plan["tables"].items()}
    for name, values in epsilons.items():
        assert len(values) == 5, name
        # The solver stops within 1e-3 of the target, from below.
        assert plan["target_epsilon"] * 0.99 < values[2] <= plan["target_epsilon"]
    assert epsilons["noise_multiplier"] == sorted(epsilons["noise_multiplier"], reverse=True)
    assert epsilons["rounds"] == sorted(epsilons["rounds"])
    assert epsilons["sample_rate"] == sorted(epsilons["sample_rate"])


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_the_planned_row_of_every_budget_table_is_what_check_settles(accountant: str) -> None:
    override = f"privacy.accountant={accountant}"
    config = configuration.load(QUICKSTART, [override])
    settled = settle(config, load_dataset(config)).budget
    assert settled is not None
    tables = json.loads(securefl("budget", QUICKSTART, "--set", override, "--json").stdout)["tables"]
    for rows_of_one in tables.values():
        planned = rows_of_one[2]
        assert planned["noise_multiplier"] == settled.event.noise_multiplier
        assert planned["epsilon"] == settled.epsilon


def test_the_budget_is_a_readable_table() -> None:
    text = securefl("budget", QUICKSTART).stdout
    assert "epsilon 8 at delta 1e-05" in text
    assert "noise multiplier" in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((QUICKSTART, "--set", "privacy={unit: none}"), "expected a unit to plan a budget for"),
        ((EXAMPLES / "client_level.yaml",), "`securefl check` prints it"),
    ],
)
def test_without_tables_of_epsilon_the_budget_says_why_and_still_prints_the_bytes(
    arguments: tuple[object, ...], reason: str
) -> None:
    result = securefl("budget", *arguments)
    assert result.exit_code == 0
    assert reason in " ".join(result.stdout.split())
    plan = json.loads(securefl("budget", *arguments, "--json").stdout)
    assert plan["tables"] == {}
    assert len(plan["bytes_per_client_and_round"]) == 4
    assert reason in plan["notes"][1]


@pytest.mark.parametrize("config", [QUICKSTART, EXAMPLES / "client_level.yaml"])
def test_the_budget_has_the_bytes_of_the_card(config: Path) -> None:
    plan = json.loads(securefl("budget", config, "--json").stdout)
    card = securefl("check", config).stdout
    assert plan["notes"][0] in card
    kinds = plan["bytes_per_client_and_round"]
    assert f"receives {kinds['model down'] + kinds['protocol down']:,} ({kinds['model down']:,}" in card
    assert f"sends {kinds['masked vector up'] + kinds['protocol up']:,} bytes" in card


def test_the_budget_without_its_data_keeps_the_tables_and_says_what_is_not_known(tmp_path: Path) -> None:
    data = f"data={{kind: csv, path: {tmp_path / 'no.csv'}, label: sick, partition: {{kind: iid}}}}"
    plan = json.loads(securefl("budget", QUICKSTART, "--set", data, "--json").stdout)
    assert plan["bytes_per_client_and_round"] == {}
    assert "Bytes are not known without the data" in plan["notes"][0]
    assert len(plan["tables"]) == 3


def test_the_budget_of_a_language_model_that_is_not_here_keeps_the_tables(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="language models need the extra `lora`")
    config, missing = Path(QUICKSTART).with_name("newsgroups.yaml"), f"model.path={tmp_path / 'none'}"
    plan = json.loads(securefl("budget", str(config), "--set", missing, "--json").stdout)
    assert plan["bytes_per_client_and_round"] == {}
    assert "Bytes are not known without the base model: model.path" in plan["notes"][0]
    assert len(plan["tables"]) == 3


def test_init_writes_a_config_that_passes_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = securefl("init", "quickstart")
    assert result.exit_code == 0
    assert (tmp_path / "quickstart.yaml").read_text(encoding="utf-8") == template_text("quickstart")
    assert securefl("check", "quickstart.yaml").exit_code == 0


def test_init_never_writes_over_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("my work", encoding="utf-8")
    result = securefl("init", "--out", mine)
    assert result.exit_code == 2
    assert "expected a new file" in result.stderr
    assert mine.read_text(encoding="utf-8") == "my work"


def test_init_into_a_folder_that_is_not_there_is_bad_input_and_makes_none(tmp_path: Path) -> None:
    result = securefl("init", "--out", tmp_path / "absent" / "mine.yaml")
    assert result.exit_code == 2
    assert "expected a file in a folder that exists" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_knows_its_templates_and_the_nearest_name() -> None:
    assert securefl("init", "--list").stdout.split() == templates()
    result = securefl("init", "quikstart")
    assert result.exit_code == 2
    assert "did you mean 'quickstart'?" in result.stderr


def test_the_templates_are_the_example_configs() -> None:
    assert templates() == [path.stem for path in RUNS]
    for path in RUNS:
        assert template_text(path.stem) == path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_example_config_passes_check(path: Path) -> None:
    config = configuration.load(path)
    assert config.name == path.stem
    try:
        load_dataset(config)
    except (DataError, ConfigError) as absent:
        assert isinstance(absent, DataError) or absent.path in ("model.path", "model.kind")  # not installed
        pytest.skip(str(absent))
    result = securefl("check", path)
    assert result.exit_code == 0, result.output


def test_no_privacy_is_quickstart_with_privacy_and_masks_off() -> None:
    quickstart = yaml.safe_load((EXAMPLES / "quickstart.yaml").read_text(encoding="utf-8"))
    baseline = yaml.safe_load((EXAMPLES / "no_privacy.yaml").read_text(encoding="utf-8"))
    assert baseline.pop("privacy") == {
        "unit": "none",
        "spare_releases": quickstart.pop("privacy")["spare_releases"],
    }
    assert (baseline.pop("name"), quickstart.pop("name")) == ("no_privacy", "quickstart")
    assert baseline["secure_aggregation"].pop("masking") is False
    assert quickstart["secure_aggregation"].pop("masking") is True
    assert baseline == quickstart


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_schema_prints_the_json_schema_asked_for_json_or_not(words: tuple[str, ...]) -> None:
    result = securefl("schema", *words)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == configuration.schema()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_json(command: str) -> None:
    assert "--json" in securefl(command, "--help").stdout


def test_a_run_prints_one_json_summary_and_draws_no_bar_where_there_is_no_terminal(
    finished: tuple[Path, Result],
) -> None:
    out, result = finished
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary == json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["rounds"], summary["clients"], summary["groups"]) == (2, 12, 3)
    assert (out / "report.html").stat().st_size > 1000
    assert configuration.load(out / "config.yaml").name == "short"


def test_the_summary_of_a_run_ends_with_the_sentence_that_epsilon_needs(
    finished: tuple[Path, Result], capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = finished
    statement = json.loads(result.stdout)["privacy_statement"]
    print_summary(json.loads(result.stdout), out, out / "report.html")
    assert statement in capsys.readouterr().out


def test_a_folder_that_holds_a_run_is_refused_before_any_work(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    result = securefl("run", QUICKSTART, *SHORT, "--out", out)
    assert result.exit_code == 2
    assert "holds another run" in result.stderr
    assert "securefl resume" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_resuming_a_finished_run_gives_its_summary_again(finished: tuple[Path, Result]) -> None:
    out, first = finished
    result = securefl("resume", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["test_accuracy"] == json.loads(first.stdout)["test_accuracy"]


def test_the_report_can_be_written_again(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    (out / "report.html").unlink()
    result = securefl("report", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"report": str(out / "report.html")}
    assert (out / "report.html").exists()


def test_evaluating_on_the_runs_own_test_set_gives_its_accuracy(finished: tuple[Path, Result]) -> None:
    out, first = finished
    result = securefl("evaluate", out, "digits", "--json")
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["examples"] == 360
    assert scores["test_accuracy"] == pytest.approx(json.loads(first.stdout)["test_accuracy"], abs=1e-9)
    assert "accuracy" in securefl("evaluate", out, "digits").stdout
    own = json.loads(securefl("evaluate", out, "--json").stdout)
    assert own == scores | {"data": "its own test part"}


def test_evaluating_on_data_of_another_shape_or_name_is_bad_input(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    result = securefl("evaluate", out, "heart.txt")
    assert result.exit_code == 2
    assert ".csv, .npz or .jsonl file, got 'heart.txt'" in result.stderr
    result = securefl("evaluate", out, "talks.jsonl")
    assert result.exit_code == 2
    assert "expected data of the run's kind, numbers, got 'talks.jsonl'" in result.stderr


@pytest.mark.parametrize("command", ["resume", "report", "evaluate"])
def test_a_folder_that_is_no_run_is_bad_input(command: str, tmp_path: Path) -> None:
    result = securefl(command, tmp_path, *(("digits",) if command == "evaluate" else ()))
    assert result.exit_code == 2, result.output
    assert str(tmp_path) in result.stderr
    assert "securefl init" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_shows_its_card_first_and_then_its_summary_in_a_folder_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "short").mkdir(parents=True)
    (tmp_path / "runs" / "short" / "kept").touch()
    result = securefl("run", QUICKSTART, *SHORT)
    assert result.exit_code == 0, result.output
    assert result.stdout.index("Not promised") < result.stdout.index("test accuracy")
    assert (tmp_path / "runs" / "short-2" / "summary.json").exists()
    assert [path.name for path in (tmp_path / "runs" / "short").iterdir()] == ["kept"]


def test_a_config_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "new"
    for broken in ("privacy.delta=0.01", "server.rounds=0", "data.kind=absent"):
        assert securefl("run", QUICKSTART, "--set", broken, "--out", out).exit_code == 2
        assert not out.exists()


def test_a_run_without_a_single_finished_round_has_failed(tmp_path: Path) -> None:
    result = securefl(
        "run", QUICKSTART, *SHORT, "--set", "simulation.dropout=0.95", "--out", tmp_path / "lost", "--json"
    )
    assert result.exit_code == 1, result.output
    assert "Every round was abandoned" in result.stderr
    assert json.loads(result.stdout)["rounds_done"] == 0


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (KeyboardInterrupt(), 1, "Stopped before anything was written"),
        (LedgerError("ledger.sqlite: damaged; restore it"), 1, "ledger.sqlite: damaged"),
        (OSError(28, "No space left on device", "runs/x"), 1, "runs/x: No space left on device"),
    ],
)
def test_a_run_that_fails_on_its_way_has_exit_code_one_and_no_traceback(
    raised: BaseException, code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("securefl.run.run", failing)
    result = securefl("run", QUICKSTART, *SHORT, "--out", tmp_path / "new", "--json")
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_says_how_to_go_on_and_the_run_then_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        patched.setattr("securefl.run._event", stopping)
        result = securefl("run", QUICKSTART, *SHORT, "--out", out)
    assert result.exit_code == 1
    assert f"Stopped. `securefl resume {out}` goes on" in result.stderr
    assert securefl("report", out).exit_code == 0
    assert "finish it with `securefl resume`" in securefl("evaluate", out, "digits").stderr
    resumed = securefl("resume", out, "--json")
    assert json.loads(resumed.stdout)["rounds_done"] == 2


def test_a_shared_ledger_in_no_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    ledger = tmp_path / "absent" / "ledger.sqlite"
    result = securefl("run", QUICKSTART, "--set", f"privacy.ledger={ledger}", "--out", tmp_path / "new")
    assert result.exit_code == 2
    assert f"privacy.ledger: expected a file in a folder that exists, got {ledger}" in result.stderr
    assert not (tmp_path / "new").exists()


def flip(at: float) -> Callable[[Path], object]:
    """Flips one bit of a file at a share of its length."""

    def flipped(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(at * len(data))] ^= 1
        path.write_bytes(data)

    return flipped


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_charge(path: Path) -> None:
    """Rewrites one recorded event, which only the hash chain shows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE records SET event = replace(event, '5', '4') WHERE number = 1")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": cut,
    "a bit of its header": flip(0.0),
    "another record": other_charge,
    "another file": lambda path: path.write_text("notes"),
}


@pytest.fixture(scope="module")
def half_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first round."""
    out = tmp_path_factory.mktemp("cli") / "half"

    def stopping(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("securefl.run._event", stopping)
        assert securefl("run", QUICKSTART, *SHORT, "--out", out).exit_code == 1
    return out


@pytest.mark.parametrize(
    ("command", "damage"),
    [*(("resume", damage) for damage in DAMAGE), ("check", "cut in half"), ("run", "another record")],
)
def test_a_damaged_ledger_is_bad_input_for_every_command_that_reads_it_and_nothing_is_started(
    command: str, damage: str, half_done: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half_done, folder)
    ledger = folder / "ledger.sqlite"
    DAMAGE[damage](ledger)
    before = ledger.read_bytes()
    words = ("resume", folder) if command == "resume" else (command, QUICKSTART, *shared(ledger))
    out = ("--out", tmp_path / "new") if command == "run" else ()
    result = securefl(*words, *out)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert str(ledger) in result.stderr
    assert ledger.read_bytes() == before
    assert not (tmp_path / "new").exists()


def shared(ledger: Path) -> tuple[str, str]:
    return "--set", f"privacy.ledger={ledger}"


def summary(**changed: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "test_accuracy": 0.9,
        "majority_accuracy": 0.1,
        "epsilon": 7.9,
        "delta": 1e-5,
        "privacy_unit": "example",
        "private": True,
        "rounds": 3,
        "rounds_done": 2,
        "rounds_abandoned": 1,
        "clients": 4,
        "groups": 1,
        "dropped": 5,
        "bytes_up_per_client_per_round": 1234.5,
        "seconds_total": 6.78,
    }
    return plain | changed


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "7.9000 at delta 1e-05, unit example"),
        ({"privacy_unit": "none", "epsilon": None, "private": False}, "infinite: no differential privacy"),
        ({"epsilon": None, "private": False}, "infinite: NOT PRIVATE, replayable test source"),
    ],
)
def test_epsilon_never_stands_without_its_unit_or_its_absence(changed: dict[str, object], says: str) -> None:
    assert dict(rows(summary(**changed)))["epsilon"] == says


def test_the_summary_counts_rounds_groups_and_dropouts() -> None:
    table = dict(rows(summary()))
    assert table["rounds"] == "2 of 3 done, 1 abandoned"
    assert table["clients"] == "4 in 1 group, 5 dropouts"
    assert table["sent per client and round"] == "1,234 bytes"


def test_a_folder_is_free_if_it_is_absent_or_empty(tmp_path: Path) -> None:
    wanted = tmp_path / "name"
    assert free_folder(wanted) == wanted
    wanted.mkdir()
    assert free_folder(wanted) == wanted
    (wanted / "file").touch()
    (tmp_path / "name-2").touch()
    assert free_folder(wanted) == tmp_path / "name-3"


def small(
    labels: list[int], names: tuple[str, ...], columns: tuple[str, ...], values: list[list[float]]
) -> Dataset:
    both = Examples(np.array(values), np.array(labels))
    return Dataset("small", both, both, len(names), "0" * 64, label_names=names, feature_names=columns)


KNOWN = small([0, 1, 2], ("a", "b", "c"), ("x", "y"), [[0, 10], [1, 11], [2, 12]])


def test_classes_and_columns_of_other_data_are_matched_by_name() -> None:
    given = small([0, 1], ("b", "c"), ("y", "x"), [[11, 1], [12, 2]])
    examples = aligned(given, KNOWN)
    assert examples.labels.tolist() == [1, 2, 1, 2]
    assert examples.features.tolist() == [[1, 11], [2, 12]] * 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (small([0, 1], ("b", "d"), ("x", "y"), [[1, 1], [2, 2]]), "got 'd'"),
        (small([0, 1], ("a", "b"), ("x", "z"), [[1, 1], [2, 2]]), "the column 'y'"),
        (small([0, 1], ("a", "b"), ("x", "y", "z"), [[1, 1, 1], [2, 2, 2]]), "got 'z'"),
    ],
)
def test_names_that_the_run_does_not_know_are_refused(given: Dataset, says: str) -> None:
    with pytest.raises(DataError, match=says):
        aligned(given, KNOWN)


def test_a_built_in_set_other_than_the_runs_own_is_matched_by_name_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configuration.load(QUICKSTART)
    other = replace(small([0, 1], ("b", "c"), ("y", "x"), [[11, 1], [12, 2]]), name="other")
    monkeypatch.setattr(given_data, "load_dataset", lambda config: KNOWN)
    monkeypatch.setattr(given_data, "_built_in", lambda config, kind: other)
    examples = read(config, "mnist_5k", None, None).examples
    assert examples.labels.tolist() == [1, 2]
    assert examples.features.tolist() == [[1, 11], [2, 12]]
    other = replace(other, label_names=("b", "d"))
    with pytest.raises(DataError, match="got 'd'"):
        read(config, "mnist_5k", None, None)
    other = replace(other, vocabulary=20)
    with pytest.raises(DataError, match="as the run learned"):
        read(config, "mnist_5k", None, None)


def test_a_file_is_scored_as_a_whole(tmp_path: Path) -> None:
    lines = "".join(f"{i},{i % 3},{'abc'[i % 3]}\n" for i in range(30))
    (tmp_path / "known.csv").write_text("x,y,kind\n" + lines, encoding="utf-8")
    (tmp_path / "other.csv").write_text("kind,y,x\nc,2,1\nb,1,2\nc,0,3\nb,1,4\n", encoding="utf-8")
    config = configuration.load(
        QUICKSTART,
        [f"data={{kind: csv, path: {tmp_path / 'known.csv'}, label: kind, partition: {{kind: iid}}}}"],
    )
    examples = read(config, str(tmp_path / "other.csv"), None, None).examples
    order = np.argsort(examples.features[:, 0])
    assert examples.features[order].tolist() == [[1, 2], [2, 1], [3, 0], [4, 1]]
    assert examples.labels[order].tolist() == [2, 1, 2, 1]
