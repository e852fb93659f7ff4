"""The one loss: weighted completions.

Whatever is learnt from (the gold answer, the policy's own answers), a step is completions y_i of questions x_i with
weights w_i that carry no gradient, and ``loss = −Σ w_i log π(y_i | x_i) / N``.
"""

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
