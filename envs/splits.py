"""Which split a problem belongs to, decided by its content alone, and streams of problems of one split.

Whatever the seed, the worker, the mixture or the difficulty, a given content always falls into the same split. So
nothing that is trained on can appear in a test.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, Literal, get_args

from reasoning_arena.envs.checks import is_integer, is_number
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import Problem
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import DIFFICULTIES, Task, get_tasks

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# The first byte of the content's hash, 0 to 255: 80% train, 10% validation, 10% test (to half a percent).
_SPLIT_OF_BYTE: tuple[Split, ...] = ("train",) * 204 + ("validation",) * 26 + ("test",) * 26
_MAX_DRAWS = 10_000


def content_digest(task_name: str, content: object) -> bytes:
    """A 64-bit hash of a problem's canonical content."""
    return blake2b(f"{task_name}:{content!r}".encode(), digest_size=8).digest()


def split_of(digest: bytes) -> Split:
    """The split that owns the content with this digest."""
    return _SPLIT_OF_BYTE[digest[0]]


def draw_problem(task: Task, rng: Rng, difficulty: int, split: Split, *, held_out_phrasing: bool = False) -> Problem:
    """Draw one problem of the task that belongs to the split.

    Args:
        task: what kind of problem.
        rng: where the choices come from.
        difficulty: 1 to 5.
        split: "train", "validation" or "test".
        held_out_phrasing: put it in the one phrasing that no ordinary problem uses.

    Raises:
        ArenaError: the split seems to hold no problem of this task and difficulty.
    """
    for _ in range(_MAX_DRAWS):
        facts = task.facts(rng, difficulty)
        digest = content_digest(task.name, task.content(facts))
        if split_of(digest) == split:
            last = task.phrasings - 1
            posed = task.pose(facts, rng, last if held_out_phrasing or not last else rng.below(last))
            return Problem(posed, task.name, difficulty, f"{task.name}-{digest.hex()}")
    raise ArenaError(f"split {split!r} of task {task.name!r} at difficulty {difficulty} is empty")


class ProblemSource:
    """What problems to draw: the validated answer to which tasks, how hard, from which split.

    Args:
        tasks: names of tasks.
        difficulty: 1 to 5, or a ``(low, high)`` pair drawn from uniformly.
        split: "train", "validation" or "test".
        weights: how often each task is asked, in any unit; evenly if None.
        held_out_phrasings: put every question in the words that no other problem uses.

    Raises:
        ArenaError: any of them is not allowed.
    """

    def __init__(
        self,
        tasks: str | tuple[str, ...],
        difficulty: int | tuple[int, int],
        split: str,
        weights: Sequence[float] | None = None,
        held_out_phrasings: bool = False,
    ) -> None:
        self.tasks = get_tasks(tasks)
        self.low, self.high = _difficulty_range(difficulty)
        if split not in SPLITS:
            raise ArenaError(f"unknown split {split!r}; allowed are {', '.join(SPLITS)}")
        self.split: Split = split
        self.shares = None if weights is None else _cumulative(weights, len(self.tasks))
        if not isinstance(held_out_phrasings, bool):
            raise ArenaError(f"held_out_phrasings {held_out_phrasings!r} is not allowed; give True or False")
        single = [task.name for task in self.tasks if task.phrasings == 1]
        if held_out_phrasings and single:
            raise ArenaError(f"held_out_phrasings is not allowed: {', '.join(single)} has one phrasing only")
        self.held_out_phrasings = held_out_phrasings

    def draw(self, rng: Rng, levels: Mapping[str, int] | None = None) -> Problem:
        """The next problem of the stream that ``rng`` makes.

        Args:
            rng: the stream.
            levels: the difficulty of each task by its name, instead of the source's own.
        """
        task = rng.pick(self.tasks) if self.shares is None else self.tasks[bisect_right(self.shares, rng.random())]
        if levels is not None:
            level = levels[task.name]
        else:
            level = self.low if self.low == self.high else rng.between(self.low, self.high)
        return draw_problem(task, rng, level, self.split, held_out_phrasing=self.held_out_phrasings)

    def _levels(self, difficulty: Any) -> dict[str, int] | None:
        """A difficulty for each task, from one for all of them or a mapping by task; None for the source's own.

        Raises:
            ArenaError: it is no such thing; a pair is none, for a question has one difficulty.
        """
        if difficulty is None:
            return None
        names = [task.name for task in self.tasks]
        given = dict(difficulty) if isinstance(difficulty, Mapping) else dict.fromkeys(names, difficulty)
        if set(given) != set(names):
            raise ArenaError(f"difficulty {difficulty!r} must name each of {', '.join(names)}")
        for level in given.values():
            if not is_integer(level) or level not in DIFFICULTIES:
                raise ArenaError(f"difficulty {level!r} of one question is not allowed; give an integer of 1 to 5")
        return {name: int(level) for name, level in given.items()}

    def reset_levels(self, options: Mapping[str, Any] | None, *known: str) -> dict[str, int] | None:
        """The levels that a reset's options ask for.

        Args:
            options: whose ``"difficulty"`` is one for all tasks, or a mapping by task.
            known: others that are allowed.

        Raises:
            ArenaError: an option that is not known, or a difficulty that is not allowed.
        """
        if options is None:
            return None
        if not isinstance(options, Mapping):
            raise ArenaError(f"reset options {options!r} are not allowed; give a dict")
        unknown = set(options) - {"difficulty", *known}
        if unknown:
            allowed = ", ".join(("difficulty", *known))
            raise ArenaError(f"unknown reset options {', '.join(map(repr, unknown))}; allowed are {allowed}")
        return self._levels(options.get("difficulty"))

    def stream(self, seed: int) -> Iterator[Problem]:
        """All problems of one seed, without end."""
        rng = Rng(seed)
        while True:
            yield self.draw(rng)


def _cumulative(weights: Sequence[float], n: int) -> tuple[float, ...]:
    """Where each task's share of the unit interval ends, for all but the last one."""
    values = list(weights) if isinstance(weights, Iterable) else []
    numbers = all(is_number(value) and value >= 0 for value in values)
    if len(values) != n or not numbers or not 0 < sum(values) < math.inf:
        raise ArenaError(f"weights {weights!r} are not allowed; give {n} numbers of at least 0, not all 0")
    total = sum(values)
    return tuple(part / total for part in accumulate(values))[:-1]


def _difficulty_range(difficulty: int | tuple[int, int]) -> tuple[int, int]:
    ends = tuple(difficulty) if isinstance(difficulty, tuple | list) else (difficulty, difficulty)
    allowed = f"an integer from {DIFFICULTIES[0]} to {DIFFICULTIES[-1]}, or a (low, high) pair of them"
    if len(ends) != 2 or not all(is_integer(end) and end in DIFFICULTIES for end in ends):
        raise ArenaError(f"difficulty {difficulty!r} is not allowed; give {allowed}")
    low, high = int(ends[0]), int(ends[1])
    if low > high:
        raise ArenaError(f"difficulty {difficulty!r} has low above high; give {allowed}")
    return low, high
