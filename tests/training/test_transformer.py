"""Adapters of a tiny random Llama: what trains, what stays, what is averaged, and private gradients of
each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from securefl.crypto.randomness import SeededRandomness, SystemRandomness
from securefl.data import Dataset, Examples
from securefl.data.answers import Answered, dataset_of_answers
from securefl.encoding import FixedPoint
from securefl.errors import ConfigError
from securefl.training import TASKS, Learner, LocalSettings, get_vector
from securefl.training.flat import set_vector, trainable
from securefl.training.lora import EXACT, METHODS, LoraSpec, TransformerSpec, place_of
from securefl.training.turns import Turns

peft = pytest.importorskip("peft", reason="language models need the extra `lora`")
transformers = pytest.importorskip("transformers", reason="language models need the extra `lora`")

from securefl.training.adapters import products  # noqa: E402 - needs the extra
from securefl.training.book_keeping import keeps_books  # noqa: E402 - beside the one above
from securefl.training.clipping import clipped_sum  # noqa: E402 - beside the one above
from securefl.training.tiny_llama import save_tiny_llama, tiny_tokenizer  # noqa: E402 - needs the extra
from securefl.training.tokens import ModelTokens  # noqa: E402 - needs the extra
from securefl.training.transformer import Language, build_transformer, layout  # noqa: E402 - needs the extra

ANSWERS = TASKS["causal_lm"]
SHARED = tuple(method for method in METHODS if method != "fedsa")
"""Those whose adapters travel whole."""
TOKENS = 259
POSITIONS = 24
PLAIN = LocalSettings(steps=3, learning_rate=0.5, sample_rate=1.0, expected_batch=4)
PRIVATE = LocalSettings(
    steps=2, learning_rate=0.5, sample_rate=0.7, expected_batch=4, clip_norm=1.0, noise_multiplier=1.0
)


def spec(method: str, task: str = "causal_lm", path: str = "tiny-llama") -> TransformerSpec:
    return TransformerSpec(path, lora=LoraSpec(method, 3, 6, ("q_proj", "v_proj")), task=task)


def built(method: str) -> tuple[Language, Turns | None]:
    """A module with adapters that look trained: no factor is zero."""
    module, turns = build_transformer(spec(method), TOKENS, 0), layout(spec(method), TOKENS)[1]
    drawn = np.random.default_rng(1).normal(0, 0.1, len(get_vector(module)))
    set_vector(module, drawn.astype(np.float32))
    return module, turns


def data() -> Dataset:
    pairs = [Answered((("user", f"count {n}"),), "odd" * (1 + n % 3), f"c{n % 3}") for n in range(15)]
    return dataset_of_answers("counting", pairs[:12], pairs[12:], ModelTokens(tiny_tokenizer(), POSITIONS))


def of_client(client: int) -> Examples:
    everything = data()
    assert everything.train_clients is not None
    return everything.train.take(np.flatnonzero(everything.train_clients == client))


def dense(module: Language, vector: NDArray[np.float64]) -> dict[str, torch.Tensor]:
    set_vector(module, vector.astype(np.float32))
    return {name: each.double() for name, each in products(module).items()}


def full(update: NDArray[np.float64], turns: Turns | None, round: int) -> NDArray[np.float64]:
    if turns is None:
        return update
    places = turns.of(round)
    spread = np.zeros(turns.dim)
    spread[places] = update[: len(places)]
    return spread


@pytest.mark.parametrize("method", SHARED)
def test_the_layout_counts_what_trains_without_the_weights(method: str) -> None:
    module = build_transformer(spec(method), TOKENS, 0)
    counted, turns = layout(spec(method), TOKENS)
    assert counted == len(get_vector(module))
    assert (turns is None) == (method != "rolora")
    assert all(not product.any() for product in products(module).values())  # the first model is the base


@pytest.mark.parametrize("round", [1, 2])
@pytest.mark.parametrize("method", SHARED)
def test_the_mean_of_updates_is_the_mean_of_products_but_not_for_fedit(method: str, round: int) -> None:
    module, turns = built(method)
    learner, source = Learner(module, PLAIN, task=ANSWERS, turns=turns), SeededRandomness(b"mean")
    start = get_vector(module)
    encoding = FixedPoint(
        clip_norm=5.0, bits=24, dim=len(start) if turns is None else turns.length, members=3
    )
    words, locals_ = [], []
    for client in range(3):
        sampling, noise = source.stream("s", client), source.stream("n", client)
        update = learner.train(start, of_client(client), sampling, noise, round)
        assert np.linalg.norm(update) < 5.0  # nothing is clipped, so that both sides know the same updates
        words.append(encoding.encode(update, source.stream("r", client), 1))
        locals_.append(dense(module, start + full(update, turns, round)))
    size = 2**encoding.ring_bits
    total = (words[0] + words[1] + words[2]) % words[0].dtype.type(size)
    signed = [[(int(word) + size // 2) % size - size // 2 for word in row] for row in (*words, total)]
    assert [sum(column) for column in zip(*signed[:3], strict=True)] == signed[3]
    mean, _ = encoding.decode(total, 3, None)
    together = dense(module, start + full(mean, turns, round))
    apart = max(float((together[n] - sum(one[n] for one in locals_) / 3).abs().max()) for n in together)
    moved = max(float((one[n] - locals_[0][n]).abs().max()) for one in locals_ for n in together)
    if method in EXACT:
        assert apart < 1e-5 < 1e-4 < moved  # 24 bits of a clip of 5, and float32 products of values below 1
    else:
        assert apart > 1e-4


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("method", SHARED)
def test_in_every_round_what_is_frozen_stays_and_what_trains_moves(method: str, private: bool) -> None:
    module, turns = built(method)
    frozen = {name: p.detach().clone() for name, p in module.named_parameters() if not p.requires_grad}
    learner = Learner(module, PRIVATE if private else PLAIN, task=ANSWERS, turns=turns)
    source, start = SystemRandomness(), get_vector(module)
    for round in (1, 2, 3):
        update = full(
            learner.train(start, of_client(0), source.stream("s"), source.stream("n"), round), turns, round
        )
        offset = 0
        for name, parameter in trainable(module):
            part = update[offset : offset + parameter.numel()]
            idle = turns is not None and (".lora_A." in name) == (round % 2 == 1)
            assert part.any() != idle, name
            offset += parameter.numel()
        after = learner.module((start + update).astype(np.float32))
        assert all(torch.equal(dict(after.named_parameters())[name], value) for name, value in frozen.items())


@pytest.mark.parametrize("clip", [0.02, 1e6])
@pytest.mark.parametrize("method", SHARED)
def test_the_private_sum_is_that_of_gradients_clipped_one_by_one(method: str, clip: float) -> None:
    module, turns = built(method)
    assert keeps_books(module.eval())
    tokens = torch.tensor(data().train.features[:5])
    labels = torch.tensor(data().train.labels[:5])
    total = clipped_sum(module, clip, ANSWERS.of)
    for round in (1, 2) if turns else (1,):
        offset = 0
        for _, parameter in (everything := [(n, p) for n, p in module.named_parameters() if ".lora_" in n]):
            if turns is not None:
                parameter.requires_grad_(bool(np.isin(offset, turns.of(round))))
            offset += parameter.numel()
        wanted = torch.zeros(sum(p.numel() for _, p in trainable(module)), dtype=torch.float64)
        for at in range(5):
            loss = ANSWERS.of(module, tokens[at : at + 1], labels[at : at + 1]).sum()
            pieces = torch.autograd.grad(loss, [parameter for _, parameter in trainable(module)])
            gradient = torch.cat([piece.reshape(-1) for piece in pieces]).double()
            wanted += gradient * min(1.0, clip / float(gradient.norm()))
        assert torch.allclose(total(tokens, labels).double(), wanted, rtol=1e-3, atol=1e-6)
        assert everything


@pytest.mark.parametrize("private", [False, True])
def test_a_batch_in_pieces_gives_the_update_of_a_whole_one_with_one_noise(private: bool) -> None:
    updates = []
    for most in (None, 1, 2):
        settings = replace(PRIVATE if private else PLAIN, micro_batch=most)
        learner, source = Learner(built("ffa")[0], settings, task=ANSWERS), SeededRandomness(b"pieces")
        start = get_vector(built("ffa")[0])
        updates.append(learner.train(start, of_client(0), source.stream("s"), source.stream("n")))
    # Float32 sums in another order; a second noise would differ by about its own size, 0.1.
    assert np.allclose(updates[0], updates[1], atol=1e-4) and np.allclose(updates[0], updates[2], atol=1e-4)


def test_padding_changes_no_loss_and_no_neighbour_changes_an_examples_loss() -> None:
    module, _ = built("ffa")
    tokens, labels = torch.tensor(data().train.features), torch.tensor(data().train.labels)
    alone = torch.cat([ANSWERS.of(module, tokens[[at]], labels[[at]]) for at in range(len(labels))])
    wider = [torch.nn.functional.pad(each, (0, 7), value=-1) for each in (tokens, labels)]
    assert torch.allclose(ANSWERS.of(module, tokens, labels), alone, atol=1e-5)
    assert torch.allclose(ANSWERS.of(module, *wider), alone, atol=1e-5)


def test_modules_of_one_process_share_one_base_and_a_learner_copies_none_of_it() -> None:
    first, second = build_transformer(spec("ffa"), TOKENS, 0), build_transformer(spec("fedit"), TOKENS, 0)
    learner = Learner(first, PLAIN, task=ANSWERS)
    trained = learner.module(get_vector(first))
    places = [
        {p.data_ptr() for n, p in each.named_parameters() if ".lora_" not in n}
        for each in (first, second, trained)
    ]
    assert places[0] == places[1] == places[2]


def test_a_saved_folder_gives_the_same_model_and_a_bfloat16_base_has_float32_adapters(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path)
    tokens = torch.tensor(data().train.features[:3])
    with torch.no_grad():
        here = build_transformer(spec("ffa", path=str(tmp_path)), TOKENS, 0).eval()(tokens)
        there = build_transformer(spec("ffa"), TOKENS, 0).eval()(tokens)
    assert torch.equal(here, there)
    half = TransformerSpec("tiny-llama", dtype="bfloat16", lora=spec("ffa").lora)
    module = build_transformer(half, TOKENS, 0)
    assert {p.dtype for _, p in trainable(module)} == {torch.float32}
    assert module.model.base_model.model.lm_head.weight.dtype == torch.bfloat16
    learner, source = Learner(module, PRIVATE, task=ANSWERS), SystemRandomness()
    learner.require((POSITIONS,), TOKENS, TOKENS)
    assert learner.train(get_vector(module), of_client(0), source.stream("s"), source.stream("n")).all()


def test_a_classifier_of_texts_trains_its_head_beside_the_adapters() -> None:
    module = build_transformer(spec("ffa", "sequence_classification"), 4, 0)
    assert any("score" in name for name, _ in trainable(module))
    learner, source = Learner(module, PRIVATE, task=TASKS["sequence_classification"]), SystemRandomness()
    learner.require((POSITIONS,), 4, TOKENS)
    examples = Examples(data().train.features, np.arange(12) % 4)
    assert learner.train(get_vector(module), examples, source.stream("s"), source.stream("n")).all()


def test_a_model_that_is_not_there_and_a_target_it_lacks_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.path: expected a folder with a transformers model"):
        build_transformer(spec("ffa", path=str(tmp_path)), TOKENS, 0)
    with pytest.raises(ConfigError, match=r"model\.path: expected an installed package"):
        place_of("package:nowhere_at_all/model")
    assert Path(place_of("package:securefl/training")).is_dir() and place_of("tiny-llama") == "tiny-llama"
    with pytest.raises(ConfigError, match=r"model\.lora\.targets: expected names of linear layers"):
        build_transformer(TransformerSpec("tiny-llama", lora=LoraSpec("ffa", 2, 4, ("nowhere",))), TOKENS, 0)


def kept_bytes(learner: Learner, examples: Examples) -> int:
    """Of tensors that a forward pass leaves for the way back."""
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        seen[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    source = SystemRandomness()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.train(get_vector(learner._pristine), examples, source.stream("s"), source.stream("n"))
    return sum(seen.values())


@pytest.mark.parametrize("task", ["causal_lm", "sequence_classification"])
def test_checkpointed_layers_give_the_same_update_and_keep_less(task: str) -> None:
    one_step = replace(PLAIN, steps=1)
    module = build_transformer(spec("ffa", task), 4 if task != "causal_lm" else TOKENS, 0)
    examples = of_client(0)
    if task != "causal_lm":
        examples = Examples(examples.features, np.arange(len(examples)) % 4)
    plain, again = (
        Learner(module, replace(one_step, gradient_checkpointing=on), task=TASKS[task])
        for on in (False, True)
    )
    updates = [
        each.train(get_vector(module), examples, *(SeededRandomness(b"c").stream(name) for name in "sn"))
        for each in (plain, again)
    ]
    assert updates[0].any()
    np.testing.assert_allclose(updates[1], updates[0], rtol=1e-5, atol=1e-8)
    assert kept_bytes(again, examples) < 0.7 * kept_bytes(plain, examples)
    flags = [getattr(layer, "gradient_checkpointing", False) for layer in again.module(updates[0]).modules()]
    assert not any(flags), "what leaves the learner is as it came"


def test_checkpointing_is_refused_with_gradients_per_example_and_without_a_language_model() -> None:
    with pytest.raises(ConfigError, match=r"training\.gradient_checkpointing: expected none with privacy"):
        replace(PRIVATE, gradient_checkpointing=True)
    with pytest.raises(ConfigError, match="expected a language model with it"):
        Learner(torch.nn.Linear(3, 2), replace(PLAIN, gradient_checkpointing=True))


@pytest.mark.parametrize("settings", [PLAIN, PRIVATE])
def test_an_adapter_that_takes_no_part_is_refused_before_anything_trains(
    tmp_path: Path, settings: LocalSettings
) -> None:
    shape = transformers.BertConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.BertModel(shape).save_pretrained(tmp_path)
    for targets, idle in ((("query",), False), (("query", "pooler.dense"), True)):
        wanted = TransformerSpec(
            str(tmp_path), lora=LoraSpec("ffa", 2, 4, targets), task="sequence_classification", pooling="mean"
        )
        learner = Learner(build_transformer(wanted, 4, 0), settings, task=TASKS["sequence_classification"])
        if idle:  # the mean of the states reads no pooler
            with pytest.raises(ConfigError, match=r"pooler.*takes no part in the output"):
                learner.require((POSITIONS,), 4, 40)
        else:
            learner.require((POSITIONS,), 4, 40)


def test_a_classifier_without_a_padding_token_reads_a_texts_own_last_token(tmp_path: Path) -> None:
    def saved(**ids: int | None) -> str:
        shape = transformers.GPT2Config(
            vocab_size=50,
            n_embd=16,
            n_layer=1,
            n_head=2,
            n_positions=8,
            pad_token_id=None,
            num_labels=3,
            **ids,
        )
        folder = tmp_path / str(ids["eos_token_id"])
        transformers.GPT2ForSequenceClassification(shape).save_pretrained(folder)
        return str(folder)

    def classifier(path: str) -> TransformerSpec:
        return TransformerSpec(path, lora=LoraSpec("ffa", 2, 4, ("c_proj",)), task="sequence_classification")

    module = build_transformer(classifier(saved(eos_token_id=49)), 3, 0).eval()
    texts = torch.tensor([[5.0, 7, 0, -1, -1], [5, 7, -1, -1, -1]])  # the first ends in token 0
    with torch.no_grad():
        together = module(texts)
        alone = torch.cat([module(texts[:1, :3]), module(texts[1:, :2])])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together[0], together[1])
    for none in (None, 50_256):  # of a larger vocabulary than this one's
        with pytest.raises(ConfigError, match=r"model\.pooling: expected a model that names its padding"):
            build_transformer(classifier(saved(eos_token_id=none)), 3, 0)


def test_without_the_extra_language_models_are_refused_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from securefl import training

    monkeypatch.setattr(training, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install securefl\[lora\]"):
        training.layout  # noqa: B018 - the name loads on use
