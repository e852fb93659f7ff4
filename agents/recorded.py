"""Steps of decoding that are recorded, as a GPU needs it.

On a GPU a step has a thousand kernels, which take longer to launch one by one than to compute. There it is recorded,
on buffers that stay where they are, and replayed for every token. Buffers come in few sizes, so that few
recordings serve all batches; rows and columns that a batch leaves empty are computed and not looked at.

Notation: n rows, N rows of a recording, H heads of keys and values, S shared columns, W columns of a recording's rows,
d the size of a head.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents import graphs
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.graphs import Graphs
from reasoning_arena.agents.kv_cache import KeysValues, Memory, Pair, columns_of, merged
from torch import Tensor

ROWS = 8  # in the smallest recording; larger ones have two, four … times as many
COLUMNS = 128  # a recording's own columns are a multiple of this
RECORDINGS = 32  # that are kept


class RecordedLayer(NamedTuple):
    """One layer's memory in a recording's buffers.

    Attributes:
        head: keys and values that all rows share, ``[1, H, S, d]``, or None.
        own: the rows' own, ``[N, H, W, d]``.
        column: where new ones are written, ``[1]``.
    """

    head: Pair | None
    own: Pair
    column: Tensor
    leading: int = 0  # columns of the first row that all others share

    def extend(self, keys: Tensor, values: Tensor) -> Pair:
        """Write a column of every row; returns all columns, the empty ones too."""
        for buffer, new in zip(self.own, (keys, values), strict=True):
            buffer.index_copy_(2, self.column, new)
        return self.own


class Recording:
    """A step for one size of batch.

    Args:
        backbone: the model.
        decoder: its layers.
        head: buffers of all layers for the shared keys and values, ``[1, H, S, d]``.
        own: those for the rows' own, ``[N, H, W, d]``.
        recorder: records the step.
        pool: where it puts what it computes on the way.
    """

    def __init__(
        self,
        backbone: Backbone,
        decoder: FusedDecoder,
        head: KeysValues,
        own: KeysValues,
        recorder: Graphs,
        pool: Any,
    ) -> None:
        self.backbone, self.decoder, self.head, self.own = backbone, decoder, head, own
        device, dtype, (rows, _, columns, _) = backbone.lm.device, backbone.lm.dtype, own[0][0].shape
        self.last = torch.zeros(rows, dtype=torch.long, device=device)
        self.positions = torch.zeros(rows, dtype=torch.long, device=device)
        self.column = torch.zeros(1, dtype=torch.long, device=device)
        self.blocked = torch.zeros(rows, 1, 1, columns, dtype=dtype, device=device)
        self.logits = torch.empty(0, device=device)
        heads: list[Pair | None] = list(head) if columns_of(head) else [None] * len(own)
        self.layers = [RecordedLayer(*pairs, self.column) for pairs in zip(heads, own, strict=True)]
        self.replay = recorder.recorded(self._step, pool, warm_up=self._step)

    def begin(self, memory: Memory) -> None:
        """Take n rows in."""
        head, own, mask, _ = memory
        shared, n = columns_of(head), len(mask)
        width = mask.shape[1] - shared
        buffers = [buffer for pair in self.own for buffer in pair]
        torch._foreach_zero_(buffers)  # whatever lies there, were it no number, would reach all of a row
        torch._foreach_copy_([one[:n, :, :width] for one in buffers], [one for pair in own for one in pair])
        if head is not None:
            torch._foreach_copy_([one for pair in self.head for one in pair], [one for pair in head for one in pair])
        self.column.fill_(width)
        self.positions[:n] = mask.sum(1)
        self.positions[n:] = 0
        lowest = torch.finfo(self.blocked.dtype).min
        self.blocked.fill_(lowest)
        self.blocked[:n, 0, 0, :width] = torch.where(mask[:, shared:], 0.0, lowest).to(self.blocked.dtype)

    @torch.no_grad()
    def _step(self) -> None:
        self.blocked.index_fill_(3, self.column, 0)
        embeds = self.backbone.embed(self.last[:, None])
        features = self.decoder.through(embeds, self.positions[:, None], self.blocked, self.layers, 1)
        self.logits = self.backbone.logits(features[:, -1])
        self.positions += 1
        self.column += 1


class Recorder:
    """Keeps the recordings of a model, all of which use the same memory, one after another.

    Args:
        backbone: the model.
        decoder: its layers.
    """

    def __init__(self, backbone: Backbone, decoder: FusedDecoder) -> None:
        self.backbone, self.decoder = backbone, decoder
        self._graphs, self._pool = Graphs(backbone.lm.device), None
        self._arena = torch.zeros(0, dtype=backbone.lm.dtype, device=backbone.lm.device)
        self._per_column: int = decoder.kv_heads * decoder.size  # numbers
        self._recordings: dict[tuple[int, int, int], Recording] = {}

    @classmethod
    def of(cls, backbone: Backbone) -> "Recorder | None":
        """A model's recorder, where its steps can be recorded and that is of use."""
        decoder = backbone.fused
        if (
            decoder is None
            or backbone.lm.device.type not in graphs.RECORDED_ON
            or decoder.rotary.rope_type in graphs.LOOKED_UP
        ):
            return None
        return cls(backbone, decoder)

    def recording(self, shared: int, rows: int, columns: int) -> Recording:
        """One that has so many shared columns, and at least so many rows and columns of their own."""
        size = shared, _power(rows), -(-columns // COLUMNS) * COLUMNS
        grows = self._numbers(*size) > len(self._arena)
        if grows or (size not in self._recordings and len(self._recordings) == RECORDINGS):
            self._recordings.clear()  # all together: none may outlive another
        if grows:
            self._arena = self._arena.new_zeros(0)
            self._arena = self._arena.new_zeros(self._numbers(*size))
        if size not in self._recordings:
            if not self._recordings:
                self._pool = self._graphs.pool()
            buffers = self._buffers(*size)
            self._recordings[size] = Recording(self.backbone, self.decoder, *buffers, self._graphs, self._pool)
        return self._recordings[size]

    def _buffers(self, shared: int, rows: int, columns: int) -> tuple[KeysValues, KeysValues]:
        """Keys and values of all layers, the shared ones and the rows' own."""
        decoder, numbers = self.decoder, self._numbers(shared, rows, columns)
        ends = self._numbers(shared, 0, 0)
        shapes = (1, shared), (rows, columns)
        parts = self._arena[:ends], self._arena[ends:numbers]
        head, own = (
            part.view(len(decoder.layers), 2, n, decoder.kv_heads, width, decoder.size)
            for part, (n, width) in zip(parts, shapes, strict=True)
        )
        return [(pair[0], pair[1]) for pair in head], [(pair[0], pair[1]) for pair in own]

    def _numbers(self, shared: int, rows: int, columns: int) -> int:
        return 2 * len(self.decoder.layers) * self._per_column * (shared + rows * columns)


class RecordedSteps:
    """Decoding by recordings.

    Args:
        recorder: of the model.
        memories: what the rows remember, as one or several batches.
        longest: how many steps there will be at the most.
    """

    def __init__(self, recorder: Recorder, memories: Sequence[Memory], longest: int) -> None:
        self.recorder, self.left = recorder, longest
        cache, mask = merged(memories, 0)
        self._begin(Memory(cache.head, cache.own, mask))

    def _begin(self, memory: Memory) -> None:
        self.head, self.mask, self.taken = memory.head, memory.mask, 0
        shared = columns_of(memory.head)
        self.recording = self.recorder.recording(shared, len(self.mask), self.mask.shape[1] - shared + self.left)
        self.recording.begin(memory)

    def __call__(self, last: Tensor) -> Tensor:
        """As in ``Steps``."""
        self.recording.last[: len(last)] = last
        self.recording.replay()
        self.taken += 1
        return self.recording.logits[: len(last)]

    def worth_dropping(self, left: int, rows: int) -> bool:
        """As in ``Steps``."""
        return _power(left) < len(self.recording.last)  # a smaller recording would do

    def memory(self, rows: Tensor) -> Memory:
        """As in ``Steps``."""
        mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), self.taken)], 1)[rows]
        width = mask.shape[1] - columns_of(self.head)
        own = [(keys[rows, :, :width], values[rows, :, :width]) for keys, values in self.recording.own]
        return Memory(self.head, own, mask)

    def keep(self, rows: Tensor) -> None:
        """As in ``Steps``."""
        self.left -= self.taken
        memory = self.memory(rows)
        del self.recording  # none may outlive those that are recorded next
        self._begin(memory)


def _power(rows: int) -> int:
    """The least of ROWS, twice as many, four times … that holds so many."""
    size = ROWS
    while size < rows:
        size *= 2
    return size
