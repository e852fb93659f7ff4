"""Products with frozen weights, in the layout that the machine multiplies few rows by fastest.

Decoding multiplies a few dozen rows by every weight. Where oneDNN computes the products, it does so up to three times
as fast from weights in blocks of its own, which torch keeps for its compiler; the numbers are the same to the last bit.

Notation: M rows, I inputs, O outputs.
"""

import time

import torch
from torch import Tensor
from torch.nn.functional import linear

FEW = 96  # rows, above which the layout makes no difference
REPEATS = 8  # of what is timed


class Product:
    """``x Wᵀ + b`` for a frozen ``W``, ``[O, I]``, and ``b``, ``[O]`` or None.

    Args:
        weight: shared, not copied.
        bias: likewise.
        packs: whether to keep a second copy of the weight, for few rows; ``packing_helps`` says.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, packs: bool) -> None:
        self.weight, self.bias, self.packs = weight, bias, packs
        self._packed: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The product with ``x``, ``[…, I]``."""
        if not self.packs or x.numel() > FEW * x.shape[-1] or (x.requires_grad and torch.is_grad_enabled()):
            return linear(x, self.weight, self.bias)
        if self._packed is None:
            self._packed = _pack(self.weight)
        return _multiply(x, self._packed, self.bias)


@torch.no_grad()
def packing_helps(weight: Tensor) -> bool:
    """Whether a packed copy of that weight gives the same numbers faster, here and now."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return False
    x = torch.linspace(-1, 1, 16 * weight.shape[1], dtype=weight.dtype).view(16, -1)
    try:
        packed = _pack(weight)
        if not torch.equal(_multiply(x, packed, None), linear(x, weight)):
            return False
    except (AttributeError, RuntimeError):  # these are torch's own affair, and may change or be missing
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
