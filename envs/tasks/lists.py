"""Lists: what becomes of a row of numbers?

    Here is a list: 7, 3, 12, 5. Sort the numbers from small to large. What is the list now?      → 3, 5, 7, 12

Difficulty is the number of steps, one to five, and the number of items: 4 or 5 at 1, one more at each level. Every step
makes a list that was not there before, of at least two items. Sixteen kinds of steps are drawn about
evenly, so that no one of them is worth a guess.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import capitalised

# What a step says with a number n, what it is called in a solution, and what it makes of a list.
STEPS: tuple[tuple[str, str, Callable[[list[int], int], list[int]]], ...] = (
    ("sort the numbers from small to large", "sorted", lambda items, n: sorted(items)),
    ("sort the numbers from large to small", "sorted down", lambda items, n: sorted(items, reverse=True)),
    ("reverse the order of the list", "reversed", lambda items, n: items[::-1]),
    ("drop the numbers that are smaller than {n}", "drop below {n}", lambda items, n: [i for i in items if i >= n]),
    ("drop the numbers that are larger than {n}", "drop above {n}", lambda items, n: [i for i in items if i <= n]),
    ("keep only the even numbers", "even", lambda items, n: [i for i in items if i % 2 == 0]),
    ("keep only the odd numbers", "odd", lambda items, n: [i for i in items if i % 2]),
    ("double each number", "doubled", lambda items, n: [2 * i for i in items]),
    ("add {n} to each number", "add {n}", lambda items, n: [i + n for i in items]),
    ("swap the first and the last number", "swap ends", lambda items, n: [items[-1], *items[1:-1], items[0]]),
    ("keep only the first one of equal numbers", "once each", lambda items, n: list(dict.fromkeys(items))),
    ("move the first number to the end", "first to end", lambda items, n: items[1:] + items[:1]),
    ("move the last number to the front", "last to front", lambda items, n: items[-1:] + items[:-1]),
    ("drop the first number", "drop first", lambda items, n: items[1:]),
    ("drop the last number", "drop last", lambda items, n: items[:-1]),
    ("keep only every second number, beginning with the first one", "every second", lambda items, n: items[::2]),
)
WITH_NUMBER = (3, 4, 8)
ONCE_EACH = 10
PHRASINGS = (
    "Here is a list: {items}. {sentences} What is the list now?",
    "Change the list {items} as follows: {clauses}. Which list does that make?",
    "Somebody writes down the numbers {items} and is told this. {sentences} Give the numbers that result.",
    "What becomes of these numbers after the instructions that follow? {items}. {sentences}",
)


class Facts(NamedTuple):
    """The list, the kind of each step with its number, and the list after each step."""

    items: tuple[int, ...]
    steps: tuple[tuple[int, int], ...]
    results: tuple[tuple[int, ...], ...]


class Lists(Task):
    """Change a list of integers step by step."""

    name = "lists"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a list and different steps that change it, until the result is a list of its own."""
        while True:
            kinds = rng.pick_distinct(range(len(STEPS)), difficulty)
            length = difficulty + rng.between(3, 4)
            start = [rng.between(1, 30) for _ in range(length)]
            if ONCE_EACH in kinds or rng.random() < 0.3:
                start[rng.below(length)] = rng.pick(start)
            items, steps = start, []
            results: list[tuple[int, ...]] = []
            for kind in kinds:
                n = rng.pick(items) if kind in (3, 4) else rng.between(2, 9) if kind == 8 else 0
                items = STEPS[kind][2](items, n)
                if items == start or tuple(items) in results or len(items) < 2:
                    break
                steps.append((kind, n))
                results.append(tuple(items))
            else:
                return Facts(tuple(start), tuple(steps), tuple(results))

    def content(self, facts: Facts) -> object:
        """The list and the steps."""
        return facts.items, facts.steps

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The list, and one step after another."""
        clauses = [STEPS[kind][0].format(n=n) for kind, n in facts.steps]
        question = PHRASINGS[phrasing].format(
            items=", ".join(map(str, facts.items)),
            clauses="; then ".join(clauses),
            sentences=" ".join([f"{capitalised(clause)}." for clause in clauses]),
        )
        results = [", ".join(map(str, result)) for result in facts.results]
        labels = [STEPS[kind][1].format(n=n) for kind, n in facts.steps]
        worked = "; ".join([f"{label} = {result}" for label, result in zip(labels, results, strict=True)])
        return Posed(question, results[-1], "list", (), worked)

    def solve(self, question: str) -> set[str]:
        """Read the instructions one by one and go through the items."""
        given = re.search(r"-?\d+(?:, -?\d+)+", question)
        if given is None:
            raise ValueError(f"not a question about a list: {question!r}")
        items = [int(item) for item in given[0].split(", ")]
        done = 0
        for clause in re.split(r"[.;:?] (?:then )?", question.replace(given[0], "").lower()):
            number = int(re.sub(r"\D", "", clause) or 0)
            if "sort the numbers" in clause:
                ordered: list[int] = []
                for item in items:
                    place = sum((other > item) if "from large" in clause else (other < item) for other in ordered)
                    ordered.insert(place, item)
                items = ordered
            elif "reverse the order" in clause:
                items = list(reversed(items))
            elif "drop the numbers" in clause:
                dropped = {item for item in items if (item < number if "smaller" in clause else item > number)}
                items = [item for item in items if item not in dropped]
            elif "the even" in clause or "the odd" in clause:
                items = [item for item in items if str(item)[-1] in ("02468" if "the even" in clause else "13579")]
            elif "double each" in clause:
                items = [item + item for item in items]
            elif "to each number" in clause:
                items = [item + number for item in items]
            elif "of equal numbers" in clause:
                items = [item for i, item in enumerate(items) if item not in items[:i]]
            elif "every second" in clause:
                items = [item for i, item in enumerate(items, start=1) if i % 2]
            elif "swap the first" in clause:
                items[0], items[-1] = items[-1], items[0]
            elif "move the first" in clause:
                items.append(items.pop(0))
            elif "move the last" in clause:
                items.insert(0, items.pop())
            elif "drop the first" in clause or "drop the last" in clause:
                items.pop(0 if "drop the first" in clause else -1)
            else:
                continue
            done += 1
        if not done:
            raise ValueError(f"no instruction: {question!r}")
        return {", ".join(map(str, items))}
