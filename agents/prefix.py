"""What the rows of a batch begin with: soft prompt and first tokens, whose keys and values are computed once.

Those of a preamble are computed once and for all, those of what learns once a batch, with gradients. Where the model
itself learns, a preamble is no more than a part of the soft prompt that does not.

Notation: U prompts, n rows, L columns, F virtual tokens of a preamble, P shared and Q own ones, D hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import KeysValues, Memory, SharedHeadCache, detached
from reasoning_arena.agents.layout import Ids, beside, common_start, left_padded, right_padded
from reasoning_arena.agents.steering import Soft
from torch import Tensor


class Head(NamedTuple):
    """What all rows begin with: a preamble, most often the shared part of the soft prompt behind it, and tokens.

    Attributes:
        keys_values: ``[1, H, ·, d]``, with gradients where they are wanted.
        kept: the same without gradients.
        preamble: those of the preamble that it begins with, or None.
        tokens: how many tokens it holds.
        columns: how many columns it has, those of the soft prompt among them.
    """

    keys_values: KeysValues
    kept: KeysValues
    preamble: KeysValues | None
    tokens: int
    columns: int


class KeptHead(NamedTuple):
    """A head, a copy of what it was made from, which may learn in place, and the version of the model that made it."""

    soft: Tensor
    common: list[int]
    version: int
    head: Head

    def serves(self, soft: Tensor, common: list[int], version: int) -> bool:
        """Whether these begin with what it is the head of, for that version of the model."""
        return self.version == version and self.common == common[: len(self.common)] and torch.equal(self.soft, soft)


class Prefixes:
    """Computes heads, and lays out rows behind them.

    Args:
        backbone: the model.
        pass_overhead: what one more pass through the model costs, in tokens.
    """

    def __init__(self, backbone: Backbone, pass_overhead: int) -> None:
        self.backbone, self.pass_overhead = backbone, pass_overhead
        self._preamble: tuple[Tensor, Head] | None = None  # and what it was made from
        self._last: KeptHead | None = None  # without gradients
        self._unused: KeptHead | None = None  # with gradients, for the one backward pass that they are good for

    def head(self, soft: Soft, prompts: Sequence[Ids], *, ahead: bool = False) -> tuple[Head | None, Soft]:
        """What the rows have in common, and what of the soft prompt is left to stand in every row.

        In common are the soft prompt, and where that is all of it, tokens that prompts begin with. They are computed,
        or taken from an earlier call where these begin with what that had: from the last one where no gradient is
        wanted, else from one that was ahead. The preamble alone is in common where another pass through the model
        would cost more than it saves, and nothing where the model cannot share.

        Args:
            soft: the soft prompt.
            prompts: of the rows.
            ahead: whether its gradients are for a later call.
        """
        if not self.backbone.shares_prefix:
            return None, soft
        nothing, version = soft.preamble[:0], self.backbone.version
        if self.backbone.learnt:  # then so do the preamble's keys and values, and it is computed with the rest
            soft = Soft(nothing, soft.constant(), soft.own)
        before = self._preamble_head(soft.preamble)
        common = common_start(prompts) if soft.own is None else []
        if len(common) == min(map(len, prompts)):
            common = common[:-1]  # every row keeps a token of its own, which predicts the first of its completion
        left = Soft(nothing, nothing, soft.own)
        learns = (soft.shared.requires_grad or bool(self.backbone.learnt)) and torch.is_grad_enabled()
        kept = self._unused if learns else self._last
        self._unused = kept if ahead and learns else None
        if kept is not None and kept.serves(soft.constant(), common, version):
            return kept.head, left
        columns = len(soft.shared) + len(common)
        if not columns or (len(prompts) - 1) * columns <= self.pass_overhead:
            return before, Soft(nothing, soft.shared, soft.own)
        head = self._compute(before, soft.shared, common)
        made_from = soft.constant().detach().clone()
        self._last = KeptHead(made_from, common, version, head._replace(keys_values=head.kept))
        if ahead and learns:
            self._unused = KeptHead(made_from, common, version, head)
        return head, left

    @torch.no_grad()
    def _preamble_head(self, preamble: Tensor) -> Head | None:
        if not len(preamble):
            return None
        if self._preamble is None or not torch.equal(self._preamble[0], preamble):
            head = self._compute(None, preamble, [])
            self._preamble = preamble.clone(), head._replace(preamble=head.kept)
        return self._preamble[1]

    def _compute(self, before: Head | None, virtual: Tensor, tokens: list[int]) -> Head:
        """The head of virtual tokens ``[P, D]`` and tokens, behind another one where there is one."""
        device, columns = virtual.device, 0 if before is None else before.columns
        text = self.backbone.embed(torch.tensor([tokens], dtype=torch.long, device=device))
        embeds = torch.cat([virtual[None], text], 1)  # (1, P + tokens, D)
        columns += embeds.shape[1]
        cache = SharedHeadCache(self.backbone.layers, before and before.kept)
        self.backbone.forward(embeds, torch.ones(1, columns, dtype=torch.bool, device=device), cache, 0)
        keys_values = cache.whole
        return Head(keys_values, detached(keys_values), before and before.kept, len(tokens), columns)

    def begin(
        self, soft: Soft, prompts: Sequence[Ids], inputs: Sequence[Ids], head: Head | None
    ) -> tuple[Tensor, Tensor, SharedHeadCache]:
        """Lay out prompts and what follows them.

        Args:
            soft: what of the soft prompt stands in every row, where that is not shared one a row.
            prompts: one a row.
            inputs: tokens behind each prompt.
            head: what the rows have in common, where that was computed.

        Returns:
            the attention mask of common and other columns, the embeddings of the others, and the keys and values of
            the common ones.
        """
        virtual = soft.whole()
        rest, rest_mask = left_padded([row[head.tokens if head else 0 :] for row in prompts], virtual.device)
        after, after_mask = right_padded(inputs, virtual.device)
        text = self.backbone.embed(torch.cat([rest, after], 1))
        mask = torch.cat([rest_mask, after_mask], 1)
        if virtual.shape[-2]:
            mask, text = beside(virtual, text, mask, rest_mask)
        common = mask.new_ones(len(prompts), head.columns if head else 0)
        return torch.cat([common, mask], 1), text, SharedHeadCache(self.backbone.layers, head and head.keys_values)


def memory_of(head: Head | None, cache: SharedHeadCache, mask: Tensor) -> Memory:
    """What the rows of a batch remember after a pass, without gradients."""
    own = detached(cache.own)
    return Memory(None, own, mask) if head is None else Memory(head.kept, own, mask, head.preamble)
