"""The parts of a decoder layer that are no products with weights, and their gradients.

Autograd would keep what every elementary step leaves behind, several times a layer's input. These gradients, which
``agents.layer`` asks for, need what the part was given; what takes long to compute and little room may be kept, too.

Notation: n rows, L columns, H heads of keys and values, G heads of queries to each, d the size of a head, S columns
that all rows share, C a row's own columns, D hidden size, F size of the feed-forward layer.
"""

import torch
from reasoning_arena.agents.kv_cache import Pair
from torch import Tensor
from torch.nn.functional import silu


def normed(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """``x``, ``[…, D]``, over the root of its mean square, times ``weight``, ``[D]``; and one over that root."""
    result, scale = torch.ops.aten._fused_rms_norm(x, weight.shape, weight, epsilon)
    return result, scale  # […, D], […, 1] in float32


def of_normed(gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The gradient of ``x``, where ``normed`` told its scale."""
    if x.device.type == "cuda":  # where it is one kernel
        both = torch.ops.aten._fused_rms_norm_backward(gradient, x, weight.shape, scale, weight, [True, False])
        of_x: Tensor = both[0]
        return of_x
    # Of x s w with s = (|x|² / D + ε)^(-1/2): s (g w - x s · mean(g w x s)).
    unit, weighted = x * scale, gradient * weight.float()
    common = torch.linalg.vecdot(weighted, unit).div_(-x.shape[-1])[..., None]
    return weighted.addcmul_(unit, common).mul_(scale).to(gradient.dtype)


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
    n, length, every, size = qkv.shape
    kv_heads = (every - heads) // 2
    qk = qkv[:, :, : heads + kv_heads]
    qk = torch.addcmul(qk * cos, qk.roll(size // 2, -1), sin)
    q = qkv.new_empty(n, heads, length, size)
    torch.mul(qk[:, :, :heads].transpose(1, 2), size**-0.5, out=q)
    k, v = (one.transpose(1, 2) for one in (qk[:, :, heads:], qkv[:, :, heads + kv_heads :]))  # a cache copies them
    return q.view(n, kv_heads, -1, size), k, v


def of_rotated(of_q: Tensor, of_k: Tensor, of_v: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The gradient of ``qkv``."""
    n, kv_heads, length, size = of_k.shape
    heads = of_q.shape[1] * of_q.shape[2] // length
    gradient, values = of_q.new_empty(n, length, heads + 2 * kv_heads, size), heads + kv_heads
    torch.mul(of_q.reshape(n, heads, length, size).transpose(1, 2), size**-0.5, out=gradient[:, :, :heads])
    gradient[:, :, heads:values] = of_k.transpose(1, 2)
    gradient[:, :, values:] = of_v.transpose(1, 2)
    turned = gradient[:, :, :values]
    back = (turned * sin).roll(size // 2, -1)
    turned.mul_(cos).add_(back)
    return gradient


def attended(q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attention to a shared head and to a row's own columns, for whole texts: each row gets a copy of the head.

    Args:
        q: scaled queries, ``[n, H, M, d]``, M of them to each head of keys.
        head: keys and values ``[1, H, S, d]``, or None.
        own: keys and values ``[n, H, C, d]``.
        blocked: added to the scores of own columns, ``[n, 1, M, C]``, or of all, ``[n, 1, M, S + C]``; or None.

    Returns:
        ``[n, H, M, d]``, and how much each query attends to each column, ``[n * H, M, S + C]``.
    """
    keys, values = _joined(head, own)
    weights = _weights(q, keys, blocked)
    return torch.bmm(weights, values).view(q.shape), weights


def of_attended(
    gradient: Tensor, q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Pair, Pair]:
    """The gradients of queries, of all rows' shared columns, ``[1, H, S, d]``, and of their own.

    Args:
        gradient: of what attention gave, ``[n, H, M, d]``.
        q: as ``attended`` was given it.
        head: likewise.
        own: likewise.
        blocked: likewise.
        weights: as it gave them, or None.
    """
    keys, values = _joined(head, own)
    if weights is None:
        weights = _weights(q, keys, blocked)
    (n, heads, _, size), shared = own[0].shape, 0 if head is None else head[0].shape[2]
    gradient = gradient.reshape(-1, *gradient.shape[2:])
    of_values = torch.bmm(weights.mT, gradient).view(n, heads, -1, size)
    of_weights = torch.bmm(gradient, values.mT)
    of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
    of_q = torch.bmm(of_scores, keys).view(q.shape)
    of_keys = torch.bmm(of_scores.mT, q.reshape(-1, *q.shape[2:])).view(n, heads, -1, size)
    of_head = of_keys[:, :, :shared].sum(0, keepdim=True), of_values[:, :, :shared].sum(0, keepdim=True)
    return of_q, of_head, (of_keys[:, :, shared:], of_values[:, :, shared:])


def attended_by_one(q: Tensor, head: Pair | None, own: Pair, blocked: Tensor | None) -> Tensor:
    """What ``attended`` gives, of a single column of each row; the head is left where it is. Not for gradients."""
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
    gate, up = gate_up.chunk(2, -1)
    return silu(gate).mul_(up)


def of_gated(gradient: Tensor, gate_up: Tensor) -> Tensor:
    """The gradient of the two side by side."""
    (gate, up), result = gate_up.chunk(2, -1), torch.empty_like(gate_up)
    of_gate, of_up = result.chunk(2, -1)
    torch.mul(silu(gate), gradient, out=of_up)
    torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
    return result


def _joined(head: Pair | None, own: Pair) -> Pair:
    """Keys and values with a copy of the shared ones in every row, ``[n * H, S + C, d]`` each."""
    if head is not None:
        n = len(own[0])
        keys, values = (torch.cat([one.expand(n, -1, -1, -1), rest], 2) for one, rest in zip(head, own, strict=True))
        own = keys, values
    return own[0].flatten(0, 1), own[1].flatten(0, 1)


def _weights(q: Tensor, keys: Tensor, blocked: Tensor | None) -> Tensor:
    """How much each query attends to each column, ``[n * H, M, S + C]``."""
    scores = torch.bmm(q.reshape(-1, *q.shape[2:]), keys.mT)
    if blocked is not None:
        scores.view(*q.shape[:3], -1)[..., -blocked.shape[-1] :] += blocked
    if (
        scores.is_cpu and scores.dtype == torch.bfloat16
    ):  # which is computed in float32 anyway, up to three times slower
        return scores.float().softmax(-1).to(scores.dtype)
    return scores.softmax(-1)
