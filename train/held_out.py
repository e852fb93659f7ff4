"""Held-out accuracy: greedy answers to a fixed set of problems, paid by the environment's own scorer."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from reasoning_arena.agents.policy import Answer, SoftPromptPolicy
from reasoning_arena.envs import ArenaError, ReasoningArenaVectorEnv
from reasoning_arena.envs.task import DIFFICULTIES, REGISTRY
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Config

EVAL_SEED = 20_260_101  # held-out problems are the same for every training seed
REDRAWN = 200  # times that problems are drawn in place of those that are there already


class Exchange(NamedTuple):
    """One held-out question, what was answered, what would have been right, and whether it was."""

    task: str
    question: str
    answer: str
    gold: str
    solution: str
    correct: bool


class Evaluation(NamedTuple):
    """Accuracy on the held-out problems, 0 to 1.

    Attributes:
        accuracy: over all of them.
        per_task: over each task's.
        exchanges: every question and answer.
    """

    accuracy: float
    per_task: dict[str, float]
    exchanges: list[Exchange]


def make_envs(config: Config, lanes: int, split: str, *, held_out_phrasings: bool = False) -> ReasoningArenaVectorEnv:
    """Environments for a run: one object with so many lanes."""
    envs = gym.make_vec(
        "ReasoningArena-v0",
        num_envs=lanes,
        tasks=config.tasks,
        difficulty=config.difficulty,
        split=split,
        held_out_phrasings=held_out_phrasings,
    )
    assert isinstance(envs, ReasoningArenaVectorEnv)
    return envs


class Evaluator:
    """Asks a policy the same held-out problems again and again.

    Args:
        config: tasks, difficulty, split, and how many problems.
        held_out_phrasings: ask in words that no question of training uses.

    Raises:
        ArenaError: the split does not hold so many different problems.
    """

    def __init__(self, config: Config, *, held_out_phrasings: bool = False) -> None:
        self.envs = make_envs(config, config.eval_episodes, config.eval_split, held_out_phrasings=held_out_phrasings)
        # What was said last time. Most of it will be said again, and scoring it is cheaper than decoding.
        self._said: list[Answer] = []
        self._reset()

    def _reset(self) -> tuple[str, ...]:
        """The same questions as ever, all different."""
        n = self.envs.num_envs
        questions, infos = self.envs.reset(seed=EVAL_SEED)
        ids, self.tasks = infos["problem_id"].tolist(), infos["task"].tolist()
        for _ in range(REDRAWN):
            first: dict[str, int] = {}
            again = np.array([first.setdefault(problem_id, i) < i for i, problem_id in enumerate(ids)])
            if not again.any():
                return questions
            questions, infos = self.envs.reset(options={"reset_mask": again})
            for i in np.flatnonzero(again):
                ids[i], self.tasks[i] = infos["problem_id"][i], infos["task"][i]
        names = ", ".join(sorted(set(self.tasks)))
        raise ArenaError(f"found no {n} different problems of {names} to evaluate on; ask for fewer")

    @torch.no_grad()
    def __call__(self, policy: SoftPromptPolicy, tell: Callable[[str], None] | None = None) -> Evaluation:
        """Accuracy of the policy's greedy answers; every process gives its share of them.

        Args:
            policy: who answers.
            tell: is told from time to time how far it has come.
        """
        questions, said = self._reset(), []
        tasks = self.tasks[distributed.share(len(questions))]
        mine = questions[distributed.share(len(questions))]
        size = policy.language_model.decoded_together
        for begin in range(0, len(mine), size):
            if tell is not None:
                tell(f"evaluating {begin}/{len(mine)}")
            batch, before = mine[begin : begin + size], self._said[begin : begin + size]
            of = tasks[begin : begin + size]
            if before and policy.foresees:
                tokens = [answer.tokens for answer in before]
                begun = policy.begin(policy.score(batch, tokens, tasks=of, keep_contexts=True))
                said += policy.answers(*policy.grow([begun]))
            else:
                said += policy.act(batch, of)
        self._said = said
        answers = [text for some in distributed.gathered([answer.text for answer in said]) for text in some]
        _, _, _, _, infos = self.envs.step(answers)
        told = infos["final_info"]
        exchanges = [
            Exchange(*row)
            for row in zip(
                told["task"],
                questions,
                answers,
                told["gold_answer"],
                told["solution"],
                told["correct"].tolist(),
                strict=True,
            )
        ]
        per_task = {
            task: float(np.mean([one.correct for one in exchanges if one.task == task]))
            for task in dict.fromkeys(sorted(told["task"]))
        }
        return Evaluation(float(told["correct"].mean()), per_task, exchanges)


def generalisation(config: Config) -> dict[str, Evaluator]:
    """Held-out problems of kinds that are not trained on, by name; none where they are not asked for."""
    if not config.generalisation:
        return {}
    kinds = {"held_out_phrasings": Evaluator(config, held_out_phrasings=True)}
    if config.difficulty < DIFFICULTIES[-1]:
        kinds["one_difficulty_up"] = Evaluator(dataclasses.replace(config, difficulty=config.difficulty + 1))
    unseen = tuple(name for name in REGISTRY if name not in config.tasks)
    if unseen:
        kinds["unseen_tasks"] = Evaluator(dataclasses.replace(config, tasks=unseen))
    return kinds
