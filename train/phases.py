"""Training in pieces: one policy that learns some episodes of these tasks, then some of those, from any start.

Continual learning, federated averaging and meta-learning are made of this: they differ in whose questions come next,
and in what becomes of what was learnt.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from reasoning_arena.agents.models import dtype_name
from reasoning_arena.train.config import Config
from reasoning_arena.train.held_out import Evaluator
from reasoning_arena.train.optimizer import Optimizer
from reasoning_arena.train.run import ROUNDS, new_policy, own_model
from reasoning_arena.train.stream import Replay
from torch import Tensor

State = dict[str, Tensor]


class Phases:
    """One policy, and what it can be put through.

    Args:
        config: model, learner, loss and everything else that all phases have in common; its tasks are all that there
            will be.

    Raises:
        AgentError, ArenaError, TrainingError: something that was asked for cannot be had.
    """

    def __init__(self, config: Config) -> None:
        wanted = config.resolved()
        self.lm = own_model(wanted)
        self.config = dataclasses.replace(wanted, dtype=dtype_name(self.lm.dtype))
        self.policy = new_policy(self.config, self.lm)
        self.evaluator = Evaluator(self.config)

    @property
    def state(self) -> State:
        """What has been learnt."""
        return {name: value.detach().clone() for name, value in self.policy.soft_prompt.state_dict().items()}

    @state.setter
    def state(self, state: State) -> None:
        self.policy.soft_prompt.load_state_dict(state)

    def learn(self, tasks: Sequence[str], episodes: int, stretch: int, replay: Replay | None = None) -> None:
        """Learn from a stream of questions, with an optimiser that begins anew.

        Args:
            tasks: what is asked.
            episodes: how many questions; the last batch is a whole one.
            stretch: which stretch of the questions that the seed gives; the same one asks the same questions again.
            replay: what is gone over again, from phase to phase.
        """
        seed = int(np.random.SeedSequence([self.config.seed, stretch]).generate_state(1)[0])
        config = dataclasses.replace(self.config, tasks=tuple(tasks), seed=seed)
        rounds = -(-episodes // config.batch_size)
        learning = ROUNDS[config.loss](config, self.policy, Optimizer(self.policy, config.lr, rounds))
        if replay is not None:
            learning.stream.replay = replay
        for left in reversed(range(rounds)):
            learning.play()
            learning.settle(everything=not left)

    def evaluator_of(self, **changes: Any) -> Evaluator:
        """Held-out problems of another kind, by what is different in the configuration."""
        return Evaluator(dataclasses.replace(self.config, **changes))

    def accuracy(self, evaluator: Evaluator | None = None) -> dict[str, float]:
        """Held-out accuracy by task, under ``"all"`` that on all of them together."""
        evaluation = (evaluator or self.evaluator)(self.policy)
        return {"all": evaluation.accuracy, **evaluation.per_task}


def mean_state(states: Sequence[State]) -> State:
    """The mean of what several learnt, number by number; what did not learn stays the same to the last bit."""
    return {
        name: first + torch.stack([state[name] - first for state in states]).mean(0)
        for name, first in states[0].items()
    }


def towards(start: State, end: State, share: float) -> State:
    """A share of the way from one to another."""
    return {name: start[name].lerp(end[name], share) for name in start}
