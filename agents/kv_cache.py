"""Keys and values as plain tensors: taken out of a cache, cut, merged, and put into a new one.

Notation: n rows, H heads, L columns.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

KeysValues = list[tuple[Tensor, Tensor]]  # one pair a layer, ``[n, H, L, ·]`` each


class Context(NamedTuple):
    """Keys and values that scoring left behind, for a decoding that goes on from there.

    Attributes:
        rows: which completions these are, n of them.
        keys_values: of L columns, without gradients.
        mask: which columns may be attended to, ``[n, L]``; the last ones are the completions' inputs.
    """

    rows: list[int]
    keys_values: KeysValues
    mask: Tensor


def keys_values(cache: DynamicCache) -> KeysValues:
    """A cache's tensors."""
    layers: Iterable[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]


def cache_of(pairs: KeysValues) -> DynamicCache:
    """A new cache that holds these tensors."""
    cache = DynamicCache()
    for i, (keys, values) in enumerate(pairs):
        cache.update(keys, values, i)
    return cache


def repeated(pairs: KeysValues, n: int) -> KeysValues:
    """One row's keys and values in each of n rows; n rows' as they are."""
    return [(keys.expand(n, -1, -1, -1), values.expand(n, -1, -1, -1)) for keys, values in pairs]


def detached(pairs: KeysValues) -> KeysValues:
    """The same without their history."""
    return [(keys.detach(), values.detach()) for keys, values in pairs]


def continued(context: Context, chosen: Sequence[int], lengths: Sequence[int], inputs: int) -> Context:
    """Some rows of a context, with only the first ``lengths`` tokens of their completions.

    Args:
        context: what scoring left behind.
        chosen: which of its rows.
        lengths: how many tokens of each completion stay.
        inputs: how many columns of the context, its last ones, are tokens of completions.
    """
    index = torch.tensor(list(chosen), device=context.mask.device)
    mask = context.mask[index]
    if inputs:
        stay = torch.arange(inputs, device=mask.device) < torch.tensor(list(lengths), device=mask.device)[:, None]
        mask[:, -inputs:] &= stay
    rows = [context.rows[i] for i in chosen]
    return Context(rows, [(keys[index], values[index]) for keys, values in context.keys_values], mask)


def merged(contexts: Sequence[Context]) -> tuple[KeysValues, Tensor]:
    """Several batches' keys, values and masks as one batch's, the shorter ones padded on the left."""
    longest = max(context.mask.shape[1] for context in contexts)
    pairs: KeysValues = []
    for layers in zip(*(context.keys_values for context in contexts), strict=True):
        short = [(0, 0, longest - keys.shape[2], 0) for keys, _ in layers]
        keys = torch.cat([pad(keys, by) for (keys, _), by in zip(layers, short, strict=True)])
        values = torch.cat([pad(values, by) for (_, values), by in zip(layers, short, strict=True)])
        pairs.append((keys, values))
    return pairs, torch.cat([pad(one.mask, (longest - one.mask.shape[1], 0)) for one in contexts])
