"""Directions: which way is it from one place to another, when only some ways are told?

    The bank is 2 blocks north of the park. The park is 4 blocks west of the hotel. The zoo is 1 block east of the park.
    The park is 3 blocks north of the school. In which direction is the bank from the hotel?      → northwest

Difficulty is the number of places and how many clues lead from the one to the other: 5 and two, where four places lie
around the fifth on four sides; then 5 and two or three, 7 and three, 9 and four, 13 and five or six, where any may lie
next to any. Either place of a clue may be told of the other.

Half of the clues go north or south and half east or west, in either wording. Whether two places on a line are asked
about or two that are not is drawn last and evenly, and so is which of the two is seen from the other. So an answer that
does not depend on what is asked is right once in eight. At difficulty 1, one that reads the directions of the two clues
in question, but not which place is told of the other, is half of the reasoning, and right three times in eight.
"""

import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

PLACES = (
    "bank", "park", "school", "hotel", "bakery", "church", "museum", "library", "station", "market", "theater", "tower",
    "harbor", "zoo", "garden", "clinic", "cinema", "castle", "factory", "stadium", "chapel", "windmill", "fountain",
    "prison", "pharmacy", "bridge",
)  # fmt: skip
# Signs of what lies to the east and to the north.
DIRECTIONS = {
    (0, 1): "north", (1, 1): "northeast", (1, 0): "east", (1, -1): "southeast",
    (0, -1): "south", (-1, -1): "southwest", (-1, 0): "west", (-1, 1): "northwest",
}  # fmt: skip
OPPOSITE = {name: DIRECTIONS[-x, -y] for (x, y), name in DIRECTIONS.items()}
CANDIDATES = tuple(sorted(OPPOSITE))
SHAPES = {1: (5, 2, 2), 2: (5, 2, 3), 3: (7, 3, 3), 4: (9, 4, 4), 5: (13, 5, 6)}  # places, fewest and most clues used
LONGEST = 4  # blocks of one clue
RULE = "Northeast is everything between north and east, and likewise southeast, southwest and northwest."
_CLUES = [
    re.compile(r"[Tt]he (?P<a>\w+) is (?P<k>\d+) blocks? (?P<way>\w+) of the (?P<b>\w+)"),
    re.compile(r"From the (?P<b>\w+) it is (?P<k>\d+) blocks? (?P<way>\w+) to the (?P<a>\w+)"),
    re.compile(r"Walk (?P<k>\d+) blocks? (?P<way>\w+) from the (?P<b>\w+) and you reach the (?P<a>\w+)"),
]
_QUERIES = [
    re.compile(r"(?:is|does) the (?P<to>\w+)(?: lie, seen)? from the (?P<start>\w+)\?"),
    re.compile(r"(?:at|leaves) the (?P<start>\w+) (?:looks for|and flies straight to) the (?P<to>\w+)"),
]


class Facts(NamedTuple):
    """The clues in the order they are told, the places asked about, and the way that the clues lead to the answer."""

    clues: tuple[tuple[str, int, str, str], ...]  # (place, blocks, direction, of which place)
    to: str
    start: str
    answer: str
    route: tuple[tuple[str, str, int, str], ...]  # (from, to, blocks, direction)


class Directions(Task):
    """Find one's way on a map of clues."""

    name = "directions"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw maps until one has places on a line and others, then two of them."""
        n, fewest, most = SHAPES[difficulty]
        straight: list[tuple[int, int]] = []
        slanting: list[tuple[int, int]] = []
        while not (straight and slanting):
            spots, parents = _around(rng) if difficulty == 1 else _scattered(rng, n)
            straight, slanting, rows = [], [], [[0]]
            for i in range(1, n):
                parent, (x, y) = parents[i], spots[i]
                row = [steps + 1 for steps in rows[parent]]  # from i to every place before it
                row += [rows[j][parent] + 1 for j in range(parent + 1, i)]
                for j, steps in enumerate(row):
                    if fewest <= steps <= most:
                        (straight if x == spots[j][0] or y == spots[j][1] else slanting).append((i, j))
                row.append(0)
                rows.append(row)
        places, random = rng.pick_distinct(PLACES, n), rng.random
        links = {}
        for i in range(1, n):
            (x, y), (to_x, to_y) = spots[parents[i]], spots[i]
            east, north = to_x - x, to_y - y
            links[i] = abs(east + north), DIRECTIONS[(east > 0) - (east < 0), (north > 0) - (north < 0)]
        clues = []
        for i in links if difficulty == 1 else rng.mixed(range(1, n)):
            (k, way), place, beside = links[i], places[i], places[parents[i]]
            clues.append((place, k, way, beside) if random() < 0.5 else (beside, k, OPPOSITE[way], place))
        to, start = rng.pick(straight if random() < 0.5 else slanting)
        if random() < 0.5:
            to, start = start, to
        (x, y), (from_x, from_y) = spots[to], spots[start]
        answer = DIRECTIONS[(x > from_x) - (x < from_x), (y > from_y) - (y < from_y)]
        asked, there, back = (places[to], places[start]), [], []
        while to != start:  # towards where the ways from both places meet
            if start > to:
                k, way = links[start]
                there.append((places[start], places[parents[start]], k, OPPOSITE[way]))
                start = parents[start]
            else:
                back.append((places[parents[to]], places[to], *links[to]))
                to = parents[to]
        return Facts(tuple(clues), *asked, answer, (*there, *back[::-1]))

    def content(self, facts: Facts) -> object:
        """The clues, in no order, all told of the place that comes first by name."""
        return sorted([(a, k, way, b) if a < b else (b, k, OPPOSITE[way], a) for a, k, way, b in facts.clues])

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The clues, then the direction of one place from another."""
        clues, a, b = facts.clues, facts.to, facts.start
        if phrasing < 2:
            told = [f"The {to} is {_blocks(k)} {way} of the {start}." for to, k, way, start in clues]
        elif phrasing == 2:
            told = [f"From the {start} it is {_blocks(k)} {way} to the {to}." for to, k, way, start in clues]
        else:
            told = [f"Walk {_blocks(k)} {way} from the {start} and you reach the {to}." for to, k, way, start in clues]
        town = " ".join(told)
        question = (
            f"{town} In which direction is the {a} from the {b}? {RULE}",
            f"Which way does the {a} lie, seen from the {b}? {RULE} {town}",
            f"{RULE} {town} Somebody at the {b} looks for the {a}. Which way is that?",
            f"{town} A bird leaves the {b} and flies straight to the {a}. In which direction does it fly? {RULE}",
        )[phrasing]
        steps = ", ".join([f"{start} to {to}: {k} {way}" for start, to, k, way in facts.route])
        if len(facts.route) > 2:
            steps += f", in all {_sum(facts.route)}"
        return Posed(question, facts.answer, "choice", CANDIDATES, f"{steps}, so {facts.answer}")

    def solve(self, question: str) -> set[str]:
        """Settle one axis after the other: who lies how far from the second place, and can that be told at all?"""
        clues = [found.groupdict() for clue in _CLUES for found in clue.finditer(question)]
        asked = next((found for query in _QUERIES if (found := query.search(question))), None)
        if not clues or asked is None:
            raise ValueError(f"not a directions question: {question!r}")
        signs = []
        for positive, negative in (("east", "west"), ("north", "south")):
            apart = []
            for clue in clues:
                sign = (clue["way"] == positive) - (clue["way"] == negative)
                apart += [(clue["b"], clue["a"], sign * int(clue["k"])), (clue["a"], clue["b"], -sign * int(clue["k"]))]
            known = {asked["start"]: 0}
            for _ in clues:
                known |= {a: known[b] + distance for b, a, distance in apart if b in known and a not in known}
            if any(known[a] - known[b] != distance for b, a, distance in apart if a in known and b in known):
                return set()  # the clues contradict each other
            if asked["to"] not in known:
                return set(CANDIDATES)
            signs.append((known[asked["to"]] > 0) - (known[asked["to"]] < 0))
        return {name for sign, name in DIRECTIONS.items() if sign == tuple(signs)}


def _around(rng: Rng) -> tuple[list[tuple[int, int]], list[int]]:
    """One place and four on its four sides: where they are, and beside which place."""
    a, b, c, d = [rng.between(1, LONGEST) for _ in range(4)]
    return [(0, 0), *rng.mixed(((0, a), (0, -b), (c, 0), (-d, 0)))], [0] * 5


def _scattered(rng: Rng, n: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Places each beside one of the last three before it: where they are, and beside which place."""
    spots, parents = [(0, 0)], [0]
    for along in rng.mixed((True, False) * (n // 2)):
        spot = spots[0]
        while spot in spots:
            parent = max(0, len(spots) - 1 - rng.below(3))
            x, y = spots[parent]
            blocks = rng.between(1, LONGEST) * (1 if rng.random() < 0.5 else -1)
            spot = (x + blocks, y) if along else (x, y + blocks)
        spots.append(spot)
        parents.append(parent)
    return spots, parents


def _blocks(k: int) -> str:
    return f"{k} block{'s' * (k > 1)}"


def _sum(route: tuple[tuple[str, str, int, str], ...]) -> str:
    """How far a way leads along each axis: "2 north, 1 west"."""
    far = dict.fromkeys(("north", "south", "east", "west"), 0)
    for _, _, k, way in route:
        far[way] += k
    net = {way: k - far[OPPOSITE[way]] for way, k in far.items()}
    return ", ".join([f"{k} {way}" for way, k in net.items() if k > 0])
