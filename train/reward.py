"""Rounds of learning from reward: answers that the environment paid, weighted by what they earned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Config
from reasoning_arena.train.estimators import ESTIMATORS, exact
from reasoning_arena.train.learner import Learner, Update
from reasoning_arena.train.losses import weighted_completions
from reasoning_arena.train.rounds import Lanes, RoundResult, texts


class Group(NamedTuple):
    """The answers to one question that are paid and learnt from.

    Attributes:
        texts: what the environment is told.
        tokens: the same in tokens, the stop token last.
        enumerated: whether these are all the answers that the question allows, rather than samples.
    """

    texts: list[str]
    tokens: list[tuple[int, ...]]
    enumerated: bool


class PaidRound(NamedTuple):
    """What is known of a round before its questions are answered again."""

    update: Update | None
    questions: Sequence[str]
    reward: float
    accuracy_before: float
    extra: dict[str, float]


class RewardRound:
    """Reward-weighted log-probabilities of answers that the environment paid. The gold answer is never looked at.

    The answers are the policy's own samples; with the estimator ``exact``, a question that says which answers it allows
    gets each of those instead. A third environment with the same seeds asks every question once for each answer.
    """

    def __init__(self, config: Config, policy: SoftPromptPolicy, learner: Learner) -> None:
        self.config, self.policy, self.learner = config, policy, learner
        self.estimator = ESTIMATORS[config.estimator]
        self.before, self.after = Lanes(config), Lanes(config)
        self.paid = Lanes(config, config.samples_per_question)
        self.generator = torch.Generator(policy.lm.device).manual_seed(config.seed + (distributed.rank() << 32))
        self.last: PaidRound | None = None  # not yet answered again
        self.results: list[RoundResult] = []

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""
        size = self.config.samples_per_question
        questions = self.before.questions
        greedy, groups = self._answers(questions, self.before.candidates)
        before, _ = self.before.answer(greedy)
        told = [text for group in groups for text in (*group.texts, *[""] * (size - len(group.texts)))]
        rewards = torch.from_numpy(self.paid.answer(told)[0]).float().view(-1, size)  # (B, G)
        update = self._learn(questions, groups, rewards)
        sampled = torch.tensor([not group.enumerated for group in groups])
        # What the policy itself earned: its samples, or where there are none its greedy answer.
        earned = torch.where(sampled, rewards.mean(1), torch.from_numpy(before).float())
        success = (rewards[sampled] > 0).float().mean(1)
        extra = {}
        if len(success):
            dead = ((success == 0) | (success == 1)).float()
            extra = {"train/success_rate": float(success.mean()), "train/dead_groups": float(dead.mean())}
        self.last = PaidRound(update, questions, float(earned.mean()), float((before > 0).mean()), extra)
        return update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """The rounds answered again: all but the last, whose questions wait to be put beside the next ones."""
        if everything and self.last is not None:
            self._note_after(texts(self.policy.act(self.last.questions)))
        results, self.results = self.results, []
        return results

    def _answers(
        self, questions: Sequence[str], candidates: Sequence[tuple[str, ...]]
    ) -> tuple[list[str], list[Group]]:
        """Greedy answers to the questions, and those to be paid, up to ``samples_per_question`` for each.

        The last round's questions are answered again beside them: what was learnt from them is what these begin with.
        """
        size, encoder = self.config.samples_per_question, self.policy.encoder
        closed = [self.estimator.enumerates and 0 < len(allowed) <= size for allowed in candidates]
        again = () if self.last is None else self.last.questions
        temperatures: list[Sequence[float]] = [(0.0,)] * len(again)
        temperatures += [(0.0,) if enumerated else (0.0, *[self.config.temperature] * size) for enumerated in closed]
        said = self.policy.act([*again, *questions], temperatures=temperatures, generator=self.generator)
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
                groups.append(Group(texts(samples), [sample.tokens for sample in samples], False))
        return greedy, groups

    def _note_after(self, answers: Sequence[str]) -> None:
        """Complete the last round with the answers after its update."""
        assert self.last is not None
        after, _ = self.after.answer(answers)
        update, _, reward, before, extra = self.last
        self.results.append(RoundResult(update, reward, before, float((after > 0).mean()), extra))
        self.last = None

    def _learn(self, questions: Sequence[str], groups: Sequence[Group], rewards: torch.Tensor) -> Update | None:
        """One step on the answers that carry a weight, or None where none does."""
        size = self.config.samples_per_question
        weights = self.estimator.weights(rewards)  # (B, G)
        for k, group in enumerate(groups):
            if group.enumerated:  # only those that were paid can carry a weight
                weights[k] = (rewards[k] > 0).float()
        chosen = weights.nonzero().tolist()
        if not chosen:
            return self.learner.follow()
        asked = sorted({k for k, _ in chosen})
        owners = [asked.index(k) for k, _ in chosen]
        scored = self.policy.score([questions[k] for k in asked], [groups[k].tokens[i] for k, i in chosen], owners)
        logprobs = scored.logprobs.detach().sum(1).cpu()
        for k, group in enumerate(groups):
            mine = [n for n, (owner, _) in enumerate(chosen) if owner == k]
            if group.enumerated and mine:
                paid = torch.tensor([chosen[n][1] for n in mine])
                weights[k, paid] = size * exact(rewards[k, paid], logprobs[mine])  # a question counts once
        carried = torch.stack([weights[k, i] for k, i in chosen])
        return self.learner.step(weighted_completions(scored, carried, rewards.numel()))

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
