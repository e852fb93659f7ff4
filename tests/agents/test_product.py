"""Products with packed weights give the numbers of plain ones."""

import sys

import pytest
import torch
from reasoning_arena.agents import product
from reasoning_arena.agents.product import FEW, Product, most_rows
from torch import Tensor
from torch.nn.functional import linear


def factors(rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A weight, a bias, and what they are applied to."""
    generator = torch.Generator().manual_seed(0)
    weight, bias, x = (torch.randn(*shape, generator=generator) for shape in ((320, 256), (320,), (rows, 1, 256)))
    try:
        product._pack(weight.to(dtype))
    except (AttributeError, RuntimeError):
        pytest.skip("this torch packs no weights")
    return weight.to(dtype), bias.to(dtype), x.to(dtype)


@pytest.mark.parametrize("rows", [1, 3, 24, FEW, FEW + 1])
@pytest.mark.parametrize("biased", [False, True])
def test_in_bfloat16_products_are_the_same_to_the_last_bit(rows: int, biased: bool) -> None:
    weight, bias, x = factors(rows, torch.bfloat16)
    packed = Product(weight, bias if biased else None, FEW)
    assert torch.equal(packed(x), linear(x, weight, bias if biased else None))
    assert (packed._packed is not None) == (rows <= FEW)


@pytest.mark.parametrize("rows", [1, 24, 300])
@pytest.mark.parametrize("biased", [False, True])
def test_in_float32_they_are_the_same_to_rounding(rows: int, biased: bool) -> None:
    weight, bias, x = factors(rows, torch.float32)
    packed = Product(weight, bias if biased else None, most_rows(weight))
    assert torch.allclose(packed(x), linear(x, weight, bias if biased else None), rtol=1e-4, atol=1e-4)
    assert packed._packed is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_the_plain_product(dtype: torch.dtype) -> None:
    weight, bias, x = factors(5, dtype)
    directions = torch.randn(5, 1, 320, generator=torch.Generator().manual_seed(1)).to(dtype)
    x.requires_grad_()
    packed, plain = Product(weight, bias, FEW)(x), linear(x, weight, bias)
    gradients = [torch.autograd.grad((one * directions).sum(), x)[0] for one in (packed, plain)]
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)


def test_packed_are_large_float32_weights_with_more_outputs_than_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = factors(1, torch.float32)[0]
    assert most_rows(weight) == sys.maxsize
    assert most_rows(weight.T.contiguous()) == most_rows(weight[:32, :16].contiguous()) == 0

    def missing(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(product, "_pack", missing)
    assert most_rows(weight) == most_rows(weight.bfloat16()) == 0
