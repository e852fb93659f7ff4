"""How rows of different lengths become batches.

Notation: n rows, L columns, P virtual tokens, D hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Ids = Sequence[int]


def right_padded(rows: Sequence[Ids], device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens and mask, ``[n, longest]`` each, the pads behind."""
    width = max((len(row) for row in rows), default=0)
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.long)
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows], dtype=torch.bool)
    return ids.to(device), mask.to(device)


def left_padded(rows: Sequence[Ids], device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens and mask, ``[n, longest]`` each, the pads in front."""
    ids, mask = right_padded([row[::-1] for row in rows], device)
    return ids.flip(1), mask.flip(1)


def positions_of(mask: Tensor, length: int) -> Tensor:
    """The last columns' positions among those that hold a token, ``[n, length]`` of ``[n, L]``."""
    return (mask.cumsum(1) - 1).clamp(min=0)[:, mask.shape[1] - length :]


def common_start(rows: Sequence[Ids]) -> list[int]:
    """The tokens that all rows begin with."""
    lists = [list(row) for row in rows]
    first, last = min(lists), max(lists)  # in lexical order: what these two share, all rows between them share
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def buckets(lengths: Sequence[int], overhead: int) -> list[list[int]]:
    """Rows of like length together: the split that computes fewest columns, each batch costing ``overhead`` more."""
    order = sorted(range(len(lengths)), key=lambda n: lengths[n])
    cost, cut = [0], [0]  # of the first k rows; where their last batch begins
    for k in range(1, len(order) + 1):
        longest = lengths[order[k - 1]]
        best = min(range(k), key=lambda j: cost[j] + (k - j) * longest)
        cost.append(cost[best] + (k - best) * longest + overhead)
        cut.append(best)
    batches, k = [], len(order)
    while k:
        batches.append(order[cut[k] : k])
        k = cut[k]
    return batches


def beside(soft: Tensor, text: Tensor, text_mask: Tensor, rest_mask: Tensor) -> tuple[Tensor, Tensor]:
    """The ordinary layout, with the soft prompt between a row's pads and its text: mask and embeddings."""
    n, p, width = len(text), soft.shape[-2], rest_mask.shape[1]
    if not text.shape[1]:
        return text_mask.new_ones(n, p), soft.expand(n, *soft.shape[-2:])
    pads = (width - rest_mask.sum(1))[:, None]  # (n, 1)
    columns = torch.arange(p + text.shape[1], device=text.device).expand(n, -1)
    # Column c of a row is a pad where c < pads, a virtual token where c < pads + P, and the row's text behind.
    is_soft = (columns >= pads) & (columns < pads + p)
    source = torch.where(columns < pads, columns, (columns - p).clamp(min=0))
    embeds = text.gather(1, source[..., None].expand(*source.shape, text.shape[2]))
    embeds = embeds.masked_scatter(is_soft[..., None], soft.expand(n, *soft.shape[-2:]))
    return text_mask.gather(1, source) | is_soft, embeds
