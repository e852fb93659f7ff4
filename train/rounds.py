"""One round of online learning: answer a batch of questions, be paid, learn, and answer the same questions again.

The questions of a round come from vector environments with equal seeds, which therefore ask the same: one takes the
answers before the update, another the answers after it, so both are paid by the environment itself.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple, Protocol

import numpy as np
from reasoning_arena.agents.policy import Answer
from reasoning_arena.envs.episode import Info
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Config, Resolved
from reasoning_arena.train.held_out import make_envs
from reasoning_arena.train.optimizer import Update
from reasoning_arena.train.stream import Emphasis, Progression, Replay, Stream

Rewards = np.ndarray[Any, np.dtype[np.float64]]


class RoundResult(NamedTuple):
    """What happened in a round.

    Attributes:
        update: the gradient step, or None where no answer carried a weight.
        reward: the mean reward of what the policy itself said: its samples, or its greedy answers where it drew none.
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
    """A way to learn from questions.

    Attributes:
        stream: what the questions are like, and what is gone over again; saved with the run, too.
    """

    stream: Stream

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """The results of rounds played, in their order; some may wait for later unless everything is asked for."""

    def skip(self, rounds: int) -> None:
        """Pass over the questions of so many rounds, as a resumed run does."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside the number of rounds and the stream."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class Lanes:
    """A vector environment that asks a batch of questions at a time, or this process's share of it.

    Args:
        config: what is asked; equal configurations ask the same questions.
        progression: how hard they are, where that changes.
        copies: how often every question is asked; the copies come next to each other.

    Attributes:
        questions: what is being asked.
        tasks: of which task each question is.
        candidates: the closed set of each question's answers, or nothing.
    """

    def __init__(self, config: Resolved, progression: Progression | None = None, copies: int = 1) -> None:
        seeds = np.random.SeedSequence(config.seed).generate_state(config.batch_size)  # 32 bits each
        seeds = seeds[distributed.share(config.batch_size)]
        self.envs = make_envs(config, len(seeds) * copies, "train")
        self.progression, self.rounds = progression or Progression(config.tasks, None), 0
        options = {"difficulty": self.progression.levels(0)}
        self._ask(*self.envs.reset(seed=[int(seed) for seed in seeds for _ in range(copies)], options=options))

    def answer(self, answers: Sequence[str]) -> tuple[Rewards, Info]:
        """The rewards of answers, one a lane, and what the environment told of the questions that they end."""
        questions, rewards, _, _, infos = self.envs.step(answers)
        told: Info = infos["final_info"]
        self.rounds += 1
        levels = self.progression.levels(self.rounds)
        if levels is not None:  # a vector environment goes on at its own difficulty
            questions, infos = self.envs.reset(options={"difficulty": levels})
        self._ask(questions, infos)
        return rewards, told

    def _ask(self, questions: Sequence[str], infos: Info) -> None:
        self.questions, self.tasks = questions, infos["task"].tolist()
        self.candidates: Sequence[tuple[str, ...]] = infos["candidates"]

    def skip(self, rounds: int) -> None:
        """Answer nothing to the next questions."""
        for _ in range(rounds):
            self.answer([""] * self.envs.num_envs)


def pooled(results: Sequence[RoundResult]) -> list[RoundResult]:
    """Rounds of a whole batch, from what each process has of them; steps were taken together, and are the same in all.

    Figures that only some processes have are the mean of those.
    """
    if distributed.size() == 1:
        return list(results)
    whole = []
    for parts in zip(*distributed.gathered(results), strict=True):
        reward, before, after = (fmean(part[i] for part in parts) for i in (1, 2, 3))
        tags = dict.fromkeys(tag for part in parts for tag in part.extra)
        extra = {tag: fmean(part.extra[tag] for part in parts if tag in part.extra) for tag in tags}
        whole.append(RoundResult(parts[0].update, reward, before, after, extra))
    return whole


def new_stream(config: Resolved) -> Stream:
    """What a run's questions are like, and what is gone over again."""
    replay = new_replay(config, config.replay, config.seed)
    progression = Progression(config.tasks, config.difficulty if config.curriculum else None)
    return Stream(replay, Emphasis(config.adaptive), progression)


def new_replay(config: Config, number: int, seed: int) -> Replay:
    """Nothing to go over again yet; of what will be, so many a step."""
    return Replay(config.replay_capacity, number, seed, prioritized=config.replay_draws == "mistakes")


def texts(answers: Sequence[Answer]) -> list[str]:
    """What answers say."""
    return [answer.text for answer in answers]
