"""Small runs on a tiny model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reasoning_arena.train.config import Config
from reasoning_arena.train.online import train


@pytest.fixture(scope="session")
def small() -> Callable[..., Config]:
    """A run of a few seconds, of the model in a folder."""

    def configured(folder: Path, **changes: Any) -> Config:
        settings: dict[str, Any] = {
            "model": str(folder),
            "episodes": 16,
            "batch_size": 4,
            "eval_interval": 8,
            "eval_episodes": 10,
            "preamble": "In a few words.",
            "soft_tokens": 4,
            "max_new_tokens": 6,
            "samples_per_question": 3,
            "dtype": "float32",
            "device": "cpu",
            "quiet": True,
        }
        return Config(**(settings | changes))

    return configured


@pytest.fixture(scope="session")
def run(lm_folder: Path, small: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(small(lm_folder, run_dir=folder))
    return folder
