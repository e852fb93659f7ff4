"""Any data set of the package reasoning-gym as a task: ``tasks=("reasoning_gym:leg_counting",)``.

What carries over: problems are split by a hash of their text, so train and test share none, and answers are read and
compared by this suite's own scorer. What does not: the gold answers are reasoning-gym's own and are not proved here, a
problem with several right answers counts only the one that it names, and every difficulty is the data set's default.

The package is an optional dependency: ``pip install 'reasoning-arena[reasoning-gym]'``.
"""

import re
from typing import Any, NamedTuple

from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import CHARSET, MAX_TEXT, AnswerType, Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

ITEMS = 1_000_000  # how many items of a data set are drawn from; some, such as gsm_symbolic, list them beforehand
MOST_DRAWS = 1000
_CHARACTERS = set(CHARSET)


class Facts(NamedTuple):
    """One item: what it asks and what it says is right."""

    question: str
    answer: str


class ReasoningGym(Task):
    """One of reasoning-gym's data sets.

    Args:
        dataset: its name there.

    Raises:
        ArenaError: the package is missing, or has no such data set.
    """

    phrasings = 1
    certified = False

    def __init__(self, dataset: str) -> None:
        try:
            import reasoning_gym
        except ImportError as error:
            raise ArenaError(
                f"task 'reasoning_gym:{dataset}' needs the package reasoning-gym; "
                "install it with pip install 'reasoning-arena[reasoning-gym]'"
            ) from error
        self.name = f"reasoning_gym:{dataset}"
        try:
            self._items: Any = reasoning_gym.create_dataset(dataset, size=ITEMS, seed=0)
        except ValueError as error:
            raise ArenaError(f"reasoning-gym: {error}; its own list is reasoning_gym.factory.DATASETS") from error

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw items until the text of one is within the space of observations.

        Raises:
            ArenaError: the data set seems to hold none.
        """
        for _ in range(MOST_DRAWS):
            item = self._items[rng.below(ITEMS)]
            facts = Facts(item["question"].strip(), str(item["answer"]).strip())
            if len(facts.question) + len(facts.answer) < MAX_TEXT // 2 and set("".join(facts)) <= _CHARACTERS:
                return facts
        raise ArenaError(f"the texts of {self.name} are too long, or of other characters than printable ASCII")

    def content(self, facts: Facts) -> object:
        """The text."""
        return facts.question

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The text as it is."""
        question, answer = facts
        kind: AnswerType = "text"
        if re.fullmatch(r"-?(?:0|[1-9]\d{0,14})", answer, re.ASCII):
            kind = "integer"
        elif answer.lower() in ("yes", "no"):
            kind, answer = "yes_no", answer.lower()
        candidates = ("no", "yes") if kind == "yes_no" else ()
        return Posed(question, answer, kind, candidates, f"Answer: {answer}")

    def solve(self, question: str) -> set[str]:
        """Nothing is known of the answer but what reasoning-gym says."""
        raise ArenaError(f"the gold answers of {self.name} are not proved here")
