"""What a task is, and the registry of all tasks.

A task draws structured *facts*, poses them as a question, and solves a question from its text. Facts come first because
they decide the split: a problem that belongs to another split is dropped before its text is ever built.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Set
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng

DIFFICULTIES = range(1, 6)


class Task(ABC):
    """One family of problems.

    Attributes:
        name: how users name the task.
        phrasings: how many ways there are to put a question; the last one is held out of training, where there are
            several.
        certified: whether ``solve`` proves the gold answers.
    """

    name: str
    phrasings: ClassVar[int]
    certified: ClassVar[bool] = True

    @abstractmethod
    def facts(self, rng: Rng, difficulty: int) -> Any:
        """Draw the facts of one problem: plain tuples, strings and integers."""

    @abstractmethod
    def content(self, facts: Any) -> object:
        """The facts in canonical form: two problems that ask the same thing have contents of equal ``repr``.

        The order of clues, the phrasing and which of several things is asked for do not count: problems that differ in
        nothing else belong to the same split.
        """

    @abstractmethod
    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        """Put the facts into words, in one of the task's ``phrasings`` ways."""

    @abstractmethod
    def solve(self, question: str) -> set[str]:
        """Every answer that the question's text allows, found from the text alone.

        Raises:
            ValueError: the text is no question of this task.
        """


# One line a task: its name → the module's class.
REGISTRY: dict[str, str] = {
    "comparison": "reasoning_arena.envs.tasks.comparison:Comparison",
    "sequence": "reasoning_arena.envs.tasks.sequence:Sequence",
    "causal": "reasoning_arena.envs.tasks.causal:Causal",
    "math": "reasoning_arena.envs.tasks.math:Math",
    "grid": "reasoning_arena.envs.tasks.grid:Grid",
    "syllogism": "reasoning_arena.envs.tasks.syllogism:Syllogism",
    "propositional": "reasoning_arena.envs.tasks.propositional:Propositional",
    "knights_knaves": "reasoning_arena.envs.tasks.knights_knaves:KnightsKnaves",
    "sets": "reasoning_arena.envs.tasks.sets:Sets",
    "ordering": "reasoning_arena.envs.tasks.ordering:Ordering",
    "counting": "reasoning_arena.envs.tasks.counting:Counting",
    "family": "reasoning_arena.envs.tasks.family:Family",
    "directions": "reasoning_arena.envs.tasks.directions:Directions",
    "calendar": "reasoning_arena.envs.tasks.calendar:Calendar",
    "rates": "reasoning_arena.envs.tasks.rates:Rates",
    "program": "reasoning_arena.envs.tasks.program:Program",
    "strings": "reasoning_arena.envs.tasks.strings:Strings",
    "lists": "reasoning_arena.envs.tasks.lists:Lists",
    "story": "reasoning_arena.envs.tasks.story:Story",
    "summary": "reasoning_arena.envs.tasks.summary:Summary",
    "code": "reasoning_arena.envs.tasks.code:Code",
}
ORIGINAL_FIVE = ("comparison", "sequence", "causal", "math", "grid")


@cache
def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ArenaError: there is none.
    """
    family, _, dataset = str(name).partition(":")
    if family == "reasoning_gym" and dataset:
        from reasoning_arena.envs.tasks.reasoning_gym import ReasoningGym

        return ReasoningGym(dataset)
    if name not in REGISTRY:
        raise ArenaError(
            f"unknown task {name!r}; allowed are {', '.join(REGISTRY)}, and reasoning_gym:NAME for a data set of "
            "that package"
        )
    module, class_name = REGISTRY[name].split(":")
    task: Task = getattr(import_module(module), class_name)()
    return task


def get_tasks(names: str | Iterable[str]) -> tuple[Task, ...]:
    """The tasks of those names, in their order.

    Raises:
        ArenaError: the mixture is empty, names a task twice, or names an unknown one.
    """
    ordered = isinstance(names, Iterable) and not isinstance(names, Set | Mapping)  # whose order is not theirs to give
    given = (names,) if isinstance(names, str) else tuple(names) if ordered else None
    if given is None or not all(isinstance(name, str) for name in given):
        raise ArenaError(f"tasks {names!r} is not allowed; give names of tasks, such as {', '.join(ORIGINAL_FIVE)}")
    if not given:
        raise ArenaError(f"tasks is empty; name at least one of {', '.join(REGISTRY)}")
    if len(set(given)) < len(given):
        raise ArenaError(f"tasks names one task twice: {', '.join(map(str, given))}")
    return tuple(get_task(name) for name in given)
