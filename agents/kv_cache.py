"""Keys and values as plain tensors: taken out of a cache, cut, merged, and put into a new one.

Notation: n rows, H heads, L columns.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

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


class RoomyLayer(DynamicLayer):
    """One layer's keys and values with room for more, so that a new token is written and nothing else is copied.

    Args:
        keys: ``[n, H, L, ·]``.
        values: the same.
        room: for how many more columns.
    """

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        self._hold(pad(keys, (0, 0, 0, room)), pad(values, (0, 0, 0, room)), keys.shape[2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write new columns behind those that there are."""
        begin, end = self._columns, self._columns + key_states.shape[2]
        self._all_keys[:, :, begin:end] = key_states
        self._all_values[:, :, begin:end] = value_states
        return self._hold(self._all_keys, self._all_values, end)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only some rows."""
        self._hold(self._all_keys[indices], self._all_values[indices], self._columns)

    def _hold(self, keys: Tensor, values: Tensor, columns: int) -> tuple[Tensor, Tensor]:
        self._all_keys, self._all_values, self._columns = keys, values, columns
        self.keys, self.values = keys[:, :, :columns], values[:, :, :columns]
        return self.keys, self.values


def with_room(cache: DynamicCache, room: int) -> DynamicCache:
    """The same keys and values in a cache that grows by so many columns without being copied; not for gradients."""
    roomy = DynamicCache()
    roomy.layers = [RoomyLayer(keys, values, room) for keys, values in keys_values(cache)]
    return roomy


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
