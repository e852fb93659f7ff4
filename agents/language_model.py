"""The language model, frozen but for adapters: it scores and decodes text that stands behind a soft prompt.

The soft prompt is an argument: ``[P, D]`` for the whole batch, or a ``Soft``, which may have a preamble that never
learns and a part of each prompt's own; who made it is of no concern here.

Layout of a batch: ``soft prompt | tokens that all prompts begin with | pads | rest of the prompt | completion | pads``,
with position ids to match. What stands before the pads is the same in every row: it is computed once, with gradients
where it learns, and its keys and values are shared. A prompt that several completions follow is computed once for all
of them, and rows of like length are computed together. Models whose memory is not a plain cache of all keys and values
take the ordinary layout ``pads | soft prompt | prompt | completion`` instead; a probe at construction finds out.

Greedy decoding repeats a known completion exactly when every token of it, the stop token too, is the most likely one
given those before. So scoring it already tells what would be decoded; only from the first token that differs is there
anything to decode.

Notation: U prompts, N completions, T completion tokens, L columns of a batch, P virtual tokens that all share, Q of a
prompt's own, D hidden size, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.backbone import Backbone
from reasoning_arena.agents.batches import Batches
from reasoning_arena.agents.decoding import Said, choose, decode, decode_plainly
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.kv_cache import Context, Memory, common_preamble
from reasoning_arena.agents.layout import Ids, right_padded
from reasoning_arena.agents.models import LoadedModel, dtype_name
from reasoning_arena.agents.recorded import RecordedSteps, Recorder
from reasoning_arena.agents.steering import Soft, as_soft
from reasoning_arena.agents.steps import PlainSteps, Steps
from torch import Tensor
from torch.nn.functional import cross_entropy

# What one more pass through the model costs, in tokens: reading its weights, and launching its kernels.
BATCH_OVERHEAD = {"cpu": 64, "cuda": 4096}
CPU_MEMORY = 2**34  # bytes; a CPU decodes as if it had so much, on which more answers together gain little
LOGIT_ROWS = 128  # logits computed at once, in rows of the vocabulary's size; with gradients, all of them are kept


class Scored(NamedTuple):
    """Log-probabilities of completions.

    Attributes:
        completions: the N completions.
        logprobs: natural logarithms, ``[N, T]`` in float32, 0 behind a completion's end.
        mask: which positions hold a token, ``[N, T]``.
        greedy: the most likely token at every position, given the true ones before it, ``[N, T]``.
        contexts: what ``LanguageModel.begin`` goes on from; empty unless asked for.
    """

    completions: Sequence[Ids]
    logprobs: Tensor
    mask: Tensor
    greedy: Tensor
    contexts: list[Context]

    def part(self, begin: int, end: int | None = None) -> "Scored":
        """Some of the completions alone; nothing is copied."""
        some = range(len(self.completions))[begin:end]
        contexts = [
            one._replace(rows=[row - begin if row in some else -1 for row in one.rows]) for one in self.contexts
        ]
        chosen = slice(begin, end)
        return Scored(self.completions[chosen], self.logprobs[chosen], self.mask[chosen], self.greedy[chosen], contexts)


class Begun(NamedTuple):
    """Greedy completions as far as scoring others tells them.

    Attributes:
        said: the first tokens of each, one at the least.
        growing: which of them go on.
        memories: what those remember but for their last tokens, as one or several batches, in that order.
        version: of the model that they were begun with.
    """

    said: Sequence[tuple[int, ...]]
    growing: Sequence[int]
    memories: Sequence[Memory]
    version: int


class LanguageModel:
    """Scores and decodes with a model.

    Args:
        lm: the model.

    Attributes:
        shares_prefix: whether keys and values of what rows have in common can be computed once.
        decoded_together: how many answers are best decoded together; more would take gigabytes of keys and values.
    """

    def __init__(self, lm: LoadedModel) -> None:
        self.lm = lm
        self.backbone = Backbone(lm)
        self.shares_prefix = self.backbone.shares_prefix
        on_gpu = lm.device.type == "cuda"
        memory = torch.cuda.get_device_properties(lm.device).total_memory if on_gpu else CPU_MEMORY
        self.decoded_together = rows_that_fit(memory, 2 * self.backbone.layers * lm.width * lm.dtype.itemsize)
        self._batches = Batches(self.backbone, BATCH_OVERHEAD.get(lm.device.type, 64))
        self._recorder = Recorder.of(self.backbone)

    def score(
        self,
        soft_prompt: Soft | Tensor,
        prompts: Sequence[Ids],
        completions: Sequence[Ids],
        owners: Sequence[int] | None = None,
        *,
        keep_contexts: bool = False,
        derived: int | None = None,
    ) -> Scored:
        """Log-probabilities of completions behind their prompts.

        Args:
            soft_prompt: ``[P, D]``, or with all its parts.
            prompts: U rows of at least one token.
            completions: N rows of at least one token.
            owners: which prompt each completion follows; by default the n-th follows the n-th.
            keep_contexts: whether ``begin`` will be asked for these.
            derived: of how many completions, the first ones, gradients are wanted, where ``derives_some`` and each
                follows its own prompt; None for all.
        """
        assert derived is None or (self.backbone.derives_some and owners is None)
        soft = as_soft(soft_prompt).to(self.lm)
        targets, mask = right_padded(completions, self.lm.device)  # (N, T)
        logprobs = torch.zeros(targets.shape, device=targets.device)
        greedy = torch.zeros_like(targets)
        contexts = []
        for rows, features, memory, first in self._batches.completions(soft, prompts, completions, owners, derived):
            index = torch.tensor(rows, device=targets.device)
            width = features.shape[1]
            own_mask, own_targets = mask[index, :width], targets[index, :width]
            where = own_mask.nonzero()
            tokens = sum(len(completions[n]) for n in rows[:first])
            values, likeliest = self._token_logprobs(features[own_mask], own_targets[own_mask], tokens)  # (tokens,)
            logprobs = logprobs.index_put((index[where[:, 0]], where[:, 1]), values)
            greedy[index[where[:, 0]], where[:, 1]] = likeliest
            if keep_contexts and memory is not None:
                contexts.append(Context(rows, memory, max(len(completions[n]) for n in rows) - 1))
        return Scored(completions, logprobs, mask, greedy, contexts)

    def _token_logprobs(self, features: Tensor, targets: Tensor, derived: int) -> tuple[Tensor, Tensor]:
        """The targets' log-probabilities and the likeliest tokens, ``[tokens]`` each, some logits at a time.

        Gradients go to the first ``derived`` tokens alone.
        """
        values, likeliest = [], []
        for begin, end in ((0, derived), (derived, len(targets))):
            for row in range(begin, end, LOGIT_ROWS):
                some = slice(row, min(row + LOGIT_ROWS, end))
                with torch.set_grad_enabled(torch.is_grad_enabled() and begin < derived):
                    logits = self.backbone.logits(features[some])
                    values.append(-cross_entropy(logits, targets[some], reduction="none"))
                likeliest.append(logits.argmax(-1))
        return torch.cat(values), torch.cat(likeliest)

    @torch.no_grad()
    def begin(self, scored: Scored, max_new_tokens: int, stop_ids: frozenset[int]) -> Begun:
        """What greedy decoding would say where completions were scored, as far as scoring tells.

        Args:
            scored: with contexts.
            max_new_tokens: the longest completion.
            stop_ids: tokens that end one; the completion holds its own.
        """
        likeliest, said = scored.greedy.tolist(), []
        for row, completion in zip(likeliest, scored.completions, strict=True):
            same = next((t for t, token in enumerate(completion) if row[t] != token), len(completion))
            said.append((*completion[:same], *row[same : min(same + 1, len(completion))])[:max_new_tokens])
        memories, growing = [], []
        for context in scored.contexts:
            rows = [
                i
                for i, n in enumerate(context.rows)
                if n >= 0 and said[n][-1] not in stop_ids and len(said[n]) < max_new_tokens
            ]
            if rows:
                memories.append(context.begun(rows, [len(said[context.rows[i]]) - 1 for i in rows]))
                growing += [context.rows[i] for i in rows]
        return Begun(said, growing, memories, self.backbone.version)

    @torch.no_grad()
    def grow(
        self, begun: Sequence[Begun], max_new_tokens: int, stop_ids: frozenset[int], leave: int = 0
    ) -> list[Begun]:
        """Go on with greedy decoding; all that grows is decoded together.

        Args:
            begun: whatever soft prompts they stood behind; the model has not learnt since.
            max_new_tokens: as they were begun with.
            stop_ids: likewise.
            leave: how many completions may be left growing, to go on with others beside.
        """
        version = self.backbone.version
        assert all(one.version == version for one in begun if one.growing), "the model is no longer what it was"
        said = [list(one.said) for one in begun]
        order = [(k, n) for k, one in enumerate(begun) for n in one.growing]
        if len(order) <= leave:
            return list(begun)
        last = torch.tensor([said[k][n][-1] for k, n in order], device=self.lm.device)
        budgets = torch.tensor([max_new_tokens - len(said[k][n]) for k, n in order], device=self.lm.device)
        stops = torch.tensor(sorted(stop_ids), device=self.lm.device)
        temperature = torch.zeros(len(order), device=self.lm.device)
        memories = [memory for one in begun for memory in one.memories]
        steps = self._steps(memories, int(budgets.max()))
        more, left, memory = decode(steps, last, budgets, stops, temperature, None, leave)
        for (k, n), (tokens, _) in zip(order, more, strict=True):
            said[k][n] += tokens
        memory, grown = memory._replace(preamble=common_preamble(memories)), []
        for k, completions in enumerate(said):
            mine = [i for i, row in enumerate(left) if order[row][0] == k]
            own = [memory.rows(torch.tensor(mine, device=self.lm.device))] if mine else []
            grown.append(Begun(completions, [order[left[i]][1] for i in mine], own, version))
        return grown

    @torch.no_grad()
    def generate(
        self,
        soft_prompt: Soft | Tensor,
        prompts: Sequence[Ids],
        max_new_tokens: int,
        stop_ids: frozenset[int],
        *,
        temperatures: Sequence[Sequence[float]] | None = None,
        generator: torch.Generator | None = None,
        scored_next: bool = False,
    ) -> list[Said]:
        """Complete every prompt once at each of its temperatures.

        Args:
            soft_prompt: ``[P, D]``, or with all its parts.
            prompts: U rows of at least one token.
            max_new_tokens: the longest completion.
            stop_ids: tokens that end one; the completion holds its own.
            temperatures: at which each prompt is completed, 0 for greedily; by default once and greedily.
            generator: on the model's device. What is drawn from it does not depend on greedy completions beside.
            scored_next: whether ``score`` comes next, behind the same soft prompt: then what all begin with is computed
                once for both, with gradients.

        Returns:
            all completions, those of one prompt next to each other.

        Raises:
            AgentError: what was to be drawn from is no distribution.
        """
        with torch.set_grad_enabled(scored_next):
            soft = as_soft(soft_prompt).to(self.lm)
        if temperatures is None:
            temperatures = [(0.0,)] * len(prompts)
        owners = torch.tensor([u for u, some in enumerate(temperatures) for _ in some], device=self.lm.device)  # (N,)
        temperature = torch.tensor([one for some in temperatures for one in some], device=self.lm.device)  # (N,)
        stops = torch.tensor(sorted(stop_ids), device=self.lm.device)
        if not self.shares_prefix:
            each, virtual = [prompts[owner] for owner in owners.tolist()], soft.of(owners.tolist()).whole()
            said = decode_plainly(self.backbone, virtual, each, max_new_tokens, stops, temperature, generator)
            return self._drawn(said)
        features, memory, row_of = self._batches.prompts(soft, prompts, ahead=scored_next)
        rows = row_of[owners]
        first, drawn = choose(self.backbone.logits(features)[rows], temperature, generator)  # (N,)
        budgets = torch.full_like(first, max_new_tokens - 1)
        steps = self._steps([memory.rows(rows)], max_new_tokens - 1)
        del memory  # which is copied
        rest, _, _ = decode(steps, first, budgets, stops, temperature, generator)
        begun = zip(first.tolist(), drawn.tolist(), rest, strict=True)
        return self._drawn([Said((token, *more.tokens), logprob + more.logprob) for token, logprob, more in begun])

    def _drawn(self, said: list[Said]) -> list[Said]:
        """The same, if it was drawn from a distribution."""
        if any(math.isnan(one.logprob) for one in said):
            lm = self.lm
            raise AgentError(
                f"the probabilities of model {lm.name!r} in {dtype_name(lm.dtype)} are nan; try --dtype float32"
            )
        return said

    def _steps(self, memories: Sequence[Memory], longest: int) -> Steps:
        """Decoding of rows that remember this, so many steps at the most."""
        if self._recorder is None:
            return PlainSteps(self.backbone, memories, longest)
        return RecordedSteps(self._recorder, memories, longest)


def rows_that_fit(memory: int, column: int) -> int:
    """How many answers a device decodes together: 8 to 128, so that 512 tokens of each take an eighth of its memory.

    Args:
        memory: the device's, in bytes.
        column: what a token's keys and values take at the most, in bytes.
    """
    return max(8, min(128, memory // (8 * 512 * max(1, column))))
