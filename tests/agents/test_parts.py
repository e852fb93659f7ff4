"""The parts of a layer give what their formulas say, and gradients that agree with finite differences."""

from collections.abc import Callable, Sequence

import pytest
import torch
from reasoning_arena.agents import parts
from reasoning_arena.agents.parts import attended, attended_by_one, gated, normed, rotated
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import silu

ROWS, HEADS, GROUPS, LENGTH, SHARED, SIZE = 3, 2, 3, 5, 7, 8


def numbers(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


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
    torch.testing.assert_close(attended(q, head, own, causal()), expected)
    nothing = [one[:, :, :0] for one in head]
    alone = plain_attention(q, *nothing, *own, causal())
    torch.testing.assert_close(attended(q, None, own, causal()), alone)


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
    torch.testing.assert_close(found, attended(q, shared, (own_k, own_v), added), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kept", [0, 512])
def test_gradients_of_attention(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "KEPT_COLUMNS", kept)
    q, *others = (one.requires_grad_() for one in (numbers(ROWS, HEADS, GROUPS * LENGTH, SIZE), *memory()))
    assert gradcheck(lambda q, a, b, k, v: attended(q, (a, b), (k, v), causal()), (q, *others))
    assert gradcheck(lambda q, k, v: attended(q, None, (k, v), causal()), (q, *others[2:]))
    assert gradcheck(lambda q, k: attended(q, (others[0].detach(), others[1].detach()), (k, k), None), (q, others[2]))


def test_gradients_of_the_other_parts() -> None:
    cos, sin = numbers(2, LENGTH, 1, SIZE), numbers(2, LENGTH, 1, SIZE, seed=1)
    qkv, gate_up, x = learnable((2, LENGTH, 6 + 2 + 2, SIZE), (3, 10), (4, 6))
    assert gradcheck(lambda one: rotated(one, cos, sin, 6), (qkv,))
    assert gradcheck(gated, (gate_up,))
    weight = numbers(6, dtype=torch.float32)
    assert gradcheck(lambda one: normed(one.float(), weight, 1e-5), (x,), eps=1e-3, atol=1e-3, rtol=1e-2)


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


@pytest.mark.parametrize("part", [gated, lambda x: normed(x, torch.ones(6, dtype=x.dtype), 1e-5)])
def test_nothing_but_the_input_is_kept(part: Callable[[Tensor], Tensor]) -> None:
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.shape) or one, lambda one: one):
        x = numbers(4, 6, dtype=torch.float32).requires_grad_()
        part(x)
    assert kept == [x.shape]
