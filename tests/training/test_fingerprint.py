"""The fingerprint of a base model: another byte of what is read shows, and nothing else does."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("peft", reason="language models need the extra `lora`")
pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl import manifest
from securefl.errors import ConfigError
from securefl.training.fingerprint import fingerprint_of
from securefl.training.loading import read_model
from securefl.training.tiny_llama import save_tiny_llama


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("base"))


def changed(path: Path) -> None:
    """Its last byte, and nothing about its size."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_copy_elsewhere_has_the_same_fingerprint_and_other_files_beside_it_change_nothing(
    base: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    (copy / "README.md").write_text("about")
    assert fingerprint_of(str(copy), None) == fingerprint_of(str(base), None)


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"),
        *("generation_config.json", "additional_chat_templates/default.jinja"),
        *("spiece.spm", "tekken.json", "target_vocab.json", "vocab-src.json", "dict.txt", "bpe.codes"),
    ],
)
def test_another_byte_of_what_is_read_is_another_fingerprint(base: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    (copy / name).parent.mkdir(exist_ok=True)
    if not (copy / name).exists():
        (copy / name).write_text("{}")
    before = fingerprint_of(str(copy), None)
    changed(copy / name)
    os.utime(copy / name, ns=(1, 1))
    assert fingerprint_of(str(copy), None) not in (before, None)


def test_of_a_gguf_file_its_own_bytes_count_and_no_other_weights(base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
    assert fingerprint_of(str(copy), "q.gguf") is None
    (copy / "q.gguf").write_bytes(b"GGUF 1")
    before = fingerprint_of(str(copy), "q.gguf")
    changed(copy / "model.safetensors")
    assert fingerprint_of(str(copy), "q.gguf") == before is not None
    (copy / "q.gguf").write_bytes(b"GGUF 22")
    assert fingerprint_of(str(copy), "q.gguf") != before


def test_the_built_in_model_has_one_of_its_own_that_stays(base: Path) -> None:
    once, again = (fingerprint_of("tiny-llama", None) for _ in range(2))
    assert once == again != fingerprint_of(str(base), None)


def test_of_a_hub_id_the_snapshot_on_this_machine_counts_and_nothing_is_fetched(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert fingerprint_of("some/model", None) is None
    inside = tmp_path / "models--some--model"
    shutil.copytree(base, inside / "snapshots" / ("a" * 40))
    (inside / "refs").mkdir()
    (inside / "refs" / "main").write_text("a" * 40)
    assert fingerprint_of("some/model", None) == fingerprint_of(str(base), None)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # inside peft
def test_an_adapter_is_no_base_since_the_model_below_it_could_change(base: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model, _ = read_model("causal_lm", str(base), None, torch.float32, {})
    get_peft_model(model, LoraConfig(r=1, target_modules=["q_proj"])).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(base)
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="got the adapter"):
        read_model("causal_lm", str(tmp_path), None, torch.float32, {})


def test_no_run_begins_on_weights_that_nothing_could_compare_later(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    model = SimpleNamespace(kind="transformer", path=str(tmp_path), gguf_file=None)
    terms: Any = SimpleNamespace(dataset=None, config=SimpleNamespace(model=model))
    with pytest.raises(ConfigError, match="its weights in one folder"):
        manifest.describe(terms, "run", None, "head")  # type: ignore[arg-type]
