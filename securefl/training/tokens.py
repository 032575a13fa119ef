"""A model's own tokenizer: texts and conversations to token ids, and which of them are to be learned.

Rules kept here:
- The chat template of the model is respected; where it has none, the messages' contents stand one a line.
- Of a conversation only the answer is learned, with the mark that ends it. Plain text to continue gets no
  template and no mark.
- What is too long is cut: a text at its end, a conversation at its beginning, an answer at its end.
- Code that comes with a tokenizer is never run.

What this file does NOT do: read files of examples (`securefl.data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from securefl.data.answers import Answered
from securefl.data.examples import NONE
from securefl.errors import ConfigError, DataError
from securefl.training.tiny_llama import NAME, tiny_tokenizer


@dataclass(frozen=True)
class ModelTokens:
    """Tokenises for one model.

    Attributes:
        tokenizer: the model's own.
        positions: most tokens of an example; every example is padded to the longest one's.
    """

    tokenizer: PreTrainedTokenizerBase
    positions: int

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return len(self.tokenizer)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Each text's first tokens, padded to `positions`. Shapes: (n, positions)."""
        rows = self.tokenizer(list(texts), truncation=True, max_length=self.positions)["input_ids"]
        return _padded([row or [0] for row in rows], self.positions).astype(np.float32)

    def answers(self, answered: Sequence[Answered]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Prompts with their answers, and the tokens to learn. Shapes: (n, positions) both."""
        ids, labels = [], []
        for one in answered:
            prompt, answer = self._pair(one)
            answer = answer[: self.positions - 1]
            prompt = prompt[max(0, len(prompt) + len(answer) - self.positions) :]
            ids.append([*prompt, *answer])
            labels.append([*[NONE] * len(prompt), *answer])
        return _padded(ids, self.positions).astype(np.float32), _padded(labels, self.positions)

    def _pair(self, one: Answered) -> tuple[list[int], list[int]]:
        prompt, whole = self._written(one)
        return self._ids(prompt), self._ids(whole[len(prompt) :])

    def _written(self, one: Answered) -> tuple[str, str]:
        """The prompt, and prompt with answer, as the model is to read them."""
        if one.plain:
            prompt = "".join(content for _, content in one.prompt)
            return prompt, prompt + one.answer
        messages = [{"role": role, "content": content} for role, content in one.prompt]
        if self.tokenizer.chat_template is None:
            prompt = "".join(f"{content}\n" for _, content in one.prompt)
            begin, end = self.tokenizer.bos_token or "", self.tokenizer.eos_token or ""
            return f"{begin}{prompt}", f"{begin}{prompt}{one.answer}{end}"
        given = [*messages, {"role": "assistant", "content": one.answer}]
        apply = self.tokenizer.apply_chat_template
        try:
            prompt = str(apply(messages, tokenize=False, add_generation_prompt=True))
            whole = str(apply(given, tokenize=False))
        except Exception as cause:  # templates are programs of their authors and raise what they like
            raise DataError(f"expected a chat template that takes these messages, got {cause}") from cause
        if not whole.startswith(prompt):
            raise DataError(
                "expected a chat template that writes an answer after its prompt, got one that writes the "
                "prompt "
                f"otherwise once it is answered ({prompt[-40:]!r}); use another model"
            )
        return prompt, whole

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def model_tokens(path: str, gguf_file: str | None, positions: int) -> ModelTokens:
    """The tokenizer of a model.

    Raises:
        ConfigError: the model has none that reads.
    """
    if path == NAME:
        return ModelTokens(tiny_tokenizer(), positions)
    gguf = {} if gguf_file is None else {"gguf_file": gguf_file}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, trust_remote_code=False, local_files_only=Path(path).is_dir(), **gguf
        )
    except Exception as cause:  # transformers raises many types for foreign files
        raise ConfigError(
            f"expected a model with its tokenizer, got {path!r} ({str(cause)[:200]})", "model.path"
        ) from cause
    return ModelTokens(tokenizer, positions)


def _padded(rows: Sequence[Sequence[int]], positions: int) -> NDArray[np.int64]:
    """One length for all, public: what the config says, whatever the texts."""
    table = np.full((len(rows), positions), NONE, dtype=np.int64)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table
