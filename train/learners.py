"""What learns: the choices of ``--learner``, each from the same start, ``--preamble`` and ``--init-text``."""

from collections.abc import Callable
from functools import partial

import torch
from reasoning_arena.agents.adapters import LowRankAdapters
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.soft_prompt import SoftPrompt, embedding_rms, initial_soft_prompt, text_embeddings
from reasoning_arena.agents.steering import PromptMixture, Steering, TaskPrompts
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.config import Config

Build = Callable[[Config, LoadedModel, SoftPrompt, torch.Generator], Steering]


def _soft_prompt(config: Config, lm: LoadedModel, start: SoftPrompt, generator: torch.Generator) -> Steering:
    return start


def _per_task(config: Config, lm: LoadedModel, start: SoftPrompt, generator: torch.Generator) -> Steering:
    own = {
        task: initial_soft_prompt(lm, config.own_tokens, "text", f"{task}\n\n", generator).weight.data
        for task in config.tasks
    }
    return TaskPrompts(start.weight, own, start.preamble)


def _mixture(config: Config, lm: LoadedModel, start: SoftPrompt, generator: torch.Generator) -> Steering:
    bank = [
        initial_soft_prompt(lm, config.own_tokens, "vocabulary", "", generator).weight.data
        for _ in range(config.experts)
    ]
    return PromptMixture(lm, start.weight, torch.stack(bank), embedding_rms(lm), start.preamble)


def _adapters(
    config: Config, lm: LoadedModel, start: SoftPrompt, generator: torch.Generator, *, prompt_learns: bool
) -> Steering:
    return LowRankAdapters(
        lm, start.weight, config.lora_rank, prompt_learns=prompt_learns, seed=config.seed, preamble=start.preamble
    )


LEARNERS: dict[str, Build] = {
    "soft-prompt": _soft_prompt,
    "per-task": _per_task,
    "mixture": _mixture,
    "lora": partial(_adapters, prompt_learns=False),
    "hybrid": partial(_adapters, prompt_learns=True),
}


def new_steering(config: Config, lm: LoadedModel) -> Steering:
    """What a run begins with.

    Args:
        config: with its learner and what that starts from.
        lm: the model; low-rank adapters change it in place.

    Raises:
        AgentError: the model cannot take the learner, or there is nothing to start from.
        TrainingError: --init-from holds no soft prompt of this model's width.
    """
    generator = torch.Generator().manual_seed(config.seed)
    if config.init_from is not None:
        start = load_soft_prompt(config.init_from, lm)
    else:
        start = initial_soft_prompt(lm, config.soft_tokens, config.init, config.init_text or "", generator)
        start = SoftPrompt(start.weight, text_embeddings(lm, config.preamble or ""))
    return LEARNERS[config.learner](config, lm, start.to(lm.device), generator)
