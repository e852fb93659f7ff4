"""The columns of a batch that hold a token: nothing else has to be multiplied by weights.

Notation: n rows, L columns, T tokens in them.
"""

from typing import Any

import torch
from reasoning_arena.agents.product import applied
from torch import Tensor


class Columns:
    """Goes from all columns of n rows to those that hold a token, and back.

    Args:
        rows: n.
        length: L.
        index: of the columns that hold a token, counted through row by row, ``[T]``; None for all.
    """

    def __init__(self, rows: int, length: int, index: Tensor | None) -> None:
        self.rows, self.length, self.index = rows, length, index
        if index is not None:
            tokens = torch.arange(len(index), device=index.device)
            self.token = torch.full((rows * length,), len(index), device=index.device).index_copy(0, index, tokens)
            self.some_token = self.token.where(self.token < len(index), 0)

    @classmethod
    def of(cls, mask: Tensor) -> "Columns":
        """Those that hold a token, ``[n, L]``."""
        rows, length = mask.shape
        return cls(rows, length, None if bool(mask.all()) else mask.flatten().nonzero().squeeze(1))

    def held(self, x: Tensor) -> Tensor:
        """What stands in columns that hold a token, ``[T, ·]`` of ``[n, L, ·]``."""
        x = x.reshape(self.rows * self.length, x.shape[-1])
        if self.index is None:
            return x
        result: Tensor = applied(_Moved, x, self.index, self.token)
        return result

    def whole(self, x: Tensor) -> Tensor:
        """All columns, ``[n, L, ·]`` of ``[T, ·]``. What stands in pads is some token's: finite, and not to be used."""
        if self.index is not None:
            x = applied(_Moved, x, self.some_token, self.index)
        return x.view(self.rows, self.length, x.shape[-1])

    def last(self, length: int) -> "Columns":
        """The last columns alone."""
        if self.index is None:
            return Columns(self.rows, length, None)
        row, column = self.index // self.length, self.index % self.length - (self.length - length)
        return Columns(self.rows, length, (row * length + column)[column >= 0])


class _Moved(torch.autograd.Function):
    """Rows ``there`` of ``x``; the gradient's rows ``back``, where one behind the last is for nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.back, ctx.rows = back, len(x)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        if len(gradient) < ctx.rows:
            gradient = torch.cat([gradient, gradient.new_zeros(1, gradient.shape[1])])
        return gradient.index_select(0, ctx.back), None, None
