"""A finished run's language model for others: an adapter or a merged model, with a card of its limits.

Rules kept here:
- The card repeats what the run's own files say of data, unit, epsilon, delta and limits; nothing is added to
  it.
- A folder that holds anything is never written to.

What this file does NOT do: publish. Whoever gets the folder learns what epsilon allows about the training
data.
"""

from __future__ import annotations

from pathlib import Path

from securefl import config as configuration
from securefl import manifest as manifests
from securefl import run_directory as folder
from securefl.config import Config
from securefl.errors import ConfigError, RunDirectoryError
from securefl.federation.personal import FOLDER
from securefl.run import load
from securefl.summary import read_summary
from securefl.training.lora import METHODS, place_of

CARD = "README.md"


def export(out: Path, target: Path, merge: bool = False) -> Path:
    """Writes the model of the finished run in `out` to a new folder.

    Args:
        out: the folder of the run.
        target: a folder that does not exist yet or is empty.
        merge: the whole model with its adapters added to the weights, in place of the adapters alone.

    Raises:
        RunDirectoryError: no finished run, or an occupied folder.
        ConfigError: the run has no language model, or no adapters to write.
    """
    folder.refuse_occupied(target)
    config = configuration.load(out / folder.CONFIG)
    if config.model.lora is not None and config.model.lora.method == "fedsa":
        raise ConfigError(
            "expected a run whose adapters are shared, got fedsa: A alone adds nothing to the base, and each "
            f"B stays in its client's file under {out / FOLDER}; train with ffa for one adapter for all",
            "model.lora.method",
        )
    module = load(out)
    text = model_card(out, config, merge)
    from securefl.training import write_adapter, write_merged

    path = place_of(str(config.model.path))
    if merge:
        write_merged(module, target, path, config.model.gguf_file)
    else:
        write_adapter(module, target, path)
    folder.write_atomically(target / CARD, text)
    return target


def model_card(out: Path, config: Config, merge: bool) -> str:
    """The card of a run's model, from the files that the run wrote.

    Raises:
        RunDirectoryError: the run has not finished.
    """
    summary = read_summary(out)
    if summary is None:
        raise RunDirectoryError(f"{out}: expected a finished run, got none; `securefl resume` finishes it")
    manifest, guarantee = folder.read_json(out / folder.MANIFEST), folder.read_json(out / folder.CARD_JSON)
    data, sections, base = manifest["data"], guarantee["sections"], manifests.read(out).base
    if not isinstance(data, dict) or not isinstance(sections, dict):
        raise RunDirectoryError(f"{out}: expected the files of a run, got damaged ones; restore them")
    lora = config.model.lora
    method = "the whole model was trained" if lora is None else f"`{lora.method}`: {METHODS[lora.method]}"
    library = "transformers" if merge else "peft"
    lines = [
        f"---\nbase_model: {config.model.path}\nlibrary_name: {library}\ntags: [securefl, federated]\n---",
        f"\n# {config.name}\n",
        f"{'A merged model' if merge else 'A LoRA adapter'} trained by securefl over {config.clients} "
        f"clients, "
        f"{config.server.rounds} rounds. Clients were simulated on one machine.",
        "\n## Data\n",
        f"- {data['name']}: {data['description']} {data['train']} training and {data['test']} test examples.",
        f"- Task: `{data['task']}`. Test accuracy {summary['test_accuracy']:.4f}, against "
        f"{summary['majority_accuracy']:.4f} for the most frequent label.",
        "\n## Privacy\n",
        f"- Unit: {summary['privacy_unit']}. {summary['privacy_statement']}.",
        "- The base model is not covered: what it learned before is in it.",
        "\n## Method\n",
        f"- Base: `{config.model.path}`, "
        + ("not recorded by the version that ran." if base is None else f"sha256 {base.sha256}."),
        f"- Aggregation {method}.",
        f"- Masked sums: {'on' if config.secure_aggregation.masking else 'off'}; rule: {config.robust.rule}.",
        "\n## Not promised\n",
        *(f"- {sentence}" for sentence in sections["Not promised"]),
    ]
    return "\n".join(lines) + "\n"
