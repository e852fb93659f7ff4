"""One round of online learning: answer a batch of questions, be paid, learn, and answer the same questions again.

The questions of a round come from vector environments with equal seeds, which therefore ask the same: one takes the
answers before the update, another the answers after it, so both are paid by the environment itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from reasoning_arena.agents.language_model import Scored
from reasoning_arena.agents.policy import Answer, SoftPromptPolicy
from reasoning_arena.envs.episode import Info
from reasoning_arena.train.config import Config
from reasoning_arena.train.estimators import ESTIMATORS, exact
from reasoning_arena.train.evaluate import make_envs
from reasoning_arena.train.learner import Learner, Update
from reasoning_arena.train.losses import per_token, weighted_completions

Rewards = np.ndarray[Any, np.dtype[np.float64]]
SETTLE_ROWS = 32  # answers that are decoded together; more would take gigabytes of keys and values


class RoundResult(NamedTuple):
    """What happened in a round.

    Attributes:
        update: the gradient step, or None where no answer carried a weight.
        reward: the mean reward of the answers that were learnt from (of the greedy answers, in supervised learning).
        accuracy_before: the share of right greedy answers before the update.
        accuracy_after: the same after it.
        extra: further figures by TensorBoard tag.
    """

    update: Update | None
    reward: float
    accuracy_before: float
    accuracy_after: float
    extra: dict[str, float]


class Round(Protocol):
    """A way to learn from questions."""

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """The results of rounds played, in their order; some may wait for later unless everything is asked for."""

    def skip(self, rounds: int) -> None:
        """Pass over the questions of so many rounds, as a resumed run does."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside the number of rounds."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class Lanes:
    """A vector environment that asks a batch of questions at a time.

    Args:
        config: what is asked; equal configurations ask the same questions.
        copies: how often every question is asked; the copies come next to each other.

    Attributes:
        questions: what is being asked.
        candidates: the closed set of each question's answers, or nothing.
    """

    def __init__(self, config: Config, copies: int = 1) -> None:
        assert config.batch_size is not None
        self.envs = make_envs(config, config.batch_size * copies, "train")
        seeds = np.random.SeedSequence(config.seed).generate_state(config.batch_size)  # 32 bits each
        self.questions, infos = self.envs.reset(seed=[int(seed) for seed in seeds for _ in range(copies)])
        self.candidates: Sequence[tuple[str, ...]] = infos["candidates"]

    def answer(self, answers: Sequence[str]) -> tuple[Rewards, Info]:
        """The rewards of answers, one a lane, and what the environment told of the questions that they end."""
        self.questions, rewards, _, _, infos = self.envs.step(answers)
        self.candidates = infos["candidates"]
        return rewards, infos["final_info"]

    def skip(self, rounds: int) -> None:
        """Answer nothing to the next questions."""
        for _ in range(rounds):
            self.answer([""] * self.envs.num_envs)


def _texts(answers: Sequence[Answer]) -> list[str]:
    return [answer.text for answer in answers]


class SupervisedRound:
    """Cross-entropy on the gold answer, or on the worked solution.

    A question's gold answer is told by a twin environment that was answered with nothing. Scoring it gives the loss,
    and at once what greedy decoding answers before the update; scoring it again, what it answers after. Only answers
    that differ need decoding, and those of several rounds are decoded together. With a model that cannot foresee its
    answers they are decoded one round after another, which gives the same.
    """

    def __init__(self, config: Config, policy: SoftPromptPolicy, learner: Learner) -> None:
        self.config, self.policy, self.learner = config, policy, learner
        self.before, self.after = Lanes(config), Lanes(config)
        self.scout = Lanes(config) if policy.foresees else None
        self.last: tuple[Update, Scored, Sequence[str]] | None = None  # not yet scored again
        self.waiting: list[tuple[Update, Scored, Scored]] = []  # not yet decoded
        self.results: list[RoundResult] = []

    def play(self) -> Update:
        """Learn from the next batch of questions."""
        policy = self.policy
        if self.scout is None:
            questions = self.before.questions
            rewards, told = self.before.answer(_texts(policy.act(questions)))
            update = self._step(policy.score(questions, self._targets(told)))
            self._note(update, rewards, self.after.answer(_texts(policy.act(questions)))[0])
            return update
        questions = self.scout.questions
        targets = self._targets(self.scout.answer([""] * len(questions))[1])
        scored = policy.score(questions, targets, keep_contexts=True)
        self._score_again()  # with the soft prompt that this round begins with, whose keys and values are still there
        update = self._step(scored)
        self.last = update, scored._replace(logprobs=scored.logprobs.detach()), questions
        return update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """Decode what has to be decoded, once enough has come together."""
        if everything:
            self._score_again()
        rows = sum(len(scored.completions) + len(again.completions) for _, scored, again in self.waiting)
        if rows >= SETTLE_ROWS or (everything and rows):
            said = self.policy.greedy_answers(*(scored for _, *pair in self.waiting for scored in pair))
            for (update, _, _), first, then in zip(self.waiting, said[::2], said[1::2], strict=True):
                self._note(update, self.before.answer(_texts(first))[0], self.after.answer(_texts(then))[0])
            self.waiting = []
        results, self.results = self.results, []
        return results

    def _step(self, scored: Scored) -> Update:
        return self.learner.step(weighted_completions(scored, per_token(scored), len(scored.completions)))

    @torch.no_grad()
    def _score_again(self) -> None:
        """Score the last round's targets with what was learnt from them."""
        if self.last is not None:
            update, scored, questions = self.last
            again = self.policy.score(questions, scored.completions, keep_contexts=True)
            self.waiting.append((update, scored, again))
            self.last = None

    def _targets(self, told: Info) -> list[tuple[int, ...]]:
        texts = told["solution" if self.config.target == "solution" else "gold_answer"]
        return [self.policy.encoder.completion_ids(text) for text in texts]

    def _note(self, update: Update, before: Rewards, after: Rewards) -> None:
        shares = float((before > 0).mean()), float((after > 0).mean())
        self.results.append(RoundResult(update, float(before.mean()), *shares, {}))

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        for lanes in (self.before, self.after, self.scout):
            if lanes is not None:
                lanes.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the questions follow from the seed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


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
        self.generator = torch.Generator(policy.lm.device).manual_seed(config.seed)
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
            self._note_after(_texts(self.policy.act(self.last.questions)))
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
        temperatures = [(0.0,)] * len(again)
        temperatures += [(0.0,) if enumerated else (0.0, *[self.config.temperature] * size) for enumerated in closed]
        said = self.policy.act([*again, *questions], temperatures=temperatures, generator=self.generator)
        if again:
            self._note_after(_texts(said[: len(again)]))
        rest = iter(said[len(again) :])
        greedy, groups = [], []
        for allowed, enumerated in zip(candidates, closed, strict=True):
            greedy.append(next(rest).text)
            if enumerated:
                groups.append(Group(list(allowed), [encoder.completion_ids(text) for text in allowed], True))
            else:
                samples = [next(rest) for _ in range(size)]
                groups.append(Group(_texts(samples), [sample.tokens for sample in samples], False))
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
            return None
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


ROUNDS: dict[str, Callable[[Config, SoftPromptPolicy, Learner], Round]] = {
    "supervised": SupervisedRound,
    "reward": RewardRound,
}
