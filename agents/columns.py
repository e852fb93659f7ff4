"""The columns of a batch that hold a token: nothing else has to be multiplied by weights.

Notation: n rows, L columns, T tokens in them.
"""

from collections.abc import Callable
from typing import Any

import torch
from reasoning_arena.agents.product import applied, missing_rows
from torch import Tensor
from torch.nn.functional import pad


class Columns:
    """Goes from all columns of n rows to those that hold a token, and back.

    Args:
        rows: n.
        length: L.
        index: of the columns that hold a token, counted through row by row; None for all.
        made_up: whether T is made up to what products with packed weights take without copying.
    """

    def __init__(self, rows: int, length: int, index: Tensor | None, made_up: bool = False) -> None:
        self.rows, self.length, self.index, self.made_up = rows, length, index, made_up
        self.more = missing_rows(rows * length if index is None else len(index)) if made_up else 0
        if index is not None:
            tokens = torch.arange(len(index), device=index.device)
            # A token is put in again for each that is missing, and nothing is made of it there. Where all columns hold
            # tokens, rows of zeros do.
            self.there = torch.cat([index, index[:1].expand(self.more)])
            nothing = len(self.there)  # the row behind the last
            self.token = torch.full((rows * length,), nothing, device=index.device).index_copy(0, index, tokens)
            self.some_token = self.token.where(self.token < nothing, 0)

    @classmethod
    def of(cls, mask: Tensor, made_up: bool = False) -> "Columns":
        """Those that hold a token, ``[n, L]``."""
        rows, length = mask.shape
        return cls(rows, length, None if bool(mask.all()) else mask.flatten().nonzero().squeeze(1), made_up)

    @property
    def held_rows(self) -> int:
        """T, and what it is made up by."""
        return (self.rows * self.length if self.index is None else len(self.index)) + self.more

    def held(self, x: Tensor) -> Tensor:
        """What stands in columns that hold a token, and rows to make up, ``[T + more, ·]`` of ``[n, L, ·]``."""
        x = x.reshape(self.rows * self.length, x.shape[-1])
        if self.index is None:
            return pad(x, (0, 0, 0, self.more)) if self.more else x
        result: Tensor = applied(_Selected, x, self.there, self.of_held)
        return result

    def whole(self, x: Tensor) -> Tensor:
        """All columns, ``[n, L, ·]`` of ``[T + more, ·]``; in pads stands some token's, finite and not to be used."""
        if self.index is not None:
            x = applied(_Selected, x, self.some_token, self.of_whole)
        return x[: self.rows * self.length].view(self.rows, self.length, x.shape[-1])

    def of_held(self, gradient: Tensor) -> Tensor:
        """The gradient of what ``held`` was given, ``[n * L, ·]``, from that of what it gave, ``[T + more, ·]``."""
        if self.index is None:
            return gradient[: self.rows * self.length]
        nothing = gradient.new_zeros(1, gradient.shape[1])
        return torch.cat([gradient, nothing]).index_select(0, self.token)

    def of_whole(self, gradient: Tensor) -> Tensor:
        """The gradient of what ``whole`` was given, ``[T + more, ·]``, from that of what it gave, ``[n * L, ·]``."""
        if self.index is None:
            return pad(gradient, (0, 0, 0, self.more)) if self.more else gradient
        of_tokens = gradient.index_select(0, self.there)
        of_tokens[len(self.index) :] = 0  # or what learns in the products would learn from them twice
        return of_tokens

    def first(self, rows: int) -> "Columns":
        """Those of the first rows alone."""
        if rows == self.rows:
            return self
        index = None if self.index is None else self.index[self.index < rows * self.length]
        return Columns(rows, self.length, index, self.made_up)

    def last(self, length: int) -> "Columns":
        """The last columns alone."""
        if self.index is None:
            return Columns(self.rows, length, None, self.made_up)
        row, column = self.index // self.length, self.index % self.length - (self.length - length)
        return Columns(self.rows, length, (row * length + column)[column >= 0], self.made_up)


class _Selected(torch.autograd.Function):
    """Rows of ``x``; ``of_x`` makes its gradient from theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, of_x: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.of_x = of_x
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.of_x(gradient), None, None
