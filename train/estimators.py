r"""How rewards become the weights of sampled answers in ``loss = −Σ w log π(y|x) / N``.

Every estimator is a plain function from rewards ``[B, G]`` (B questions, G answers to each) to weights ``[B, G]``. An
answer succeeded where the environment paid more than nothing; s̄ is a group's success rate, r̄ its mean reward. What is
said of bias holds for samples at temperature 1; below it, likely answers weigh more than their probability.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def reinforce(rewards: Tensor) -> Tensor:
    """``r``: unbiased, high variance (Williams, 1992)."""
    return rewards


def rloo(rewards: Tensor) -> Tensor:
    """``r_i − mean of the others``: unbiased, with the others as baseline (Kool et al., 2019; 2402.14740)."""
    group = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * (group / (group - 1))


def grpo(rewards: Tensor) -> Tensor:
    """``(r_i − r̄) / std``: favours questions that are nearly always right or wrong (DeepSeekMath, 2402.03300)."""
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True, correction=0) + 1e-6)


def maxrl(rewards: Tensor) -> Tensor:
    """``(s_i − s̄) / s̄``, 0 where none succeeded: ascends the logarithm of the success rate (2602.02710)."""
    success = (rewards > 0).float()
    rate = success.mean(1, keepdim=True)
    return torch.where(rate > 0, (success - rate) / rate.clamp(min=1e-6), torch.zeros_like(success))


def raft(rewards: Tensor) -> Tensor:
    """``s_i``: imitate the successes (RAFT, 2304.06767; 2504.11343)."""
    return (rewards > 0).float()


def exact(rewards: Tensor, logprobs: Tensor) -> Tensor:
    """``π_a s_a / Σ π s`` over a closed set of answers, all of them paid: ascends ``log Σ π(a|x) s(a)`` itself.

    There is nothing to sample, so nothing varies; where no candidate succeeded the weights are 0.

    Args:
        rewards: of one question's candidates, ``[K]``.
        logprobs: of the candidates' completions, ``[K]``.
    """
    success = rewards > 0
    if not success.any():
        return torch.zeros_like(rewards)
    return torch.where(success, logprobs, -torch.inf).softmax(0)


def merged(weights: Tensor, answers: Sequence[tuple[int, ...]]) -> Tensor:
    """The weights ``[G]`` of a group's answers, all that equal ones carry given to the first: to score once will do."""
    together, first = weights.clone(), dict[tuple[int, ...], int]()
    for i, answer in enumerate(answers):
        known = first.setdefault(answer, i)
        if known < i:
            together[known] += together[i]
            together[i] = 0
    return together


class Estimator(NamedTuple):
    """How one estimator works.

    Attributes:
        weights: a function from rewards to weights.
        least_samples: the smallest group that it makes sense of.
        enumerates: whether questions with a closed set of answers are answered with each of them (``exact``).
    """

    weights: Callable[[Tensor], Tensor]
    least_samples: int
    enumerates: bool = False


ESTIMATORS = {
    "reinforce": Estimator(reinforce, 1),
    "rloo": Estimator(rloo, 2),
    "grpo": Estimator(grpo, 2),
    "maxrl": Estimator(maxrl, 2),
    "raft": Estimator(raft, 1),
    "exact": Estimator(maxrl, 2, enumerates=True),
}
