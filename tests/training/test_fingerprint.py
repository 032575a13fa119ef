"""The fingerprint of a base model: another byte of what is read shows, and nothing else does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="language models need the extra `lora`")
pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl.training.fingerprint import fingerprint_of
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
    "name", ["config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"]
)
def test_another_byte_of_what_is_read_is_another_fingerprint(base: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copy"))
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
