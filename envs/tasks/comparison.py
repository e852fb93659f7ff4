"""Transitive comparison: who comes where in an order that is told pair by pair.

    Bob is older than Carol. Alice is older than Bob. Alice is older than Carol. Who is the oldest?      → Alice

Clues are about 3, 3, 4, 5 and 7 people and come in any order, all of them the same way round at difficulty 1 ("older",
or "younger") and each its own from 2 on. One more than neighbours need holds the first against the last: everybody is
named twice, so that who is named once does not give the ends away. The rank that is asked for is drawn last and
uniformly, so an answer that does not depend on it is right once in n, whatever it looks at.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE

# "more", "most", "less", "least" of each quality.
QUALITIES = (
    ("taller", "tallest", "shorter", "shortest"),
    ("older", "oldest", "younger", "youngest"),
    ("faster", "fastest", "slower", "slowest"),
    ("heavier", "heaviest", "lighter", "lightest"),
    ("richer", "richest", "poorer", "poorest"),
    ("stronger", "strongest", "weaker", "weakest"),
)
ORDINALS = ("second", "third", "fourth", "fifth", "sixth")
PEOPLE_AT = {1: 3, 2: 3, 3: 4, 4: 5, 5: 7}
PAIRS = {n: (*pairwise(range(n)), (0, n - 1)) for n in PEOPLE_AT.values()}  # who is held against whom


class Facts(NamedTuple):
    """People from most to least of a quality; the order and wording of the clues; the rank asked for, 0 the most."""

    quality: int
    people: tuple[str, ...]
    clues: tuple[tuple[int, int, bool], ...]  # (i, j, reversed): people[i] has more of it than people[j]
    rank: int


class Comparison(Task):
    """Who is the tallest, the second oldest, the slowest?"""

    name = "comparison"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw an order of people, clues between neighbours and between the ends, and a rank."""
        n = PEOPLE_AT[difficulty]
        people, pairs = tuple(rng.pick_distinct(PEOPLE, n)), rng.mixed(PAIRS[n])
        if difficulty == 1:
            turned = rng.random() < 0.5
            clues = tuple([(i, j, turned) for i, j in pairs])
        else:
            clues = tuple([(i, j, rng.random() < 0.5) for i, j in pairs])
        return Facts(rng.below(len(QUALITIES)), people, clues, rng.below(n))

    def content(self, facts: Facts) -> object:
        """The order of the people."""
        return facts.quality, facts.people

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """Clues, then the rank asked for."""
        more, most, less, least = QUALITIES[facts.quality]
        people, n = facts.people, len(facts.people)
        told = [
            f"{people[j]} is {less} than {people[i]}." if turned else f"{people[i]} is {more} than {people[j]}."
            for i, j, turned in facts.clues
        ]
        clues, labels = " ".join(told), (most, *ORDINALS[: n - 2], least)
        rank = labels[facts.rank] if facts.rank in (0, n - 1) else f"{labels[facts.rank]} {most}"
        question = (
            f"{clues} Who is the {rank}?",
            f"{clues} Which of them is the {rank}?",
            f"{clues} Name the {rank} person.",
            f"Who is the {rank} of these people? {clues}",
        )[phrasing]
        answer = people[facts.rank]
        # In the direction of the first clue; a rank by one word: "tallest: Bob, second: Carol, shortest: Alice, so …".
        ranking = [f"{labels[i]}: {person}" for i, person in enumerate(people)]
        turned = facts.clues[0][2]
        solution = f"{', '.join(reversed(ranking) if turned else ranking)}, so {labels[facts.rank]}: {answer}"
        return Posed(question, answer, "name", tuple(sorted(people)), solution)

    def solve(self, question: str) -> set[str]:
        """Try every order of the people that the clues allow."""
        clues = re.findall(r"(\w+) is (\w+) than (\w+)\.", question)
        asked = re.search(rf"the (?:({'|'.join(ORDINALS)}) )?(\w+est)\b", question)
        if not clues or asked is None:
            raise ValueError(f"not a comparison question: {question!r}")
        place = ("", *ORDINALS).index(asked[1] or "")
        words = next((quality for quality in QUALITIES if asked[2] in quality), None)
        if words is None:
            raise ValueError(f"unknown quality {asked[2]!r}")
        more, most, less, _ = words
        above = [(a, b) if word == more else (b, a) for a, word, b in clues if word in (more, less)]
        if len(above) < len(clues):
            raise ValueError(f"clues and question speak of different qualities: {question!r}")
        orders = _orders({person for pair in above for person in pair}, above)
        return {order[place] if asked[2] == most else order[-1 - place] for order in orders}


def _orders(people: set[str], above: list[tuple[str, str]]) -> Iterator[list[str]]:
    """All orders of some people in which the first of every pair comes before the second."""
    if not people:
        yield []
    for first in people - {b for a, b in above if a in people}:
        for others in _orders(people - {first}, above):
            yield [first, *others]
