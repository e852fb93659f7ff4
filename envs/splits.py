"""Which split a problem belongs to, decided by its content alone, and streams of problems of one split.

Whatever the seed, the worker, the mixture or the difficulty, a given content always falls into the same split. So
nothing that is trained on can appear in a test.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal, get_args

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
        if _SPLIT_OF_BYTE[digest[0]] == split:
            last = task.phrasings - 1
            posed = task.pose(facts, rng, last if held_out_phrasing else rng.below(last))
            return Problem(posed, task.name, difficulty, f"{task.name}-{digest.hex()}")
    raise ArenaError(f"split {split!r} of task {task.name!r} at difficulty {difficulty} is empty")


class ProblemSource:
    """What problems to draw: the validated answer to which tasks, how hard, from which split.

    Args:
        tasks: names of tasks, mixed evenly.
        difficulty: 1 to 5, or a ``(low, high)`` pair drawn from uniformly.
        split: "train", "validation" or "test".

    Raises:
        ArenaError: any of them is not allowed.
    """

    def __init__(self, tasks: str | tuple[str, ...], difficulty: int | tuple[int, int], split: str) -> None:
        self.tasks = get_tasks(tasks)
        self.low, self.high = _difficulty_range(difficulty)
        if split not in SPLITS:
            raise ArenaError(f"unknown split {split!r}; allowed are {', '.join(SPLITS)}")
        self.split: Split = split

    def draw(self, rng: Rng) -> Problem:
        """The next problem of the stream that ``rng`` makes."""
        task = rng.pick(self.tasks)
        level = self.low if self.low == self.high else rng.between(self.low, self.high)
        return draw_problem(task, rng, level, self.split)

    def stream(self, seed: int) -> Iterator[Problem]:
        """All problems of one seed, without end."""
        rng = Rng(seed)
        while True:
            yield self.draw(rng)


def _difficulty_range(difficulty: int | tuple[int, int]) -> tuple[int, int]:
    ends = tuple(difficulty) if isinstance(difficulty, tuple | list) else (difficulty, difficulty)
    allowed = f"an integer from {DIFFICULTIES[0]} to {DIFFICULTIES[-1]}, or a (low, high) pair of them"
    if len(ends) != 2 or any(
        not isinstance(end, int) or isinstance(end, bool) or end not in DIFFICULTIES for end in ends
    ):
        raise ArenaError(f"difficulty {difficulty!r} is not allowed; give {allowed}")
    low, high = int(ends[0]), int(ends[1])
    if low > high:
        raise ArenaError(f"difficulty {difficulty!r} has low above high; give {allowed}")
    return low, high
