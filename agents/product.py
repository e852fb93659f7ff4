"""Products with frozen weights, in the layout that the machine multiplies by fastest, and low-rank ones beside them.

Where oneDNN computes products with weights in blocks of its own, which torch keeps for its compiler, it does so up to
three times as fast as torch multiplies by plain ones: in bfloat16 with few rows, as decoding has them, and in float32,
which torch leaves to another library, with many rows too.

Notation: M rows, I inputs, O outputs, R rank.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

FEW = 160  # rows, above which the layout makes no difference in bfloat16
STEP = 32  # rows that packed weights are multiplied by are multiples of this, since oneDNN keeps memory for each number
LARGE = 2**16  # numbers in a weight; a smaller one stays in the CPU's cache however it lies
REPEATS = 8  # of what is timed


class Product:
    """``x Wᵀ + b`` for a frozen ``W``, ``[O, I]``, and ``b``, ``[O]`` or None; gradients go to ``x`` alone.

    Args:
        weight: shared, not copied.
        bias: likewise.
        packed_rows: up to how many rows are multiplied by a second, packed copy of the weight; ``most_rows`` says.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, packed_rows: int) -> None:
        self.weight, self.bias, self.packed_rows = weight, bias, packed_rows
        self._packed: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The product with ``x``, ``[…, I]``."""
        if x.numel() > self.packed_rows * x.shape[-1]:
            return linear(x, self.weight, self.bias)
        if self._packed is None:
            self._packed = _pack(self.weight)
        product: Tensor = applied(_PackedProduct, x, self.weight, self._packed, self.bias)
        return product


class LowRank(NamedTuple):
    """What is learnt beside a frozen weight, ``scale * up @ down``; R may be 0.

    Attributes:
        down: ``[R, I]``, in float32 as it learns.
        up: ``[O, R]``, likewise.
        scale: a number.
    """

    down: Tensor
    up: Tensor
    scale: float


class AdaptedProduct:
    """A product with frozen weights side by side, and with what is learnt beside each of them, in the input's dtype.

    Args:
        product: with the frozen weights.
        adapters: one for each of these weights, which begin where the one before ends.
    """

    def __init__(self, product: Product, adapters: Sequence[LowRank]) -> None:
        self.product, self.adapters = product, adapters

    def __call__(self, x: Tensor) -> Tensor:
        """The product with ``x``, ``[…, I]``, with gradients to what is learnt, too."""
        down = torch.cat([one.down for one in self.adapters]).to(x.dtype)  # (R, I)
        up = torch.block_diag(*(one.up * one.scale for one in self.adapters)).to(x.dtype)  # (O, R)
        return self.product(x) + linear(linear(x, down), up)


def applied(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """What a function with a gradient of its own gives; where none is wanted, without what it takes to be given one.

    That is tens of microseconds, as long as the function itself takes for a few rows.
    """
    if torch.is_grad_enabled():
        return function.apply(*arguments)
    return function.forward(_Forgetful(), *arguments)


class _Forgetful:
    """In place of what keeps something for a gradient."""

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Nothing."""


class _PackedProduct(torch.autograd.Function):
    """The product with a packed weight; its gradient is a product with the plain one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        rows = x.reshape(-1, x.shape[-1])
        more = -len(rows) % STEP if len(rows) > STEP else 0
        product = _multiply(pad(rows, (0, 0, 0, more)) if more else rows, packed, bias)
        return product[: len(rows)].view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient @ ctx.weight, None, None, None


@torch.no_grad()
def most_rows(weight: Tensor) -> int:
    """Up to how many rows should be multiplied by a packed copy of a weight like that one, here and now.

    In bfloat16 a measurement decides, which changes no number: both ways give the same to the last bit. In float32 they
    differ by rounding, so that there nothing is left to chance: packed are large weights with more outputs than inputs,
    with which the other library is slow.
    """
    outputs, inputs = weight.shape
    if weight.device.type != "cpu" or weight.dtype not in (torch.bfloat16, torch.float32):
        return 0
    if weight.dtype == torch.float32 and (outputs <= inputs or weight.numel() < LARGE):
        return 0
    x = torch.linspace(-1, 1, 16 * inputs, dtype=weight.dtype).view(16, -1)
    try:
        packed = _pack(weight)
        products = _multiply(x, packed, None), linear(x, weight)
    except (AttributeError, RuntimeError):  # these are torch's own affair, and may change or be missing
        return 0
    if weight.dtype == torch.float32:
        return sys.maxsize if bool((products[0] - products[1]).norm() < 1e-5 * products[1].norm()) else 0
    if not torch.equal(*products):
        return 0
    plain = fast = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        linear(x, weight)
        middle = time.perf_counter()
        _multiply(x, packed, None)
        plain, fast = min(plain, middle - start), min(fast, time.perf_counter() - middle)
    return FEW if fast < 0.95 * plain else 0


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, 32)
    return packed


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product
