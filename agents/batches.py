"""Prompts and completions pass through the model in batches of like length, behind what all of them begin with.

Notation: U prompts, N completions, n of them in a batch, T tokens of the longest one.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.kv_cache import Memory, SharedHeadCache, together
from reasoning_arena.agents.layout import Ids, buckets, right_padded
from reasoning_arena.agents.prefix import Pass, Prefixes
from reasoning_arena.agents.steering import Soft
from torch import Tensor

PADS = 3  # cost what a token does, where they are not multiplied by weights
BESIDE = 16  # rows without gradients stand beside others where all tokens cost no more than so many passes do


class Batch(NamedTuple):
    """Completions that passed through the model together.

    Attributes:
        completions: which ones.
        features: what their tokens are predicted from, ``[n, T, ·]``, with gradients where they are wanted.
        memory: what came before their last tokens; None where the model's memory cannot be gone on from.
        derived: of how many of them, the first ones, gradients are wanted.
    """

    completions: list[int]
    features: Tensor
    memory: Memory | None
    derived: int


class Batches:
    """Computes rows in the batches that cost least.

    Args:
        backbone: the model.
        pass_overhead: what one more pass through it costs, in tokens.
    """

    def __init__(self, backbone: Backbone, pass_overhead: int) -> None:
        self.backbone = backbone
        # In pads: a batch more has fewer of them.
        self.batch_overhead = pass_overhead * (PADS if backbone.skips_pads else 1)
        self.prefixes = Prefixes(backbone, pass_overhead)

    @torch.no_grad()
    def prompts(self, soft: Soft, prompts: Sequence[Ids], *, ahead: bool) -> tuple[Tensor, Memory, Tensor]:
        """Prompts that completions will be decoded behind, by a model that can share.

        Args:
            soft: the soft prompt.
            prompts: U rows of at least one token.
            ahead: whether what all begin with is computed for ``completions`` as well, with gradients.

        Returns:
            what each row's first token is predicted from, ``[U, ·]``, what the rows remember, and which of them is each
            prompt's, ``[U]``.
        """
        with torch.set_grad_enabled(ahead):
            head, left = self.prefixes.head(soft, prompts, ahead=ahead)
        batches, memories, features = buckets([len(row) for row in prompts], self.batch_overhead), [], []
        for some in batches:
            rows = [prompts[u] for u in some]
            read = self.prefixes.read(left.of(some), rows, [()] * len(some), head, 1)
            head = read.head
            features.append(read.features[:, 0])
            memories.append(read.memory)
        row_of = torch.tensor([u for some in batches for u in some], device=features[0].device).argsort()
        return torch.cat(features), together(memories), row_of

    def completions(
        self,
        soft: Soft,
        prompts: Sequence[Ids],
        completions: Sequence[Ids],
        owners: Sequence[int] | None,
        derived: int | None = None,
    ) -> Iterable[Batch]:
        """Completions behind their prompts; a prompt that several may follow is computed once.

        Args:
            soft: the soft prompt.
            prompts: U rows of at least one token.
            completions: N rows of at least one token.
            owners: which prompt each completion follows; None where the n-th follows the n-th.
            derived: of how many completions, the first ones, gradients are wanted, where each follows its own prompt;
                None for all.
        """
        head, left = self.prefixes.head(soft, prompts)
        derived = len(completions) if derived is None else derived
        if self.backbone.shares_prefix and owners is not None:
            # Another batch of prompts is another one of completions, too.
            for some in buckets([len(row) for row in prompts], 2 * self.batch_overhead):
                before = self.prefixes.read(left.of(some), [prompts[u][:-1] for u in some], [()] * len(some), head, 0)
                head = before.head
                yield from self._behind(before, some, prompts, completions, owners)
            return
        owners = range(len(completions)) if owners is None else owners
        lengths = [len(prompts[owner]) + len(row) for owner, row in zip(owners, completions, strict=True)]
        for chosen in self._split(lengths, derived):
            own = left.of([owners[n] for n in chosen])
            inputs = [completions[n][:-1] for n in chosen]
            rows = [prompts[owners[n]] for n in chosen]
            first = sum(n < derived for n in chosen)
            with torch.set_grad_enabled(torch.is_grad_enabled() and first > 0):
                read = self.prefixes.read(own, rows, inputs, head, 1 + max(map(len, inputs)), first)
            head = read.head
            yield Batch(chosen, read.features, read.memory if self.backbone.shares_prefix else None, first)

    def _split(self, lengths: Sequence[int], derived: int) -> list[list[int]]:
        """Rows of like length together, those with gradients first.

        Rows without gradients stand beside the others where there are few: a pass less counts, and what is kept in
        memory for them along with the others does not.
        """
        every = range(len(lengths))
        batches = buckets(lengths, self.batch_overhead)
        if derived == len(lengths):
            return batches
        if len(batches) == 1 and sum(lengths) <= BESIDE * self.prefixes.pass_overhead:
            return [sorted(batches[0], key=lambda n: n >= derived)]
        return [
            [some[i] for i in batch]
            for some in (every[:derived], every[derived:])
            for batch in buckets([lengths[n] for n in some], self.batch_overhead)
        ]

    def _behind(
        self,
        before: Pass,
        some: Sequence[int],
        prompts: Sequence[Ids],
        completions: Sequence[Ids],
        owners: Sequence[int],
    ) -> Iterable[Batch]:
        """The completions of some prompts, of which all but the last tokens were computed once.

        Args:
            before: what they left behind.
            some: which prompts.
            prompts: all of them.
            completions: all of them.
            owners: which prompt each completion follows.
        """
        row_of = {u: i for i, u in enumerate(some)}
        mine = [n for n, owner in enumerate(owners) if owner in row_of]
        rows = [[prompts[owners[n]][-1], *completions[n][:-1]] for n in mine]
        for chosen in buckets([len(row) for row in rows], self.batch_overhead):
            index = torch.tensor([row_of[owners[mine[i]]] for i in chosen], device=before.mask.device)
            cache = SharedHeadCache(self.backbone.layers, before.head and before.head.keys_values, before.cache.own)
            cache.batch_select_indices(index)
            ids, attend = right_padded([rows[i] for i in chosen], index.device)  # (n, T)
            attend = torch.cat([before.mask[index], attend], 1)
            features = self.backbone.forward(self.backbone.embed(ids), attend, cache, ids.shape[1])
            memory = Pass(features, attend, cache, before.head).memory
            yield Batch([mine[i] for i in chosen], features, memory, len(chosen))
