"""One decoder layer, forward and back, in two steps: what rows ask their memory for, and what they make of the answer.

Gradients are written out for each step as a whole. They go to activations and to what is learnt beside the weights,
which are frozen, and they are computed for the first rows alone where those of the others are not wanted.

Notation: n rows, T tokens in their L columns, and what T is made up by, D hidden size, H heads of keys and values, G
heads of queries to each, d the size of a head, S columns that all rows share, C a row's own columns.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.columns import Columns
from reasoning_arena.agents.kv_cache import Pair
from reasoning_arena.agents.parts import (
    attended,
    attended_by_one,
    gated,
    normed,
    of_attended,
    of_gated,
    of_normed,
    of_rotated,
    rotated,
)
from reasoning_arena.agents.product import AdaptedProduct, Product, applied
from torch import Tensor
from torch.nn.functional import pad

KEPT_COLUMNS = 512  # up to which attention's weights are kept for the gradient; of longer rows they are computed again


class Text(NamedTuple):
    """What stands where in the rows that pass through a layer.

    Attributes:
        columns: which of them hold a token.
        derived: the same of the first rows, those that gradients are wanted of.
        cos: of every column, ``[n, L, 1, d]``.
        sin: likewise, its first half negated.
        blocked: added to the scores of a row's own columns, ``[n, 1, G * L, C]``, or of all; or None.
        heads: of queries, G * H.
        leading: how many columns of the first row all others share, as if they were a head; or 0.
    """

    columns: Columns
    derived: Columns
    cos: Tensor
    sin: Tensor
    blocked: Tensor | None
    heads: int
    leading: int

    def last(self, length: int) -> "Text":
        """The last columns alone, for ``FusedLayer.answered``."""
        columns = self.columns.last(length)
        blocked = None if self.blocked is None else last_queries(self.blocked, self.columns.length, length)
        return self._replace(columns=columns, derived=columns.first(self.derived.rows), blocked=blocked)


class FusedLayer:
    """One layer: its norms, and its weights side by side where they multiply the same input.

    Args:
        layer: of transformers.
        product: makes the product with the weights of some of its parts.
    """

    def __init__(self, layer: Any, product: Callable[..., Product | AdaptedProduct]) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = product(attention.q_proj, attention.k_proj, attention.v_proj)
        self.gate_up = product(mlp.gate_proj, mlp.up_proj, halved=True)
        self.out, self.down = product(attention.o_proj), product(mlp.down_proj)

    def asked(self, x: Tensor, text: Text) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, scaled, ``[n, H, G * L, d]``, keys and values, ``[n, H, L, d]``, of hidden states ``[T, D]``."""
        if torch.is_grad_enabled():
            q, k, v = applied(_Asked, x, self, text, *self.qkv.learnt)
            return q, k, v
        return self.first_half(x, text).asked

    def answered(self, x: Tensor, q: Tensor, head: Pair | None, own: Pair, text: Text) -> Tensor:
        """The next hidden states.

        Args:
            x: hidden states, ``[T, D]``.
            q: their queries, ``[n, H, G * L, d]``.
            head: keys and values that all rows share, ``[1, H, S, d]``, or None where there are none or they lead.
            own: the rows' own behind them, ``[n, H, C, d]``.
            text: what stands where.
        """
        if torch.is_grad_enabled():
            learnt = *self.out.learnt, *self.gate_up.learnt, *self.down.learnt
            result: Tensor = applied(_Answered, x, q, *(head or (None, None)), *own, self, text, *learnt)
            return result
        if text.cos.shape[1] == 1:  # one column after another is read, not many of which the last is wanted
            mixed = attended_by_one(q, head, own, text.blocked)
        else:
            mixed, _ = attended(q, head or _leading(own, text), own, text.blocked)
        return self.second_half(x, self.held(mixed, text)).states

    def first_half(self, x: Tensor, text: Text) -> "FirstHalf":
        """What comes before attention."""
        columns, size = text.columns, text.cos.shape[-1]
        normal, scale = _normed(x, self.norm)
        qkv = columns.whole(self.qkv(normal)).view(columns.rows, columns.length, -1, size)
        return FirstHalf(rotated(qkv, text.cos, text.sin, text.heads), scale)

    def held(self, mixed: Tensor, text: Text) -> Tensor:
        """What attention gave, ``[n, H, G * L, d]``, token by token, ``[T, G * H * d]``."""
        columns = text.columns
        return columns.held(mixed.view(columns.rows, text.heads, columns.length, -1).transpose(1, 2).flatten(2))

    def second_half(self, x: Tensor, mixed: Tensor) -> "SecondHalf":
        """What comes after attention, which gave ``mixed``, ``[T, G * H * d]``."""
        middle = x + self.out(mixed)
        normal, scale = _normed(middle, self.mlp_norm)
        gate_up = self.gate_up(normal)
        return SecondHalf(middle + self.down(gated(gate_up)), middle, scale, gate_up)


class FirstHalf(NamedTuple):
    """What the first half of a layer computes.

    Attributes:
        asked: queries, keys and values.
        scale: of the norm, ``[T, 1]``.
    """

    asked: tuple[Tensor, Tensor, Tensor]
    scale: Tensor


class SecondHalf(NamedTuple):
    """What the second half of a layer computes.

    Attributes:
        states: the next hidden states, ``[T, D]``.
        middle: those between attention and feed-forward layer.
        scale: of their norm, ``[T, 1]``.
        gate_up: the two that are gated, side by side.
    """

    states: Tensor
    middle: Tensor
    scale: Tensor
    gate_up: Tensor


class _Asked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FusedLayer, text: Text, *learnt: Tensor) -> tuple[Tensor, ...]:
        ctx.layer, ctx.text, tokens = layer, text, text.derived.held_rows
        half = layer.first_half(x, text)
        ctx.save_for_backward(x[:tokens], half.scale[:tokens], *learnt)  # these, to find out if they have changed
        ctx.tokens = len(x)
        return half.asked

    @staticmethod
    def backward(ctx: Any, of_q: Tensor, of_k: Tensor, of_v: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_order()
        (x, scale, *_), layer, text, columns = ctx.saved_tensors, ctx.layer, ctx.text, ctx.text.derived
        rows = columns.rows
        of_qkv = of_rotated(of_q[:rows], of_k[:rows], of_v[:rows], text.cos[:rows], text.sin[:rows])
        of_qkv = columns.of_whole(of_qkv.view(rows * columns.length, -1))
        of_x = of_normed(layer.qkv.of_input(of_qkv), x, layer.norm.weight, scale)
        of_learnt = layer.qkv.of_learnt(of_qkv, _normed(x, layer.norm)[0]) if layer.qkv.learnt else []
        return _with_zeros(of_x, ctx.tokens), None, None, *of_learnt


class _Answered(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        q: Tensor,
        head_k: Tensor | None,
        head_v: Tensor | None,
        own_k: Tensor,
        own_v: Tensor,
        layer: FusedLayer,
        text: Text,
        *learnt: Tensor,
    ) -> Tensor:
        own = own_k, own_v
        head = _leading(own, text) if head_k is None or head_v is None else (head_k, head_v)
        mixed, weights = attended(q, head, own, text.blocked)
        mixed = layer.held(mixed, text)
        half = layer.second_half(x, mixed)
        rows, tokens = text.derived.rows, text.derived.held_rows
        short = weights.shape[2] <= KEPT_COLUMNS
        ctx.save_for_backward(
            q[:rows],
            head_k,
            head_v,
            own_k[:rows],
            own_v[:rows],
            weights[: rows * own_k.shape[1]] if short else None,
            mixed[:tokens] if layer.out.learnt else None,
            half.middle[:tokens],
            half.scale[:tokens],
            half.gate_up[:tokens],
            *learnt,
        )
        ctx.layer, ctx.text, ctx.rows, ctx.tokens = layer, text, len(q), len(x)
        return half.states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_order()
        q, head_k, head_v, own_k, own_v, weights, mixed, middle, scale, gate_up, *_ = ctx.saved_tensors
        layer, text, columns, blocked = ctx.layer, ctx.text, ctx.text.derived, ctx.text.blocked
        of_down = gradient[: len(middle)]
        if columns.more and columns is not text.columns:  # made up by tokens of other rows
            of_down = pad(of_down[: -columns.more], (0, 0, 0, columns.more))
        of_gate_up = of_gated(layer.down.of_input(of_down), gate_up)
        of_middle = of_down + of_normed(layer.gate_up.of_input(of_gate_up), middle, layer.mlp_norm.weight, scale)
        of_mixed = columns.of_held(layer.out.of_input(of_middle))
        of_mixed = of_mixed.view(columns.rows, columns.length, text.heads, -1).transpose(1, 2).reshape(q.shape)
        blocked = None if blocked is None else blocked[: columns.rows]
        own = own_k, own_v
        head = _leading(own, text) if head_k is None else (head_k, head_v)
        of_q, of_head, of_own = of_attended(of_mixed, q, head, own, blocked, weights)
        if head_k is None:
            for whole, shared in zip(of_own, of_head, strict=True):
                whole[:1, :, : text.leading] += shared
        of_learnt: list[Tensor] = []
        if layer.out.learnt:
            of_learnt += layer.out.of_learnt(of_middle, mixed)
        if layer.gate_up.learnt:
            of_learnt += layer.gate_up.of_learnt(of_gate_up, _normed(middle, layer.mlp_norm)[0])
        if layer.down.learnt:
            of_learnt += layer.down.of_learnt(of_down, gated(gate_up))
        return (
            _with_zeros(of_middle, ctx.tokens),
            _with_zeros(of_q, ctx.rows),
            *(of_head if head_k is not None else (None, None)),
            *(_with_zeros(one, ctx.rows) for one in of_own),
            None,
            None,
            *of_learnt,
        )


def last_queries(queries: Tensor, length: int, wanted: int) -> Tensor:
    """What belongs to the queries of the last columns alone, ``[n, ·, G * wanted, ·]`` of ``[n, ·, G * L, ·]``."""
    n, heads, _, size = queries.shape
    each = queries.view(n, heads, -1, length, size)[:, :, :, length - wanted :]
    return each.reshape(n, heads, -1, size)


def _leading(own: Pair, text: Text) -> Pair | None:
    """The first row's columns that are the others' head, ``[1, H, S, d]``."""
    keys, values = (one[:1, :, : text.leading] for one in own)
    return (keys, values) if text.leading else None


def _normed(x: Tensor, norm: Any) -> tuple[Tensor, Tensor]:
    return normed(x, norm.weight, norm.variance_epsilon)


def _refuse_second_order() -> None:
    if torch.is_grad_enabled():  # as it is in a backward pass that is to be differentiated
        raise RuntimeError("the decoder's gradients have no derivatives: create_graph=True is not possible")


def _with_zeros(gradient: Tensor, rows: int) -> Tensor:
    """The same of more rows, to which nothing goes."""
    more = rows - len(gradient)
    return pad(gradient, (*(0, 0) * (gradient.dim() - 1), 0, more)) if more else gradient
