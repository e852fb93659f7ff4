"""Products with packed weights give the numbers of plain ones."""

import pytest
import torch
from reasoning_arena.agents import product
from reasoning_arena.agents.product import FEW, Product, packing_helps
from torch.nn.functional import linear


@pytest.mark.parametrize("rows", [1, 3, 24, FEW, FEW + 1])
@pytest.mark.parametrize("biased", [False, True])
def test_products_are_the_same_to_the_last_bit(rows: int, biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias, x = (
        torch.randn(*shape, generator=generator).bfloat16() for shape in ((96, 64), (96,), (rows, 1, 64))
    )
    try:
        product._pack(weight)
    except (AttributeError, RuntimeError):
        pytest.skip("this torch packs no weights")
    packed = Product(weight, bias if biased else None, packs=True)
    assert torch.equal(packed(x), linear(x, weight, bias if biased else None))
    assert (packed._packed is not None) == (rows <= FEW)


def test_gradients_go_through_the_plain_weight() -> None:
    weight, x = torch.randn(8, 4).bfloat16(), torch.randn(2, 4).bfloat16().requires_grad_()
    Product(weight, None, packs=True)(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, weight.sum(0).expand(2, 4), rtol=0.05, atol=0.05)


def test_packing_is_for_bfloat16_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not packing_helps(torch.ones(8, 4))

    def missing(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(product, "_pack", missing)
    assert not packing_helps(torch.ones(8, 4).bfloat16())
