"""Passes through the fused decoder, forward and back, that are recorded as a GPU needs it.

A pass is computed in the next larger one of few sizes, so that few recordings serve all batches. What comes often is
recorded; of the rest the same kernels are launched one by one, so that it makes no difference when recording began.
Very large passes, and the gradients of a model that learns itself, are never recorded.

Between a pass and its gradient other passes may come. What a recording keeps for its gradient lies in a slot, which no
other pass gets before that gradient was computed, or can be asked for by nobody any more.

Notation: n rows, L new columns, C columns of a row's own memory, S columns of the shared head, K layers, H heads of
keys and values, d the size of a head, D hidden size.
"""

import itertools
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents import graphs
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.graphs import Graphs
from reasoning_arena.agents.kv_cache import SharedHeadCache, stacked, unstacked
from reasoning_arena.agents.product import applied
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

UNIT = 8  # more rows than that, and wanted columns, are computed in multiples of it
COLUMNS = 64  # and columns in multiples of this, or of its half, its quarter … down to UNIT, where it is too much
PADS = 1024  # tokens that such a multiple may hold in all rows
OFTEN = 2  # times that a size was met before it is recorded, which takes as long as three passes; then 4, 8 …
RECORDINGS = 64  # that are kept
MOST_TOKENS = 2**14  # of a pass that is recorded; the kernels of a larger one take longer to compute than to launch
# The recordings' buffers take one part in so many of the device's memory at the most. What they compute on the way is
# not counted: of each slot it takes what the largest of its passes does.
MEMORY_SHARE = 16
OTHER_MEMORY = 2**34  # bytes; that of what is no GPU


class Inputs(NamedTuple):
    """What a pass reads.

    Attributes:
        embeds: ``[n, L, D]``.
        mask: which columns may be attended to, ``[n, S + C + L]``.
        head: keys and values of all layers that all rows share, ``[2 * K, 1, H, S, d]``.
        before: each row's own, ``[2 * K, n, H, C, d]``.
    """

    embeds: Tensor
    mask: Tensor
    head: Tensor
    before: Tensor


class Size(NamedTuple):
    """What recordings are told apart by.

    Attributes:
        slot: where what the gradient needs is kept, in memory of the slot's own; None where there will be none.
        learn: which of the inputs want a gradient.
        rows: n.
        columns: L.
        shared: S.
        before: C.
        wanted: of how many of the last columns features are wanted.
    """

    slot: int | None
    learn: tuple[bool, ...]
    rows: int
    columns: int
    shared: int
    before: int
    wanted: int


class Claim:
    """On a slot, for as long as somebody may ask for the gradient."""

    def __init__(self, slot: int) -> None:
        self.slot = slot


class RecordedPass:
    """A pass of one size, on buffers that stay where they are.

    Args:
        decoder: the layers.
        size: its size.
        like: inputs of this size.
        recorder: records it.
        pool: where it puts what it computes on the way.
    """

    def __init__(self, decoder: FusedDecoder, size: Size, like: Inputs, recorder: Graphs, pool: Any) -> None:
        self._decoder, self._size = decoder, size
        self._inputs = Inputs(*(torch.zeros_like(one, requires_grad=False) for one in like))
        self._inputs.mask.fill_(True)
        for one, learns in zip(self._inputs, size.learn, strict=True):
            one.requires_grad_(learns)
        self._outputs: tuple[Tensor, ...] = ()
        self._gradients: tuple[Tensor, ...] = ()
        layers, _, heads, _, width = like.head.shape
        shapes = (size.rows, size.wanted, like.embeds.shape[2]), (layers, size.rows, heads, size.columns, width)
        self._of_outputs = [like.embeds.new_zeros(shape) for shape in shapes]
        if size.slot is None:
            self._forward = recorder.recorded(self._read, pool, warm_up=self._read)
        else:
            self._forward = recorder.recorded(self._read, pool, warm_up=self._read_and_derive)
            self._backward = recorder.recorded(self._derive, pool)

    def read(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Features of the wanted columns, ``[n, wanted, D]``, and the new keys and values, ``[2 * K, n, H, L, d]``."""
        for buffer, one in zip(self._inputs, inputs, strict=True):
            buffer.detach().copy_(one)
        self._forward()
        return tuple(one.clone() for one in self._outputs)

    def derive(self, of_outputs: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of the inputs; None for those that want none."""
        for buffer, one in zip(self._of_outputs, of_outputs, strict=True):
            buffer.zero_() if one is None else buffer.copy_(one)
        self._backward()
        found = iter(self._gradients)
        return [next(found).clone() if one.requires_grad else None for one in self._inputs]

    def _read(self) -> None:
        with torch.set_grad_enabled(self._size.slot is not None):
            self._outputs = through(self._decoder, self._inputs, self._size.wanted)

    def _derive(self) -> None:
        known = [i for i, one in enumerate(self._outputs) if one.requires_grad]
        self._gradients = torch.autograd.grad(
            [self._outputs[i] for i in known],
            [one for one in self._inputs if one.requires_grad],
            [self._of_outputs[i] for i in known],
            allow_unused=True,
            materialize_grads=True,
        )
        self._outputs = tuple(one.detach() for one in self._outputs)  # without what was kept for the gradient

    def _read_and_derive(self) -> None:
        self._read()
        self._derive()


class Passes:
    """A model's passes through its decoder, of which those that come often are recorded.

    Args:
        decoder: the layers.
        learns: whether they learn themselves, as adapters in them do.
        device: where they are.
    """

    def __init__(self, decoder: FusedDecoder, learns: bool, device: torch.device) -> None:
        self.decoder, self.learns, self.graphs = decoder, learns, Graphs(device)
        on_gpu = device.type == "cuda"
        self._room = torch.cuda.get_device_properties(device).total_memory if on_gpu else OTHER_MEMORY
        self._room //= MEMORY_SHARE  # bytes
        self._held = 0  # of those
        self._met: Counter[Size] = Counter()
        self._patience = 1
        self._recordings: dict[Size, RecordedPass] = {}
        self._pools: dict[int | None, Any] = {}  # by slot
        self._claims: weakref.WeakSet[Claim] = weakref.WeakSet()

    @classmethod
    def of(cls, decoder: FusedDecoder, learns: bool, device: torch.device) -> "Passes | None":
        """A decoder's passes, where they can be recorded and that is of use."""
        if device.type not in graphs.RECORDED_ON or decoder.rotary.rope_type in graphs.LOOKED_UP:
            return None
        return cls(decoder, learns, device)

    def __call__(self, embeds: Tensor, mask: Tensor, cache: SharedHeadCache, wanted: int) -> Tensor:
        """As the decoder's."""
        n, length, _ = embeds.shape
        rows = n if n < UNIT else _multiple(n, UNIT)
        unit = _unit(rows)
        columns = _multiple(length, unit)
        derived = torch.is_grad_enabled()
        # A single column is computed in another way. Where several graphs with the same parameters are alive, recording
        # one's gradient would have it wait for work outside the recording.
        if (length == 1 and not derived) or (self.learns and derived) or rows * columns > MOST_TOKENS:
            return self.decoder(embeds, mask, cache, wanted)
        own, decoder = cache.own, self.decoder
        nothing = embeds.new_zeros(2 * len(decoder.layers), 1, decoder.kv_heads, 0, decoder.size)
        head = stacked(cache.head) if cache.head else nothing
        before = stacked(own) if own else nothing.expand(-1, n, -1, -1, -1)
        shared, behind = head.shape[3], before.shape[3]
        # Pads stand before the columns, and rows of pads behind the rows.
        left, left_before, more = columns - length, -behind % unit, rows - n
        masks = mask.split([shared, behind, length], 1)
        masks = masks[0], pad(masks[1], (left_before, 0)), pad(masks[2], (left, 0))
        inputs = Inputs(
            pad(embeds, (0, 0, left, 0, 0, more)),
            pad(torch.cat(masks, 1), (0, 0, 0, more), value=True),
            head,
            # torch 2.9 pads nothing that is empty
            pad(before, (0, 0, left_before, 0, 0, 0, 0, more)) if own else nothing.expand(-1, rows, -1, -1, -1),
        )
        more_wanted = min(_multiple(wanted, UNIT), columns) - wanted
        features, new = self._computed(inputs, wanted + more_wanted)
        whole, new = new, new[:, :n, :, left:]
        if whole.nbytes > 2 * new.nbytes:  # which is kept for as long as the rows' memory is
            new = new.contiguous()
        cache.own = unstacked(torch.cat([before, new], 3) if own else new)
        return features[:n, more_wanted:]

    def _computed(self, inputs: Inputs, wanted: int) -> Sequence[Tensor]:
        """The same, by a recording where there is one."""
        learn = tuple(torch.is_grad_enabled() and one.requires_grad for one in inputs)
        slot = None
        if any(learn):
            taken = {claim.slot for claim in self._claims}
            slot = next(slot for slot in itertools.count() if slot not in taken)
        rows, columns, _ = inputs.embeds.shape
        size = Size(slot, learn, rows, columns, inputs.head.shape[3], inputs.before.shape[3], wanted)
        recording = self._recording(size, inputs)
        if recording is None:
            return through(self.decoder, inputs, wanted)
        if slot is None:
            return recording.read(inputs)
        claim = Claim(slot)
        self._claims.add(claim)
        outputs: tuple[Tensor, ...] = applied(_Replayed, recording, claim, *inputs)
        return outputs

    def _recording(self, size: Size, inputs: Inputs) -> RecordedPass | None:
        """That of this size, once the size was met often enough."""
        if size not in self._recordings:
            self._met[size] += 1
            new_states = 2 * len(self.decoder.layers) * self.decoder.kv_heads * self.decoder.size
            new_states *= size.rows * size.columns * inputs.embeds.element_size()
            needed = sum(one.nbytes for one in inputs) + 2 * new_states  # which are given a gradient
            if self._met[size] <= OFTEN * self._patience or needed > self._room:
                return None
            if self._held + needed > self._room or len(self._recordings) == RECORDINGS:
                if len(self._claims):  # all recordings end together, and one of them is still needed
                    return None
                self._forget()
            if size.slot not in self._pools:
                self._pools[size.slot] = self.graphs.pool()
            try:
                self._recordings[size] = RecordedPass(self.decoder, size, inputs, self.graphs, self._pools[size.slot])
            except BaseException:  # out of memory, or interrupted; half of it may have been recorded
                self._forget()
                raise
            self._held += needed
        return self._recordings[size]

    def _forget(self) -> None:
        self._recordings.clear()
        self._pools.clear()
        self._met.clear()
        self._held, self._patience = 0, 2 * self._patience


def through(decoder: FusedDecoder, inputs: Inputs, wanted: int) -> tuple[Tensor, Tensor]:
    """What a pass gives, one kernel after another: as ``RecordedPass.read``."""
    embeds, mask, head, before = inputs
    behind = before.shape[3]
    cache = SharedHeadCache(
        len(decoder.layers), unstacked(head) if head.shape[3] else None, unstacked(before) if behind else None
    )
    features = decoder(embeds, mask, cache, wanted)
    return features, stacked([(keys[:, :, behind:], values[:, :, behind:]) for keys, values in cache.own])


class _Replayed(torch.autograd.Function):
    """A recorded pass, whose gradient can be asked for once."""

    @staticmethod
    def forward(ctx: Any, recording: RecordedPass, claim: Claim, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.recording, ctx.claim = recording, claim
        ctx.set_materialize_grads(False)
        return recording.read(inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        recording: RecordedPass | None = ctx.recording
        if recording is None:
            raise RuntimeError("the gradient of a recorded pass is computed once")
        ctx.recording = ctx.claim = None  # what it kept may be overwritten from now on
        return (None, None, *recording.derive(gradients))


def _unit(rows: int) -> int:
    """What the columns of so many rows are multiples of."""
    unit = UNIT
    while unit < COLUMNS and 2 * unit * rows <= PADS:
        unit *= 2
    return unit


def _multiple(number: int, unit: int) -> int:
    """The least multiple of the unit that is no less."""
    return -(-number // unit) * unit
