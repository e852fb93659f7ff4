"""Learning from reward: how many answers a question gets, and what it counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train.checkpoint import latest_checkpoint, load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.learners import new_steering
from reasoning_arena.train.losses import weighted_completions
from reasoning_arena.train.online import train
from reasoning_arena.train.optimizer import Optimizer
from reasoning_arena.train.reward import Effort, RewardRound
from reasoning_arena.train.run import Run


def test_a_task_that_hardly_ever_succeeds_is_given_more_samples_and_no_other() -> None:
    effort = Effort(least=8, most=64)
    assert effort.of("sequence") == effort.of("math") == 8
    for _ in range(5):
        effort.note("sequence", torch.full((effort.of("sequence"),), -1.0))
        effort.note("math", torch.tensor([1.0, -1.0] * 4))
    assert effort.of("sequence") == 64
    assert effort.of("math") == 8
    drawn = 0
    for _ in range(60):  # one sample in 32 now succeeds
        samples = effort.of("sequence")
        effort.note("sequence", torch.where(torch.arange(drawn, drawn + samples) % 32 == 0, 1.0, -1.0))
        drawn += samples
    assert 25 < effort.of("sequence") < 40
    for _ in range(40):
        effort.note("sequence", torch.ones(effort.of("sequence")))
    assert effort.of("sequence") == 8


def test_a_question_counts_once_however_many_answers_there_are(
    lm: LoadedModel, small: Callable[..., Config], lm_folder: Path
) -> None:
    config = small(lm_folder, loss="reward", tasks=("comparison", "math"), estimator="exact").resolved()
    policy = SoftPromptPolicy(lm, new_steering(config, lm), max_new_tokens=6)
    learning = RewardRound(config, policy, Optimizer(policy, 0.1, 3))
    learning.effort.samples = {"math": 1e9}  # as if nothing had ever succeeded there
    open_ones = [k for k, allowed in enumerate(learning.before.candidates) if not allowed]
    assert 0 < len(open_ones) < 4
    seen: list[Any] = []

    def noting(scored: Any, weights: torch.Tensor, n: int) -> torch.Tensor:
        seen.append((weights, n))
        return weighted_completions(scored, weights, n)

    def paid(answers: list[str]) -> Any:
        rewards, told = answer(answers)
        assert sum(text != "" for text in answers[24 * open_ones[0] : 24 * (open_ones[0] + 1)]) > 8
        for k in open_ones:
            rewards[24 * k : 24 * (k + 1)] = -1.0
            rewards[24 * k] = 1.0
        return rewards, told

    answer = learning.paid.answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reasoning_arena.train.reward.weighted_completions", noting)
        patch.setattr(learning.paid, "answer", paid)
        learning.play()
    ((weights, n),) = seen
    assert n == 4
    assert weights[weights > 0].sum() == pytest.approx(4, rel=0.1)  # less 1/24 of those that were sampled


def test_the_effort_is_gone_on_with(small: Callable[..., Config], lm_folder: Path, tmp_path: Path) -> None:
    train(small(lm_folder, loss="reward", tasks=("math",), run_dir=tmp_path / "run"))
    (state,) = load_state(latest_checkpoint(tmp_path / "run"))["learning"]
    assert state["samples"]["math"] > 24  # this model knows hardly anything
    learning = Run(Config(resume=tmp_path / "run", episodes=24, quiet=True)).learning
    assert isinstance(learning, RewardRound)
    assert (learning.effort.samples, learning.effort.successes) == (state["samples"], state["successes"])
