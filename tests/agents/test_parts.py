"""The parts of a layer give what their formulas say, and gradients that agree with finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
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
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import silu

ROWS, HEADS, GROUPS, LENGTH, SHARED, SIZE = 3, 2, 3, 5, 7, 8


def numbers(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Part(torch.autograd.Function):
    """A part of a layer, for autograd: ``gradient`` is given those of what ``compute`` gives, and all inputs."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[..., Any], gradient: Callable[..., Any], *inputs: Tensor) -> Any:
        ctx.gradient = gradient
        ctx.save_for_backward(*inputs)
        return compute(*inputs)

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor) -> Any:
        found = ctx.gradient(*of_outputs, *ctx.saved_tensors)
        return None, None, *(found if isinstance(found, tuple) else (found,))


def agrees(compute: Callable[..., Any], gradient: Callable[..., Any], *inputs: Tensor, **tolerances: float) -> bool:
    """Whether a gradient is that of finite differences."""
    return gradcheck(lambda *some: Part.apply(compute, gradient, *some), inputs, **tolerances)


def learnable(*shapes: Sequence[int]) -> list[Tensor]:
    return [numbers(*shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]


def memory(dtype: torch.dtype = torch.float64, own: int = LENGTH) -> list[Tensor]:
    """Keys and values of a head, and of rows."""
    shapes = [(1, HEADS, SHARED, SIZE)] * 2 + [(ROWS, HEADS, own, SIZE)] * 2
    return [numbers(*shape, dtype=dtype, seed=9 + k) for k, shape in enumerate(shapes)]


def plain_attention(q: Tensor, head_k: Tensor, head_v: Tensor, own_k: Tensor, own_v: Tensor, blocked: Tensor) -> Tensor:
    """Attention of each row by itself, by the formula."""
    rows = []
    for n in range(len(q)):
        keys, values = torch.cat([head_k[0], own_k[n]], 1), torch.cat([head_v[0], own_v[n]], 1)
        scores = q[n] @ keys.transpose(1, 2)
        scores[..., head_k.shape[2] :] += blocked[n]
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        rows.append(weights @ values)
    return torch.stack(rows)


def causal(rows: int = ROWS) -> Tensor:
    """Blocks what comes after a query, and in the first row the first column, too."""
    blocked = torch.full((LENGTH, LENGTH), -40.0, dtype=torch.float64).triu(1).repeat(rows, 1, 1)
    blocked[0, 1:, 0] = -40
    return blocked.repeat(1, GROUPS, 1)[:, None]


def test_attention_is_that_of_each_row() -> None:
    q, others = numbers(ROWS, HEADS, GROUPS * LENGTH, SIZE), memory()
    expected = plain_attention(q, *others, causal())
    head, own = (others[0], others[1]), (others[2], others[3])
    torch.testing.assert_close(attended(q, head, own, causal())[0], expected)
    nothing = [one[:, :, :0] for one in head]
    alone = plain_attention(q, *nothing, *own, causal())
    torch.testing.assert_close(attended(q, None, own, causal())[0], alone)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize("some_blocked", [True, False])
def test_one_column_attends_as_many_do(dtype: torch.dtype, tolerance: float, headed: bool, some_blocked: bool) -> None:
    q = numbers(ROWS, HEADS, GROUPS, SIZE, dtype=dtype)
    *head, own_k, own_v = memory(dtype, own=40)
    blocked = torch.zeros(ROWS, 1, GROUPS, 40, dtype=dtype)
    blocked[1, ..., :9] = torch.finfo(dtype).min
    added = blocked if some_blocked else None
    shared = (head[0], head[1]) if headed else None
    found = attended_by_one(q, shared, (own_k, own_v), added)
    torch.testing.assert_close(found, attended(q, shared, (own_k, own_v), added)[0], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("some_blocked", [True, False])
def test_gradients_of_attention(kept: bool, some_blocked: bool) -> None:
    blocked = causal() if some_blocked else None
    inputs = [one.requires_grad_() for one in (numbers(ROWS, HEADS, GROUPS * LENGTH, SIZE), *memory())]

    def behind(q: Tensor, a: Tensor, b: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attended(q, (a, b), (k, v), blocked)[0]

    def of_behind(gradient: Tensor, q: Tensor, a: Tensor, b: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        weights = attended(q, (a, b), (k, v), blocked)[1] if kept else None
        of_q, of_head, of_own = of_attended(gradient, q, (a, b), (k, v), blocked, weights)
        return of_q, *of_head, *of_own

    def alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attended(q, None, (k, v), blocked)[0]

    def of_alone(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        weights = attended(q, None, (k, v), blocked)[1] if kept else None
        of_q, _, of_own = of_attended(gradient, q, None, (k, v), blocked, weights)
        return of_q, *of_own

    assert agrees(behind, of_behind, *inputs)
    assert agrees(alone, of_alone, inputs[0], *inputs[3:])


def test_gradients_of_the_other_parts() -> None:
    cos, sin = numbers(2, LENGTH, 1, SIZE), numbers(2, LENGTH, 1, SIZE, seed=1)
    qkv, gate_up, x = learnable((2, LENGTH, 6 + 2 + 2, SIZE), (3, 10), (4, 6))
    assert agrees(lambda one: rotated(one, cos, sin, 6), lambda q, k, v, _: of_rotated(q, k, v, cos, sin), qkv)
    assert agrees(gated, of_gated, gate_up)
    weight = numbers(6, dtype=torch.float32)
    assert agrees(
        lambda one: normed(one.float(), weight, 1e-5)[0],
        lambda gradient, one: of_normed(gradient, one.float(), weight, normed(one.float(), weight, 1e-5)[1]).double(),
        x,
        eps=1e-3,
        atol=1e-3,
        rtol=1e-2,
    )


def test_the_gate_lets_through() -> None:
    gate, up = numbers(3, 5), numbers(3, 5, seed=1)
    torch.testing.assert_close(gated(torch.cat([gate, up], -1)), silu(gate) * up)


def test_heads_are_turned_by_their_positions() -> None:
    angles = numbers(2, LENGTH, SIZE // 2)
    cos, sin = angles.cos(), angles.sin()
    qkv = numbers(2, LENGTH, 6 + 2 + 2, SIZE)
    q, k, v = rotated(qkv, torch.cat([cos, cos], -1)[:, :, None], torch.cat([-sin, sin], -1)[:, :, None], 6)
    turn = torch.complex(cos, sin)[:, :, None]

    def turned(heads: Tensor) -> Tensor:
        whole = torch.complex(heads[..., : SIZE // 2], heads[..., SIZE // 2 :]) * turn
        return torch.cat([whole.real, whole.imag], -1)

    torch.testing.assert_close(k, turned(qkv[:, :, 6:8]).transpose(1, 2))
    torch.testing.assert_close(v, qkv[:, :, 8:].transpose(1, 2))
    torch.testing.assert_close(q, turned(qkv[:, :, :6]).transpose(1, 2).reshape(2, 2, -1, SIZE) * SIZE**-0.5)
