"""First weights of a small Llama from which copying is learned in seconds.

Copying what stands earlier in the text takes two heads in a row: one looks at the token before, the other
looks for the place whose token before is the present one, and says what stands there. Training finds them
late; here both are there from the start, roughly, and training sharpens them.

Rules kept here: every number is drawn from the public seed; no text is looked at.

What this file does NOT do: train.

Reference: Olsson et al. 2022, "In-context Learning and Induction Heads", section "Key concepts"; Su et al.
2021, "RoFormer", section 3.2 (turning queries and keys by their places).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

_SPREAD = 0.5
"""Standard deviation of the embeddings: so large that one step does not turn a token into another."""
_QUIET = 0.2
"""How loud a layer speaks at first, beside the embeddings."""
_BIAS = 8.0
"""One coordinate of every embedding, in units of the others': what a head that looks at places only reads."""
_TURNING = 4
"""Coordinates that turn fast enough to tell neighbours apart; the others add what all places share."""
_SHARP_PLACE, _SHARP_TOKEN = 6.0, 10.0


def copying_llama(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """A Llama of at least two layers; equal weights for equal arguments, torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _scale(model)
        model.model.embed_tokens.weight[:, 0] = _BIAS * _SPREAD
        told = _look_at_the_token_before(model)
        _look_where_it_stood(model, *told)
    return model


def _scale(model: LlamaForCausalLM) -> None:
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.normal_(0.0, weight.shape[1] ** -0.5)
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.mul_(_QUIET)
    model.model.embed_tokens.weight.normal_(0.0, _SPREAD)
    # Embeddings are the output layer too: the last norm makes the first logits about one in size.
    model.model.norm.weight.fill_(1 / (_SPREAD * model.config.hidden_size**0.5))


def _look_at_the_token_before(model: LlamaForCausalLM) -> tuple[Tensor, Tensor]:
    """The first head of the first layer; what it reads of a token, and where in the stream it writes it."""
    head, width = model.config.head_dim, model.config.hidden_size
    theta = model.config.rope_parameters["rope_theta"]
    angles = theta ** (-torch.arange(head // 2) * 2.0 / head)
    attention = model.model.layers[0].self_attn
    # Turned by one place, the key meets the query: their product is largest at a distance of one.
    constant = _BIAS / (1 + _BIAS**2 / width) ** 0.5
    size = (_SHARP_PLACE * head**0.5 / 0.6) ** 0.5 / constant
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[:head] = 0.0
    for at, angle in enumerate(angles[:_TURNING]):
        attention.q_proj.weight[at, 0] = size
        attention.k_proj.weight[at, 0] = size * torch.cos(angle)
        attention.k_proj.weight[head // 2 + at, 0] = size * torch.sin(angle)
    read, written = _directions(width, head), _directions(width, head)
    attention.v_proj.weight[:head] = read.T
    attention.o_proj.weight[:, :head] = _SPREAD * written
    return read, written


def _look_where_it_stood(model: LlamaForCausalLM, read: Tensor, written: Tensor) -> None:
    """The first head of the second layer: present tokens against those before, and the found one is said."""
    head, width = model.config.head_dim, model.config.hidden_size
    attention = model.model.layers[1].self_attn
    size = (2 * _SHARP_TOKEN / head**0.5) ** 0.5
    attention.q_proj.weight[:head] = size * read.T
    attention.k_proj.weight[:head] = size * written.T
    said = _directions(width, head)
    attention.v_proj.weight[:head] = said.T
    attention.o_proj.weight[:, :head] = _SPREAD * said


def _directions(width: int, count: int) -> Tensor:
    """Orthonormal columns, none of which sees the coordinate that is the same in every embedding."""
    columns: Tensor = nn.init.orthogonal_(torch.empty(width - 1, count))
    return torch.cat([torch.zeros(1, count), columns])
