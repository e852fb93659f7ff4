"""Decoding: one token after another, until every row has stopped.

Notation: n rows, U prompts, P virtual tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import Memory, SharedHeadCache
from reasoning_arena.agents.layout import Ids, beside, left_padded
from reasoning_arena.agents.steps import Steps
from torch import Tensor


class Said(NamedTuple):
    """A completion.

    Attributes:
        tokens: it, the stop token last where there was room for one.
        logprob: the natural logarithm of its probability under the distribution that it was drawn from; what is chosen
            greedily is certain. The mean of ``-logprob`` over samples estimates their entropy.
    """

    tokens: tuple[int, ...]
    logprob: float


def decode(
    steps: Steps,
    last: Tensor,
    budgets: Tensor,
    stops: Tensor,
    temperature: Tensor,
    generator: torch.Generator | None,
    leave: int = 0,
) -> tuple[list[Said], list[int], Memory]:
    """Go on from every row's last token until it stops or its budget is spent.

    Args:
        steps: of rows that remember what stands before their last tokens, with room for as many more as any budget.
        last: ``[n]``.
        budgets: how many tokens each row may grow by, ``[n]``.
        stops: tokens that end a row.
        temperature: every row's temperature, 0 for greedily, ``[n]``.
        generator: on the model's device.
        leave: how many rows may be left growing at the end, to go on with others beside: a pass for a few rows takes
            as long as one for many.

    Returns:
        what each row said; which rows were left growing, and what these remember but for their last tokens.
    """
    rows = torch.arange(len(last), device=last.device)  # the completions that are computed
    longest = max(int(budgets.max()), 0)
    tokens = torch.full((len(last), longest), -1, device=last.device)
    growing = torch.ones_like(rows, dtype=torch.bool)  # those of them that still grow
    logprobs = torch.zeros(len(last), device=last.device)
    samples = bool((temperature > 0).any())
    for t in range(longest + 1):
        growing &= ~torch.isin(last, stops) & (budgets > t)
        left = int(growing.sum())
        if left <= leave or steps.worth_dropping(left, len(rows)):
            keep = growing.nonzero().squeeze(1)
            rows = rows[keep]
            if left <= leave:
                memory = steps.memory(keep)
                break
            steps.keep(keep)
            last, temperature, budgets, growing = (one[keep] for one in (last, temperature, budgets, growing))
        last, drawn = choose(steps(last), temperature * growing if samples else None, generator)
        tokens[rows, t] = last.where(growing, -1)
        logprobs[rows] += drawn * growing
    said = zip(tokens.tolist(), logprobs.tolist(), strict=True)
    grown = [Said(tuple(token for token in row if token >= 0), logprob) for row, logprob in said]
    return grown, rows.tolist(), memory


def decode_plainly(
    backbone: Backbone,
    soft: Tensor,
    prompts: Sequence[Ids],
    budget: int,
    stops: Tensor,
    temperature: Tensor,
    generator: torch.Generator | None,
) -> list[Said]:
    """Complete prompts by reading everything again for each token: slow, and right for any model.

    Args:
        backbone: the model.
        soft: ``[P, D]``, or ``[n, P, D]`` one a row.
        prompts: one a row.
        budget: the longest completion.
        stops: tokens that end a row.
        temperature: every row's temperature, 0 for greedily, ``[n]``.
        generator: on the model's device.
    """
    rows = [list(prompt) for prompt in prompts]
    ends, growing = [len(row) for row in rows], list(range(len(rows)))
    logprobs = [0.0] * len(rows)
    for _ in range(budget):
        own = soft if soft.dim() == 2 else soft[growing]
        ids, filled = left_padded([rows[i] for i in growing], soft.device)
        mask, embeds = beside(own, backbone.embed(ids), filled, filled)
        features = backbone.forward(embeds, mask, SharedHeadCache(backbone.layers), 1)
        chosen, drawn = choose(backbone.logits(features[:, -1]), temperature[growing], generator)
        for i, token, logprob in zip(growing, chosen.tolist(), drawn.tolist(), strict=True):
            rows[i].append(token)
            logprobs[i] += logprob
        going_on = (~torch.isin(chosen, stops)).tolist()
        growing = [i for i, going in zip(growing, going_on, strict=True) if going]
        if not growing:
            break
    return [Said(tuple(row[end:]), logprob) for row, end, logprob in zip(rows, ends, logprobs, strict=True)]


def choose(logits: Tensor, temperature: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The next token of every row, and the logarithm of the probability with which it was drawn, ``[n]`` each.

    The most likely token where ``temperature`` is 0, or None, else a sample at that temperature.
    """
    chosen, drawn = logits.argmax(-1), torch.zeros(len(logits), device=logits.device)
    if temperature is None:
        return chosen, drawn
    warm = temperature.nonzero().squeeze(1)
    if len(warm):
        probabilities = torch.softmax(logits[warm] / temperature[warm, None], -1)
        # One number a row, where torch.multinomial draws one for every token of the vocabulary.
        below = probabilities.cumsum(-1)
        drawn_at = torch.rand(len(warm), 1, generator=generator, device=logits.device) * below[:, -1:]
        samples = torch.searchsorted(below, drawn_at, right=True).clamp(max=logits.shape[1] - 1)  # (warm, 1)
        chosen[warm] = samples.squeeze(1)
        drawn[warm] = probabilities.gather(1, samples).squeeze(1).log()
    return chosen, drawn
