from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small tokenizer and a tiny random Llama."""
    from securefl.agent.models import small_model

    return small_model(tmp_path_factory.mktemp("small"), seed=3, hidden=16, layers=1, context=640)
