"""Products with frozen weights, in the layout that the machine multiplies by fastest, and low-rank ones beside them.

oneDNN computes products with weights in blocks of its own, which torch keeps for its compiler, faster than torch
multiplies by plain ones: up to three times for few rows, as decoding has them, and by a tenth for hundreds. A gradient
is a product with the transposed weight, which is kept in such blocks, too.

Notation: M rows, I inputs, O outputs, R rank.
"""

import time
from collections.abc import Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

# Of more rows than FEW, packed weights are multiplied by a multiple of STEP, since oneDNN keeps memory for each number.
FEW, STEP = 32, 8
LARGE = 2**16  # numbers in a weight; a smaller one stays in the CPU's cache however it lies
REPEATS = 8  # of what is timed


class Product:
    """``x Wᵀ + b`` for a frozen ``W``, ``[O, I]``, and ``b``, ``[O]`` or None; gradients go to ``x`` alone.

    Args:
        weight: shared, not copied.
        bias: likewise.
        packed: whether to multiply by a packed copy of the weight; ``packing_pays`` says.
        packed_back: whether to compute gradients by another one.
        by_column: whether outputs lie in memory one after another, each of all rows, where the weight is not packed;
            some of them are then one piece of it.

    Attributes:
        learnt: what learns beside the weight.
    """

    learnt: Sequence[Tensor] = ()

    def __init__(
        self, weight: Tensor, bias: Tensor | None, packed: bool, packed_back: bool, by_column: bool = False
    ) -> None:
        self.weight, self.bias, self.packed, self.packed_back = weight, bias, packed, packed_back
        self.by_column = by_column

    def __call__(self, x: Tensor) -> Tensor:
        """The product with ``x``, ``[…, I]``."""
        if self.packed:
            product: Tensor = applied(_PackedProduct, x, self)
            return product
        if self.by_column:
            product = self.weight @ x.mT
            return (product if self.bias is None else product + self.bias[:, None]).mT
        return linear(x, self.weight, self.bias)

    def of_input(self, gradient: Tensor) -> Tensor:
        """The gradient of the input, ``[…, I]``, from that of the product, ``[…, O]``."""
        return _row_by_row(gradient, self.back, None) if self.packed and self.packed_back else gradient @ self.weight

    def of_learnt(self, gradient: Tensor, x: Tensor) -> list[Tensor]:
        """The gradients of what learns: nothing does."""
        return []

    @cached_property
    def forth(self) -> Tensor:
        """The packed weight."""
        return _pack(self.weight)

    @cached_property
    def back(self) -> Tensor:
        """The transposed weight, packed."""
        return _pack(self.weight.mT)


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

    Attributes:
        learnt: what they are made of, each one's ``down`` before its ``up``.
    """

    def __init__(self, product: Product, adapters: Sequence[LowRank]) -> None:
        self.product, self.adapters = product, adapters
        self.learnt = [part for one in adapters for part in (one.down, one.up)]

    def __call__(self, x: Tensor) -> Tensor:
        """The product with ``x``, ``[…, I]``; autograd follows it to what is learnt, too."""
        down, up = self._beside(x.dtype)
        return self.product(x) + linear(linear(x, down), up)

    def of_input(self, gradient: Tensor) -> Tensor:
        """The gradient of the input, ``[M, I]``, from that of the product, ``[M, O]``."""
        down, up = self._beside(gradient.dtype)
        return self.product.of_input(gradient) + gradient @ up @ down

    def of_learnt(self, gradient: Tensor, x: Tensor) -> list[Tensor]:
        """The gradients of what learns, from that of the product, ``[M, O]``, with ``x``, ``[M, I]``."""
        down, up = self._beside(x.dtype)
        of_down = ((gradient @ up).mT @ x).float()  # (R, I)
        of_up = (gradient.mT @ (x @ down.mT)).float()  # (O, R)
        found, row, column = [], 0, 0
        for one in self.adapters:
            outputs, rank = one.up.shape
            found.append(of_down[column : column + rank])
            found.append(of_up[row : row + outputs, column : column + rank] * one.scale)
            row, column = row + outputs, column + rank
        return found

    def _beside(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """All adapters as one, ``[R, I]`` and ``[O, R]``."""
        down = torch.cat([one.down for one in self.adapters]).to(dtype)
        up = torch.block_diag(*(one.up * one.scale for one in self.adapters)).to(dtype)
        return down, up


def applied(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """What a function with a gradient of its own gives; where none is wanted, without what it takes to be given one.

    That is tens of microseconds, as long as the function itself takes for a few rows.
    """
    if torch.is_grad_enabled():
        return function.apply(*arguments)
    return function.forward(SimpleNamespace(), *arguments)  # in place of what keeps something for a gradient


class _PackedProduct(torch.autograd.Function):
    """The product with a packed weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, product: Product) -> Tensor:
        ctx.product = product
        return _row_by_row(x, product.forth, product.bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.product.of_input(gradient), None


def missing_rows(rows: int) -> int:
    """How many more are multiplied by a packed weight."""
    return -rows % STEP if rows > FEW else 0


def _row_by_row(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """The product of ``x``, ``[…, ·]``, with a packed weight."""
    rows = x.reshape(-1, x.shape[-1])
    more = missing_rows(len(rows))
    product = _multiply(pad(rows, (0, 0, 0, more)) if more else rows, packed, bias)
    return product[: len(rows)].view(*x.shape[:-1], -1)


@torch.no_grad()
def packing_pays(weight: Tensor) -> bool:
    """Whether weights like that one should be packed, here and now.

    In bfloat16 a measurement decides, where both ways give products and gradients that are the same to the last bit. In
    float32 they differ by rounding, so that there nothing is left to chance: large weights are packed.
    """
    if weight.device.type != "cpu" or weight.dtype not in (torch.bfloat16, torch.float32) or weight.numel() < LARGE:
        return False
    gradient, x = (torch.linspace(-1, 1, 16 * size, dtype=weight.dtype).view(16, -1) for size in weight.shape)
    try:
        packed = _pack(weight)
        both = (
            (_multiply(x, packed, None), linear(x, weight)),
            (_multiply(gradient, _pack(weight.mT), None), gradient @ weight),
        )
    except (AttributeError, RuntimeError):  # these are torch's own affair, and may change or be missing
        return False
    if weight.dtype == torch.float32:
        return all(bool((ours - plain).norm() < 1e-5 * plain.norm()) for ours, plain in both)
    if not all(torch.equal(*products) for products in both):
        return False
    plain = fast = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        linear(x, weight)
        middle = time.perf_counter()
        _multiply(x, packed, None)
        plain, fast = min(plain, middle - start), min(fast, time.perf_counter() - middle)
    return fast < 0.95 * plain


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, 32)
    return packed


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product
