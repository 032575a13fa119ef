"""A peft adapter beside the model's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from securefl.agent.models import load, prompt_tokens
from securefl.calls import Message


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft's own
def test_an_adapter_changes_the_scores_and_is_read_from_its_folder(
    small_folder: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    plain = load(small_folder)
    tokens = torch.tensor([prompt_tokens(plain.tokenizer, (Message("user", "open file B1"),))])
    before = plain.model(tokens).logits.detach().clone()
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(plain.model, config).save_pretrained(tmp_path)
    adapted = load(small_folder, tmp_path)
    assert not torch.allclose(adapted.model(tokens).logits, before)
