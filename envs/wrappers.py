"""Text as arrays, for policies that know nothing but numbers."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from reasoning_arena.envs.checks import is_integer
from reasoning_arena.envs.errors import ArenaError

Codes = NDArray[np.uint8]


class ByteCodes(gym.Wrapper[Any, Any, Any, Any]):
    """Questions and answers as UTF-8 bytes, so that any policy of arrays can act; 0 stands behind the text's end.

    Observation:
        ``Box(0, 255, (observation_bytes,), uint8)``: the question, cut where it is longer.

    Action:
        ``MultiDiscrete`` of ``action_bytes`` printable ASCII characters, each its code less 31; 0 is nothing.

    Args:
        env: an environment of text.
        observation_bytes: how much of a question is seen.
        action_bytes: how long an answer may be.

    Raises:
        ArenaError: a length that is no integer of at least 1; in ``step``, an action that is not in the space.
    """

    def __init__(self, env: gym.Env[str, str], observation_bytes: int = 1024, action_bytes: int = 16) -> None:
        if not (is_integer(observation_bytes) and is_integer(action_bytes)):
            raise ArenaError(
                f"lengths of {observation_bytes!r} and {action_bytes!r} bytes are not allowed; give integers from 1"
            )
        super().__init__(env)
        self._length = observation_bytes
        self.observation_space = gym.spaces.Box(0, 255, (observation_bytes,), np.uint8)
        self.action_space = gym.spaces.MultiDiscrete(np.full(action_bytes, 96))  # 0, then 95 printable characters

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Codes, dict[str, Any]]:
        """Ask a new question."""
        question, info = self.env.reset(seed=seed, options=options)
        return self._encoded(question), info

    def step(self, action: NDArray[np.int64]) -> tuple[Codes, float, bool, bool, dict[str, Any]]:
        """Score the answer that the characters spell."""
        codes = np.asarray(action)
        if not np.issubdtype(codes.dtype, np.integer) or not self.action_space.contains(codes):
            raise ArenaError(f"an action is an array of integers of 0 to 95 and of the shape {self.action_space.shape}")
        answer = "".join(chr(31 + int(code)) for code in action if code)
        observation, reward, terminated, truncated, info = self.env.step(answer)
        return self._encoded(observation), float(reward), terminated, truncated, info

    def _encoded(self, text: str) -> Codes:
        codes = np.zeros(self._length, np.uint8)
        raw = np.frombuffer(text.encode(), np.uint8)[: len(codes)]
        codes[: len(raw)] = raw
        return codes
