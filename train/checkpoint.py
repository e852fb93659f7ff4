"""A checkpoint: a PEFT adapter that anybody can load, and beside it what a resumed run needs.

A folder is written under another name and moved into place whole, so a checkpoint is either complete or not there.
"""

import json
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.soft_prompt import SoftPrompt
from reasoning_arena.train.errors import TrainingError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

ADAPTER, ADAPTER_CONFIG, STATE = "adapter_model.safetensors", "adapter_config.json", "training_state.pt"
TENSOR = "prompt_embeddings"


def save_checkpoint(folder: Path, soft_prompt: SoftPrompt, lm: LoadedModel, state: dict[str, Any]) -> None:
    """Write a checkpoint folder, or leave what is there untouched.

    Args:
        folder: ``…/episode-NNNNNN``.
        soft_prompt: what was learnt, ``[P, D]``.
        lm: the model that it belongs to.
        state: tensors, numbers and strings, in dicts and lists.

    Raises:
        TrainingError: the disk does not take it.
    """
    weight = soft_prompt.weight.detach().cpu().contiguous()
    text = lm.model.config.get_text_config()
    adapter = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": lm.path,
        "num_virtual_tokens": weight.shape[0],
        "token_dim": weight.shape[1],
        "num_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as scratch:
            whole = Path(scratch) / folder.name
            whole.mkdir()
            save_file({TENSOR: weight}, whole / ADAPTER, metadata={"format": "pt"})
            (whole / ADAPTER_CONFIG).write_text(json.dumps(adapter, indent=2))
            torch.save(state, whole / STATE)
            if folder.exists():
                shutil.rmtree(folder)
            whole.replace(folder)
    except (
        OSError,
        SafetensorError,
        RuntimeError,
    ) as error:  # torch and safetensors wrap a full disk in their own
        raise TrainingError(f"cannot write checkpoint {folder}: {error}") from error


def load_soft_prompt(folder: Path) -> SoftPrompt:
    """The soft prompt of a checkpoint.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    try:
        tensors = load_file(folder / ADAPTER)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"checkpoint {folder} cannot be read: {error}") from error
    if TENSOR not in tensors or tensors[TENSOR].dim() != 2 or not tensors[TENSOR].isfinite().all():
        raise TrainingError(f"checkpoint {folder} holds no soft prompt: expected finite {TENSOR!r} of two dimensions")
    return SoftPrompt(tensors[TENSOR])


def load_state(folder: Path) -> dict[str, Any]:
    """What a run stored beside its soft prompt.

    Raises:
        TrainingError: it is missing or damaged.
    """
    try:
        state = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise TrainingError(f"checkpoint {folder} cannot be resumed from: {error}") from error
    if not isinstance(state, dict):
        raise TrainingError(f"checkpoint {folder} cannot be resumed from: {STATE} is no dictionary")
    return state


def latest_checkpoint(run_folder: Path) -> Path:
    """The last checkpoint of a run.

    Raises:
        TrainingError: there is none.
    """
    found = sorted((run_folder / "checkpoints").glob("episode-*"))
    if not found:
        raise TrainingError(f"there is no checkpoint in {run_folder}; give --resume a run folder that holds one")
    return found[-1]
