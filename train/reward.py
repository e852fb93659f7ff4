"""Rounds of learning from reward: answers that the environment paid, weighted by what they earned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Resolved
from reasoning_arena.train.estimators import ESTIMATORS, exact, merged, rloo
from reasoning_arena.train.losses import weighted_completions
from reasoning_arena.train.optimizer import Optimizer, Update
from reasoning_arena.train.rounds import Lanes, RoundResult, new_stream, texts
from reasoning_arena.train.stream import Lesson

ENUMERATED = 8  # answers to a closed question, up to which each of them is paid


class Group(NamedTuple):
    """The answers to one question that are paid and learnt from.

    Attributes:
        texts: what the environment is told.
        tokens: the same in tokens, the stop token last.
        enumerated: whether these are all the answers that the question allows, rather than samples.
        entropy: of the distribution that samples came from, in nats an answer, as they estimate it.
    """

    texts: list[str]
    tokens: list[tuple[int, ...]]
    enumerated: bool
    entropy: float = 0.0


class PaidRound(NamedTuple):
    """What is known of a round before its questions are answered again."""

    update: Update | None
    questions: Sequence[str]
    tasks: Sequence[str]
    reward: float
    accuracy_before: float
    extra: dict[str, float]


class RewardRound:
    """Reward-weighted log-probabilities of answers that the environment paid. The gold answer is never looked at.

    The answers are the policy's own samples; with the estimator ``exact``, a question that says which answers it allows
    gets each of those instead. A third environment with the same seeds asks every question once for each answer.
    """

    def __init__(self, config: Resolved, policy: SoftPromptPolicy, optimizer: Optimizer) -> None:
        self.config, self.policy, self.optimizer = config, policy, optimizer
        self.estimator = ESTIMATORS[config.estimator]
        self.stream = new_stream(config)
        self.before, self.after = Lanes(config, self.stream.progression), Lanes(config, self.stream.progression)
        self.samples = config.samples_per_question
        self.slots = max(self.samples, ENUMERATED if self.estimator.enumerates else 0)
        self.paid = Lanes(config, self.stream.progression, self.slots)
        # Of 64 bits, torch's generator on a CPU would look at the lower half alone.
        seed = np.random.SeedSequence([config.seed, distributed.rank()]).generate_state(1)[0]
        self.generator = torch.Generator(policy.lm.device).manual_seed(int(seed))
        self.last: PaidRound | None = None  # not yet answered again
        self.results: list[RoundResult] = []

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""
        questions, tasks = self.before.questions, self.before.tasks
        greedy, groups = self._answers(questions, tasks, self.before.candidates)
        before, _ = self.before.answer(greedy)
        told = [text for group in groups for text in (*group.texts, *[""] * (self.slots - len(group.texts)))]
        rewards = torch.from_numpy(self.paid.answer(told)[0]).float().view(-1, self.slots)  # (B, S)
        update, extra = self._learn(questions, tasks, groups, rewards)
        self.stream.note(tasks, list(before > 0))
        sampled = torch.tensor([not group.enumerated for group in groups])
        own = rewards[:, : self.samples]
        # What the policy itself earned: its samples, or where there are none its greedy answer.
        earned = torch.where(sampled, own.mean(1), torch.from_numpy(before).float())
        success = (own[sampled] > 0).float().mean(1)
        extra |= self.stream.progression.figures()
        if len(success):
            dead = ((success == 0) | (success == 1)).float()
            entropy = sum(group.entropy for group in groups) / len(success)
            extra |= {
                "train/success_rate": float(success.mean()),
                "train/dead_groups": float(dead.mean()),
                "train/entropy": entropy,
            }
        self.last = PaidRound(update, questions, tasks, float(earned.mean()), float((before > 0).mean()), extra)
        return update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """The rounds answered again: all but the last, whose questions wait to be put beside the next ones."""
        if everything and self.last is not None:
            self._note_after(texts(self.policy.act(self.last.questions, self.last.tasks)))
        results, self.results = self.results, []
        return results

    def _answers(
        self, questions: Sequence[str], tasks: Sequence[str], candidates: Sequence[tuple[str, ...]]
    ) -> tuple[list[str], list[Group]]:
        """Greedy answers to the questions, and those to be paid: as many samples as asked for, or all that there are.

        The last round's questions are answered again beside them: what was learnt from them is what these begin with.
        """
        size, encoder = self.samples, self.policy.encoder
        closed = [self.estimator.enumerates and 0 < len(allowed) <= ENUMERATED for allowed in candidates]
        again, again_tasks = ((), ()) if self.last is None else (self.last.questions, self.last.tasks)
        temperatures: list[Sequence[float]] = [(0.0,)] * len(again)
        temperatures += [(0.0,) if enumerated else (0.0, *[self.config.temperature] * size) for enumerated in closed]
        said = self.policy.act(
            [*again, *questions],
            [*again_tasks, *tasks],
            temperatures=temperatures,
            generator=self.generator,
            scored_next=True,
        )
        if again:
            self._note_after(texts(said[: len(again)]))
        rest = iter(said[len(again) :])
        greedy, groups = [], []
        for allowed, enumerated in zip(candidates, closed, strict=True):
            greedy.append(next(rest).text)
            if enumerated:
                groups.append(Group(list(allowed), [encoder.completion_ids(text) for text in allowed], True))
            else:
                samples = [next(rest) for _ in range(size)]
                entropy = -sum(sample.logprob for sample in samples) / size
                groups.append(Group(texts(samples), [sample.tokens for sample in samples], False, entropy))
        return greedy, groups

    def _note_after(self, answers: Sequence[str]) -> None:
        """Complete the last round with the answers after its update."""
        assert self.last is not None
        after, _ = self.after.answer(answers)
        update, _, _, reward, before, extra = self.last
        self.results.append(RoundResult(update, reward, before, float((after > 0).mean()), extra))
        self.last = None

    def _learn(
        self, questions: Sequence[str], tasks: Sequence[str], groups: Sequence[Group], rewards: torch.Tensor
    ) -> tuple[Update | None, dict[str, float]]:
        """One step on the answers that carry a weight, or none where none does, and figures by TensorBoard tag."""
        size, pull = self.samples, self.config.kl
        enumerated = torch.tensor([group.enumerated for group in groups])
        weights = (rewards > 0).float()  # (B, S); of enumerated answers, only what was paid can carry one
        weights[~enumerated] = 0.0
        weights[~enumerated, :size] = self.estimator.weights(rewards[~enumerated, :size])
        for k, group in enumerate(groups):
            weights[k] = merged(weights[k], group.tokens)
        wanted = weights != 0
        if pull:
            wanted[~enumerated, :size] = True
        chosen, again = wanted.nonzero().tolist(), self.stream.replay.draw()
        if not chosen and not again:
            self.stream.replay.remember([], torch.zeros(0))  # other processes may have some
            return self.optimizer.step(None), {}
        asked = sorted({k for k, _ in chosen})
        prompts = [*(questions[k] for k in asked), *(one.question for one in again)]
        completions = [*(groups[k].tokens[i] for k, i in chosen), *(one.completion for one in again)]
        owners = [*(asked.index(k) for k, _ in chosen), *range(len(asked), len(prompts))]
        named = [*(tasks[k] for k in asked), *(one.task for one in again)]
        scored = self.policy.score(prompts, completions, owners, named)
        logprobs = torch.zeros_like(rewards)  # (B, S), of those that were chosen
        known = scored.logprobs.detach().sum(1).cpu()
        logprobs[wanted] = known[: len(chosen)]
        worth = [n for n, (k, i) in enumerate(chosen) if rewards[k, i] > 0] + [*range(len(chosen), len(completions))]
        lessons = [Lesson(prompts[owners[n]], named[owners[n]], completions[n]) for n in worth]
        self.stream.replay.remember(lessons, known[worth])
        for k in enumerated.nonzero().flatten().tolist():
            weights[k] = size * exact(rewards[k], logprobs[k])  # a question counts once
        extra = {}
        if pull and chosen:
            new = prompts[: len(asked)], completions[: len(chosen)], owners[: len(chosen)]
            apart = torch.zeros_like(rewards)
            apart[wanted] = logprobs[wanted] - self.policy.unprompted(*new).cpu()
            apart = apart[~enumerated, :size]
            weights[~enumerated, :size] -= pull * rloo(apart)  # relative to the others, so that all of it is charged
            extra = {"train/kl": float(apart.mean())} if len(apart) else {}
        carried = torch.cat([weights[wanted], torch.full((len(again),), float(size))])
        carried *= self.stream.emphasis.factors(named)[owners]
        n = size * (len(groups) + len(again))
        return self.optimizer.step(weighted_completions(scored, carried, n)), extra

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        for lanes in (self.before, self.after, self.paid):
            lanes.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """The state of the sampling."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sample on from a saved state."""
        self.generator.set_state(state["generator"].cpu())
