"""Keys and values: what all rows share is kept once, what is a row's own grows, and rows can be cut and merged.

Notation: n rows, H heads of keys and values, L columns, d the size of a head.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Pair = tuple[Tensor, Tensor]  # keys and values, ``[n, H, L, d]`` each
KeysValues = list[Pair]  # a pair for each of the model's layers


class SharedHeadLayer(DynamicLayer):
    """One layer's memory: a head that all rows share, ``[1, H, ·, d]``, and columns of each row's own behind it.

    Args:
        head: the shared keys and values, or None.
        own: the rows' keys and values, or None before there are any.
        room: how many of the rows' last columns are empty; a new token is then written there and nothing else copied,
            which is not for gradients.

    Attributes:
        leading: how many columns of the first row the others share, where that is how they come by a head; or 0.
    """

    def __init__(self, head: Pair | None, own: Pair | None = None, room: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self.head = head
        self._columns = 0 if own is None else own[0].shape[2] - room
        self._own = own
        self._roomy = room > 0
        self.leading = 0

    @property
    def own(self) -> Pair | None:
        """The rows' own columns."""
        if self._own is None or not self._roomy:
            return self._own
        keys, values = self._own
        return keys[:, :, : self._columns], values[:, :, : self._columns]

    def extend(self, keys: Tensor, values: Tensor) -> Pair:
        """Add columns to every row; returns all of the rows' own."""
        begin, self._columns = self._columns, self._columns + keys.shape[2]
        if self._own is None:  # copies: as they come they may be parts of something five times as large
            self._own = _copied(keys), _copied(values)
        elif self._roomy:
            self._own[0][:, :, begin : self._columns] = keys
            self._own[1][:, :, begin : self._columns] = values
        else:
            self._own = torch.cat([self._own[0], keys], 2), torch.cat([self._own[1], values], 2)
        own = self.own
        assert own is not None
        return own

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Pair:
        """What transformers' models call: add columns, and return every row's whole memory."""
        own = self.extend(key_states, value_states)
        return own if self.head is None else _behind(self.head, own)

    def get_seq_length(self) -> int:
        """How many columns there are."""
        return self._columns + (0 if self.head is None else self.head[0].shape[2])

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only some rows, or repeat them."""
        if self._own is not None:
            self._own = _rows(self._own, indices)


class SharedHeadCache(DynamicCache):
    """The memory of all layers.

    Args:
        layers: how many there are.
        head: keys and values that all rows share, ``[1, H, S, d]``, or None.
        own: the rows' own behind them, or None.
        room: how many of these are empty, as in ``SharedHeadLayer``.
    """

    layers: list[SharedHeadLayer]  # type: ignore[assignment]

    def __init__(
        self, layers: int, head: KeysValues | None = None, own: KeysValues | None = None, room: int = 0
    ) -> None:
        super().__init__()
        nothing: list[Pair | None] = [None] * layers
        self.head = head
        heads, owns = head or nothing, own or nothing
        self.layers = [SharedHeadLayer(*pairs, room) for pairs in zip(heads, owns, strict=True)]

    @property
    def own(self) -> KeysValues:
        """The rows' own keys and values."""
        return [layer.own for layer in self.layers if layer.own is not None]

    @own.setter
    def own(self, pairs: KeysValues) -> None:
        nothing: list[Pair | None] = [None] * len(pairs)
        self.layers = [SharedHeadLayer(*both) for both in zip(self.head or nothing, pairs, strict=True)]

    @property
    def whole(self) -> KeysValues:
        """Every row's keys and values, each with a copy of the head."""
        pairs = zip([layer.head for layer in self.layers], self.own, strict=True)
        return [own if head is None else _behind(head, own) for head, own in pairs]


class LeadingRowCache(SharedHeadCache):
    """The memory of all layers of such a batch, which is read in one pass.

    Args:
        layers: how many there are.
        columns: how many columns of the first row the others share.
    """

    def __init__(self, layers: int, columns: int) -> None:
        super().__init__(layers)
        for layer in self.layers:
            layer.leading = columns

    def others(self) -> SharedHeadCache:
        """That of the others, behind the head that they share."""
        own, columns = self.own, self.layers[0].leading
        head = [(_copied(keys[:1, :, :columns]), _copied(values[:1, :, :columns])) for keys, values in own]
        return SharedHeadCache(len(own), head, [(keys[1:], values[1:]) for keys, values in own])


class Memory(NamedTuple):
    """What n rows remember, without gradients.

    Attributes:
        head: keys and values that all rows share, or None.
        own: the rows' own behind them.
        mask: which columns may be attended to, those of the head first, ``[n, S + C]``.
        preamble: what the head begins with, and others may begin with too, or None.
    """

    head: KeysValues | None
    own: KeysValues
    mask: Tensor
    preamble: KeysValues | None = None

    def rows(self, index: Tensor) -> "Memory":
        """Some rows, or some repeated."""
        return self._replace(own=[_rows(pair, index) for pair in self.own], mask=self.mask[index])

    def behind(self, columns: int, layer: int) -> Pair:
        """One layer's keys and values with a copy, in every row, of what the head holds behind its first columns."""
        if columns == columns_of(self.head):
            return self.own[layer]
        assert self.head is not None
        keys, values = self.head[layer]
        return _behind((keys[:, :, columns:], values[:, :, columns:]), self.own[layer])


class Context(NamedTuple):
    """What scoring left behind, for a decoding that goes on from there.

    Attributes:
        rows: which completions these are, n of them; -1 for one that will not be asked for.
        memory: of the n rows.
        inputs: how many of its columns, the last ones, are tokens of completions.
    """

    rows: list[int]
    memory: Memory
    inputs: int

    def begun(self, chosen: Sequence[int], lengths: Sequence[int]) -> Memory:
        """What some rows remember once only the first ``lengths`` tokens of their completions are said.

        Args:
            chosen: which of the rows.
            lengths: how many tokens of each completion stay.
        """
        device, memory = self.memory.mask.device, self.memory
        if list(chosen) == list(range(len(memory.mask))):
            memory = memory._replace(mask=memory.mask.clone())
        else:
            memory = memory.rows(torch.tensor(list(chosen), device=device))
        if self.inputs:
            stay = torch.arange(self.inputs, device=device) < torch.tensor(list(lengths), device=device)[:, None]
            memory.mask[:, -self.inputs :] &= stay
        return memory


def merged(memories: Sequence[Memory], room: int) -> tuple[SharedHeadCache, Tensor]:
    """Several batches' rows as one batch's, the shorter ones padded on the left of what is their own.

    What the heads do not have in common becomes each row's own.

    Args:
        memories: what the rows remember.
        room: for how many more columns there will be.

    Returns:
        the memory of all rows, and which of its columns may be attended to.
    """
    head = memories[0].head
    if any(memory.head is not head for memory in memories):
        head = common_preamble(memories)
    shared = columns_of(head)
    widths = [memory.mask.shape[1] - shared for memory in memories]
    short = [max(widths) - width for width in widths]
    own: KeysValues = []
    for layer in range(len(memories[0].own)):  # one after another: all of them twice would be gigabytes
        pairs = [memory.behind(shared, layer) for memory in memories]
        keys = torch.cat([_padded(keys, by, room) for (keys, _), by in zip(pairs, short, strict=True)])
        values = torch.cat([_padded(values, by, room) for (_, values), by in zip(pairs, short, strict=True)])
        own.append((keys, values))
    masks = [
        torch.cat([memory.mask[:, :shared], pad(memory.mask[:, shared:], (by, 0))], 1)
        for memory, by in zip(memories, short, strict=True)
    ]
    return SharedHeadCache(len(own), head, own, room), torch.cat(masks)


def together(memories: Sequence[Memory]) -> Memory:
    """Several batches' rows as one batch's, behind the head that they share."""
    if len(memories) == 1:
        return memories[0]
    cache, mask = merged(memories, 0)
    return Memory(cache.head, cache.own, mask, common_preamble(memories))


def common_preamble(memories: Sequence[Memory]) -> KeysValues | None:
    """What all of their heads begin with, if anything."""
    preamble = memories[0].preamble
    return preamble if all(memory.preamble is preamble for memory in memories) else None


def columns_of(head: KeysValues | None) -> int:
    """How many columns a head has."""
    return 0 if head is None else head[0][0].shape[2]


def stacked(pairs: KeysValues) -> Tensor:
    """Keys and values of K layers as one, ``[2 * K, n, H, L, d]``."""
    return torch.stack([one for pair in pairs for one in pair])


def unstacked(states: Tensor) -> KeysValues:
    """The same as pairs again."""
    each = states.unbind()
    return list(zip(each[::2], each[1::2], strict=True))


def detached(pairs: KeysValues) -> KeysValues:
    """The same without their history."""
    return [(keys.detach(), values.detach()) for keys, values in pairs]


def _copied(states: Tensor) -> Tensor:
    return states.clone(memory_format=torch.contiguous_format)


def _padded(states: Tensor, before: int, behind: int) -> Tensor:
    return pad(states, (0, 0, before, behind)) if before or behind else states  # which would be copied for nothing


def _rows(pair: Pair, index: Tensor) -> Pair:
    index = index.to(pair[0].device)  # a model that is spread over devices keeps each layer's where the layer is
    # Two ways to the same. The gradient of one is summed up in an order that varies on CPUs, and slowly; that of the
    # other in one that varies on GPUs.
    if index.device.type == "cpu":
        return pair[0].index_select(0, index), pair[1].index_select(0, index)
    return pair[0][index], pair[1][index]


def _behind(head: Pair, own: Pair) -> Pair:
    n = len(own[0])
    keys, values = (torch.cat([one.expand(n, -1, -1, -1), rest], 2) for one, rest in zip(head, own, strict=True))
    return keys, values
