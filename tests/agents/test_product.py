"""Products with packed weights give the numbers of plain ones."""

import pytest
import torch
from reasoning_arena.agents import product
from reasoning_arena.agents.product import FEW, STEP, Product, packing_pays
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


ROWS = [1, 3, 24, FEW, FEW + 1, FEW + STEP, 300]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("biased", [False, True])
def test_in_bfloat16_products_are_the_same_to_the_last_bit(rows: int, biased: bool) -> None:
    weight, bias, x = factors(rows, torch.bfloat16)
    packed = Product(weight, bias if biased else None, packed=True, packed_back=True)
    assert torch.equal(packed(x), linear(x, weight, bias if biased else None))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("biased", [False, True])
def test_in_float32_they_are_the_same_to_rounding(rows: int, biased: bool) -> None:
    weight, bias, x = factors(rows, torch.float32)
    packed = Product(weight, bias if biased else None, packed=packing_pays(weight), packed_back=True)
    assert torch.allclose(packed(x), linear(x, weight, bias if biased else None), rtol=1e-4, atol=1e-4)
    assert "forth" in vars(packed)


@pytest.mark.parametrize("rows", [5, 300])
@pytest.mark.parametrize("packed_back", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_the_plain_product(dtype: torch.dtype, packed_back: bool, rows: int) -> None:
    weight, bias, x = factors(rows, dtype)
    directions = torch.randn(rows, 1, 320, generator=torch.Generator().manual_seed(1)).to(dtype)
    x.requires_grad_()
    packed = Product(weight, bias, packed=True, packed_back=packed_back)
    gradients = [torch.autograd.grad((one * directions).sum(), x)[0] for one in (packed(x), linear(x, weight, bias))]
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)
    assert ("back" in vars(packed)) == packed_back


def test_packed_are_large_float32_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = factors(1, torch.float32)[0]
    assert packing_pays(weight)
    assert packing_pays(weight.T.contiguous())
    assert not packing_pays(weight[:32, :16].contiguous())

    def missing(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(product, "_pack", missing)
    assert not packing_pays(weight)
    assert not packing_pays(weight.bfloat16())
