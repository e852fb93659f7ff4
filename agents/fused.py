"""The decoder of Llama's kind, computed in fewer and larger steps than transformers does, from the same weights.

The weights are frozen, but for low-rank adapters beside them.

What is saved: one product for queries, keys and values and one for both halves of the feed-forward layer; no keys and
values copied for the heads of queries that share them; on a CPU, no pads multiplied by weights; of the last layer only
what is wanted; where a token at a time is read, what all rows of a batch begin with is attended to where it stands; and
most of what autograd keeps, and gradients that nobody asks for (``agents.layer``). ``agents.backbone`` uses it where a
probe finds that it gives transformers' numbers, and transformers' own forward pass for every other architecture.

Notation: n rows, L new columns, C columns of a row's own memory, S columns of the shared head, H heads of keys and
values, G heads of queries to each, d the size of a head, D hidden size.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from reasoning_arena.agents.adapters import taken_apart
from reasoning_arena.agents.columns import Columns
from reasoning_arena.agents.kv_cache import Pair, SharedHeadCache
from reasoning_arena.agents.layer import FusedLayer, Text, last_queries
from reasoning_arena.agents.layout import positions_of
from reasoning_arena.agents.product import AdaptedProduct, LowRank, Product, packing_pays
from torch import Tensor, nn
from torch.nn.functional import rms_norm
from transformers import PreTrainedModel

COPIES = 2**32  # bytes; if packed weights took more, those for gradients would not be packed
PADS_SKIPPED_ON = ("cpu",)  # on a GPU pads cost less than it takes to find out where they are
HALVES_APART_ON = ("cuda",)  # a GPU computes with halves of rows several times more slowly than with what is one piece
FAMILIES = "llama", "mistral", "qwen2"  # of config.model_type


class LayerMemory(Protocol):
    """What one layer remembers."""

    @property
    def leading(self) -> int:
        """How many columns of the first row all others share, as if they were a head; or 0."""

    @property
    def head(self) -> Pair | None:
        """Keys and values that all rows share, ``[1, H, S, d]``."""

    def extend(self, keys: Tensor, values: Tensor) -> Pair:
        """Add columns to every row; returns all of the rows' own."""


class FusedDecoder:
    """The layers of a model of Llama's kind.

    Args:
        model: of transformers; its weights are shared, not copied, but for packed ones where those are faster.

    Attributes:
        logits: makes logits, ``[…, V]``, of last hidden states.

    Raises:
        ValueError: the model is of another kind, or spread over devices.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config, base = model.config, model.base_model
        if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
            # Accelerate moves inputs and weights when a module is called, and none is called here.
            raise ValueError("a model that is spread over devices is not computed here")
        if config.model_type not in FAMILIES or config.hidden_act != "silu":
            raise ValueError(f"{config.model_type} is not computed here")
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.skips_pads = model.device.type in PADS_SKIPPED_ON
        self.rotary: Any = base.rotary_emb
        output: Any = model.get_output_embeddings()
        self._pays: dict[torch.Size, bool] = {}  # weights of a shape are multiplied alike
        numbers = sum(one.numel() for one in base.parameters())
        self._packed_back = 2 * numbers * model.dtype.itemsize <= COPIES
        self.layers = [FusedLayer(layer, self._product) for layer in base.layers]  # type: ignore[union-attr]
        self.norm: Any = base.norm
        self.logits = self._product(output)

    def __call__(
        self, embeds: Tensor, mask: Tensor, cache: SharedHeadCache, wanted: int, derived: int | None = None
    ) -> Tensor:
        """The last hidden states of the last new columns, ``[n, wanted, D]``; the cache grows by all new ones.

        Args:
            embeds: ``[n, L, D]``.
            mask: which columns may be attended to, the shared ones and all that were there before and the new ones
                in this order, ``[n, S + C + L]``; the shared ones always may.
            cache: what came before.
            wanted: of how many columns; 0 for keys and values alone.
            derived: of how many rows, the first ones, gradients are computed; those of the others are zeros. None for
                all.
        """
        length = embeds.shape[1]
        blocked = self._blocked(mask, length, cache, embeds.dtype)
        packs = any(self._pays.values())
        columns = Columns.of(mask[:, -length:], packs) if self.skips_pads and length > 1 else None
        return self.through(embeds, positions_of(mask, length), blocked, cache.layers, wanted, columns, derived)

    def through(
        self,
        embeds: Tensor,
        positions: Tensor,
        blocked: Tensor | None,
        layers: Sequence[LayerMemory],
        wanted: int,
        columns: Columns | None = None,
        derived: int | None = None,
    ) -> Tensor:
        """The same with other memories.

        Args:
            embeds: ``[n, L, D]``.
            positions: ``[n, L]``.
            blocked: added to the scores of a row's own columns, ``[n, 1, G * L, C + L]``, or of all;
                where all columns are wanted, as it broadcasts; or None.
            layers: each layer's memory.
            wanted: of how many columns.
            columns: which of them are no pads, where those are to be passed over.
            derived: of how many rows gradients are computed, or None.
        """
        n, length, _ = embeds.shape
        columns = columns or Columns(n, length, None)
        first = columns if derived is None else columns.first(derived)
        text = Text(columns, first, *self._rotation(embeds, positions), blocked, self.heads, layers[0].leading)
        x = columns.held(embeds)  # (T, D)
        for layer, memory in zip(self.layers, layers, strict=True):
            q, k, v = layer.asked(x, text)
            own = memory.extend(k, v)
            if wanted < length and layer is self.layers[-1]:  # where nothing but keys and values is read of the others
                text, q = text.last(wanted), last_queries(q, length, wanted)
                x, columns = columns.whole(x)[:, length - wanted :], text.columns
                x = columns.held(x)
                if not wanted:
                    break
            x = layer.answered(x, q, memory.head, own, text)
        return columns.whole(rms_norm(x, self.norm.weight.shape, self.norm.weight, self.norm.variance_epsilon))

    def _product(self, *layers: nn.Module, halved: bool = False) -> Product | AdaptedProduct:
        """Of what multiplies the same input; ``halved`` where the next step takes the halves of what it gives apart."""
        linears, adapters = zip(*map(taken_apart, layers), strict=True)
        weight, bias = _side_by_side(linears)
        if weight.shape not in self._pays:
            self._pays[weight.shape] = packing_pays(weight)
        by_column = halved and weight.device.type in HALVES_APART_ON
        product = Product(weight, bias, self._pays[weight.shape], self._packed_back, by_column)
        if not any(adapters):
            return product
        return AdaptedProduct(
            product, [one or _nothing_beside(linear) for one, linear in zip(adapters, linears, strict=True)]
        )

    def _rotation(self, embeds: Tensor, positions: Tensor) -> Pair:
        """Cosine and signed sine of every column, ``[n, L, 1, d]`` each."""
        cos, sin = self.rotary(embeds, positions)
        half = self.size // 2
        return cos[:, :, None], torch.cat([-sin[..., :half], sin[..., half:]], -1)[:, :, None]

    def _blocked(self, mask: Tensor, length: int, cache: SharedHeadCache, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores of a row's own columns, ``[n, 1, G * L, C + L]``; None for nothing."""
        head = cache.layers[0].head
        own = mask[:, 0 if head is None else head[0].shape[2] :]
        if length == 1 and bool(own.all()):
            return None
        columns = own.shape[1]
        allowed = own[:, None, :].expand(-1, length, -1)
        if length > 1:
            allowed = allowed & own.new_ones(length, columns).tril(columns - length)
        # A column that may attend to nothing, a pad, attends to all alike: its numbers are finite and never used.
        added = torch.zeros(allowed.shape, dtype=dtype, device=own.device).masked_fill_(
            ~allowed, torch.finfo(dtype).min
        )
        return added.repeat(1, self.heads // self.kv_heads, 1)[:, None]


def _nothing_beside(linear: nn.Linear) -> LowRank:
    """What is learnt beside a weight that has no adapter: of rank 0."""
    outputs, inputs = linear.weight.shape
    down, up = (linear.weight.new_zeros(*shape, dtype=torch.float32) for shape in ((0, inputs), (outputs, 0)))
    return LowRank(down, up, 1.0)


def _side_by_side(linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """Weights and biases of several layers as one layer's; theirs become views of it."""
    if len(linears) == 1:
        return linears[0].weight, linears[0].bias
    sizes = [one.out_features for one in linears]
    weight = torch.cat([one.weight.detach() for one in linears])
    for one, part in zip(linears, weight.split(sizes), strict=True):
        one.weight.data = part
    if linears[0].bias is None:
        return weight, None
    bias = torch.cat([one.bias.detach() for one in linears])
    for one, part in zip(linears, bias.split(sizes), strict=True):
        one.bias.data = part
    return weight, bias
