"""The frozen language model: it scores and decodes text that stands behind a soft prompt.

The soft prompt is an argument: ``[P, D]`` for the whole batch, ``[U, P, D]`` one a prompt, or a pair of a part that all
share and a part of each prompt's own; who made it is of no concern here.

Layout of a batch: ``soft prompt | tokens that all prompts begin with | pads | rest of the prompt | completion | pads``,
with position ids to match. What stands before the pads is the same in every row: it is computed once, with gradients,
and its keys and values are shared. A prompt that several completions follow is computed once for all of them, and rows
of like length are computed together. Models whose memory is not a plain cache of keys and values take the ordinary
layout ``pads | soft prompt | prompt | completion`` instead; a probe at construction finds out.

Greedy decoding repeats a known completion exactly when every token of it, the stop token too, is the most likely one
given those before. So scoring it already tells what would be decoded; only from the first token that differs is there
anything to decode.

Notation: U prompts, N completions, T completion tokens, L columns of a batch, P virtual tokens, D hidden size,
V vocabulary.
"""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.fused import FusedDecoder
from reasoning_arena.agents.kv_cache import Context, KeysValues, Memory, SharedHeadCache, detached, merged
from reasoning_arena.agents.layout import Ids, beside, buckets, common_start, left_padded, right_padded
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.steering import Soft
from torch import Tensor
from torch.nn.functional import cross_entropy

# What one more pass through the model costs, in tokens: reading its weights, and launching its kernels.
BATCH_OVERHEAD = {"cpu": 64, "cuda": 4096}
LOGIT_ROWS = 512  # logits that are held at once, in rows of the vocabulary's size
# Rows that ended are decoded on with the others until only this share still grows.
DROP_BELOW = 0.8


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
    """The last head, without gradients, and what it was made from."""

    soft: Tensor
    common: list[int]
    head: Head


class Scored(NamedTuple):
    """Log-probabilities of completions.

    Attributes:
        completions: the N completions.
        logprobs: natural logarithms, ``[N, T]`` in float32, 0 behind a completion's end.
        mask: which positions hold a token, ``[N, T]``.
        greedy: the most likely token at every position, given the true ones before it, ``[N, T]``.
        contexts: what ``LanguageModel.greedy`` goes on from; empty unless asked for.
    """

    completions: Sequence[Ids]
    logprobs: Tensor
    mask: Tensor
    greedy: Tensor
    contexts: list[Context]

    def first(self, n: int) -> "Scored":
        """The first n completions alone, without gradients; nothing is copied."""
        contexts = [one._replace(rows=[row if row < n else -1 for row in one.rows]) for one in self.contexts]
        return Scored(self.completions[:n], self.logprobs[:n].detach(), self.mask[:n], self.greedy[:n], contexts)


class LanguageModel:
    """Scores and decodes with a frozen model.

    Args:
        lm: the model.
        frozen: whether it stays as it is; where it learns, nothing is kept from one call to the next.

    Attributes:
        shares_prefix: whether keys and values of what rows have in common can be computed once.
        pass_overhead: what one more pass through the model costs, in tokens.
    """

    def __init__(self, lm: LoadedModel, *, frozen: bool = True) -> None:
        self.lm = lm
        self.frozen = frozen
        self.model = lm.model
        parameters = inspect.signature(self.model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"  # renamed by transformers 5.24
        # On a CPU fused attention decodes fast; on rows of this length its backward pass is slow, plain one's is not.
        self._switches_attention = lm.device.type == "cpu" and self.model.config._attn_implementation == "sdpa"
        self._kept_head: KeptHead | None = None
        self._fused: FusedDecoder | None = None
        self._layers = int(getattr(self.model.config.get_text_config(), "num_hidden_layers", 0))
        self.shares_prefix = self._plain_head = False
        self._plain_head = self._head_is_plain()
        self.pass_overhead = -1  # the probe shares whatever it can
        self.shares_prefix = self._takes_positions and self._prefix_is_sharable()
        if frozen and self.shares_prefix and self._plain_head:
            try:
                self._fused = FusedDecoder(self.model)
            except ValueError:  # of another kind
                pass
            else:
                self._fused = self._fused if self._prefix_is_sharable() else None
        self.pass_overhead = BATCH_OVERHEAD.get(lm.device.type, 64)

    def score(
        self,
        soft_prompt: Soft,
        prompts: Sequence[Ids],
        completions: Sequence[Ids],
        owners: Sequence[int] | None = None,
        *,
        keep_contexts: bool = False,
    ) -> Scored:
        """Log-probabilities of completions behind their prompts.

        Args:
            soft_prompt: ``[P, D]``, ``[U, P, D]`` one a prompt, or a pair of both, the shared part first.
            prompts: U rows of at least one token.
            completions: N rows of at least one token.
            owners: which prompt each completion follows; by default the n-th follows the n-th.
            keep_contexts: whether ``greedy`` will be asked for these.
        """
        front = self._front(soft_prompt)
        targets, mask = right_padded(completions, self.lm.device)  # (N, T)
        logprobs = torch.zeros(targets.shape, device=targets.device)
        greedy = torch.zeros_like(targets)
        contexts = []
        for rows, features, memory in self._score_batches(front, prompts, completions, owners):
            index = torch.tensor(rows, device=targets.device)
            width = features.shape[1]
            own_mask, own_targets = mask[index, :width], targets[index, :width]
            values, likeliest = self._token_logprobs(features[own_mask], own_targets[own_mask])  # (tokens,)
            where = own_mask.nonzero()
            logprobs = logprobs.index_put((index[where[:, 0]], where[:, 1]), values)
            greedy[index[where[:, 0]], where[:, 1]] = likeliest
            if keep_contexts and memory is not None:
                contexts.append(Context(rows, memory, max(len(completions[n]) for n in rows) - 1))
        return Scored(completions, logprobs, mask, greedy, contexts)

    def _token_logprobs(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The targets' log-probabilities and the likeliest tokens, ``[tokens]`` each, some logits at a time."""
        values, likeliest = [], []
        for some, expected in zip(features.split(LOGIT_ROWS), targets.split(LOGIT_ROWS), strict=True):
            logits = self._logits(some)
            values.append(-cross_entropy(logits, expected, reduction="none"))
            likeliest.append(logits.argmax(-1))
        return torch.cat(values), torch.cat(likeliest)

    @torch.no_grad()
    def greedy(
        self, scored: Sequence[Scored], max_new_tokens: int, stop_ids: frozenset[int]
    ) -> list[list[tuple[int, ...]]]:
        """What greedy decoding would say where completions were scored, token for token.

        Args:
            scored: with contexts; all of them are decoded together, whatever soft prompts they stood behind.
            max_new_tokens: the longest completion.
            stop_ids: tokens that end one; the completion holds its own.

        Returns:
            a completion for every one that was scored.
        """
        said: list[list[tuple[int, ...]]] = []
        pending: list[tuple[int, int]] = []  # which scored, which of its completions
        for k, one in enumerate(scored):
            likeliest, answers = one.greedy.tolist(), []
            for n, completion in enumerate(one.completions):
                same = next((t for t, token in enumerate(completion) if likeliest[n][t] != token), len(completion))
                kept = (*completion[:same], *likeliest[n][same : min(same + 1, len(completion))])[:max_new_tokens]
                answers.append(kept)
                if kept[-1] not in stop_ids and len(kept) < max_new_tokens:
                    pending.append((k, n))
            said.append(answers)
        if not pending:
            return said
        wanted = set(pending)
        parts, order = [], []
        for k, one in enumerate(scored):
            for context in one.contexts:
                chosen = [i for i, n in enumerate(context.rows) if (k, n) in wanted]
                if chosen:
                    lengths = [len(said[k][context.rows[i]]) - 1 for i in chosen]
                    parts.append(context.begun(chosen, lengths))
                    order += [(k, context.rows[i]) for i in chosen]
        memory = merged(parts)
        del parts  # gigabytes, where rows are many
        last = torch.tensor([said[k][n][-1] for k, n in order], device=self.lm.device)
        budgets = torch.tensor([max_new_tokens - len(said[k][n]) for k, n in order], device=self.lm.device)
        stops = torch.tensor(sorted(stop_ids), device=self.lm.device)
        more = self._decode(memory, last, budgets, stops, torch.zeros(len(order), device=self.lm.device), None)
        for (k, n), tokens in zip(order, more, strict=True):
            said[k][n] += tokens
        return said

    @torch.no_grad()
    def generate(
        self,
        soft_prompt: Soft,
        prompts: Sequence[Ids],
        max_new_tokens: int,
        stop_ids: frozenset[int],
        *,
        temperatures: Sequence[Sequence[float]] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[tuple[int, ...]]:
        """Complete every prompt once at each of its temperatures.

        Args:
            soft_prompt: ``[P, D]``, ``[U, P, D]`` one a prompt, or a pair of both, the shared part first.
            prompts: U rows of at least one token.
            max_new_tokens: the longest completion.
            stop_ids: tokens that end one; the completion holds its own.
            temperatures: at which each prompt is completed, 0 for greedily; by default once and greedily.
            generator: on the model's device. What is drawn from it does not depend on greedy completions beside.

        Returns:
            all completions, those of one prompt next to each other.
        """
        front = self._front(soft_prompt)
        if temperatures is None:
            temperatures = [(0.0,)] * len(prompts)
        owners = torch.tensor([u for u, some in enumerate(temperatures) for _ in some], device=self.lm.device)  # (N,)
        warmth = torch.tensor([one for some in temperatures for one in some], device=self.lm.device)  # (N,)
        stops = torch.tensor(sorted(stop_ids), device=self.lm.device)
        if not self.shares_prefix:
            return self._generate_plain(front, prompts, max_new_tokens, stops, warmth, owners, generator)
        head = self._head(front, prompts)
        mask, embeds, cache = self._begin(front, prompts, [()] * len(prompts), head)
        logits = self._logits(self._forward(embeds, mask, cache)[:, -1])
        memory = _memory(head, cache, mask).rows(owners)
        first = _choose(logits[owners], warmth, generator)  # (N,)
        budgets = torch.full_like(first, max_new_tokens - 1)
        rest = self._decode(memory, first, budgets, stops, warmth, generator)
        return [(token, *more) for token, more in zip(first.tolist(), rest, strict=True)]

    def _decode(
        self,
        memory: Memory,
        last: Tensor,
        budgets: Tensor,
        stops: Tensor,
        warmth: Tensor,
        generator: torch.Generator | None,
    ) -> list[tuple[int, ...]]:
        """Go on from every row's last token until it stops or its budget is spent."""
        rows = torch.arange(len(last), device=last.device)  # the completions that are computed
        longest = max(int(budgets.max()), 0)
        tokens = torch.full((len(last), longest), -1, device=last.device)
        growing = torch.ones_like(rows, dtype=torch.bool)  # those of them that still grow
        cache, mask = SharedHeadCache(len(memory.own), memory.head, memory.own, longest), memory.mask
        for t in range(longest):
            growing &= ~torch.isin(last, stops) & (budgets > t)
            if growing.sum() <= DROP_BELOW * len(rows):  # to drop a row is to copy all the others
                keep = growing.nonzero().squeeze(1)
                if not len(keep):
                    break
                cache.batch_select_indices(keep)
                kept = (one[keep] for one in (rows, last, warmth, mask, budgets, growing))
                rows, last, warmth, mask, budgets, growing = kept
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            features = self._forward(self._embed(last[:, None]), mask, cache)
            last = _choose(self._logits(features[:, -1]), warmth * growing, generator)
            tokens[rows[growing], t] = last[growing]
        return [tuple(token for token in row if token >= 0) for row in tokens.tolist()]

    def _score_batches(
        self, front: Front, prompts: Sequence[Ids], completions: Sequence[Ids], owners: Sequence[int] | None
    ) -> Iterable[tuple[list[int], Tensor, Memory | None]]:
        """Compute all completions in batches.

        Yields:
            which completions, the features ``[n, T, ·]`` that their tokens are predicted from, and what came before.
        """
        if self.shares_prefix and owners is not None:
            starts = [row[:-1] for row in prompts]
            head = self._head(front, prompts) if min(map(len, prompts)) > 1 else None
            mask, embeds, cache = self._begin(front, starts, [()] * len(prompts), head)
            if embeds.shape[1]:
                self._forward(embeds, mask, cache)
            index = torch.tensor(list(owners), device=self.lm.device)
            cache.batch_select_indices(index)
            rows = [
                [prompts[owner][-1], *completion[:-1]] for owner, completion in zip(owners, completions, strict=True)
            ]
            ids, attend = right_padded(rows, self.lm.device)  # (N, T)
            mask = torch.cat([mask[index], attend], 1)
            features = self._forward(self._embed(ids), mask, cache)
            yield list(range(len(rows))), features, _memory(head, cache, mask)
            return
        owners = range(len(completions)) if owners is None else owners
        lengths = [len(prompts[owner]) + len(row) for owner, row in zip(owners, completions, strict=True)]
        head = self._head(front, prompts)
        for chosen in buckets(lengths, self.pass_overhead):
            own = front.of([owners[n] for n in chosen])
            inputs = [completions[n][:-1] for n in chosen]
            mask, embeds, cache = self._begin(own, [prompts[owners[n]] for n in chosen], inputs, head)
            features = self._forward(embeds, mask, cache)[:, -1 - max(map(len, inputs)) :]
            yield chosen, features, _memory(head, cache, mask) if self.shares_prefix else None

    def _front(self, soft: Soft) -> Front:
        """A soft prompt as the model takes it."""
        shared, own = soft if isinstance(soft, tuple) else (soft, None) if soft.dim() == 2 else (soft[0, :0], soft)
        where = self.lm.device, self.lm.dtype
        return Front(shared.to(*where), None if own is None else own.to(*where))

    def _head(self, front: Front, prompts: Sequence[Ids]) -> Head | None:
        """What the rows have in common: the soft prompt, and where that is all of it, tokens that prompts begin with.

        It is computed, or taken from the last call where that had the same and no gradient is wanted.

        None where the model cannot share it, or where another pass through the model would cost more than it saves.
        """
        if not self.shares_prefix:
            return None
        soft = front.shared
        common = common_start(prompts) if front.own is None else []
        if len(common) == min(map(len, prompts)):
            common = common[:-1]  # every row keeps a token of its own, which predicts the first of its completion
        columns = len(common) + len(soft)
        if not columns or (len(prompts) - 1) * columns <= self.pass_overhead:
            return None
        kept = self._kept_head
        learns = torch.is_grad_enabled() and soft.requires_grad
        if kept is not None and not learns and kept.common == common and torch.equal(kept.soft, soft):
            return kept.head
        text = self._embed(torch.tensor([common], dtype=torch.long, device=self.lm.device))
        embeds = torch.cat([soft[None], text], 1)  # (1, P + common, D)
        cache = SharedHeadCache(self._layers)
        self._forward(embeds, torch.ones(embeds.shape[:2], dtype=torch.bool, device=self.lm.device), cache)
        head = Head(cache.own, detached(cache.own), len(common), columns)
        if self.frozen:
            self._kept_head = KeptHead(soft.detach(), common, head._replace(keys_values=head.kept))
        return head

    def _begin(
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
        n = len(prompts)
        rest, rest_mask = left_padded([row[head.tokens if head else 0 :] for row in prompts], self.lm.device)
        after, after_mask = right_padded(inputs, self.lm.device)
        text = self._embed(torch.cat([rest, after], 1))
        text_mask = torch.cat([rest_mask, after_mask], 1)
        if head is None:
            return *beside(front.whole(), text, text_mask, rest_mask), SharedHeadCache(self._layers)
        if front.own is not None:
            text_mask, text = beside(front.own, text, text_mask, rest_mask)
        mask = torch.cat([text_mask.new_ones(n, head.columns), text_mask], 1)
        return mask, text, SharedHeadCache(self._layers, head.keys_values)

    def _forward(self, embeds: Tensor, mask: Tensor, cache: SharedHeadCache) -> Tensor:
        """What the logits of every column are made from, ``[n, L, D]``; the cache grows by all columns."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
        if self._fused is not None:
            return self._fused(embeds, positions, mask, cache)
        arguments: dict[str, Any] = {
            "inputs_embeds": embeds,
            "attention_mask": mask,
            "use_cache": self.shares_prefix,
        }
        if self.shares_prefix:
            arguments[self._cache_name] = cache
        if self._takes_positions:
            arguments["position_ids"] = positions
        if self._switches_attention:
            self.model.set_attn_implementation("eager" if torch.is_grad_enabled() else "sdpa")
        if self._plain_head:
            features: Tensor = self.model.base_model(**arguments).last_hidden_state
        else:
            features = self.model(**arguments).logits
        return features

    def _logits(self, features: Tensor) -> Tensor:
        """Logits in float32, ``[…, V]``, from what ``_forward`` returns."""
        logits: Tensor = self.model.get_output_embeddings()(features) if self._plain_head else features
        return logits.float()

    def _generate_plain(
        self,
        front: Front,
        prompts: Sequence[Ids],
        max_new_tokens: int,
        stops: Tensor,
        warmth: Tensor,
        owners: Tensor,
        generator: torch.Generator | None,
    ) -> list[tuple[int, ...]]:
        """Decode by reading everything again for each token: slow, and right for any model."""
        rows = [list(prompts[owner]) for owner in owners.tolist()]
        front = front.of(owners.tolist())
        ends, growing = [len(row) for row in rows], list(range(len(rows)))
        for _ in range(max_new_tokens):
            batch = [rows[i] for i in growing]
            mask, embeds, cache = self._begin(front.of(growing), batch, [()] * len(batch), None)
            chosen = _choose(self._logits(self._forward(embeds, mask, cache)[:, -1]), warmth[growing], generator)
            for i, token in zip(growing, chosen.tolist(), strict=True):
                rows[i].append(token)
            going_on = (~torch.isin(chosen, stops)).tolist()
            growing = [i for i, going in zip(growing, going_on, strict=True) if going]
            if not growing:
                break
        return [tuple(row[end:]) for row, end in zip(rows, ends, strict=True)]

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.model.get_input_embeddings()(ids)
        return embedded

    @torch.no_grad()
    def _head_is_plain(self) -> bool:
        """Whether logits are the output embeddings times the last hidden states, with nothing in between."""
        ids = torch.arange(4, device=self.lm.device)[None]
        try:
            output = self.model.get_output_embeddings()
            logits = output(self.model.base_model(input_ids=ids).last_hidden_state)
        except (AttributeError, TypeError):
            return False
        return bool(torch.equal(logits, self.model(input_ids=ids).logits))

    @torch.no_grad()
    def _prefix_is_sharable(self) -> bool:
        """Whether sharing keys and values gives the logits of transformers' own computation."""
        self._kept_head = None
        embed = self._embed
        ids = torch.arange(1, 9, device=self.lm.device) * 7 % self.lm.vocabulary_size
        soft = embed(ids[:2])
        rows = [ids[2:], torch.cat([ids[2:4], ids[6:]])]
        expected = torch.stack(
            [self.model(inputs_embeds=torch.cat([soft, embed(row)])[None]).logits[0, -1].float() for row in rows]
        )
        self.shares_prefix = True
        try:
            lists = [row.tolist() for row in rows]
            front = self._front(soft)
            mask, embeds, cache = self._begin(front, lists, [(), ()], self._head(front, lists))
            shared = self._logits(self._forward(embeds, mask, cache)[:, -1])
        except (TypeError, ValueError, AttributeError, RuntimeError, IndexError):
            return False
        error = (shared - expected).norm() / expected.norm()
        return bool(error < (1e-3 if self.lm.dtype == torch.float32 else 0.1))


def _memory(head: Head | None, cache: SharedHeadCache, mask: Tensor) -> Memory:
    return Memory(None if head is None else head.kept, detached(cache.own), mask)


def _choose(logits: Tensor, warmth: Tensor, generator: torch.Generator | None) -> Tensor:
    """The next token of every row: the most likely one where ``warmth`` is 0, else a sample at that temperature."""
    chosen = logits.argmax(-1)
    warm = warmth.nonzero().squeeze(1)
    if len(warm):
        probabilities = torch.softmax(logits[warm] / warmth[warm, None], -1)
        chosen[warm] = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
    return chosen
