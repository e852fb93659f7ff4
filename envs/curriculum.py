"""A difficulty that follows the agent: harder after success, easier after failure, for every task by itself."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from reasoning_arena.envs.arena import ReasoningArenaEnv
from reasoning_arena.envs.checks import is_integer, is_number
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.task import DIFFICULTIES


class Ladder:
    """A difficulty for every task: one rung up after a window of mostly right answers, one down after mostly wrong.

    Args:
        tasks: their names.
        low: the difficulty to begin with, 1 to 5.
        high: the highest one.
        window: how many answers decide.
        raise_at: the share of right answers from which a task becomes harder.
        lower_at: the share up to which it becomes easier.

    Attributes:
        levels: the difficulties by task.
        recent: the answers in each task's window.

    Raises:
        ArenaError: an argument that is not allowed.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        low: int = DIFFICULTIES[0],
        high: int = DIFFICULTIES[-1],
        window: int = 20,
        raise_at: float = 0.8,
        lower_at: float = 0.3,
    ) -> None:
        if not all(is_integer(level) and level in DIFFICULTIES for level in (low, high)) or low > high:
            raise ArenaError(f"low {low!r} and high {high!r} are not allowed; give two integers, 1 <= low <= high <= 5")
        shares = is_number(raise_at) and is_number(lower_at) and 0 <= lower_at < raise_at <= 1
        if not is_integer(window) or not shares:
            raise ArenaError(
                f"window {window!r}, raise_at {raise_at!r} and lower_at {lower_at!r} are not allowed; give a window of "
                "at least 1 and shares with 0 <= lower_at < raise_at <= 1"
            )
        self.low, self.high, self.raise_at, self.lower_at = low, high, raise_at, lower_at
        self._window, self._tasks = window, list(tasks)
        self.begin()

    def begin(self) -> None:
        """Stand on the lowest rung, with no answers counted."""
        self.levels = dict.fromkeys(self._tasks, self.low)
        self.recent: dict[str, deque[bool]] = {name: deque(maxlen=self._window) for name in self._tasks}

    def count(self, task: str, correct: bool) -> None:
        """Count an answer, and climb or step down where a window is full."""
        recent = self.recent[task]
        recent.append(correct)
        if len(recent) < self._window:
            return
        success = sum(recent) / len(recent)
        level = self.levels[task] + (success >= self.raise_at) - (success <= self.lower_at)
        if self.low <= level <= self.high and level != self.levels[task]:
            self.levels[task] = level
            recent.clear()

    def state(self) -> dict[str, dict[str, Any]]:
        """``{task: {"difficulty": …, "success": …}}``."""
        return {
            name: {"difficulty": level, "success": sum(recent) / len(recent) if recent else None}
            for (name, level), recent in zip(self.levels.items(), self.recent.values(), strict=True)
        }


class Curriculum(gym.Wrapper[str, str, str, str]):
    """Raises a task's difficulty by one after a window of mostly right answers, and lowers it after mostly wrong ones.

    The state is a function of the answers alone, so equal seeds and equal answers give equal episodes. A reset with a
    seed begins at the lowest difficulty again.

    Info:
        ``curriculum``: ``{task: {"difficulty": …, "success": …}}``, after reset and after step; ``success`` is the
        share of right answers in the window so far, None before the first one.

    Args:
        env: a ``ReasoningArenaEnv``, as ``gym.make`` returns it; its own difficulty is not used.
        settings: of the ``Ladder``: ``low``, ``high``, ``window``, ``raise_at``, ``lower_at``.

    Raises:
        ArenaError: another kind of environment, or a setting of a value that is not allowed.
        TypeError: a setting that a ``Ladder`` does not have.

    Example:
        >>> env = Curriculum(gym.make("ReasoningArena-v0"), high=3)
    """

    def __init__(self, env: gym.Env[str, str], **settings: Any) -> None:
        super().__init__(env)
        arena = env.unwrapped
        if not isinstance(arena, ReasoningArenaEnv):
            raise ArenaError(f"a curriculum is over a ReasoningArenaEnv, not {type(arena).__name__}")
        self.ladder = Ladder([task.name for task in arena.source.tasks], **settings)
        self._asked = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Ask a new question, of the difficulty that its task has come to.

        Raises:
            ArenaError: options, which could only ask for another one.
        """
        if options:
            raise ArenaError(f"reset options {options!r} are not allowed: the curriculum decides the difficulty")
        if seed is not None:
            self.ladder.begin()
        question, info = self.env.reset(seed=seed, options={"difficulty": dict(self.ladder.levels)})
        self._asked = info["task"]
        return question, {**info, "curriculum": self.ladder.state()}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Score an answer; the last one of an episode counts for its task."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated:
            self.ladder.count(self._asked, bool(info["correct"]))
        return observation, float(reward), terminated, truncated, {**info, "curriculum": self.ladder.state()}
