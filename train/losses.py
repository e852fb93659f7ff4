"""The one loss: weighted completions.

Whatever is learnt from (the gold answer, the policy's own answers), a step is completions y_i of questions x_i with
weights w_i that carry no gradient, and ``loss = −Σ w_i log π(y_i | x_i) / N``.
"""

import torch
from reasoning_arena.agents.language_model import Scored
from torch import Tensor


def weighted_completions(scored: Scored, weights: Tensor, n: int) -> Tensor:
    """``−Σ w_i log π(y_i | x_i) / n``.

    Args:
        scored: the N completions' log-probabilities, ``[N, T]``.
        weights: ``[N]``, without gradient.
        n: what to divide by; completions that were left out because their weight is 0 count too.

    Returns:
        a scalar, in nats.
    """
    return -(weights.to(scored.logprobs) * scored.logprobs.sum(1)).sum() / n


def per_token(scored: Scored) -> Tensor:
    """The weights of cross-entropy: one over each completion's length, ``[N]``."""
    return 1 / scored.mask.sum(1)


def contrast(logprobs: Tensor, owners: Tensor) -> Tensor:
    """The weights that ascend ``log (π(gold) / Σ_c π(c))``: ``1 − p`` for a question's first answer, ``−p`` for others.

    p is an answer's share of the probability of all its question's answers given here. It is InfoNCE (1807.03748) with
    the model's own likelihood as score; a question with one answer only gets 0.

    Args:
        logprobs: of the answers, ``[N]``, a question's gold one before all its others.
        owners: which question each answers, ``[N]``.
    """
    weights = torch.zeros_like(logprobs)
    for k in owners.unique():
        mine = (owners == k).nonzero().squeeze(1)
        weights[mine] = -logprobs[mine].softmax(0)
        weights[mine[0]] += 1
    return weights
