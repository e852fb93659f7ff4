"""The environment: it asks a question, scores the answer, pays, and shows the gold answer."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from reasoning_arena.envs.checks import is_integer, is_number
from reasoning_arena.envs.episode import Episode, Info
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import CHARSET, MAX_TEXT
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.splits import ProblemSource
from reasoning_arena.envs.task import ORIGINAL_FIVE

RENDER_MODES = ("ansi", "human")


def text_space() -> gym.spaces.Text:
    """The space of everything that the suite says; as an action, any other str of any length is taken as well."""
    return gym.spaces.Text(max_length=MAX_TEXT, min_length=0, charset=CHARSET)


def problem_rng(np_random: np.random.Generator) -> Rng:
    """The stream of problems that belongs to an environment's generator.

    Raw output of the bit generator is what numpy promises to keep stable; its distributions are not.
    """
    high, low = (int(np_random.bit_generator.random_raw()) for _ in range(2))
    return Rng(high << 64 | low)


class ReasoningArenaEnv(gym.Env[str, str]):
    """Reasoning questions in plain text.

    Description:
        Every episode is one question of one task. The agent answers in free text; a typed answer is read from it and
        compared with the gold answer, which a solver has proved from the question's text.

    Observation:
        ``str``: the question. After a wrong attempt with others left: the question and what was wrong.

    Action:
        ``str``: any string at all.

    Rewards:
        ``correct_reward`` for a right answer, ``incorrect_reward`` for any other, at every attempt.

    Termination:
        After a right answer or ``max_attempts`` wrong ones. Never truncated.

    Info:
        ``task``, ``difficulty``, ``answer_type``, ``candidates``, ``problem_id``; after a step also ``answer`` (what
        was read, or None) and ``correct``; at the episode's end also ``gold_answer`` and ``solution``.

    Args:
        tasks: names of tasks.
        difficulty: 1 to 5, or a ``(low, high)`` pair drawn from uniformly.
        split: "train", "validation" or "test"; disjoint by the problems' content.
        weights: how often each of the tasks is asked, in any unit; evenly if None.
        held_out_phrasings: ask in the words that are kept out of all other problems, in every split.
        max_attempts: how many answers an episode allows.
        correct_reward: paid for a right answer.
        incorrect_reward: paid for a wrong one.
        render_mode: "ansi" returns the last exchange as text, "human" prints it.

    Raises:
        ArenaError: an argument is not allowed.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        tasks: str | tuple[str, ...] = ORIGINAL_FIVE,
        difficulty: int | tuple[int, int] = 1,
        split: str = "train",
        max_attempts: int = 1,
        correct_reward: float = 1.0,
        incorrect_reward: float = -1.0,
        render_mode: str | None = None,
        weights: Sequence[float] | None = None,
        held_out_phrasings: bool = False,
    ) -> None:
        if not is_integer(max_attempts):
            raise ArenaError(f"max_attempts {max_attempts!r} is not allowed; give an integer of at least 1")
        if not (is_number(correct_reward) and is_number(incorrect_reward)) or correct_reward <= incorrect_reward:
            raise ArenaError(
                f"correct_reward {correct_reward!r} and incorrect_reward {incorrect_reward!r} are not allowed; "
                "give two finite numbers, the first one larger"
            )
        if render_mode not in (None, *RENDER_MODES):
            raise ArenaError(f"render_mode {render_mode!r} is not allowed; give None, 'ansi' or 'human'")
        self.source = ProblemSource(tasks, difficulty, split, weights, held_out_phrasings)
        self.max_attempts = max_attempts
        self.correct_reward = float(correct_reward)
        self.incorrect_reward = float(incorrect_reward)
        self.render_mode = render_mode
        self.observation_space = text_space()
        self.action_space = text_space()
        self._seeded_by: np.random.Generator | None = None
        self._rng: Rng
        self._episode: Episode | None = None
        self._transcript = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, Info]:
        """Ask a new question. Equal seeds give equal sequences of questions.

        Args:
            seed: begins a new sequence; None goes on with the one there is.
            options: ``{"difficulty": 3}`` or ``{"difficulty": {task: level, …}}`` asks this one question at another
                difficulty than the environment's own.

        Raises:
            ArenaError: the seed is no integer of at least 0; another option, or a difficulty that is not allowed.
        """
        levels = self.source.reset_levels(options)
        if seed is not None and not is_integer(seed, 0):
            raise ArenaError(f"seed {seed!r} is not allowed; give an integer of at least 0")
        super().reset(seed=None if seed is None else int(seed))
        generator = self.np_random
        if seed is not None or generator is not self._seeded_by:
            self._rng, self._seeded_by = problem_rng(generator), generator
        self._episode = Episode(self.source.draw(self._rng, levels), self.max_attempts)
        if self.render_mode is not None:
            self._show(f"[{self._episode.problem.task}] {self._episode.observation}")
        return self._episode.observation, self._episode.info()

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Score an answer.

        Raises:
            TypeError: the action is no str.
            gymnasium.error.ResetNeeded: the episode is over, or none has begun.
        """
        if self._episode is None or self._episode.over:
            raise gym.error.ResetNeeded("call reset before step: no question is being asked")
        if not isinstance(action, str):
            raise TypeError(f"an action is a str, not {type(action).__name__}")
        observation, correct, terminated, info = self._episode.answer(action)
        if self.render_mode is not None:
            said = action.encode("utf-8", "replace").decode()[:MAX_TEXT]
            self._show(f"> {said}\n{observation.removeprefix(self._episode.observation).strip()}")
        return observation, self.correct_reward if correct else self.incorrect_reward, terminated, False, info

    def render(self) -> str | None:
        """The last question or exchange; printed by reset and step already where the mode is "human"."""
        return self._transcript if self.render_mode == "ansi" else None

    def _show(self, text: str) -> None:
        self._transcript = text
        if self.render_mode == "human":
            print(text, flush=True)
