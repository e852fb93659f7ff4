"""A name → a frozen language model and its tokenizer: the embedded model, a Hub id, a local folder, or a GGUF file."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from reasoning_arena.agents.embedded import EMBEDDED, embedded_model, gguf_model
from reasoning_arena.agents.errors import AgentError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

# oneDNN keeps what it compiled for the last 1,024 shapes of products, and every decoded token brings new shapes: a
# gigabyte in a run of minutes. It reads this before its first product. Recent shapes are all that is met again.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

DtypeName = Literal["auto", "float32", "bfloat16"]
PROBES = 10  # matrix products of each kind that are timed
SPREAD = "balanced"  # the device's name for all GPUs together, as accelerate calls it
DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class LoadedModel:
    """A frozen causal language model.

    Attributes:
        name: what the user called it.
        path: what transformers loaded it from: a folder or a Hub id.
        model: in eval mode; of its parameters only those ask for a gradient that were put in to learn.
        tokenizer: its tokenizer.
    """

    name: str
    path: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go."""
        return self.model.get_input_embeddings().weight.device  # type: ignore[return-value]

    @property
    def width(self) -> int:
        """The size of what its first layer takes, D."""
        probe = torch.zeros(1, dtype=torch.long, device=self.device)
        return int(self.model.get_input_embeddings()(probe).shape[-1])

    @property
    def vocabulary_size(self) -> int:
        """How many tokens have an embedding."""
        return int(self.model.get_input_embeddings().weight.shape[0])  # type: ignore[index]

    @property
    def context(self) -> int | None:
        """How many tokens it reads at the most, soft prompt and answer among them; None where it does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the model computes in."""
        return self.model.dtype


def load_model(name: str = DEFAULT_MODEL, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """Load a model and freeze it.

    Args:
        name: an embedded model's name, a local folder, a ``.gguf`` file, or a Hub id.
        device: "auto" (CUDA where there is one, else the CPU), any torch device, or "balanced", which spreads a model
            that is too big for one GPU over all of them.
        dtype: "auto" (bfloat16 where the device computes faster in it), "float32" or "bfloat16".

    Raises:
        AgentError: there is no such model or device, or the model cannot be read.
    """
    where, path = choose_device(device), _locate(name)
    kind = choose_dtype(dtype, where)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=kind, device_map=SPREAD if device == SPREAD else None)
    except Exception as error:  # transformers raises whatever its parts raise
        reason = str(error).strip().splitlines()
        raise AgentError(
            f"model {name!r} cannot be loaded: {reason[0] if reason else type(error).__name__}. Give an embedded model "
            f"({', '.join(EMBEDDED)}), a folder with a transformers model, a .gguf file, or a Hub id"
        ) from error
    if device != SPREAD:
        model.to(where)  # type: ignore[arg-type]
    elif where.type == "cuda" and {"cpu", "disk"} & set(map(str, getattr(model, "hf_device_map", {}).values())):
        raise AgentError(f"model {name!r} does not fit on all GPUs together; choose a smaller one")
    model.eval().requires_grad_(False)
    if where.type == "cpu":  # weights are read from the file where it is mapped, all of which stays while one is used
        for weight in (*model.parameters(), *model.buffers()):
            weight.data = weight.data.clone()
    return LoadedModel(name, path, model, tokenizer)


def _locate(name: str) -> str:
    if name in EMBEDDED:
        return str(embedded_model(name))
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise AgentError(f"model {name!r}: there is no such file")
        return str(gguf_model(path))
    if name and path.is_dir():
        return str(path)
    if path.is_absolute() or name.startswith((".", "~")) or not name:
        raise AgentError(f"model {name!r}: there is no such folder")
    return name


def absolute_name(name: str) -> str:
    """A name under which the same model is found from any working folder."""
    path = Path(name).expanduser()
    local = bool(name) and name not in EMBEDDED and (path.suffix == ".gguf" or path.is_dir())
    return str(path.absolute()) if local else name


def choose_device(device: str) -> torch.device:
    """The torch device of that name; "auto" and "balanced" are CUDA where there is one, else the CPU.

    Raises:
        AgentError: there is no such device.
    """
    if device in ("auto", SPREAD):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError) as error:
        raise AgentError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; "auto" is bfloat16 on a GPU that has it, and on a CPU where its products are faster.

    Raises:
        AgentError: an unknown name.
    """
    if dtype not in get_args(DtypeName):
        raise AgentError(f"dtype {dtype!r} is not allowed; give {', '.join(get_args(DtypeName))}")
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    kinds = torch.bfloat16, torch.float32
    best = dict.fromkeys(kinds, float("inf"))
    for probe in range(PROBES):  # in turn, so that what else the machine does slows neither more than the other
        for kind in kinds:
            best[kind] = min(best[kind], _product_seconds(kind, device))
        if probe and best[torch.bfloat16] > 4 * best[torch.float32]:  # emulated, where ten take seconds
            break
    return torch.bfloat16 if best[torch.bfloat16] < 0.8 * best[torch.float32] else torch.float32


def dtype_name(dtype: torch.dtype) -> DtypeName:
    """What that dtype is called here."""
    return "bfloat16" if dtype == torch.bfloat16 else "float32"


def _product_seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The time of a matrix product like those of a small model's training step."""
    a, b = torch.ones(256, 576, dtype=dtype, device=device), torch.ones(576, 1536, dtype=dtype, device=device)
    start = time.perf_counter()
    (a @ b).sum().item()
    return time.perf_counter() - start
