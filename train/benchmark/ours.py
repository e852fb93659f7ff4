"""This project's learner, driven as a training run drives it: episodes with the predictions before and after."""

from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train.benchmark.contest import start
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from reasoning_arena.train.config import Resolved
from reasoning_arena.train.optimizer import Optimizer
from reasoning_arena.train.run import ROUNDS
from torch import Tensor


class Ours:
    """Rounds of online learning.

    Args:
        config: the training run.
        lm: the frozen model.
        settings: what the soft prompt starts from.
        steps: what the learning rate's schedule spans.
    """

    def __init__(self, config: Resolved, lm: LoadedModel, settings: ResolvedSettings, steps: int) -> None:
        self.config = config
        self._learns = start(lm, settings)
        self.policy = SoftPromptPolicy(
            lm, self._learns, chat_template=settings.chat_template, max_new_tokens=settings.max_new_tokens
        )
        if config.loss == "reward":  # all samples as long as TRL's
            self.policy.encoder.stop_ids = frozenset()
        self.learning = ROUNDS[config.loss](config, self.policy, Optimizer(self.policy, config.lr, steps))

    @property
    def soft_prompt(self) -> Tensor:
        """What has been learnt so far."""
        return self._learns.weight.detach()

    def step(self) -> int:
        """One round: its episodes, or its sampled completions."""
        self.learning.play()
        self.learning.settle(everything=False)
        return self.config.batch_size * (self.config.samples_per_question if self.config.loss == "reward" else 1)

    def settle(self) -> None:
        """Predict what has not been predicted yet."""
        self.learning.settle(everything=True)


def ours_sequential(lm: LoadedModel, settings: ResolvedSettings, steps: int) -> Ours:
    """Supervised, one question at a time."""
    return Ours(settings.config("supervised", 1), lm, settings, steps)


def ours_batch(lm: LoadedModel, settings: ResolvedSettings, steps: int) -> Ours:
    """Supervised, in batches."""
    return Ours(settings.config("supervised", settings.batch_size), lm, settings, steps)


def ours_reward(lm: LoadedModel, settings: ResolvedSettings, steps: int) -> Ours:
    """From reward alone."""
    return Ours(settings.config("reward", settings.questions), lm, settings, steps)
