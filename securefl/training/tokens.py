"""A model's own tokenizer: texts and conversations to token ids, and which of them are to be learned.

Rules kept here:
- The chat template of the model is respected; where it has none, the messages' contents stand one a line.
- A special token's name inside a message is broken apart before the template sees it, so no text can end its
  own message or begin one of another role.
- A template only appends: what stands before an answer is what the model reads when it is to answer.
- Of a conversation only the answer is learned, with the mark that ends it. Plain text to continue gets no
  template and no mark.
- What is too long is cut: a text at its end, a conversation at its beginning, an answer at its end; or it is
  refused, where a conversation shall be whole.
- Code that comes with a tokenizer is never run.

What this file does NOT do: read files of examples (`securefl.data`); judge templates: one that leaves out a
role leaves out its messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from securefl.data.answers import Answered, Messages
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

    def answers(
        self, answered: Sequence[Answered], whole: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Prompts with their answers, and the tokens to learn. Shapes: (n, positions) both.

        Raises:
            DataError: a conversation that is longer than a row, where it shall be `whole`.
        """
        ids, labels = [], []
        for at, one in enumerate(answered):
            prompt, answer = answered_tokens(self.tokenizer, one)
            size = len(prompt) + len(answer)
            if whole and size > self.positions:
                raise DataError(
                    f"conversation {at}: expected at most {self.positions} tokens, got {size}; raise "
                    "model.max_tokens"
                )
            answer = answer[: self.positions - 1]
            prompt = prompt[max(0, len(prompt) + len(answer) - self.positions) :]
            ids.append([*prompt, *answer])
            labels.append([*[NONE] * len(prompt), *answer])
        return _padded(ids, self.positions).astype(np.float32), _padded(labels, self.positions)


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: Messages) -> list[int]:
    """The tokens after which the answer begins.

    Raises:
        DataError: a chat template that refuses these messages.
    """
    return _ids(tokenizer, _written(tokenizer, prompt, answered=False))


def answered_tokens(tokenizer: PreTrainedTokenizerBase, one: Answered) -> tuple[list[int], list[int]]:
    """The tokens of the prompt, and those of the answer up to the mark that ends it.

    Raises:
        DataError: a chat template that refuses these messages, or rewrites a prompt once it is answered.
    """
    if one.plain:
        names = _names(tokenizer)
        prompt = "".join(_broken_apart(content, names) for _, content in one.prompt)
        return _ids(tokenizer, prompt), _ids(tokenizer, _broken_apart(one.answer, names))
    prompt = _written(tokenizer, one.prompt, answered=False)
    whole = _written(tokenizer, (*one.prompt, ("assistant", one.answer)), answered=True)
    if not whole.startswith(prompt):
        raise DataError(
            "expected a chat template that writes an answer after its prompt, got one that writes the prompt "
            f"otherwise once it is answered ({prompt[-40:]!r}); use another model"
        )
    answer, end = _ids(tokenizer, whole[len(prompt) :]), tokenizer.eos_token_id
    if end in answer:  # templates may write a line's end after it
        answer = answer[: answer.index(end) + 1]
    return _ids(tokenizer, prompt), answer


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


def _written(tokenizer: PreTrainedTokenizerBase, messages: Messages, answered: bool) -> str:
    """A conversation as the model is to read it, up to the answer or with it."""
    names = _names(tokenizer)
    said = [(_broken_apart(role, names), _broken_apart(content, names)) for role, content in messages]
    if tokenizer.chat_template is None:
        lines = [content for _, content in said]
        begin, end = tokenizer.bos_token or "", tokenizer.eos_token or ""
        return begin + "\n".join([*lines, *([] if answered else [""])]) + (end if answered else "")
    try:
        written = tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in said],
            tokenize=False,
            add_generation_prompt=not answered,
        )
    except Exception as cause:  # templates are programs of their authors and raise what they like
        raise DataError(f"expected a chat template that takes these messages, got {cause}") from cause
    return str(written)


def _names(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    return [name for name in tokenizer.get_added_vocab() if len(name.strip()) > 1]


def _broken_apart(text: str, names: Sequence[str]) -> str:
    for name in names:
        head = len(name) - len(name.lstrip()) + 1
        while name in text:
            text = text.replace(name, f"{name[:head]} {name[head:]}")
    return text


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _padded(rows: Sequence[Sequence[int]], positions: int) -> NDArray[np.int64]:
    """One length for all, public: what the config says, whatever the texts."""
    table = np.full((len(rows), positions), NONE, dtype=np.int64)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table
