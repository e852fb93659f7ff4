"""A checkpoint: a PEFT adapter that anybody can load, and beside it what a resumed run needs.

A folder is written under another name and moved into place whole, so a checkpoint is either complete or not there; one
that was there before is moved aside first.
"""

import json
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.soft_prompt import SoftPrompt
from reasoning_arena.agents.steering import PREAMBLE_TOKENS, PROMPT, Steering
from reasoning_arena.train.errors import TrainingError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

ADAPTER, ADAPTER_CONFIG, STATE = "adapter_model.safetensors", "adapter_config.json", "training_state.pt"


def save_checkpoint(folder: Path, steering: Steering, lm: LoadedModel, state: dict[str, Any]) -> None:
    """Write a checkpoint folder, or leave what is there untouched.

    Args:
        folder: ``…/episode-NNNNNN``.
        steering: what was learnt.
        lm: the model that it belongs to.
        state: tensors, numbers and strings, in dicts and lists.

    Raises:
        TrainingError: the disk does not take it.
    """
    state = state | {"steering": steering.state_dict()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as scratch:
            whole = Path(scratch) / folder.name
            whole.mkdir()
            for name, export in steering.exports(lm).items():
                (whole / name).mkdir(exist_ok=True)
                # Not save_file, whose file nobody else may read.
                data = save(export.tensors, metadata={"format": "pt", **export.metadata})
                (whole / name / ADAPTER).write_bytes(data)
                (whole / name / ADAPTER_CONFIG).write_text(json.dumps(export.config, indent=2))
            torch.save(state, whole / STATE)
            if folder.exists():
                folder.replace(Path(scratch) / "old")
            whole.replace(folder)
    except OSError as error:
        raise TrainingError(f"cannot write checkpoint {folder}: {error}") from error
    except RuntimeError as error:  # torch's own for a disk that takes no more
        raise TrainingError(f"cannot write checkpoint {folder}, perhaps since the disk is full: {error}") from error


def load_soft_prompt(folder: Path, lm: LoadedModel | None = None) -> SoftPrompt:
    """The soft prompt of a checkpoint, with its preamble.

    Args:
        folder: it, or a PEFT adapter of prompt tuning, all of which learns.
        lm: the model that it is to steer, if known.

    Raises:
        TrainingError: there is none, it is damaged, or it is as wide as another model.
    """
    within = sorted(path.parent.name for path in folder.glob(f"*/{ADAPTER}"))
    if within:  # of another learner than the soft prompt
        raise TrainingError(
            f"checkpoint {folder} has its adapters in folders of their own; name the soft prompt's: {', '.join(within)}"
        )
    try:
        with safe_open(folder / ADAPTER, "pt") as file:
            weight = file.get_tensor(PROMPT) if PROMPT in file.keys() else None  # noqa: SIM118
            preamble = int((file.metadata() or {}).get(PREAMBLE_TOKENS, 0))
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainingError(f"checkpoint {folder} cannot be read: {error}") from error
    if weight is None or weight.dim() != 2 or not weight.isfinite().all():
        raise TrainingError(f"checkpoint {folder} holds no soft prompt: expected finite {PROMPT!r} of two dimensions")
    if not 0 <= preamble < len(weight):
        raise TrainingError(f"checkpoint {folder} holds no soft prompt behind a preamble of {preamble} tokens")
    if lm is not None and weight.shape[1] != lm.width:
        raise TrainingError(
            f"checkpoint {folder} holds a soft prompt of width {weight.shape[1]}; {lm.name!r} takes {lm.width}"
        )
    return SoftPrompt(weight[preamble:], weight[:preamble])


def load_state(folder: Path) -> dict[str, Any]:
    """What a run stored beside its soft prompt.

    Raises:
        TrainingError: it is missing or damaged.
    """
    try:
        with ZipFile(folder / STATE) as archive:
            if archive.testzip() is not None:  # torch does not look at the check sums
                raise BadZipFile("a check sum is wrong")
        state = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"is damaged ({reason})" if (folder / STATE).exists() else "is missing"
        *earlier, last = _checkpoints(folder.parent) or [folder]
        hint = f"; move this folder away to go on from {earlier[-1].name}" if earlier and last == folder else ""
        raise TrainingError(f"checkpoint {folder} cannot be read: {STATE} {what}{hint}") from error
    if not isinstance(state, dict):
        raise TrainingError(f"checkpoint {folder} cannot be read: {STATE} is no dictionary")
    return state


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Take up what a checkpoint holds, which may be another run's.

    Raises:
        TrainingError: something that it holds is missing, or of another kind or shape than what takes it up.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        raise TrainingError(f"checkpoint {checkpoint} does not belong to this run, or is damaged ({reason})") from error


def latest_checkpoint(run_folder: Path) -> Path:
    """The last checkpoint of a run.

    Raises:
        TrainingError: there is none.
    """
    found = _checkpoints(run_folder / "checkpoints")
    if not found:
        raise TrainingError(f"there is no checkpoint in {run_folder}; give a run folder that holds one")
    return found[-1]


def _checkpoints(folder: Path) -> list[Path]:
    """Those in a folder, the last one last."""
    return sorted(folder.glob("episode-*"), key=lambda path: (len(path.name), path.name))
