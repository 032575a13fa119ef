"""Which base a model is built on: one hash over everything that makes it, so that another one shows.

Rules kept here:
- The hash covers names and contents of the files that a model is read from: config, tokenizer, chat template,
  weights. Of the built-in random model it covers its shape and tokenizer; its weights follow from those.
- Nothing is downloaded: of a hub id the files are looked for where a load would find them on this machine.

What this file does NOT do: say who made a model, or that it is harmless.
"""

from __future__ import annotations

import hashlib
import json
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from securefl.training.tiny_llama import NAME, tiny_config, tiny_tokenizer

_TAG = b"securefl base model 1\0"
_READ = (
    *("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json"),
    *("tokenizer*", "*.model", "vocab*", "*vocab.json", "merges.txt", "added_tokens.json"),
    *("special_tokens_map.json", "*.spm", "tekken.json", "dict.txt", "bpe.codes", "chat_template*"),
)
_MORE_TEMPLATES = "additional_chat_templates/*.jinja"
"""What transformers reads of a folder; its other files, a README among them, change no model."""
_READ_BESIDE_GGUF = tuple(pattern for pattern in _READ if "safetensors" not in pattern)


def fingerprint_of(path: str, gguf_file: str | None) -> str | None:
    """SHA-256 in hex of a base model; None where this machine has no weights of it in its own folder.

    Args:
        path: a folder, a hub id, or `tiny-llama`.
        gguf_file: name of the file with the weights; None for safetensors.
    """
    if path == NAME:
        return _built_in()
    folder = _folder(path, gguf_file)
    if folder is None:
        return None
    patterns = _READ if gguf_file is None else (*_READ_BESIDE_GGUF, gguf_file)
    files = [each for each in sorted(folder.iterdir()) if each.is_file() and _matches(each.name, patterns)]
    if not any(each.suffix == ".safetensors" or each.name == gguf_file for each in files):
        return None
    files += sorted(folder.glob(_MORE_TEMPLATES))
    return _of_files(folder, tuple((each, each.stat().st_size, each.stat().st_mtime_ns) for each in files))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _folder(path: str, gguf_file: str | None) -> Path | None:
    """The folder itself, or the snapshot of a hub id that was fetched before."""
    if Path(path).is_dir():
        return Path(path)
    from transformers.utils import cached_file

    try:
        found = cached_file(path, gguf_file or "config.json", local_files_only=True)
    except (OSError, ValueError):  # no such id, or nothing of it here
        return None
    return None if found is None else Path(found).parent


@lru_cache(maxsize=8)
def _of_files(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Sizes and times stand in the key, so that an unchanged folder is read once per process."""
    total = hashlib.sha256(_TAG)
    for path, _, _ in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        name = path.relative_to(folder).as_posix().encode()
        total.update(len(name).to_bytes(8, "big") + name + content)
    return total.hexdigest()


def _built_in() -> str:
    shape = tiny_config().to_dict()
    shape.pop("transformers_version", None)
    tokenizer = tiny_tokenizer()
    parts = [NAME, shape, tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template]
    return hashlib.sha256(_TAG + json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
