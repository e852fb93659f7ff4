"""One gradient step on the soft prompt: Adam, warm-up and decay, clipping; no step on a loss that is no number."""

import math
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
WARM_UP = 10  # updates, or a tenth of a short run
LAST = 0.1  # of the learning rate, at the end of the cosine


class Update(NamedTuple):
    """What one step was: the loss in nats, and the gradient's norm before clipping."""

    loss: float
    grad_norm: float


class Learner:
    """Steps a policy's soft prompt.

    Args:
        policy: whose soft prompt learns.
        lr: the highest learning rate, in each parameter's own unit: for embeddings, their root mean square.
        updates: how many steps the schedule spans.

    Attributes:
        progress: how much of the run is done, 0 to 1, where that is told by the clock; None counts steps instead.
    """

    def __init__(self, policy: SoftPromptPolicy, lr: float, updates: int) -> None:
        self.policy = policy
        units = list(policy.soft_prompt.units(embedding_rms(policy.lm)))
        self.parameters = [parameter for parameter, _ in units]
        groups = [{"params": [parameter], "lr": lr * unit} for parameter, unit in units]
        self.optimizer = torch.optim.Adam(groups, betas=BETAS)
        self.progress: float | None = None
        warm_up = max(1, min(WARM_UP, updates // 10))

        def factor(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            done = (step - warm_up) / max(1, updates - warm_up) if self.progress is None else self.progress
            done = min(1.0, done)
            return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * done))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    def step(self, loss: Tensor) -> Update:
        """Descend the loss once; where several processes learn together, the mean of theirs.

        Raises:
            TrainingError: the loss or its gradient is no finite number; the soft prompt is left as it was.
        """
        update = self._step(loss)
        assert update is not None
        return update

    def follow(self) -> Update | None:
        """Take part in a step for which this process has no loss; None where no other process has one either."""
        return self._step(None)

    def _step(self, own_loss: Tensor | None) -> Update | None:
        self.optimizer.zero_grad(set_to_none=True)
        if own_loss is not None:
            own_loss.backward()
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
        self.optimizer.step()
        self.schedule.step()
        return Update(loss.item(), norm.item())

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of the optimiser."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "updates": self.schedule.last_epoch,
            "progress": self.progress,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, on this learner's own schedule."""
        rates = [group["initial_lr"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.last_epoch, self.progress = state["updates"], state["progress"]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["initial_lr"] = rate
            group["lr"] = rate * self.schedule.lr_lambdas[0](state["updates"])
