"""One cell of the Fashion-MNIST table by ByzFL's own clients, attacks and rules; started by poisoning.py.

    python benchmarks/poisoning_peer.py BYZFL_FOLDER '{"attack": "foe x100", "defence": "mean", ...}'

Prints one JSON line: test accuracy after the last step, and the CPU time of the loop and one scoring. The
loop is that of ByzFL's own benchmark: gradients with momentum at the client, one vector for all liars.
Examples lie in memory as tensors, without image transforms, which is faster than ByzFL's own files. With a
CPU torch there is no torchvision; stand-ins for it and for seaborn make the import pass, and nothing uses
them.
"""

from __future__ import annotations

import json
import sys
import time
from types import ModuleType
from unittest.mock import MagicMock

HONEST, MALICIOUS, BATCH, STEPS, LEARNING_RATE, MOMENTUM = 10, 2, 25, 400, 0.1, 0.9
DEFENCES = {
    "mean": ("Average", {}, []),
    "trimmed_mean": ("TrMean", {"f": MALICIOUS}, []),
    "multi_krum": ("MultiKrum", {"f": MALICIOUS}, []),
    "trimmed_mean_clipping_mixing": (
        "TrMean",
        {"f": MALICIOUS},
        [{"name": "Clipping", "parameters": {"c": 2.0}}, {"name": "NNM", "parameters": {"f": MALICIOUS}}],
    ),
}
ATTACKS = {
    "none": ("NoAttack", {}),
    "foe x1": ("SignFlipping", {}),
    "foe x100": ("InnerProductManipulation", {"tau": 100.0}),
    "label_flip": ("SignFlipping", {}),
}
"""By our labels. Label flipping has no class: its vector is the mean of gradients on mirrored labels."""


def main() -> None:
    folder, cell = sys.argv[1], json.loads(sys.argv[2])
    for name in ("seaborn", "torchvision"):
        sys.modules[name] = ModuleType(name)
    for name in ("datasets", "transforms"):
        setattr(sys.modules["torchvision"], name, MagicMock())
    sys.path.append(folder)
    import torch

    torch.set_num_threads(1)
    print(json.dumps(play(cell)))


def play(cell: dict[str, str | int]) -> dict[str, float]:
    import byzfl
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset

    from securefl.data import load

    data = load("fashion_mnist")

    class InMemory(Dataset):
        def __init__(self, examples) -> None:
            self.features = torch.tensor(examples.features).unsqueeze(1)
            self.targets = torch.tensor(examples.labels)

        def __len__(self) -> int:
            return len(self.targets)

        def __getitem__(self, at: int):
            return self.features[at], self.targets[at]

    byzfl.utils.misc.set_random_seed(int(cell["seed"]))
    train, test = InMemory(data.train), InMemory(data.test)
    start = time.process_time()
    flipping = cell["attack"] == "label_flip"
    loaders = byzfl.DataDistributor(
        {
            "data_distribution_name": {"iid": "iid", "one_class": "extreme_niid"}[str(cell["heterogeneity"])],
            "nb_honest": HONEST,
            "data_loader": DataLoader(train),
            "batch_size": BATCH,
        }
    ).split_data()
    common = {
        "model_name": "fc_mnist",
        "device": "cpu",
        "optimizer_name": "SGD",
        "learning_rate": LEARNING_RATE,
        "weight_decay": 0.0,
        "milestones": [],
        "learning_rate_decay": 1.0,
    }
    clients = [
        byzfl.Client(
            common
            | {
                "loss_name": "NLLLoss",
                "LabelFlipping": flipping,
                "training_dataloader": loader,
                "momentum": MOMENTUM,
                "nb_labels": 10,
                "store_per_client_metrics": False,
            }
        )
        for loader in loaders
    ]
    rule, parameters, before = DEFENCES[str(cell["defence"])]
    server = byzfl.Server(
        common
        | {
            "test_loader": DataLoader(test, batch_size=2048),
            "aggregator_info": {"name": rule, "parameters": parameters},
            "pre_agg_list": before,
        }
    )
    name, strength = ATTACKS[str(cell["attack"])]
    attackers = 0 if name == "NoAttack" else MALICIOUS
    byzantine = byzfl.ByzantineClient({"name": name, "f": attackers, "parameters": strength})
    for client in clients:
        client.set_model_state(server.get_dict_parameters())
    for _ in range(STEPS):
        for client in clients:
            client.compute_gradients()
        honest = [client.get_flat_gradients_with_momentum() for client in clients]
        if flipping:
            flipped = [client.get_flat_flipped_gradients() for client in clients]
            lies = [torch.stack(flipped).mean(dim=0)] * attackers
        else:
            lies = byzantine.apply_attack(honest)
        server.update_model_with_gradients(honest + lies)
        for client in clients:
            client.set_model_state(server.get_dict_parameters())
    accuracy = float(server.compute_test_accuracy())
    assert np.isfinite(accuracy)
    return {"accuracy": accuracy, "cpu_seconds": time.process_time() - start}


if __name__ == "__main__":
    main()
