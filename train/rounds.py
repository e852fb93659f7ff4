"""One round of online learning: answer a batch of questions, be paid, learn, and answer the same questions again.

The questions of a round come from vector environments with equal seeds: one takes the answers before the update, a
    twin the answers after it, so both are paid by the environment itself. To learn from reward, a third one asks
    every question once for each sampled answer.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from reasoning_arena.agents.policy import Answer, SoftPromptPolicy
from reasoning_arena.envs import ReasoningArenaVectorEnv
from reasoning_arena.train.config import Config, TargetName
from reasoning_arena.train.estimators import ESTIMATORS
from reasoning_arena.train.evaluate import make_envs
from reasoning_arena.train.learner import Learner, Update
from reasoning_arena.train.losses import per_token, weighted_completions


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

    def play(self) -> RoundResult:
        """Learn from the next batch of questions."""

    def skip(self, rounds: int) -> None:
        """Pass over the questions of so many rounds, as a resumed run does."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside the number of rounds."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class Questions:
    """A stream of question batches, each of which several environments ask in step.

    Args:
        config: what is asked.
        copies: how often each environment asks every question, one number an environment.
    """

    def __init__(self, config: Config, copies: Sequence[int]) -> None:
        assert config.batch_size is not None
        seeds = np.random.SeedSequence(config.seed).generate_state(config.batch_size, np.uint64)
        self.copies = copies
        self.envs: list[ReasoningArenaVectorEnv] = []
        for n in copies:
            envs = make_envs(config, n * config.batch_size, "train")
            envs.reset(seed=[int(seed >> np.uint64(1)) for seed in seeds for _ in range(n)])
            self.envs.append(envs)

    @property
    def batch(self) -> list[str]:
        """The questions that the first environment asks now, each once."""
        return [problem.posed.question for problem in self.envs[0].problems][:: self.copies[0]]

    def skip(self, rounds: int) -> None:
        """Answer nothing to the next questions."""
        for envs in self.envs:
            for _ in range(rounds):
                envs.step([""] * envs.num_envs)


def _paid(envs: ReasoningArenaVectorEnv, answers: Sequence[Answer]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The rewards of answers, one a lane."""
    return envs.step([answer.text for answer in answers])[1]


class SupervisedRound:
    """Cross-entropy on the gold answer, or on the worked solution.

    The environment is our own, so the loop may look at the gold answer early: scoring it gives the loss, and at once
    what greedy decoding answers. Nothing else changes.
    """

    def __init__(self, config: Config, policy: SoftPromptPolicy, learner: Learner) -> None:
        self.config, self.policy, self.learner = config, policy, learner
        self.questions = Questions(config, (1, 1))

    def play(self) -> RoundResult:
        """Learn from the next batch of questions."""
        policy, (before_envs, after_envs) = self.policy, self.questions.envs
        observations, problems = self.questions.batch, before_envs.problems
        targets = [
            policy.encoder.completion_ids(
                target_text(p.posed.answer, p.posed.solution, p.posed.answer_type, self.config.target)
            )
            for p in problems
        ]
        scored = policy.score(observations, targets, keep_contexts=True)
        if not policy.foresees:
            before = policy.act(observations)
        update = self.learner.step(weighted_completions(scored, per_token(scored), len(targets)))
        if policy.foresees:
            with torch.no_grad():
                rescored = policy.score(observations, targets, keep_contexts=True)
            before, after = policy.greedy_answers(scored, rescored)
        else:
            after = policy.act(observations)
        rewards, later = _paid(before_envs, before), _paid(after_envs, after)
        return RoundResult(update, float(rewards.mean()), float((rewards > 0).mean()), float((later > 0).mean()), {})

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        self.questions.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the questions follow from the seed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


class RewardRound:
    """Reward-weighted log-probabilities of the policy's own answers. The gold answer is never looked at."""

    def __init__(self, config: Config, policy: SoftPromptPolicy, learner: Learner) -> None:
        self.config, self.policy, self.learner = config, policy, learner
        self.questions = Questions(config, (1, 1, config.samples_per_question))
        self.generator = torch.Generator(policy.lm.device).manual_seed(config.seed)

    def play(self) -> RoundResult:
        """Learn from the next batch of questions."""
        policy, group = self.policy, self.config.samples_per_question
        before_envs, after_envs, sample_envs = self.questions.envs
        observations = self.questions.batch
        answers = policy.act(
            observations, temperatures=(0.0, *[self.config.temperature] * group), generator=self.generator
        )
        greedy = answers[:: group + 1]
        samples = [answer for i, answer in enumerate(answers) if i % (group + 1)]
        before = _paid(before_envs, greedy)
        rewards = torch.from_numpy(_paid(sample_envs, samples)).float().view(-1, group)  # (B, G)
        weights = ESTIMATORS[self.config.estimator].weights(rewards).flatten()  # (B * G,)
        learnt_from = weights.nonzero().flatten().tolist()
        update = None
        if learnt_from:
            asked = sorted({i // group for i in learnt_from})
            place = {question: k for k, question in enumerate(asked)}
            scored = policy.score(
                [observations[question] for question in asked],
                [samples[i].tokens for i in learnt_from],
                [place[i // group] for i in learnt_from],
            )
            update = self.learner.step(weighted_completions(scored, weights[learnt_from], len(samples)))
        after = _paid(after_envs, policy.act(observations))
        success = (rewards > 0).float().mean(1)
        extra = {
            "train/success_rate": float(success.mean()),
            "train/dead_groups": float(((success == 0) | (success == 1)).float().mean()),
        }
        return RoundResult(update, float(rewards.mean()), float((before > 0).mean()), float((after > 0).mean()), extra)

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        self.questions.skip(rounds)

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


def target_text(answer: str, solution: str, answer_type: str, target: TargetName) -> str:
    """What is imitated; "auto" is the solution where the answer is a number and the answer elsewhere."""
    worked = target == "solution" or (target == "auto" and answer_type == "integer")
    return solution if worked else answer
