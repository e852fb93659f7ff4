"""Columns that hold a token are found among all, and put back."""

import pytest
import torch
from reasoning_arena.agents import product
from reasoning_arena.agents.columns import Columns
from torch import Tensor
from torch.autograd import gradcheck

MASK = torch.tensor([[False, False, True, True], [True, True, True, False], [False, True, False, True]])
ALL = torch.ones(3, 4, dtype=torch.bool)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("mask", [MASK, ALL])
def test_what_stands_in_columns_that_hold_a_token(mask: Tensor) -> None:
    x, columns = numbers(3, 4, 5), Columns.of(mask)
    assert torch.equal(columns.held(x), x[mask])
    assert torch.equal(columns.whole(columns.held(x))[mask], x[mask])
    assert columns.whole(columns.held(x)).isfinite().all()
    assert gradcheck(columns.held, x)


@pytest.mark.parametrize("mask", [MASK, ALL])
def test_pads_get_no_gradient(mask: Tensor) -> None:
    columns = Columns.of(mask)
    assert gradcheck(lambda x: columns.whole(x)[mask] ** 2, numbers(int(mask.sum()), 5))


@pytest.mark.parametrize("mask", [MASK, ALL])
@pytest.mark.parametrize("length", [0, 1, 3])
def test_the_last_columns(mask: Tensor, length: int) -> None:
    x, last = numbers(3, 4, 5)[:, 4 - length :], Columns.of(mask).last(length)
    assert torch.equal(last.held(x), x[mask[:, 4 - length :]])
    assert last.whole(last.held(x)).shape == (3, length, 5)


@pytest.mark.parametrize("mask", [MASK, ALL])
def test_what_is_put_in_again_gets_no_gradient(mask: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FEW", 0), ("STEP", 5)):
        monkeypatch.setattr(product, name, value)
    columns, x = Columns.of(mask, made_up=True), numbers(3, 4, 5)
    held = columns.held(x)
    tokens = int(mask.sum())
    assert len(held) % 5 == 0
    assert len(held) > tokens
    assert torch.equal(held[:tokens], x[mask])
    assert gradcheck(lambda x: columns.held(x)[:tokens], x)
    rows = held.detach().requires_grad_()
    (gradient,) = torch.autograd.grad((columns.whole(rows)[mask] ** 2).sum(), rows)
    assert torch.equal(gradient[:tokens], 2 * rows[:tokens])
    assert not gradient[tokens:].any()
