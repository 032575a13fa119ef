"""LoRA adapters of a tiny random Llama: clipped as by brute force, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from securefl.crypto.randomness import SystemRandomness
from securefl.data import Examples
from securefl.errors import ConfigError
from securefl.training import Learner, LocalSettings, get_vector
from securefl.training.admission import check_module
from securefl.training.book_keeping import book_keeping, keeps_books
from securefl.training.flat import trainable

peft = pytest.importorskip("peft", reason="adapters need the extra `lora`")
transformers = pytest.importorskip("transformers", reason="adapters need the extra `lora`")

# peft reads an attribute that the newest transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

TOKENS, LENGTH, CLASSES = 30, 7, 4


class NextToken(nn.Module):
    """A language model as a classifier: tokens in, logits of the last position out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=tokens.long()).logits
        return logits[:, -1, :CLASSES]


def adapted(**options: object) -> nn.Module:
    """A Llama of two layers with trained-looking adapters: peft starts one factor at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = transformers.LlamaConfig(
            vocab_size=TOKENS, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=2, use_cache=False,
        )  # fmt: skip
        options = {"r": 2, "target_modules": ["q_proj", "v_proj", "down_proj"], **options}
        model = peft.get_peft_model(transformers.LlamaForCausalLM(shape), peft.LoraConfig(**options))
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                nn.init.normal_(parameter, std=0.3)
        return NextToken(model)


def losses(module: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(module(features), labels, reduction="none")


@pytest.mark.parametrize("clip", [0.05, 1e6])
def test_the_sum_over_an_adapter_is_that_of_gradients_clipped_one_by_one(clip: float) -> None:
    module = adapted()
    assert keeps_books(module)
    features, labels = torch.randint(0, TOKENS, (5, LENGTH)), torch.randint(0, CLASSES, (5,))
    expected = 0.0
    for at in range(5):
        loss = losses(module, features[at : at + 1], labels[at : at + 1]).sum()
        pieces = torch.autograd.grad(loss, [parameter for _, parameter in trainable(module)])
        gradient = torch.cat([piece.reshape(-1) for piece in pieces]).double()
        expected = expected + gradient * min(1.0, clip / float(gradient.norm()))
    found = book_keeping(module, clip, losses)(features, labels)
    assert torch.allclose(found.double(), expected, rtol=1e-3, atol=1e-5)


def test_an_adapter_trains_privately_and_its_frozen_model_stays() -> None:
    module = adapted()
    settings = LocalSettings(
        steps=2, learning_rate=0.5, sample_rate=0.5, expected_batch=10, clip_norm=1.0, noise_multiplier=1.0
    )
    tokens = np.random.default_rng(0).integers(0, TOKENS, (20, LENGTH))
    examples = Examples(tokens.astype(np.float32), np.arange(20) % CLASSES)
    learner, source = Learner(module, settings), SystemRandomness()
    update = learner.train(get_vector(module), examples, source.stream("batches"), source.stream("noise"))
    assert update.shape == (sum(parameter.numel() for _, parameter in trainable(module)),)
    assert np.abs(update).min() > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target_modules": ["embed_tokens", "q_proj"]}, "got LoRA on an embedding in layer .*embed_tokens"),
        ({"use_dora": True}, "got DoRA in layer .*q_proj"),
    ],
)
def test_what_peft_makes_of_embeddings_and_dora_is_refused_by_name(
    options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        check_module(adapted(**options).train())


def test_gradient_checkpointing_as_transformers_switches_it_on_is_refused_by_name() -> None:
    module = adapted().train()
    check_module(module)
    for layer in module.modules():
        if hasattr(layer, "gradient_checkpointing"):
            layer.gradient_checkpointing = True
    with pytest.raises(ConfigError, match="got gradient checkpointing in layer"):
        check_module(module)
