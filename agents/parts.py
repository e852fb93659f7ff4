"""The parts of a decoder layer that are no products with weights, with gradients written out.

Autograd would keep what every elementary step leaves behind, several times a layer's input. These keep what they were
given, compute the rest again but for what takes long and little room, and take fewer and larger steps. Gradients go to
activations alone: weights are frozen.

Notation: n rows, L columns, H heads of keys and values, G heads of queries to each, d the size of a head, S columns
that all rows share, C a row's own columns, D hidden size, F size of the feed-forward layer.
"""

from typing import Any

import torch
from reasoning_arena.agents.kv_cache import Pair
from reasoning_arena.agents.product import applied
from torch import Tensor
from torch.nn.functional import rms_norm, silu

KEPT_COLUMNS = 512  # up to which attention keeps its weights for the gradient; longer rows compute them again


def normed(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """``x``, ``[…, D]``, over the root of its mean square, times ``weight``, ``[D]``."""
    if x.device.type != "cpu" or not torch.is_grad_enabled():  # elsewhere it is one kernel, and so is its gradient
        return rms_norm(x, weight.shape, weight, epsilon)
    result: Tensor = applied(_Normed, x, weight, epsilon)
    return result


def rotated(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values; the first two are turned by their positions.

    Args:
        qkv: side by side, ``[n, L, G * H + H + H, d]``.
        cos: of every column, ``[n, L, 1, d]``.
        sin: likewise, its first half negated.
        heads: of queries, G * H.

    Returns:
        queries, scaled for attention, ``[n, H, G * L, d]``, keys and values, ``[n, H, L, d]``.
    """
    q, k, v = applied(_Rotated, qkv, cos, sin, heads)
    return q, k, v


def attended(q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None) -> Tensor:
    """Attention to a shared head and to a row's own columns, for whole texts: each row gets a copy of the head.

    Args:
        q: scaled queries, ``[n, H, M, d]``, M of them to each head of keys.
        head: keys and values ``[1, H, S, d]``, or None.
        own: keys and values ``[n, H, C, d]``.
        blocked: added to the scores of own columns, ``[n, 1, M, C]``, or of all, ``[n, 1, M, S + C]``; or None.

    Returns:
        ``[n, H, M, d]``.
    """
    shared = head or tuple(one[:1, :, :0] for one in own)
    result: Tensor = applied(_Attended, q, *shared, *own, blocked)
    return result


def attended_by_one(q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None) -> Tensor:
    """The same for a single column of each row, which leaves the head where it is; not for gradients."""
    if q.device.type == "cpu":
        return _attended_in_parts(q, head, own, blocked)
    n, heads, queries, size = q.shape
    few = queries < 8  # which are then cheaper to turn around than all the keys
    scores = (own[0] @ q.mT).mT if few else q @ own[0].mT  # (n, H, M, C)
    if blocked is not None:
        scores = scores + blocked
    if head is None:
        return scores.softmax(-1) @ own[1]
    shared = head[0].shape[2]
    together = q.transpose(0, 1).reshape(heads, n * queries, size)
    before = torch.bmm(together, head[0][0].transpose(1, 2)).view(heads, n, queries, shared)
    weights = torch.cat([before.transpose(0, 1), scores], -1).softmax(-1)  # (n, H, M, S + C)
    shared_weights = weights[..., :shared].transpose(0, 1).reshape(heads, n * queries, shared)
    from_head = torch.bmm(shared_weights, head[1][0]).view(heads, n, queries, size).transpose(0, 1)
    return weights[..., shared:] @ own[1] + from_head


def _attended_in_parts(q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None) -> Tensor:
    """The same in fewer steps, by an operator that CPUs have: to the head, to a row's own columns, and both weighed."""
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    # The operator tells the logarithm of what a query's weights sum up to, too, ``[n, H, M]`` in float32; the share of
    # one of two parts is the sigmoid of the difference.
    of_own: Tensor
    of_own, own_sums = attend(q, *own, attn_mask=blocked, scale=1.0)
    if head is None:
        return of_own
    n, heads, queries, size = q.shape
    of_head, head_sums = attend(q.transpose(0, 1).reshape(1, heads, n * queries, size), *head, scale=1.0)
    of_head = of_head.view(heads, n, queries, size).transpose(0, 1)
    share = torch.sigmoid(head_sums.view(heads, n, queries).transpose(0, 1) - own_sums)[..., None]
    return torch.lerp(of_own, of_head, share.to(q.dtype))


def gated(gate_up: Tensor) -> Tensor:
    """``silu(gate) * up`` of the two side by side, ``[…, 2 * F]``: ``[…, F]``."""
    result: Tensor = applied(_Gated, gate_up)
    return result


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.weight, ctx.epsilon = weight, epsilon
        return rms_norm(x, weight.shape, weight, epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # Of x s w with s = (|x|² / D + ε)^(-1/2): s (g w - x s · mean(g w x s)).
        x = ctx.saved_tensors[0].float()
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(ctx.epsilon)
        scale.rsqrt_()
        unit, weighted = x * scale, gradient * ctx.weight.float()
        common = torch.linalg.vecdot(weighted, unit).div_(-x.shape[-1])[..., None]
        return weighted.addcmul_(unit, common).mul_(scale).to(gradient.dtype), None, None


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        n, length, every, size = qkv.shape
        kv_heads = (every - heads) // 2
        ctx.rotation, ctx.shape, ctx.heads = (cos, sin), qkv.shape, heads
        qk = qkv[:, :, : heads + kv_heads]
        qk = torch.addcmul(qk * cos, qk.roll(size // 2, -1), sin)
        q = qkv.new_empty(n, heads, length, size)
        torch.mul(qk[:, :, :heads].transpose(1, 2), size**-0.5, out=q)
        k, v = (one.transpose(1, 2) for one in (qk[:, :, heads:], qkv[:, :, heads + kv_heads :]))  # a cache copies them
        return q.view(n, kv_heads, -1, size), k, v

    @staticmethod
    def backward(ctx: Any, of_q: Tensor, of_k: Tensor, of_v: Tensor) -> tuple[Tensor, None, None, None]:
        (cos, sin), (n, length, every, size), heads = ctx.rotation, ctx.shape, ctx.heads
        gradient, values = of_q.new_empty(ctx.shape), every - of_v.shape[1]
        of_q = of_q.reshape(n, heads, length, size).transpose(1, 2)
        torch.mul(of_q, size**-0.5, out=gradient[:, :, :heads])
        gradient[:, :, heads:values] = of_k.transpose(1, 2)
        gradient[:, :, values:] = of_v.transpose(1, 2)
        turned = gradient[:, :, :values]
        back = (turned * sin).roll(size // 2, -1)
        turned.mul_(cos).add_(back)
        return gradient, None, None, None


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, head_k: Tensor, head_v: Tensor, own_k: Tensor, own_v: Tensor, blocked: Tensor | None
    ) -> Tensor:
        keys, values = _joined(head_k, own_k), _joined(head_v, own_v)
        weights = _weights(q, keys, blocked)
        kept = weights if keys.shape[1] <= KEPT_COLUMNS else None
        ctx.save_for_backward(q, head_k, head_v, own_k, own_v, blocked, kept)
        return torch.bmm(weights, values).view(q.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, head_k, head_v, own_k, own_v, blocked, weights = ctx.saved_tensors
        keys, values = _joined(head_k, own_k), _joined(head_v, own_v)
        if weights is None:
            weights = _weights(q, keys, blocked)
        gradient = gradient.reshape(-1, *gradient.shape[2:])
        of_values = torch.bmm(weights.mT, gradient).view(*own_v.shape[:2], -1, own_v.shape[3])
        of_weights = torch.bmm(gradient, values.mT)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_q = torch.bmm(of_scores, keys).view(q.shape)
        of_keys = torch.bmm(of_scores.mT, q.view(-1, *q.shape[2:])).view(*own_k.shape[:2], -1, own_k.shape[3])
        shared = head_k.shape[2]
        of_head_k = of_head_v = None
        if ctx.needs_input_grad[1]:
            of_head_k, of_head_v = (one[:, :, :shared].sum(0, keepdim=True) for one in (of_keys, of_values))
        return of_q, of_head_k, of_head_v, of_keys[:, :, shared:], of_values[:, :, shared:], None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gate_up = ctx.saved_tensors[0]
        (gate, up), result = gate_up.chunk(2, -1), torch.empty_like(gate_up)
        of_gate, of_up = result.chunk(2, -1)
        torch.mul(silu(gate), gradient, out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
        return result


def _joined(head: Tensor, own: Tensor) -> Tensor:
    """Keys or values with a copy of the shared ones in every row, ``[n * H, S + C, d]``."""
    return torch.cat([head.expand(len(own), -1, -1, -1), own], 2).view(-1, head.shape[2] + own.shape[2], own.shape[3])


def _weights(q: Tensor, keys: Tensor, blocked: Tensor | None) -> Tensor:
    """How much each query attends to each column, ``[n * H, M, S + C]``."""
    scores = torch.bmm(q.view(-1, *q.shape[2:]), keys.mT)
    if blocked is not None:
        scores.view(*q.shape[:3], -1)[..., -blocked.shape[-1] :] += blocked
    return scores.softmax(-1)
