"""One step of decoding: rows' last tokens in, the logits of their next ones out.

Notation: n rows, V vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import Memory, merged
from torch import Tensor


class Steps(Protocol):
    """Decoding of n rows, a token at a time."""

    def __call__(self, last: Tensor) -> Tensor:
        """The logits, ``[n, V]`` in float32, behind every row's last token ``[n]``, which the rows then remember."""

    def worth_dropping(self, left: int, rows: int) -> bool:
        """Whether rows that ended should be dropped, all but ``left``; to drop one is to copy all the others."""

    def memory(self, rows: Tensor) -> Memory:
        """What some rows remember, when the others are no longer needed."""

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""


class PlainSteps:
    """Decoding by the model's forward pass.

    Args:
        backbone: the model.
        memories: what the rows remember, as one or several batches.
        longest: how many steps there will be at the most.
    """

    def __init__(self, backbone: Backbone, memories: Sequence[Memory], longest: int) -> None:
        self.backbone = backbone
        self.cache, self.mask = merged(memories, longest)

    def __call__(self, last: Tensor) -> Tensor:
        """As in ``Steps``."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(last), 1)], 1)
        features = self.backbone.forward(self.backbone.embed(last[:, None]), self.mask, self.cache, 1)
        return self.backbone.logits(features[:, -1])

    def worth_dropping(self, left: int, rows: int) -> bool:
        """As in ``Steps``."""
        return left <= 0.8 * rows

    def memory(self, rows: Tensor) -> Memory:
        """As in ``Steps``."""
        self.keep(rows)
        return Memory(self.cache.head, self.cache.own, self.mask)

    def keep(self, rows: Tensor) -> None:
        """As in ``Steps``."""
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
