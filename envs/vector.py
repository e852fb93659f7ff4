"""Many questions at once in one object, without processes: what ``gym.make_vec`` returns.

A finished episode is followed by a new question in the same step (``AutoresetMode.SAME_STEP``); what the finished one
said is in ``infos["final_info"]`` and ``infos["final_obs"]``, where Gymnasium's own vector environments put it.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from reasoning_arena.envs.arena import ReasoningArenaEnv, problem_rng
from reasoning_arena.envs.checks import is_integer
from reasoning_arena.envs.episode import Episode, Info
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.rng import Rng

Bools = NDArray[np.bool_]


class ReasoningArenaVectorEnv(gym.vector.VectorEnv[tuple[str, ...], tuple[str, ...], NDArray[Any]]):
    """``num_envs`` environments like ``ReasoningArenaEnv``, lane by lane equal to it.

    Args:
        num_envs: the number of lanes.
        settings: of the ``ReasoningArenaEnv`` that each lane is like; of the render modes, "ansi" alone, which has
            ``render`` return what each lane observes.

    Raises:
        ArenaError: an argument is not allowed.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["ansi"],
        "render_fps": 1,
    }

    def __init__(self, num_envs: int = 1, **settings: Any) -> None:
        if not is_integer(num_envs):
            raise ArenaError(f"num_envs {num_envs!r} is not allowed; give an integer of at least 1")
        lane = ReasoningArenaEnv(**settings)
        if lane.render_mode == "human":
            raise ArenaError("render_mode 'human' is not allowed for a vector of lanes; give None or 'ansi'")
        self.source, self.max_attempts, self.render_mode = lane.source, lane.max_attempts, lane.render_mode
        self.rewards_of = (lane.incorrect_reward, lane.correct_reward)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = lane.observation_space, lane.action_space
        self.observation_space = self.action_space = batch_space(lane.observation_space, num_envs)
        self._rngs: list[Rng | None] = [None] * num_envs
        self._episodes: list[Episode] = []
        self._observations: tuple[str, ...] = ()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], Info]:
        """Ask a new question in every lane, or in those of ``options["reset_mask"]``; others observe what they did.

        Args:
            seed: lane ``i`` is seeded with ``seed + i``, or with ``seed[i]``; None goes on with the stream there is.
            options: ``"reset_mask"``, an array of num_envs bools, and ``"difficulty"`` as in ``ReasoningArenaEnv``; it
                holds for the questions of this reset; those that follow a finished one are of the vector's own.

        Raises:
            ArenaError: the seeds or the mask are not one for every lane; another option.
        """
        seeds = _seeds(seed, self.num_envs)
        levels = self.source.reset_levels(options, "reset_mask")
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        if len(seeds) != self.num_envs or mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise ArenaError(f"for {self.num_envs} lanes, seed must hold as many integers and reset_mask as many bools")
        if not self._episodes and not mask.all():
            raise ArenaError("the first reset must be of all lanes")
        asked: list[Episode | None] = list(self._episodes) or [None] * self.num_envs
        observations = list(self._observations) or [""] * self.num_envs
        infos: list[Info | None] = [None] * self.num_envs
        for i in np.flatnonzero(mask):
            rng = self._rngs[i]
            if seeds[i] is not None or rng is None:
                rng = self._rngs[i] = problem_rng(np_random(seeds[i])[0])
            episode = asked[i] = Episode(self.source.draw(rng, levels), self.max_attempts)
            observations[i], infos[i] = episode.observation, episode.info()
        self._episodes = [episode for episode in asked if episode is not None]
        self._observations = tuple(observations)
        return self._observations, _stacked(infos)

    def step(self, actions: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float64], Bools, Bools, Info]:
        """Score one answer a lane, and ask a new question where an episode ended.

        Raises:
            TypeError: an action is no str.
            ArenaError: there is not one action for each lane.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        n = self.num_envs
        if not self._episodes:
            raise gym.error.ResetNeeded("call reset before step: no question is being asked")
        if isinstance(actions, str) or not isinstance(actions, Sequence | np.ndarray) or len(actions) != n:
            raise ArenaError(f"step takes one answer for each of the {n} lanes")
        for action in actions:
            if not isinstance(action, str):
                raise TypeError(f"an action is a str, not {type(action).__name__}")
        rewards: list[float] = []
        observations: list[str] = []
        infos: list[Info] = []
        final_observations: list[str | None] = [None] * n
        final_infos: list[Info | None] = [None] * n
        for i, (action, episode, rng) in enumerate(zip(actions, self._episodes, self._rngs, strict=True)):
            observation, correct, over, info = episode.answer(action)
            rewards.append(self.rewards_of[correct])
            if over:
                final_observations[i], final_infos[i] = observation, info
                assert rng is not None  # set by the first reset
                episode = self._episodes[i] = Episode(self.source.draw(rng), self.max_attempts)
                observation, info = episode.observation, episode.info()
            observations.append(observation)
            infos.append(info)
        stacked = _stacked(infos)
        terminated = np.fromiter((info is not None for info in final_infos), bool, n)
        if terminated.any():
            stacked |= {
                "final_obs": np.array(final_observations, object),
                "_final_obs": terminated.copy(),
                "final_info": _stacked(final_infos),
                "_final_info": terminated.copy(),
            }
        self._observations = tuple(observations)
        return self._observations, np.array(rewards), terminated, np.zeros(n, bool), stacked

    def render(self) -> tuple[str, ...] | None:
        """What each lane observes."""
        return self._observations if self.render_mode == "ansi" and self._episodes else None


def _seeds(seed: object, n: int) -> list[int | None]:
    """A seed for each of n lanes, or None to go on.

    Raises:
        ArenaError: neither an integer nor a row of them.
    """
    if seed is None:
        return [None] * n
    if is_integer(seed, 0):
        return [int(seed) + i for i in range(n)]
    given = seed.tolist() if isinstance(seed, np.ndarray) else seed
    if not isinstance(given, Sequence) or not all(one is None or is_integer(one, 0) for one in given):
        raise ArenaError(f"seed {seed!r} is not allowed; give an integer of at least 0, or one for each lane")
    return [None if one is None else int(one) for one in given]


def _stacked(infos: Sequence[Info | None]) -> Info:
    """One info of arrays from an info (or None) a lane, as ``VectorEnv._add_info`` would build it, only faster.

    Every key is paired with a mask ``_key`` of the lanes that have it.
    """
    n = len(infos)
    asked = [i for i, info in enumerate(infos) if info is not None]
    rows = [info for info in infos if info is not None]
    stacked: Info = {}
    if not rows:
        return stacked
    if len(rows) == n and len({*map(len, rows)}) == 1:  # the usual case, and the fast one: as many keys are the same
        everyone = np.ones(n, bool)
        for key, column in zip(rows[0], zip(*[row.values() for row in rows], strict=True), strict=True):
            stacked[key] = np.fromiter(column, _dtype(column[0]), n)
            stacked[f"_{key}"] = everyone.copy()
        return stacked
    for key in dict.fromkeys(key for row in rows for key in row):
        pairs = [(i, row[key]) for i, row in zip(asked, rows, strict=True) if key in row]
        dtype = _dtype(pairs[0][1])
        array = np.full(n, None, object) if dtype is object else np.zeros(n, dtype)
        mask = np.zeros(n, bool)
        for i, value in pairs:
            array[i] = value
            mask[i] = True
        stacked[key], stacked[f"_{key}"] = array, mask
    return stacked


def _dtype(value: object) -> type:
    return type(value) if type(value) in (int, float, bool) else object
