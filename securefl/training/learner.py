"""One resident model that trains for any client: flat vector in, flat update out.

Rules kept here:
- Every batch is a Poisson sample from the client's sampling stream; empty batches stay steps.
- Private or not, the gradient sum is divided by the declared `expected_batch`.
- FedProx is added after the noise. It depends on weights that are already private, so it costs nothing.
- Nothing of one client outlives its call: weights, momentum and gradients start afresh.
- Copies of a module share what is frozen in it, so that a process holds one base model.
- A private call in which a trainable parameter stays exactly where it was is an error, and so is one
  in which a frozen parameter is written. Whose turn it is not counts as frozen.

What this file does NOT do: clip the update for the masked sum (`securefl.encoding`), charge the
ledger (`securefl.federation`), or choose torch's number of threads (`limit_threads` is for callers).

Reference: McMahan et al. 2017, Algorithm 1 (FedAvg); Li et al. 2020, Algorithm 2 (FedProx).
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from securefl.crypto.randomness import Stream
from securefl.data.examples import Examples
from securefl.errors import ConfigError, DataError, PrivacyError
from securefl.privacy.noise import poisson_sample
from securefl.training.admission import check_examples_apart, check_module, check_none_idle
from securefl.training.book_keeping import keeps_books
from securefl.training.clipping import clipped_sum, in_pieces
from securefl.training.dp_sgd import PrivateGradient
from securefl.training.flat import get_vector, set_vector, trainable
from securefl.training.scoring import Scores, at_a_time, score, tensors
from securefl.training.settings import LocalSettings
from securefl.training.tasks import CLASSIFICATION, Task
from securefl.training.turns import Turns

__all__ = ["Learner", "LocalSettings", "limit_threads"]


class Learner:
    """A model on one device and the way it trains; shared by all clients that a process simulates.

    Args:
        module: copied, so the caller's module stays as it is.
        settings: public, the same for every client.
        device: `cpu`, `cuda` or `cuda:N`.
        task: what there is to learn.
        turns: which parameters train in which round; None for all in every one.

    Raises:
        ConfigError: a module that mixes examples, or that Opacus has no per-example gradients for, or
            a device that this machine lacks.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: LocalSettings,
        device: str = "cpu",
        task: Task = CLASSIFICATION,
        turns: Turns | None = None,
    ) -> None:
        self._settings = settings
        self._device = _usable(device)
        self._task = task
        self._turns = turns
        self._pristine = _copied(module)
        self._module = _copied(module, self._device).train()
        check_module(self._module)
        if settings.gradient_checkpointing:
            from securefl.training.transformer import checkpointed

            checkpointed(self._module)
        self._private: PrivateGradient | None = None
        if settings.clip_norm is not None and settings.noise_multiplier is not None:
            if turns is not None and not keeps_books(self._module):
                raise ConfigError("expected adapters of linear layers alone where they take turns", "model")
            clipped = clipped_sum(self._module, settings.clip_norm, task.of)
            clipped = in_pieces(clipped, settings.micro_batch)
            self._private = PrivateGradient(clipped, settings.clip_norm, settings.noise_multiplier)
        self._drawn: list[bool] = []
        self._parameters = trainable(self._module)
        self._probed: set[tuple[int, ...]] = set()
        self.dim = len(get_vector(self._pristine))

    def require(self, input_shape: tuple[int, ...], classes: int, vocabulary: int = 2) -> None:
        """Raises ConfigError if the module does not map such examples to that many logits, each by itself.

        Neither may a parameter take no part where it has noise to carry, or belongs to an adapter.
        """
        check_examples_apart(self._module, input_shape, classes, self._task, vocabulary)
        if self._private is not None or any(".lora_" in name for name, _ in self._parameters):
            check_none_idle(self._pristine, input_shape, self._task, vocabulary)
        self._probed.add(input_shape)

    def train(
        self,
        vector: NDArray[np.float32],
        examples: Examples,
        sampling: Stream,
        noise: Stream,
        round: int = 1,
        anchor: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """The change of the weights after `settings.steps` local steps, as it travels.

        Shapes: (dim,) -> (dim,), or (turns.length,) where parameters take turns.

        Args:
            vector: where the steps begin.
            examples: this client's own.
            sampling: the stream that draws the batches.
            noise: the stream of the noise, if there is any.
            round: whose turn it is, where parameters take turns.
            anchor: what the proximal term pulls to; `vector` if None. Nothing takes turns then.

        Guarantee: under private settings the result is `steps` Poisson-sampled Gaussian releases
        about `examples` and post-processing of them.

        Raises:
            DataError: `vector` has another length or is not finite.
            PrivacyError: a trainable parameter did not move, or a frozen one did.
        """
        set_vector(self._module, vector)
        self._probe(examples.features.shape[1:])
        if self._turns is None:
            return self._trained(vector, examples, sampling, noise, anchor)
        places = self._turns.of(round)
        try:
            self._take_turn(places)
            update = self._trained(np.ascontiguousarray(vector[places]), examples, sampling, noise)
        finally:
            self._take_turn(None)
        return self._turns.padded(update)

    def _take_turn(self, places: NDArray[np.int64] | None) -> None:
        """Lets the parameters at these coordinates train and no other; None for all."""
        offset = 0
        for _, parameter in self._parameters:
            parameter.requires_grad_(places is None or bool(np.isin(offset, places)))
            offset += parameter.numel()

    def _trained(
        self,
        vector: NDArray[np.float32],
        examples: Examples,
        sampling: Stream,
        noise: Stream,
        anchor: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        frozen = [each for each in self._module.parameters() if not each.requires_grad]
        versions = [each._version for each in frozen]
        with torch.random.fork_rng(devices=self._cuda_devices()), warnings.catch_warnings():
            # Opacus' hooks sit on the first layer too, whose input needs no gradient; torch remarks on it.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            # For dropout only; noise and Poisson draws never come from torch.
            self._seed(int.from_bytes(sampling.take(7), "big"))
            update = self._walk(vector, examples, sampling, noise, anchor)
        # A turn's factor may rightly stand still: while B is zero A has no gradient.
        idle = self._turns is None and any(self._drawn) and not update.any()
        if frozen and self._private is None and idle:
            # It hangs on the examples: as a DataError zeros are sent instead where noise covers them.
            raise DataError("no trained parameter moved, although there were examples; the adapter is idle")
        if [each._version for each in frozen] != versions:
            raise PrivacyError("a frozen parameter was written during training; freeze it or train it")
        if self._private is not None:
            self._check_moved(update)
        return update

    def evaluate(self, vector: NDArray[np.float32], examples: Examples) -> Scores:
        """Scores of the flat model `vector`. Exact, so not private about `examples`."""
        set_vector(self._module, vector)
        scores = score(self._module, examples, self._task)
        self._module.train()
        return scores

    def logits(self, vector: NDArray[np.float32], examples: Examples) -> NDArray[np.float32]:
        """Of the flat model `vector`, evaluating. Exact, so not private. Shapes: (dim,) -> (n, classes)."""
        set_vector(self._module, vector)
        self._module.eval()
        pieces = []
        with torch.inference_mode():
            batch = at_a_time(self._task, examples)
            for start in range(0, max(len(examples), 1), batch):
                features, _ = tensors(examples, slice(start, start + batch), self._device)
                pieces.append(self._module(features).cpu().numpy())
        self._module.train()
        return np.concatenate(pieces)

    def module(self, vector: NDArray[np.float32]) -> nn.Module:
        """A copy of the module with the weights `vector`: on the CPU, evaluating, free of hooks."""
        module = _copied(self._pristine)
        set_vector(module, vector)
        return module.eval()

    def _walk(
        self,
        vector: NDArray[np.float32],
        examples: Examples,
        sampling: Stream,
        noise: Stream,
        anchor: NDArray[np.float32] | None,
    ) -> NDArray[np.float64]:
        settings = self._settings
        update = np.zeros(len(vector))
        velocity = np.zeros(len(vector))
        away = 0.0 if anchor is None else vector.astype(np.float64) - anchor
        weights = np.empty(len(vector), dtype=np.float32)
        self._drawn = []
        for _ in range(settings.steps):
            chosen = poisson_sample(sampling, len(examples.labels), settings.sample_rate)
            self._drawn.append(len(chosen) > 0)
            gradient = self._gradient_sum(*tensors(examples, chosen, self._device), noise)
            # In place, for the vectors are long; the order of operations is that of the formula.
            gradient /= settings.expected_batch
            if settings.proximal:
                gradient += settings.proximal * (update + away)
            velocity *= settings.momentum
            velocity += gradient
            np.multiply(velocity, settings.learning_rate, out=gradient)
            update -= gradient
            with np.errstate(over="ignore"):  # beyond float32 is infinite, which set_vector refuses
                np.add(vector, update, out=weights, casting="same_kind")
            set_vector(self._module, weights)
        return update

    def _gradient_sum(self, features: Tensor, labels: Tensor, noise: Stream) -> NDArray[np.float64]:
        if self._private is not None:
            return self._private(features, labels, noise)
        if len(labels) == 0:
            return np.zeros(sum(parameter.numel() for _, parameter in trainable(self._module)))
        flat = in_pieces(self._plain_sum, self._settings.micro_batch)(features, labels)
        return np.asarray(flat.to("cpu", torch.float64).numpy(), dtype=np.float64)

    def _plain_sum(self, features: Tensor, labels: Tensor) -> Tensor:
        loss = self._task.of(self._module, features, labels).sum()
        parameters = [parameter for _, parameter in trainable(self._module)]
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    def _probe(self, input_shape: tuple[int, ...]) -> None:
        if input_shape not in self._probed:
            check_examples_apart(self._module, input_shape, None, self._task)
            self._probed.add(input_shape)

    def _check_moved(self, update: NDArray[np.float64]) -> None:
        offset = 0
        for name, parameter in trainable(self._module):
            if not update[offset : offset + parameter.numel()].any():
                raise PrivacyError(f"parameter {name!r} did not move although its gradient carries noise")
            offset += parameter.numel()

    def _seed(self, seed: int) -> None:
        # Not torch.manual_seed: without a GPU it queues the seed and a stack trace for one, every time.
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _cuda_devices(self) -> list[torch.device]:
        return [self._device] if self._device.type == "cuda" else []


def _usable(device: str) -> torch.device:
    usable = torch.device(device)
    if usable.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"expected a GPU that torch {torch.__version__} can use, got {device!r} where there is none; use "
            "cpu, or install a CUDA build of torch and the driver that it needs",
            "device",
        )
    return usable


def _copied(module: nn.Module, device: torch.device | None = None) -> nn.Module:
    """A copy that shares what is frozen, as long as both stay on the CPU: moving would move it for both."""
    frozen = {} if _moves(module, device) else {id(p): p for p in module.parameters() if not p.requires_grad}
    return copy.deepcopy(module, frozen).to(device or "cpu")


def _moves(module: nn.Module, device: torch.device | None) -> bool:
    places = {each.device.type for each in module.parameters()}
    return places != {"cpu"} or (device is not None and device.type != "cpu")


def limit_threads(count: int) -> None:
    """Sets torch's threads in this process; one is right wherever processes share the cores."""
    torch.set_num_threads(count)
