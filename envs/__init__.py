"""Reasoning Arena: procedurally generated reasoning tasks in plain text, as Gymnasium environments.

Importing this package registers them: ``ReasoningArena-v0`` (the five original tasks, mixed evenly), one id a task
    such as ``ReasoningArena/Comparison-v0``, and ``ReasoningArena/All-v0`` (every task there is).
"""

import gymnasium as gym
from reasoning_arena.envs.arena import ReasoningArenaEnv
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import Posed, Problem
from reasoning_arena.envs.scoring import Verdict, extract, score
from reasoning_arena.envs.splits import SPLITS, ProblemSource
from reasoning_arena.envs.task import ORIGINAL_FIVE, REGISTRY, Task, get_task
from reasoning_arena.envs.vector import ReasoningArenaVectorEnv

__all__ = [
    "ORIGINAL_FIVE",
    "REGISTRY",
    "SPLITS",
    "ArenaError",
    "Posed",
    "Problem",
    "ProblemSource",
    "ReasoningArenaEnv",
    "ReasoningArenaVectorEnv",
    "Task",
    "Verdict",
    "environment_ids",
    "extract",
    "get_task",
    "score",
]


def environment_ids() -> dict[str, tuple[str, ...]]:
    """Every registered id and the tasks that it asks."""
    one_each = {f"ReasoningArena/{name.title().replace('_', '')}-v0": (name,) for name in REGISTRY}
    return {"ReasoningArena-v0": ORIGINAL_FIVE, "ReasoningArena/All-v0": tuple(REGISTRY), **one_each}


for _id, _tasks in environment_ids().items():
    if _id not in gym.registry:
        gym.register(
            _id,
            entry_point="reasoning_arena.envs.arena:ReasoningArenaEnv",
            vector_entry_point="reasoning_arena.envs.vector:ReasoningArenaVectorEnv",
            kwargs={"tasks": _tasks},
        )
