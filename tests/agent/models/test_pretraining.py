"""A small Llama before any client: made once, gone on with after a kill, better at copying than chance."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from securefl.agent.exam import no_call_accuracy, whole_call_match
from securefl.agent.models import SMALL, load, pretrained_model, replies, small_tokenizer
from securefl.agent.models.copying import copying_llama
from securefl.agent.models.lessons import Lessons
from securefl.agent.models.small import small_config
from securefl.data.dialogues import DOMAINS, PUBLIC, dialogues, known_to
from securefl.data.dialogues.entities import public_words
from securefl.errors import ConfigError, DataError

TINY = replace(SMALL, dialogues=40, width=32, head_width=16, drills=2, steps=3, rows=1, drill_batch=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained_model(tmp_path_factory.mktemp("bases") / "tiny", TINY)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_finished_folder_loads_and_is_taken_as_it_is(finished: Path) -> None:
    def never(done: int, total: int, loss: float) -> None:
        raise AssertionError("trained again")

    before = (finished / "model.safetensors").stat().st_mtime_ns
    assert pretrained_model(finished, TINY, never) == finished
    assert (finished / "model.safetensors").stat().st_mtime_ns == before
    assert load(finished).model.config.max_position_embeddings == TINY.context
    assert "SYNTHETIC" in (finished / "README.md").read_text()
    assert not (finished / "pretraining.safetensors").exists()


def test_a_folder_made_otherwise_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="remove the folder or name another"):
        pretrained_model(finished, replace(TINY, steps=4))
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="an empty folder"):
        pretrained_model(tmp_path, TINY)


def test_killed_in_the_middle_it_ends_with_the_same_weights(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securefl.agent.models.pretraining._KEEP", 2)
    steps: list[int] = []

    def killed(done: int, total: int, loss: float) -> None:
        steps.append(done)
        if len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrained_model(tmp_path, TINY, killed)
    with pytest.raises(DataError, match="expected a checkpoint of these settings"):
        pretrained_model(tmp_path, replace(TINY, learning_rate=1.0))
    pretrained_model(tmp_path, TINY, killed)
    assert steps == [1, 2, 3, 3, 4, 5]
    once, twice = weights(finished), weights(tmp_path)
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_damaged_checkpoint_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "pretraining.safetensors").write_bytes(b"half a check")
    with pytest.raises(DataError, match="a damaged one"):
        pretrained_model(tmp_path, TINY)


@pytest.mark.parametrize(
    ("tensor", "done"), [("lost", "1"), ("of another shape", "1"), ("", "x"), ("", "999"), ("", None)]
)
def test_a_checkpoint_without_a_tensor_or_a_count_is_damaged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensor: str, done: str | None
) -> None:
    def killed(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("securefl.agent.models.pretraining._KEEP", 1)
    with pytest.raises(KeyboardInterrupt):
        pretrained_model(tmp_path, TINY, killed)
    path = tmp_path / "pretraining.safetensors"
    with safe_open(path, "pt") as file:
        said = file.metadata() | ({} if done is None else {"done": done})
    if done is None:
        said.pop("done")
    kept = load_file(path)
    if tensor:
        one = kept.pop("exp_avg.0")
        kept |= {"exp_avg.0": one[:1].clone()} if tensor == "of another shape" else {}
    save_file(kept, path, said)
    with pytest.raises(DataError, match="a damaged one"):
        pretrained_model(tmp_path, TINY)


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_client_of_the_seed_and_no_test_value_is_in_the_lessons(domain: str) -> None:
    words = {
        word
        for one in dialogues(domain, 0, PUBLIC, "public", SMALL.dialogues)
        for text in (*(message.content for message in one.messages[1:]), one.answer)
        for word in re.findall(r"\w+", text)
    }
    assert len(words) > 1000
    for client in range(100):
        assert not words & {entity for place in DOMAINS for entity in known_to(place, 0, client)}
    kept = {word for slot in DOMAINS[domain].slots.values() for word in getattr(slot, "test", ())}
    assert not kept & set(public_words(0))


def test_dialogues_of_a_row_see_its_prompt_and_themselves_only() -> None:
    lessons = Lessons(small_tokenizer(), ("education",), 20, 0)
    config = small_config(32, 2, 640)
    model = copying_llama(config, 0).eval()
    batch = lessons.dialogues(0, rows=1, each=3, drills=1)
    row = 1
    where = (batch.places[row] == 0).nonzero().flatten()
    assert len(where) >= 1
    with torch.inference_mode():
        packed = model(
            input_ids=batch.tokens, position_ids=batch.places, attention_mask=batch.sees, use_cache=False
        ).logits[row]
    # A turn is the tokens that its last one sees: read alone, with the prompt before it, they say the same.
    ends = [at for at in range(batch.tokens.shape[1]) if batch.tokens[row, at] == config.eos_token_id]
    for end in ends[1:]:
        seen = batch.sees[row, 0, end].nonzero().flatten()
        with torch.inference_mode():
            alone = model(batch.tokens[row, seen][None]).logits[0]
        torch.testing.assert_close(alone, packed[seen], rtol=1e-3, atol=1e-3)
    assert len(ends) >= 4


@pytest.mark.slow
def test_the_small_size_calls_what_random_weights_cannot(tmp_path: Path) -> None:
    """Requests of clients that it never saw, with their names and codes: 0.51 and 1.0 measured."""
    base = load(pretrained_model(tmp_path, SMALL))
    exam = [one for client in range(6) for one in dialogues("medical_booking", 0, client, "train", 20)]
    said = replies(base, [one.messages for one in exam], budget=48)
    assert whole_call_match(exam, said) > 0.25
    assert no_call_accuracy(exam, said) > 0.5


def test_one_layer_cannot_copy_and_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 layers"):
        replace(TINY, layers=1)
