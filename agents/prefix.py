"""What the rows of a batch begin with: soft prompt and first tokens, whose keys and values are computed once.

Those of a preamble are computed once and for all, those of what learns once a batch, with gradients. Where the model
itself learns, a preamble is no more than a part of the soft prompt that does not.

Notation: U prompts, n rows, L columns, F virtual tokens of a preamble, P shared and Q own ones, D hidden size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import KeysValues, LeadingRowCache, Memory, SharedHeadCache, detached
from reasoning_arena.agents.layout import Ids, beside, common_start, left_padded, right_padded
from reasoning_arena.agents.steering import Soft
from torch import Tensor
from torch.nn.functional import pad


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


class UpcomingHead(NamedTuple):
    """A head that is yet to be computed: along with the first rows behind it, as a row of its own.

    Attributes:
        virtual: the soft prompt, ``[P, D]``.
        common: the tokens behind it.
    """

    virtual: Tensor
    common: list[int]

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return len(self.common)

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return len(self.virtual) + len(self.common)


class Pass(NamedTuple):
    """What a pass of rows through the model leaves behind.

    Attributes:
        features: what the logits of the wanted columns are made from, ``[n, wanted, ·]``.
        mask: which columns may be attended to, those of the head first, ``[n, S + L]``.
        cache: the keys and values of these columns.
        head: what the rows have in common, computed now if it was not before.
    """

    features: Tensor
    mask: Tensor
    cache: SharedHeadCache
    head: Head | None

    @property
    def memory(self) -> Memory:
        """What the rows remember, without gradients."""
        own, head = detached(self.cache.own), self.head
        return Memory(None, own, self.mask) if head is None else Memory(head.kept, own, self.mask, head.preamble)


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

    def head(
        self, soft: Soft, prompts: Sequence[Ids], *, ahead: bool = False
    ) -> tuple[Head | UpcomingHead | None, Soft]:
        """What the rows have in common, and what of the soft prompt is left to stand in every row.

        In common are the soft prompt, and where that is all of it, tokens that prompts begin with. They are computed,
        now or with the first rows, or taken from an earlier call where these begin with what that had: from the last
        one where no gradient is wanted, else from one that was ahead. The preamble alone is in common where another
        pass through the model would cost more than it saves, and nothing where the model cannot share.

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
        # A head that is longer than the rows would fill theirs with pads, which attention reads all the same.
        longest = max(map(len, prompts)) - len(common)
        along = self.backbone.skips_pads and before is None and not ahead and columns <= longest
        if not columns or (len(prompts) - 1) * columns <= (0 if along else self.pass_overhead):
            return before, Soft(nothing, soft.shared, soft.own)
        if along:
            return UpcomingHead(soft.shared, common), left
        head = self._compute(before, soft.shared, common)
        self._last = KeptHead(soft.constant().detach().clone(), common, version, head._replace(keys_values=head.kept))
        if ahead and learns:
            self._unused = self._last._replace(head=head)
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
        embeds = self._front(virtual, tokens)  # (1, P + tokens, D)
        columns = embeds.shape[1] + (0 if before is None else before.columns)
        cache = SharedHeadCache(self.backbone.layers, before and before.kept)
        self.backbone.forward(embeds, torch.ones(1, columns, dtype=torch.bool, device=virtual.device), cache, 0)
        keys_values = cache.whole
        return Head(keys_values, detached(keys_values), before and before.kept, len(tokens), columns)

    def _front(self, virtual: Tensor, tokens: Sequence[int]) -> Tensor:
        """The embeddings of virtual tokens ``[P, D]`` and tokens, ``[1, P + tokens, D]``."""
        ids = torch.tensor([tokens], dtype=torch.long, device=virtual.device)
        return torch.cat([virtual[None], self.backbone.embed(ids)], 1)

    def read(
        self,
        soft: Soft,
        prompts: Sequence[Ids],
        inputs: Sequence[Ids],
        head: Head | UpcomingHead | None,
        wanted: int,
        derived: int | None = None,
    ) -> Pass:
        """Prompts and what follows them pass through the model.

        Args:
            soft: what of the soft prompt stands in every row, where that is not shared one a row.
            prompts: one a row.
            inputs: tokens behind each prompt.
            head: what the rows have in common.
            wanted: of how many of the last columns features are wanted.
            derived: of how many rows, the first ones, gradients are; None for all.
        """
        mask, embeds = self._laid_out(soft, prompts, inputs, head)
        if isinstance(head, UpcomingHead):
            return self._read_along(head, mask, embeds, wanted, derived)
        cache = SharedHeadCache(self.backbone.layers, head and head.keys_values)
        features = self.backbone.forward(embeds, mask, cache, wanted, derived) if embeds.shape[1] else embeds
        return Pass(features, mask, cache, head)

    def _read_along(self, head: UpcomingHead, mask: Tensor, embeds: Tensor, wanted: int, derived: int | None) -> Pass:
        """The same, with a head that is a row before the others: its columns are theirs, too."""
        front, columns = self._front(*head), head.columns
        width = max(embeds.shape[1], columns, 2)  # a single column is attended to in another way, which knows no rows
        short = width - embeds.shape[1]
        embeds = torch.cat([pad(front, (0, 0, 0, width - columns)), pad(embeds, (0, 0, short, 0))])
        mask = torch.cat([mask[:, :columns], pad(mask[:, columns:], (short, 0))], 1)
        first = torch.arange(mask.shape[1], device=mask.device)
        leading = ((first >= columns) & (first < 2 * columns))[None]  # its own columns stand behind those it is to be
        cache = LeadingRowCache(self.backbone.layers, columns)
        derived = None if derived is None else 1 + derived
        features = self.backbone.forward(embeds, torch.cat([leading, mask]), cache, wanted, derived)[1:]
        others = cache.others()
        assert others.head is not None
        computed = Head(others.head, detached(others.head), None, head.tokens, columns)
        kept = computed._replace(keys_values=computed.kept)
        self._last = KeptHead(head.virtual.detach().clone(), head.common, self.backbone.version, kept)
        return Pass(features, mask, others, computed)

    def _laid_out(
        self, soft: Soft, prompts: Sequence[Ids], inputs: Sequence[Ids], head: Head | UpcomingHead | None
    ) -> tuple[Tensor, Tensor]:
        """The attention mask of common and other columns, and the embeddings of the others."""
        virtual = soft.whole()
        rest, rest_mask = left_padded([row[head.tokens if head else 0 :] for row in prompts], virtual.device)
        after, after_mask = right_padded(inputs, virtual.device)
        text = self.backbone.embed(torch.cat([rest, after], 1))
        mask = torch.cat([rest_mask, after_mask], 1)
        if virtual.shape[-2]:
            mask, text = beside(virtual, text, mask, rest_mask)
        common = mask.new_ones(len(prompts), head.columns if head else 0)
        return torch.cat([common, mask], 1), text
