"""Whole runs of a tiny language model: masked rounds, turns, bytes, both units of privacy, and what is
exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from securefl import build_federated_averaging
from securefl import config as configuration
from securefl.audit import Audit, audit, example_subject
from securefl.audit.methods import audited
from securefl.building import load_dataset
from securefl.cli import app, given_data
from securefl.cli.given_data import Given
from securefl.config import Config
from securefl.crypto.randomness import SeededRandomness
from securefl.errors import ConfigError, DataError, RunDirectoryError
from securefl.export import export
from securefl.guarantee import settle
from securefl.privacy.noise import gaussian
from securefl.process import Metrics, Process
from securefl.run import load, resume, run
from securefl.training import TASKS, Learner, dp_sgd, get_vector
from securefl.training.admission import check_examples_apart

peft = pytest.importorskip("peft", reason="language models need the extra `lora`")
transformers = pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl.training.lora import LoraSpec, TransformerSpec  # noqa: E402 - beside the one below
from securefl.training.tiny_llama import save_tiny_llama  # noqa: E402 - needs the extra
from securefl.training.transformer import Language, build_transformer, layout, mean_pooled_base  # noqa: E402 - needs the extra
from securefl.training.writing import write_adapter, write_merged  # noqa: E402 - needs the extra

# peft reads an attribute that the newest transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

TEXT = """
version: 1
name: counting
seed: 3
data: {kind: jsonl, path: PATH, test_fraction: 0.2, partition: {kind: column}}
clients: 6
model: {kind: transformer, path: tiny-llama, max_tokens: 32, lora: {method: ffa, rank: 2, alpha: 4}}
training: {local_steps: 2, learning_rate: 0.5, sample_rate: 0.8, expected_batch: 4}
privacy: {unit: example, epsilon: 8.0, delta: 1.0e-3, clip_norm: 1.0, spare_releases: 1}
secure_aggregation: {group_size: 3, threshold: 2, clip_norm: 1.0, bits: 16, epoch_rounds: 3}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 2}
"""
OPEN = (
    "privacy={unit: none}",
    "secure_aggregation={masking: false, group_size: 1, threshold: 1, clip_norm: 5.0, bits: 24, "
    "epoch_rounds: 3}",
)


@pytest.fixture
def counting(tmp_path: Path) -> Callable[..., Config]:
    rows = [{"prompt": f"count {n}", "answer": "odd" * (1 + n % 3), "client": f"c{n % 6}"} for n in range(48)]
    path = tmp_path / "talks.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def make(*overrides: str) -> Config:
        return configuration.parse(TEXT.replace("PATH", str(path)), overrides)

    return make


def played(config: Config, rounds: int = 2) -> tuple[Process, list[np.ndarray], list[Metrics]]:
    with build_federated_averaging(config, randomness=SeededRandomness(b"language")) as process:
        state = process.initialize()
        models, metrics = [state.model], []
        for _ in range(rounds):
            state, one = process.next(state)
            assert one.record.status == "done"
            models.append(state.model)
            metrics.append(one)
        return process, models, metrics


@pytest.mark.parametrize("method", ["ffa", "rolora"])
def test_a_client_may_have_an_adapter_of_its_own_beside_the_shared_one(
    counting: Callable[..., Config], tmp_path: Path, method: str
) -> None:
    ditto = "personalisation={kind: ditto, local_steps: 3, learning_rate: 1.0, pull: 0.1, held_out: 0.3}"
    summary = run(counting(f"model.lora.method={method}", ditto), tmp_path / "run")
    found = summary["personalisation"]
    assert isinstance(found, dict)
    assert len(found["personal"]["clients"]) == 6
    shared = get_vector(load(tmp_path / "run"))
    for client in range(6):
        own = load_file(tmp_path / "run" / "personal" / f"{client}.safetensors")["after"]
        assert own.shape == shared.shape
        assert not np.array_equal(own, shared)


@pytest.mark.parametrize(
    ("method", "parts"),
    [("ffa", False), ("rolora", False), ("fed_sb", False), ("ffa", True), ("rolora", True)],
)
def test_a_masked_round_of_adapters_gives_the_bits_of_an_open_one_and_sends_the_cards_bytes(
    counting: Callable[..., Config], method: str, parts: bool
) -> None:
    some = (
        "secure_aggregation.subsample=0.4",
        "secure_aggregation.rotation=true",
        "secure_aggregation.bits=6",
    )
    chosen = (f"model.lora.method={method}", "server.rounds=3", *(some if parts else ()))
    process, masked, metrics = played(counting(*chosen))
    _, unmasked, _ = played(counting(*chosen, "secure_aggregation.masking=false"))
    assert all(np.array_equal(one, other) for one, other in zip(masked, unmasked, strict=True))
    traffic = process.terms.traffic
    assert max(metrics[1].record.bytes_up.values()) == traffic.up  # no draw, and the next round's keys
    assert traffic.vector == process.terms.encoding.wire_bytes


def test_rolora_moves_one_factor_a_round_and_its_message_is_as_long_as_the_longer_one(
    counting: Callable[..., Config],
) -> None:
    process, models, _ = played(
        counting("model.lora.method=rolora", "server.optimizer={kind: adam, learning_rate: 0.03}")
    )
    turns = process.terms.turns
    assert turns is not None
    assert process.terms.encoding.dim == max(map(len, turns.places)) < process.terms.dim == len(models[0])
    for round in (1, 2):
        moved = np.flatnonzero(models[round] != models[round - 1])
        assert np.array_equal(moved, turns.of(round))


def test_a_drawn_part_of_the_factor_whose_turn_it_is_moves_and_the_rest_waits(
    counting: Callable[..., Config],
) -> None:
    process, models, _ = played(counting("model.lora.method=rolora", "secure_aggregation.subsample=0.3"))
    turns, sample = process.terms.turns, process.terms.subsample
    assert turns is not None
    assert sample is not None
    for round in (1, 2):
        moved = np.flatnonzero(models[round] != models[round - 1])
        assert np.array_equal(moved, sample.of(round))
        assert set(moved.tolist()) < set(turns.of(round).tolist())


def test_client_level_privacy_works_on_adapters_as_on_any_model(counting: Callable[..., Config]) -> None:
    config = counting(
        "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 1e-3, spare_releases: 1}",
        "secure_aggregation={group_size: 6, threshold: 5, clip_norm: 0.5, bits: 16, epoch_rounds: 3}",
    )
    _, models, metrics = played(config, 1)
    assert (models[1] != models[0]).mean() > 0.9
    assert metrics[0].record.cross_term is None


def test_a_run_with_checkpointed_layers_ends_where_one_without_does(counting: Callable[..., Config]) -> None:
    _, plain, _ = played(counting(*OPEN), 1)
    _, again, _ = played(counting(*OPEN, "training.gradient_checkpointing=true"), 1)
    assert float(np.abs(plain[1] - plain[0]).max()) > 1e-3
    np.testing.assert_allclose(again[1], plain[1], atol=1e-5)


def test_fedits_cross_term_is_recorded_where_updates_are_seen_and_nowhere_else(
    counting: Callable[..., Config],
) -> None:
    _, _, seen = played(counting("model.lora.method=fedit", *OPEN))
    errors = [one.record.cross_term for one in seen]
    assert all(isinstance(error, float) and error > 1e-6 for error in errors)
    assert played(counting("model.lora.method=fedit"), 1)[2][0].record.cross_term is None
    assert played(counting("model.lora.method=ffa", *OPEN), 1)[2][0].record.cross_term is None


@pytest.mark.parametrize("method", ["ffa", "fed_sb"])
def test_an_exported_adapter_loads_with_peft_and_a_merged_model_without_to_the_same_logits(
    counting: Callable[..., Config], tmp_path: Path, method: str
) -> None:
    out = tmp_path / "run"
    run(counting(f"model.lora.method={method}"), out)
    tokens = torch.randint(3, 259, (2, 9))
    with torch.no_grad():
        wanted = load(out)(tokens.float())
        folder = export(out, tmp_path / "adapter")
        base = transformers.AutoModelForCausalLM.from_pretrained(folder / "base")
        given = peft.PeftModel.from_pretrained(base, folder).eval()(input_ids=tokens).logits
        whole = transformers.AutoModelForCausalLM.from_pretrained(export(out, tmp_path / "whole", merge=True))
        together = whole.eval()(input_ids=tokens).logits
        plain = (
            transformers.AutoModelForCausalLM.from_pretrained(folder / "base").eval()(input_ids=tokens).logits
        )
    assert torch.equal(given, wanted) if method == "ffa" else torch.allclose(given, wanted, atol=1e-6)
    assert torch.allclose(together, wanted, atol=1e-5)
    assert float((plain - wanted).abs().max()) > 1e-3  # the adapter is not the zero one
    assert all(
        ".lora_" in name for name in load_file(out / "model.safetensors")
    )  # no base in the run's folder
    card = (folder / "README.md").read_text()
    for words in ("48 conversations", "one training example", "at delta = 0.001", f"`{method}`", "backdoor"):
        assert words in card
    with pytest.raises(RunDirectoryError, match="expected a new or empty folder"):
        export(out, folder)


def test_a_run_is_held_to_the_base_that_it_began_on(counting: Callable[..., Config], tmp_path: Path) -> None:
    base, out = save_tiny_llama(tmp_path / "base"), tmp_path / "run"
    run(counting(f"model.path={base}", "server.rounds=1"), out)
    facts = json.loads((out / "manifest.json").read_text())
    named = f"{base} (sha256 {facts['base']['sha256']})"
    assert named in (out / "guarantee.md").read_text()
    assert facts["base"]["sha256"] in (export(out, tmp_path / "adapter") / "README.md").read_text()
    assert named in (tmp_path / "adapter" / "README.md").read_text()
    (out / "summary.json").write_text("{")  # as killed at its end: it is made anew
    weights = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    for act in (lambda: resume(out), lambda: load(out), lambda: export(out, tmp_path / "other")):
        with pytest.raises(
            RunDirectoryError, match=r"with sha256 \w{64}, got one with \w{64}; .*put its files"
        ):
            act()
    (base / "model.safetensors").unlink()
    with pytest.raises(RunDirectoryError, match="got none on this machine"):
        resume(out)
    (base / "model.safetensors").write_bytes(weights)
    assert resume(out)["status"] == "finished"
    del facts["base"]  # as an older version wrote it: nothing to hold the base against
    (out / "manifest.json").write_text(json.dumps(facts))
    (base / "chat_template.jinja").write_text("{{ messages }}")
    load(out)
    assert "not recorded by the version that ran" in (export(out, tmp_path / "old") / "README.md").read_text()


def test_answers_are_scored_on_the_runs_own_test_part_and_on_a_users_file_by_client(
    counting: Callable[..., Config], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    summary = run(counting("server.rounds=1"), out)

    def evaluated(*data: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["evaluate", str(out), *data, "--json"])
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    own = evaluated()
    assert own["test_loss"] == pytest.approx(summary["test_loss"])
    assert own["test_accuracy"] == pytest.approx(summary["test_accuracy"])
    assert set(own["clients"]) == {f"c{n}" for n in range(6)}
    everybody = own["clients"].values()
    assert sum(one["tokens"] for one in everybody) == own["tokens"]
    nats = sum(np.log(one["perplexity"]) * one["tokens"] for one in everybody)
    assert own["perplexity"] == pytest.approx(np.exp(nats / own["tokens"]))
    rows = [{"prompt": f"count {n}", "answer": "odd"} for n in range(5)]  # three bytes and the end
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    mine = evaluated(str(tmp_path / "mine.jsonl"))
    assert (mine["examples"], mine["tokens"], "clients" in mine) == (
        5,
        5 * 4,
        False,
    )
    assert "perplexity" in CliRunner().invoke(app, ["evaluate", str(out)]).stdout
    talks = tmp_path / "talks.jsonl"
    talks.write_text(talks.read_text() + talks.read_text().splitlines()[0] + "\n")
    result = CliRunner().invoke(app, ["evaluate", str(out)])
    assert result.exit_code == 2
    assert "expected the data that the run was trained on, with hash" in result.stderr


def test_a_users_texts_are_read_with_the_names_of_the_runs_classes(
    counting: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = counting("data={kind: reuters_r8, partition: {kind: iid}}")
    known = SimpleNamespace(label_names=("acq", "earn"))
    monkeypatch.setattr(given_data, "load_dataset", lambda config: known)
    file = tmp_path / "mine.jsonl"

    def written(*rows: tuple[object, str]) -> Given:
        lines = [json.dumps({"prompt": text, "answer": name, "client": name}) for text, name in rows]
        file.write_text("\n".join(lines))
        return given_data.read(config, str(file), None, None)

    given = written(("profit rises", "earn"), ("buys a mill", "acq"), ("net loss", "earn"))
    assert sorted(given.examples.labels.tolist()) == [0, 1, 1]
    assert {name: given.examples.labels[rows].tolist() for name, rows in given.by_client().items()} == {
        "acq": [0],
        "earn": [1, 1],
    }
    assert given.examples.shape == (32,)
    with pytest.raises(DataError, match=r"a class of the run's data \(acq, earn\), got 'ship'"):
        written(("a", "earn"), ("b", "ship"), ("c", "acq"))
    talk = [{"role": "user", "content": "a"}] * 2
    with pytest.raises(DataError, match="expected one text as prompt"):
        written((talk, "earn"), (talk, "earn"), ("c", "acq"))


def test_a_mean_pooled_classifier_exports_its_adapter_and_cannot_be_merged(tmp_path: Path) -> None:
    lora = LoraSpec("ffa", 2, 4, ("q_proj",))
    spec = TransformerSpec("tiny-llama", lora=lora, task="sequence_classification", pooling="mean")
    module = build_transformer(spec, 4, 1).eval()
    assert layout(spec, 4)[0] == len(get_vector(module))
    write_adapter(module, tmp_path / "adapter", "tiny-llama")
    base = mean_pooled_base(str(tmp_path / "adapter/base"), 4, 2)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    tokens = torch.randint(3, 259, (2, 9))
    with torch.no_grad():
        given = loaded(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        assert torch.equal(given, module(tokens.float()))
    with pytest.raises(ConfigError, match="export the adapter"):
        write_merged(module, tmp_path / "whole", "tiny-llama", None)


def test_an_audit_of_adapters_finds_a_text_that_moves_them_and_noise_that_is_off(
    counting: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = counting(
        "model.lora.method=fed_sb",
        "privacy={unit: example, epsilon: 1.0, delta: 1e-3, clip_norm: 1.0, spare_releases: 0}",
        "training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 4}",
        "secure_aggregation={group_size: 3, threshold: 2, clip_norm: 50.0, bits: 24, epoch_rounds: 1}",
        "server.rounds=1",
    )
    terms = settle(config, load_dataset(config))

    def found() -> Audit:
        # 1e-8: of the honest mechanism, the chance of an alarm that is false.
        return audit(example_subject(terms, SeededRandomness(b"audit"), companions=1), 60, 1 - 1e-8)

    assert not found().refuted
    monkeypatch.setattr(dp_sgd, "gaussian", lambda stream, count: 1e-6 * gaussian(stream, count))
    assert found().refuted


def test_a_classifiers_head_travels_with_its_exported_adapter(tmp_path: Path) -> None:
    spec = TransformerSpec(
        "tiny-llama", lora=LoraSpec("ffa", 2, 4, ("q_proj",)), task="sequence_classification"
    )
    module = build_transformer(spec, 4, 1).eval()
    write_adapter(module, tmp_path / "adapter", "tiny-llama")
    base = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "adapter/base", num_labels=4
    )
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    tokens = torch.randint(3, 259, (2, 9))
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=tokens).logits, module(tokens.float()))


def test_a_run_of_another_model_has_no_adapter_to_export(
    small: Callable[..., Config], tmp_path: Path
) -> None:
    run(small("server.rounds=1"), tmp_path / "run")
    with pytest.raises(ConfigError, match="expected a run of a language model"):
        export(tmp_path / "run", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_an_audit_refuses_what_it_would_misjudge(counting: Callable[..., Config]) -> None:
    for method, name in (("rolora", "two-world"), ("ffa", "one-run")):
        config = counting(f"model.lora.method={method}")
        with pytest.raises(ConfigError, match="expected"):
            audited(settle(config, load_dataset(config)), name, 100, 0.9, SeededRandomness(b"a"))


def test_a_client_whose_adapters_have_no_gradient_sends_zeros_where_noise_covers_them(
    counting: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 0.01, spare_releases: 0}"
    config = counting(unit, "secure_aggregation={group_size: 6, threshold: 4, clip_norm: 1.0, bits: 16}")
    monkeypatch.setattr(Learner, "_plain_sum", lambda self, features, labels: torch.zeros(self.dim))
    with build_federated_averaging(config, randomness=SeededRandomness(b"idle")) as process:
        _, metrics = process.next(process.initialize())
    assert metrics.record.status == "done"
    assert metrics.record.refusals == {}


def test_tied_targets_are_refused_and_so_are_weights_that_are_missing(
    counting: Callable[..., Config], tmp_path: Path
) -> None:
    small = transformers.LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        tie_word_embeddings=True, pad_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(small).save_pretrained(tmp_path / "base")
    lora = LoraSpec("ffa", 2, 4.0, ("q_proj",))
    tied = TransformerSpec(str(tmp_path / "base"), lora=replace(lora, targets=("lm_head",)))
    with pytest.raises(ConfigError, match="shares its weight with the embeddings"):
        build_transformer(tied, 300, 0)
    shutil.copytree(tmp_path / "base", tmp_path / "short")
    facts = json.loads((tmp_path / "base" / "config.json").read_text())
    (tmp_path / "short" / "config.json").write_text(json.dumps(facts | {"num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match="all weights but a new head's"):
        build_transformer(TransformerSpec(str(tmp_path / "short"), lora=lora), 300, 0)


def test_an_encoder_is_no_causal_language_model() -> None:
    bert = transformers.BertConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    for config in (bert, transformers.BertConfig(**{**bert.to_diff_dict(), "is_decoder": True})):
        module = Language(transformers.BertLMHeadModel(config).requires_grad_(True), 0)
        if config.is_decoder:
            check_examples_apart(module, (8,), 50, TASKS["causal_lm"], 50)
        else:
            with pytest.raises(ConfigError, match="looks back only"):
                check_examples_apart(module, (8,), 50, TASKS["causal_lm"], 50)
