"""What the rows of a batch begin with: soft prompt and first tokens, whose keys and values are computed once.

Notation: U prompts, n rows, L columns, P shared and Q own virtual tokens, D hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import KeysValues, Memory, SharedHeadCache, detached
from reasoning_arena.agents.layout import Ids, beside, common_start, left_padded, right_padded
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.steering import Soft
from torch import Tensor


class Front(NamedTuple):
    """The soft prompt in the model's dtype: what all prompts share, and what stands behind it in each.

    Attributes:
        shared: ``[P, D]``; P may be 0.
        own: ``[U, Q, D]``, or None.
    """

    shared: Tensor
    own: Tensor | None

    def of(self, prompts: Sequence[int]) -> "Front":
        """That of some prompts, or of some repeated."""
        return self if self.own is None else self._replace(own=self.own[list(prompts)])

    def whole(self) -> Tensor:
        """Both parts in one, ``[P, D]`` or ``[U, P + Q, D]``."""
        if self.own is None:
            return self.shared
        return torch.cat([self.shared.expand(len(self.own), -1, -1), self.own], 1)


def front_of(soft: Soft, lm: LoadedModel) -> Front:
    """A soft prompt as a model takes it."""
    shared, own = soft if isinstance(soft, tuple) else (soft, None)
    return Front(shared.to(lm.device, lm.dtype), None if own is None else own.to(lm.device, lm.dtype))


class Head(NamedTuple):
    """What all rows begin with: the shared part of the soft prompt, and tokens.

    Attributes:
        keys_values: ``[1, H, ·, d]``, with gradients where they are wanted.
        kept: the same without gradients.
        tokens: how many tokens it holds.
        columns: how many columns it has with the soft prompt.
    """

    keys_values: KeysValues
    kept: KeysValues
    tokens: int
    columns: int


class KeptHead(NamedTuple):
    """The last head, without gradients, and a copy of what it was made from, which learns in place."""

    soft: Tensor
    common: list[int]
    head: Head


class Prefixes:
    """Computes heads, and lays out rows behind them.

    Args:
        backbone: the model.
        pass_overhead: what one more pass through the model costs, in tokens.
        keeps: whether a head may be used again, which is so where the model stays as it is.
    """

    def __init__(self, backbone: Backbone, pass_overhead: int, keeps: bool) -> None:
        self.backbone, self.pass_overhead, self.keeps = backbone, pass_overhead, keeps
        self._kept: KeptHead | None = None

    def head(self, front: Front, prompts: Sequence[Ids]) -> Head | None:
        """What the rows have in common: the soft prompt, and where that is all of it, tokens that prompts begin with.

        It is computed, or taken from the last call where that had the same and no gradient is wanted.

        None where the model cannot share it, or where another pass through the model would cost more than it saves.
        """
        backbone = self.backbone
        if not backbone.shares_prefix:
            return None
        soft = front.shared
        common = common_start(prompts) if front.own is None else []
        if len(common) == min(map(len, prompts)):
            common = common[:-1]  # every row keeps a token of its own, which predicts the first of its completion
        columns = len(common) + len(soft)
        if not columns or (len(prompts) - 1) * columns <= self.pass_overhead:
            return None
        kept = self._kept
        learns = soft.requires_grad and torch.is_grad_enabled()
        if kept is not None and not learns and kept.common == common and torch.equal(kept.soft, soft):
            return kept.head
        text = backbone.embed(torch.tensor([common], dtype=torch.long, device=soft.device))
        embeds = torch.cat([soft[None], text], 1)  # (1, P + common, D)
        cache = SharedHeadCache(backbone.layers)
        backbone.forward(embeds, torch.ones(embeds.shape[:2], dtype=torch.bool, device=soft.device), cache)
        head = Head(cache.own, detached(cache.own), len(common), columns)
        if self.keeps:
            self._kept = KeptHead(soft.detach().clone(), common, head._replace(keys_values=head.kept))
        return head

    def begin(
        self, front: Front, prompts: Sequence[Ids], inputs: Sequence[Ids], head: Head | None
    ) -> tuple[Tensor, Tensor, SharedHeadCache]:
        """Lay out prompts and what follows them.

        Args:
            front: the soft prompt, one a row where it is not shared.
            prompts: one a row.
            inputs: tokens behind each prompt.
            head: what the rows have in common, where that was computed.

        Returns:
            the attention mask of common and other columns, the embeddings of the others, and the keys and values of
            the common ones.
        """
        layers, device = self.backbone.layers, front.shared.device
        rest, rest_mask = left_padded([row[head.tokens if head else 0 :] for row in prompts], device)
        after, after_mask = right_padded(inputs, device)
        text = self.backbone.embed(torch.cat([rest, after], 1))
        mask = torch.cat([rest_mask, after_mask], 1)
        if head is None:
            return *beside(front.whole(), text, mask, rest_mask), SharedHeadCache(layers)
        if front.own is not None:
            mask, text = beside(front.own, text, mask, rest_mask)
        common = mask.new_ones(len(prompts), head.columns)
        return torch.cat([common, mask], 1), text, SharedHeadCache(layers, head.keys_values)


def memory_of(head: Head | None, cache: SharedHeadCache, mask: Tensor) -> Memory:
    """What the rows of a batch remember after a pass, without gradients."""
    return Memory(None if head is None else head.kept, detached(cache.own), mask)
