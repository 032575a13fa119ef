"""What do parties who keep their posts to themselves lose against one pool, and what does privacy cost?

20 Newsgroups, dealt out by Dirichlet, classified by a frozen MiniLM with LoRA (fed_sb) in its last layer, so
every post passes the layers below once, and a head. Epsilon = 8 for one post, at delta = 1e-5. A linear model
on TF-IDF of whole posts stands beside. With --full all posts at 20 clients; else few, replayed (NOT PRIVATE).
"""

import copy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from transformers import AutoModel

from securefl import build_federated_averaging
from securefl import config as configuration
from securefl.crypto.randomness import SeededRandomness
from securefl.data import Dataset, load, partition
from securefl.training import model_tokens
from securefl.training.adapters import adapted
from securefl.training.lora import LoraSpec, place_of
from securefl.training.pooling import MeanPooled

FULL = "--full" in sys.argv[1:]
SMALL = ["clients=5", "secure_aggregation.group_size=5", "secure_aggregation.threshold=4"]
SMALL += ["training.sample_rate=0.5", "training.expected_batch=34", "model.max_tokens=24", "server.rounds=5"]
OPEN = ("privacy={unit: none}", "training.learning_rate=2.0")
PLAIN = "secure_aggregation={masking: false, group_size: 1, threshold: 1, clip_norm: 99.0, bits: 24}"
CONFIG = configuration.load(Path(__file__).parent / "configs/newsgroups.yaml", [] if FULL else SMALL)
GROUPS, PART = (range(20), 1) if FULL else ((2, 10, 14, 17), 7)  # windows, hockey, space, mideast
SOURCE = None if FULL else SeededRandomness(b"newsgroups")


class Upper(MeanPooled):
    # An encoder's last layer and a head, on hidden states with a column that says what is a token.
    def forward(self, features):
        there = features[..., -1:] > 0
        away = ~there[:, None, None, :, 0] * torch.finfo(features.dtype).min
        hidden = self.encoder.encoder.layer[-1](features[..., :-1], away)
        return self.score((hidden * there).sum(1) / there.sum(1).clamp(min=1))


@torch.inference_mode()
def below(encoder, tokens):
    ids = torch.tensor(tokens).long()
    there = (ids >= 0).long()
    pieces = zip(ids.clamp(min=0).split(64), there.split(64), strict=True)
    seen = [encoder(one, mask, output_hidden_states=True).hidden_states[-2] for one, mask in pieces]
    return torch.cat([torch.cat(seen), there.unsqueeze(-1)], dim=-1).numpy()


def accuracy(encoder, data, *overrides, trained=True):
    config, lora = configuration.parse(configuration.dump(CONFIG), overrides), CONFIG.model.lora
    few = replace(data, test=data.test.take(np.arange(0, len(data.test), 50)))  # what each round scores
    torch.manual_seed(CONFIG.seed)
    base = Upper(copy.deepcopy(encoder), data.classes).requires_grad_(False)
    spec = LoraSpec(lora.method, lora.rank, lora.alpha, lora.targets)
    module = adapted(base, spec, "sequence_classification", CONFIG.seed)
    with build_federated_averaging(config, dataset=few, model=module, randomness=SOURCE) as process:
        state = process.initialize()
        while trained and not process.finished(state):
            state, _ = process.next(state)
        return process.learner.evaluate(state.model, data.test).accuracy


def main() -> None:
    torch.set_num_threads(1)
    printed = lambda name, score: print(f"{name:<17}{score:.3f}", flush=True) or score  # noqa: E731
    encoder = AutoModel.from_pretrained(place_of(CONFIG.model.path)).eval()
    tokens, words, parts = model_tokens(place_of(CONFIG.model.path), None, CONFIG.model.max_tokens), [], []
    keep = lambda all: words.append(np.array(all, object)) or tokens.texts([one[:600] for one in all])  # noqa: E731
    posts = load("newsgroups", tokenize=SimpleNamespace(vocabulary=tokens.vocabulary, texts=keep))
    for part, whole in zip((posts.train, posts.test), words, strict=True):
        at = np.flatnonzero(np.isin(part.labels, GROUPS))[::PART]
        parts.append((below(encoder, part.features[at]), np.searchsorted(GROUPS, part.labels[at]), whole[at]))
    (*train, known), (*test, unknown) = parts
    linear = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC()).fit(known, train[1])
    printed("linear, pooled", linear.score(unknown, test[1]))
    data = Dataset.of_arrays("posts", tuple(train), tuple(test), len(GROUPS), posts.source_hash)
    zero = printed("zero", accuracy(encoder, data, *OPEN, trained=False))
    plain = printed("federated", accuracy(encoder, data, *OPEN))
    private = printed("and epsilon = 8", accuracy(encoder, data))
    found, parts = [], partition(data, "dirichlet", CONFIG.clients, CONFIG.seed, CONFIG.data.partition.alpha)
    for rows in (np.arange(len(data.train)), *parts):
        batch = f"training.expected_batch={CONFIG.training.sample_rate * len(rows)}"
        own = replace(data, train=data.train.take(rows))
        found.append(accuracy(encoder, own, *OPEN, PLAIN, "clients=1", batch))
    pooled, alone = printed("pooled", found[0]), printed("local only, mean", float(np.mean(found[1:])))
    assert plain > max(pooled - 0.1, alone + 0.1), "to keep posts apart must cost little, and pay"
    assert private > zero + 0.3, "with privacy the model must learn"


if __name__ == "__main__":
    main()
