"""Several processes that learn one soft prompt together, each from its own share of every batch's questions.

torchrun --nproc-per-node 2 -m train.online --loss supervised

A batch of ``--batch-size`` questions is divided evenly over the processes, gradients are averaged, and every process
takes the same step: the soft prompt is the one that a single process would learn, but for what each process draws or
remembers by itself (samples, success by task). The first process writes and prints.
With one process, started without torchrun, nothing here does anything.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from reasoning_arena.train.errors import TrainingError
from torch import Tensor
from torch import distributed as dist

T = TypeVar("T")
P = ParamSpec("P")


@contextmanager
def joined() -> Iterator[None]:
    """Meet the processes that torchrun started, and leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(_local_rank() % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()  # those who wait for this one learn by it that they wait in vain


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


def process_name() -> str:
    """How a process that torchrun started beside the first one begins what it says; nothing for any other."""
    started = os.environ.get("RANK", "0")
    return "" if started == "0" else f"process {started}: "


def own_device(device: str) -> str:
    """The device of that name for this process: each takes a GPU of its own where that leaves the choice."""
    chooses = device in ("auto", "cuda") and torch.cuda.is_available()
    return f"cuda:{_local_rank() % torch.cuda.device_count()}" if chooses and size() > 1 else device


def share(n: int) -> slice:
    """Which of n things are this process's: neighbours, as many as any other process has, or one more."""
    return slice(rank() * n // size(), (rank() + 1) * n // size())


def _meeting(function: Callable[P, T]) -> Callable[P, T]:
    """All processes have to call it, and one that waits in vain for another ends with an error that says so."""

    @wraps(function)
    def met(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # what gloo and NCCL raise when a connection breaks
            raise TrainingError("another process of this run has ended; what it said is why") from error

    return met


@_meeting
def gathered(own: T) -> list[T]:
    """What all processes hold, in their order."""
    if size() == 1:
        return [own]
    every: list[Any] = [None] * size()
    dist.all_gather_object(every, own)
    return every


def from_first(own: T) -> T:
    """What the first process holds."""
    return gathered(own)[0]


def anywhere(own: bool) -> bool:
    """Whether it is so in any process."""
    return any(gathered(own))


@_meeting
def averaged(parameters: Sequence[Tensor], loss: Tensor | None) -> Tensor | None:
    """Replace the parameters' gradients by their mean over the processes.

    Args:
        parameters: which this process's loss was differentiated by.
        loss: of this process's share of the batch, or None where there is nothing in it to learn from.

    Returns:
        the whole batch's loss, or None where no process has one.
    """
    if size() == 1:
        return loss
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    count = gradients[0].new_tensor([0.0 if loss is None else 1.0])
    own = count.new_zeros(1) if loss is None else loss.detach().to(count).view(1)
    together = torch.cat([*(one.flatten() for one in gradients), own, count])  # one message instead of many
    dist.all_reduce(together)
    *means, mean_loss, losses = together.split([one.numel() for one in gradients] + [1, 1])
    if not losses:
        return None
    for parameter, mean in zip(parameters, means, strict=True):
        parameter.grad = (mean / size()).view_as(parameter)
    whole: Tensor = mean_loss[0] / size()
    return whole


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))
