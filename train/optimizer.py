"""One gradient step on what learns: Adam, warm-up and decay, clipping; no step on a loss that is no number."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.models import dtype_name
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.soft_prompt import embedding_rms
from reasoning_arena.train import distributed
from reasoning_arena.train.errors import TrainingError
from torch import Tensor

CLIP_NORM = 1.0
BETAS = 0.8, 0.98  # shorter memories than Adam's usual: a run is a few hundred steps
WARM_UP = 10  # rounds, or a tenth of a short run
LAST = 0.1  # of the learning rate, at the end of the cosine


class Update(NamedTuple):
    """What one step was: the loss in nats, and the gradient's norm before clipping.

    Supervised, the loss is a cross-entropy. That of rewards and of contrasts has the right gradient, not a meaning.
    """

    loss: float
    grad_norm: float


class Optimizer:
    """Steps a policy's soft prompt, once a round.

    Args:
        policy: whose soft prompt learns.
        lr: the highest learning rate, in each parameter's own unit: for embeddings, their root mean square.
        rounds: how many the schedule spans, those without anything to learn from included.

    Attributes:
        progress: how much of the run is done, 0 to 1, where that is told by the clock; None counts rounds instead.
    """

    def __init__(self, policy: SoftPromptPolicy, lr: float, rounds: int) -> None:
        self.policy = policy
        units = list(policy.soft_prompt.units(embedding_rms(policy.lm)))
        self.parameters = [parameter for parameter, _ in units]
        self.highest = [lr * unit for _, unit in units]  # learning rates
        self.adam = torch.optim.Adam([{"params": [one]} for one in self.parameters], betas=BETAS)
        self.rounds, self.done = rounds, 0
        self.progress: float | None = None

    def step(self, own_loss: Tensor | None, meanwhile: Callable[[], None] | None = None) -> Update | None:
        """Descend the loss once; where several processes learn together, the mean of theirs.

        Args:
            own_loss: of this process's questions, or None where there is nothing in them to learn from.
            meanwhile: done once the gradient is under way, which takes a GPU a time of its own.

        Returns:
            what the step was; None where no process has a loss, and there is none.

        Raises:
            TrainingError: the loss or its gradient is no finite number; the soft prompt is left as it was.
        """
        factor, self.done = self._factor(), self.done + 1
        self.adam.zero_grad(set_to_none=True)
        if own_loss is not None:
            own_loss.backward()
        if meanwhile is not None:
            meanwhile()
        loss = distributed.averaged(self.parameters, own_loss)
        if loss is None:
            return None
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            lm = self.policy.lm
            raise TrainingError(
                f"the loss of model {lm.name!r} in {dtype_name(lm.dtype)} is {loss.item()} and its "
                f"gradient's norm {norm.item()}; try --dtype float32 or a lower --lr. Nothing was saved over"
            )
        for group, rate in zip(self.adam.param_groups, self.highest, strict=True):
            group["lr"] = rate * factor
        self.adam.step()
        return Update(loss.item(), norm.item())

    def _factor(self) -> float:
        """The share of the highest learning rate that is now in force."""
        if self.progress is None:
            warm_up = max(1, min(WARM_UP, self.rounds // 10))
            risen = (self.done + 1) / warm_up
            share = (self.done - warm_up) / max(1, self.rounds - warm_up)
        else:
            risen = max((self.done + 1) / WARM_UP, 10 * self.progress)
            share = self.progress
        if risen < 1:
            return risen
        return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"adam": self.adam.state_dict(), "rounds": self.done, "progress": self.progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, on this optimizer's own schedule."""
        self.adam.load_state_dict(state["adam"])
        self.done, self.progress = state["rounds"], state["progress"]
