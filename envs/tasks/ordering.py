"""Order with ties and gaps: which place, and how many places lie between?

    In a race, place 1 is the best, and a place may be shared or stay empty. Alice finished 4 places ahead of Bob. Carol
    finished 7 places behind Bob. Alice finished in place 20. In which place did Carol finish?      → 31

Difficulty is the number of steps from the place that is given to the one that is asked for, and of people who are on no
such way: 2 and 0, 2 and 1, 3 and 2, 4 and 2, 5 and 3. From 2 on clues come in any order and people may be level; from 4
on a clue may tell how many places lie between two people. No answer is a number that the question shows, and none is
frequent: gaps and places are drawn from wide ranges. At difficulty 1, to add and subtract the two gaps anyhow is right
about once in four: that is the reasoning without its signs.
"""

import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE

SHAPES = {1: (2, 0), 2: (2, 1), 3: (3, 2), 4: (4, 2), 5: (5, 3)}  # difficulty → (steps on the way, others)
BEST = 40  # the best place that anybody has is 1 to this
AHEAD, BEHIND, BETWEEN, LEVEL = range(4)
# Each phrasing: the text, then how a place and how the places between are asked for.
PHRASINGS = (
    (
        "In a race, place 1 is the best, and a place may be shared or stay empty. {clues} {x} finished in place {p}. "
        "{query}",
        "In which place did {y} finish?",
        "How many places, taken or empty, lie between {x} and {y}?",
    ),
    (
        "{x} finished in place {p} of a contest. {clues} Place 1 is the best; places may be shared or left empty. "
        "{query}",
        "What was the place of {y}?",
        "How many places, shared and empty ones included, are there between {x} and {y}?",
    ),
    (
        "{query} {clues} It is known that {x} finished in place {p}. Places count from 1, the best; some may be "
        "shared, others left empty.",
        "Which place did {y} take in the competition?",
        "What is the number of places, taken or empty, between {x} and {y}?",
    ),
    (
        "Places in this game count from 1, the best; several players may share a place and some places may have "
        "nobody. {clues} If {x} finished in place {p}, {query}",
        "what place did {y} get?",
        "how many places, occupied or unoccupied, separate {x} and {y}?",
    ),
)  # fmt: skip


class Facts(NamedTuple):
    """Who has which place, what is told of it, and what is asked.

    The first person's place is given. The way leads from there along the people in their order to the one asked for.
    """

    people: tuple[str, ...]
    places: tuple[int, ...]
    clues: tuple[tuple[int, int, int], ...]  # (i, j, form): person i against person j
    steps: int
    asks_between: bool


class Ordering(Task):
    """Keep count of places along a chain of people."""

    name = "ordering"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw gaps and forms of clues until the answer is none of the numbers shown."""
        steps, others = SHAPES[difficulty]
        while True:
            places, clues, shown = [0], [], {1}
            for j in range(1, steps + others + 1):
                i = j - 1 if j <= steps else rng.below(j)
                if difficulty > 1 and rng.random() < 0.2:
                    places.append(places[i])
                    clues.append((i, j, LEVEL) if rng.random() < 0.5 else (j, i, LEVEL))
                    continue
                gap = rng.between(1, 12 if difficulty == 1 else 20)
                form = rng.below(3 if difficulty > 3 and gap > 1 else 2)
                shown.add(gap - 1 if form == BETWEEN else gap)
                places.append(places[i] + gap if rng.random() < 0.5 else places[i] - gap)
                clues.append((i, j, form) if (places[i] < places[j]) == (form != BEHIND) else (j, i, form))
            first = rng.between(1, BEST) - min(places)
            asks_between = rng.random() < 0.5
            answer = abs(places[steps]) - 1 if asks_between else first + places[steps]
            if places[steps] and answer and answer not in shown and answer != first:
                break
        people = rng.pick_distinct(PEOPLE, len(places))
        order = clues if difficulty == 1 else rng.mixed(clues)
        return Facts(tuple(people), tuple([first + place for place in places]), tuple(order), steps, asks_between)

    def content(self, facts: Facts) -> object:
        """How far from the best everybody is."""
        best = min(facts.places)
        return sorted((person, place - best) for person, place in zip(facts.people, facts.places, strict=True))

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """One sentence a clue, the place that is given, then another place or the places between."""
        people, places = facts.people, facts.places
        told, apart = [], {}
        for i, j, form in facts.clues:
            gap = abs(places[i] - places[j])
            apart[max(i, j)] = f"{gap - 1} + 1" if form == BETWEEN else f"{gap}"
            if form == LEVEL:
                told.append(f"{people[i]} finished level with {people[j]}.")
            elif form == BETWEEN:
                many = _places(gap - 1)
                told.append(f"{people[i]} finished ahead of {people[j]}, with exactly {many} between them.")
            else:
                way = "ahead of" if form == AHEAD else "behind"
                told.append(f"{people[i]} finished {_places(gap)} {way} {people[j]}.")
        text, place_query, between_query = PHRASINGS[phrasing]
        x, y, p, q = people[0], people[facts.steps], places[0], places[facts.steps]
        query = (between_query if facts.asks_between else place_query).format(x=x, y=y)
        question = text.format(clues=" ".join(told), x=x, p=p, query=query)
        worked = [f"{x}: {p}"]
        for i in range(facts.steps):
            here, there = places[i], places[i + 1]
            if here == there:
                worked.append(f"{people[i + 1]}: {there}")
            elif here < there:
                worked.append(f"{people[i + 1]}: {here} + {apart[i + 1]} = {there}")
            else:
                worked.append(f"{people[i + 1]}: {here} - {apart[i + 1].replace('+', '-')} = {there}")
        answer = abs(p - q) - 1 if facts.asks_between else q
        worked.append(f"{max(p, q)} - {min(p, q)} - 1 = {answer}" if facts.asks_between else f"so {answer}")
        return Posed(question, str(answer), "integer", (), ", ".join(worked))

    def solve(self, question: str) -> set[str]:
        """Give everybody all places, and strike those that a clue forbids until none is left to strike."""
        given = re.search(r"(\w+) finished in place (\d+)", question)
        behind = [  # (a, b, k): b is k places behind a
            (a, b, int(k)) if way == "ahead of" else (b, a, int(k))
            for a, k, way, b in re.findall(r"(\w+) finished (\d+) places? (ahead of|behind) (\w+)\.", question)
        ]
        behind += [(a, b, 0) for a, b in re.findall(r"(\w+) finished level with (\w+)\.", question)]
        gaps = re.findall(r"(\w+) finished ahead of (\w+), with exactly (\d+) places? between them\.", question)
        behind += [(a, b, int(k) + 1) for a, b, k in gaps]
        between = re.search(r"(?:between|separate) (\w+) and (\w+)\?", question)
        asked = re.search(r"place (?:did|of) (\w+)", question)
        if given is None or not behind or (between is None and asked is None):
            raise ValueError(f"not a question of ordering: {question!r}")
        possible = {who: set(range(1, 300)) for clue in behind for who in clue[:2]}
        possible[given[1]] = {int(given[2])}
        left = 0
        while left != (left := sum(map(len, possible.values()))):
            for a, b, k in behind:
                possible[b] &= {place + k for place in possible[a]}
                possible[a] &= {place - k for place in possible[b]}
        if between is not None:
            return {str(abs(p - q) - 1) for p in possible[between[1]] for q in possible[between[2]]}
        return {str(place) for place in possible[asked[1]]} if asked is not None else set()


def _places(k: int) -> str:
    return f"{k} place{'s' if k > 1 else ''}"
