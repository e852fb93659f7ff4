"""What the rows of a batch begin with: soft prompt and first tokens, whose keys and values are computed once.

Notation: U prompts, n rows, L columns, P virtual tokens, D hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import KeysValues, Memory, SharedHeadCache, detached
from reasoning_arena.agents.layout import Ids, beside, common_start, left_padded, right_padded
from torch import Tensor


class Head(NamedTuple):
    """What all rows begin with, or each of them where every one has its own soft prompt.

    Attributes:
        keys_values: with gradients where they are wanted.
        kept: the same without gradients.
        tokens: how many tokens it holds.
        columns: how many columns it has with the soft prompt.
    """

    keys_values: KeysValues
    kept: KeysValues
    tokens: int
    columns: int

    @property
    def shared(self) -> bool:
        """Whether all rows have the same."""
        return len(self.kept[0][0]) == 1


class KeptHead(NamedTuple):
    """The last head, without gradients, and what it was made from."""

    soft: Tensor
    common: list[int]
    head: Head


class Prefixes:
    """Computes heads, and lays out rows behind them.

    Args:
        backbone: the model.
        pass_overhead: what one more pass through the model costs, in tokens.
    """

    def __init__(self, backbone: Backbone, pass_overhead: int) -> None:
        self.backbone, self.pass_overhead = backbone, pass_overhead
        self._kept: KeptHead | None = None

    def head(self, soft: Tensor, prompts: Sequence[Ids]) -> Head | None:
        """What the rows have in common, the soft prompt and the tokens that all prompts begin with.

        It is computed, or taken from the last call where that had the same and no gradient is wanted.

        None where the model cannot share it, or where another pass through the model would cost more than it saves.
        """
        backbone = self.backbone
        if not backbone.shares_prefix:
            return None
        common = common_start(prompts)
        if len(common) == min(map(len, prompts)):
            common = common[:-1]  # every row keeps a token of its own, which predicts the first of its completion
        saved = (len(prompts) - 1) * (len(common) + (soft.shape[0] if soft.dim() == 2 else 0))
        if saved <= self.pass_overhead:
            return None
        kept = self._kept
        learns = soft.requires_grad and torch.is_grad_enabled()
        if kept is not None and not learns and kept.common == common and torch.equal(kept.soft, soft):
            return kept.head
        shared = 1 if soft.dim() == 2 else len(prompts)
        text = backbone.embed(torch.tensor([common] * shared, dtype=torch.long, device=soft.device))
        embeds = torch.cat([soft.expand(shared, *soft.shape[-2:]), text], 1)  # (1 or U, P + common, D)
        cache = SharedHeadCache(backbone.layers)
        backbone.forward(embeds, torch.ones(embeds.shape[:2], dtype=torch.bool, device=soft.device), cache)
        head = Head(cache.own, detached(cache.own), len(common), embeds.shape[1])
        self._kept = KeptHead(soft.detach(), common, head._replace(keys_values=head.kept))
        return head

    def begin(
        self, soft: Tensor, prompts: Sequence[Ids], inputs: Sequence[Ids], head: Head | None
    ) -> tuple[Tensor, Tensor, SharedHeadCache]:
        """Lay out prompts and what follows them.

        Args:
            soft: the soft prompt, in the model's dtype.
            prompts: one a row.
            inputs: tokens behind each prompt.
            head: what the rows have in common, where that was computed.

        Returns:
            the attention mask of common and other columns, the embeddings of the others, and the keys and values of
            the common ones.
        """
        n, layers = len(prompts), self.backbone.layers
        rest, rest_mask = left_padded([row[head.tokens if head else 0 :] for row in prompts], soft.device)
        after, after_mask = right_padded(inputs, soft.device)
        text = self.backbone.embed(torch.cat([rest, after], 1))
        text_mask = torch.cat([rest_mask, after_mask], 1)
        if head is None:
            return *beside(soft, text, text_mask, rest_mask), SharedHeadCache(layers)
        pairs = head.keys_values
        cache = SharedHeadCache(layers, pairs if head.shared else None, None if head.shared else pairs)
        return torch.cat([text_mask.new_ones(n, head.columns), text_mask], 1), text, cache


def memory_of(head: Head | None, cache: SharedHeadCache, mask: Tensor) -> Memory:
    """What the rows of a batch remember after a pass, without gradients."""
    return Memory(head.kept if head is not None and head.shared else None, detached(cache.own), mask)
