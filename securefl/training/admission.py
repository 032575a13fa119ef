"""Which modules may train: no layer mixes examples, and the flat vector is the whole model.

Rules kept here:
- Layers that mix the examples of a batch are refused, by type and by a probe of the forward pass,
  whether or not the run is private: their statistics would not travel with the flat vector either.
- A trainable parameter that takes no part in the loss is refused before anything trains.
- Three things that come with adapters and large models are refused by name, known by the attributes that peft
  and transformers leave: LoRA on embeddings, DoRA, and gradient checkpointing.
- torch's global generator is left as it was.

What this file does NOT do: prove anything about a module's own Python code. The probe finds mistakes.

Reference: Yousefpour et al. 2021 (Opacus), section on validation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from securefl.data.examples import NONE
from securefl.errors import ConfigError
from securefl.training.book_keeping import refuse_idle
from securefl.training.flat import trainable
from securefl.training.tasks import CLASSIFICATION, Task

_SAME_OUTPUT = 1e-5


def check_module(module: nn.Module) -> None:
    """Refuses a module whose flat vector is not all of it, or that mixes the examples of a batch.

    Assumes: the module is in training mode.

    Raises:
        ConfigError: with path `model` and the layer's name.
    """
    if not trainable(module):
        raise ConfigError("expected at least one trainable parameter, the module has none", "model")
    for name, layer in module.named_modules():
        # Opacus looks at layers with trainable weights only; frozen or affine=False layers mix as well.
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) or getattr(layer, "track_running_stats", False):
            raise ConfigError(
                f"layer {name!r} ({type(layer).__name__}) mixes the examples of a batch or keeps running "
                "statistics; use GroupNorm or LayerNorm",
                "model",
            )
    _check_types(module)
    _check_adapters(module)
    problems = ModuleValidator.validate(module)
    if problems:
        raise ConfigError(f"Opacus cannot train this module privately: {problems[0]}", "model")


def _check_types(module: nn.Module) -> None:
    """Examples, trained weights and updates are float32; another type would fail in a layer, or lose bits.

    A frozen base beneath adapters may have bfloat16, for nothing is added to it.
    """
    adapters = any("lora_" in name for name, _ in trainable(module))
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        allowed = (
            (torch.float32, torch.bfloat16) if adapters and not value.requires_grad else (torch.float32,)
        )
        if value.is_floating_point() and value.dtype not in allowed:
            raise ConfigError(
                f"expected float32 weights, got {value.dtype} in {name!r}; call `.float()` on the module",
                "model",
            )


def _check_adapters(module: nn.Module) -> None:
    """What has no gradients per example, with Opacus' hooks or with ours, and would fail deep in a layer."""
    for name, layer in module.named_modules():
        for found, what, instead in (
            (getattr(layer, "lora_embedding_A", ()), "LoRA on an embedding", "adapt linear layers only"),
            (getattr(layer, "lora_magnitude_vector", ()), "DoRA", "set use_dora=False for plain LoRA"),
        ):
            if list(found):
                raise ConfigError(
                    f"expected adapters with gradients per example, got {what} in layer {name!r}; {instead}",
                    "model",
                )
        if getattr(layer, "gradient_checkpointing", False) is True:
            raise ConfigError(
                f"expected a forward pass that is made once, got gradient checkpointing in layer {name!r}, "
                "which makes it again while gradients are taken; switch it off",
                "model",
            )


def check_examples_apart(
    module: nn.Module,
    input_shape: Sequence[int],
    classes: int | None = None,
    task: Task = CLASSIFICATION,
    vocabulary: int = 2,
) -> None:
    """Probes forward pass and loss in training mode: neither of one example may depend on its neighbour.

    Assumes: the probe reaches the mixing: features uniform on [0, 1), or tokens, the neighbour's text and
    answer of other lengths than the subject's.

    Raises:
        ConfigError: with path `model`, also if the module does not accept the shape or, where they are
            given, has another number of classes.
    """
    device = trainable(module)[0][1].device
    features, labels = (each.to(device) for each in _probe(input_shape, task, vocabulary))
    try:
        first, second = (_logits(module, features[[0, peer]]) for peer in (1, 2))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        message = f"the model does not accept examples of shape {tuple(input_shape)}: {error}"
        raise ConfigError(message, "model") from error
    wanted = (2, *labels.shape[1:])
    if first.shape[:-1] != wanted:
        got, axes = tuple(first.shape), "n, positions, tokens" if task.answers else "n, classes"
        raise ConfigError(f"expected logits of shape ({axes}), got {got} for n = 2", "model")
    if task.answers:
        _check_looks_back(module, features[:2], first)
    # A language model may have more logits than its tokenizer has tokens.
    fits = classes is None or first.shape[-1] == classes or (task.answers and first.shape[-1] > classes)
    if not fits:
        raise ConfigError(
            f"expected one logit for each of the data's {classes} classes, got {first.shape[-1]}; change the "
            "last layer",
            "model",
        )
    _check_losses_apart(task, first, labels)
    if not torch.allclose(first[0], second[0], atol=_SAME_OUTPUT, rtol=_SAME_OUTPUT):
        raise ConfigError("the output for one example depends on the others in its batch; no DP-SGD", "model")


def check_none_idle(
    module: nn.Module, input_shape: Sequence[int], task: Task = CLASSIFICATION, vocabulary: int = 2
) -> None:
    """Probes the backward pass: every trainable parameter takes part in the loss of an example.

    Raises:
        ConfigError: with the parameter's name; it would silently not train.
    """
    features, labels = _probe(input_shape, task, vocabulary)
    names, parameters = zip(*trainable(module), strict=True)
    with torch.random.fork_rng(devices=[]):
        loss = task.of(module, features[:1], labels[:1]).sum()
    for name, gradient in zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        if gradient is None:
            refuse_idle(name)


def _check_looks_back(module: nn.Module, features: Tensor, logits: Tensor) -> None:
    """Another last token of the first text: what the model says before it must stay as it was."""
    other = features.clone()
    other[0, -1] = 1.0 - features[0, -1].clamp(max=1.0)
    changed = _logits(module, other)
    if not torch.allclose(changed[0, :-1], logits[0, :-1], atol=_SAME_OUTPUT, rtol=_SAME_OUTPUT):
        raise ConfigError(
            "expected a model that looks back only, got one whose positions see the tokens that they are to "
            "predict; an encoder is no causal language model",
            "model",
        )


def _check_losses_apart(task: Task, logits: Tensor, labels: Tensor) -> None:
    """The same logits, and another neighbour's labels: a mean over the batch's tokens shows here."""
    one, other = (task.losses(logits, labels[[0, peer]]) for peer in (1, 2))
    if one.shape != (2,) or other.shape != (2,):
        raise ConfigError(f"expected one loss per example, got shape {tuple(one.shape)} for n = 2", "model")
    if not torch.allclose(one[0], other[0], atol=_SAME_OUTPUT, rtol=_SAME_OUTPUT):
        raise ConfigError(
            "the loss of one example depends on the others in its batch; take the mean over an example's own "
            "tokens, not over the batch's",
            "model",
        )


def _probe(input_shape: Sequence[int], task: Task, vocabulary: int) -> tuple[Tensor, Tensor]:
    """A subject and two neighbours, features and labels."""
    seeded = torch.Generator().manual_seed(0)
    if not task.texts:
        return torch.rand((3, *input_shape), generator=seeded), torch.zeros(3, dtype=torch.int64)
    tokens = torch.randint(0, max(vocabulary, 2), (3, *input_shape), generator=seeded)
    positions = tokens.shape[1]
    lengths = (positions, positions, max(1, positions // 2))
    for row, length in enumerate(lengths):
        tokens[row, length:] = NONE
    labels = torch.full_like(tokens, NONE)
    for row, start in enumerate((positions // 2, 1, max(0, lengths[2] - 1))):
        labels[row, start : lengths[row]] = tokens[row, start : lengths[row]]
    return tokens.float(), labels if task.answers else torch.zeros(3, dtype=torch.int64)


def _logits(module: nn.Module, features: Tensor) -> Tensor:
    """A forward pass whose dropout masks depend on the shapes alone."""
    devices = [features.device] if features.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(0)
        logits: Tensor = module.train()(features)
        return logits
