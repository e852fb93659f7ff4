"""Counting with filters: how many things are so?

    There are 4 red cups, 7 blue plates, 12 red bowls, 5 green cups, 9 blue bowls and 3 green plates. How many of the
    things are red?      → 16

Difficulty is the number of groups, of their attributes and of the filter's parts: 1 asks for one colour or one kind; 2
for two attributes at once, one of them perhaps denied; 3 has "either" and "neither"; 4 has materials, three parts, and
filters of which one part is enough; 5 has owners. Two to four groups fit, so the answer is a sum, never a number that
the question shows, and no sum is frequent. At difficulty 1, to add any two groups that have the word asked for is the
reasoning but for its end, and right where no third one has it.
"""

import re
from itertools import accumulate, compress
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, listed

PATTERNS = ("plain", "striped", "spotted", "checkered")
COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown", "pink")
MATERIALS = ("wooden", "glass", "metal", "plastic", "stone")
KINDS = ("cups", "plates", "bowls", "spoons", "balls", "boxes", "rings", "masks")
IS, IS_NOT, EITHER, NEITHER = range(4)
WORDING = ("{}", "not {}", "either {} or {}", "neither {} nor {}")
ENOUGH = "at least one of the following: "
ANY, DENYING, PAIRED = (IS, IS_NOT, EITHER, NEITHER), (IS_NOT, EITHER, NEITHER), (EITHER, NEITHER)
# Difficulty from 2 on → attributes, groups, how many fit at most, and the forms that each part of a filter may have.
SHAPES = {
    2: ((PATTERNS, COLOURS, KINDS), 6, 3, ((IS,), (IS, IS_NOT))),
    3: ((PATTERNS, COLOURS, KINDS), 7, 4, (DENYING, ANY)),
    4: ((PATTERNS, COLOURS, MATERIALS, KINDS), 8, 4, (DENYING, PAIRED, ANY)),
    5: ((PATTERNS, COLOURS, MATERIALS, KINDS), 10, 4, (DENYING, PAIRED, ANY)),
}
# Each phrasing: how things are told of where they have no owners, one owner's things, and the question.
PHRASINGS = (
    ("There are {}.", "{} has {}.", "{things} How many of the things are {query}?"),
    ("A shop sells {}.", "{} owns {}.", "{things} Count the things that are {query}."),
    ("We see {}.", "{} keeps {}.", "How many things are {query}? {things}"),
    ("On a table lie {}.", "{} brings {}.", "{things} What is the number of things that are {query}?"),
)


Told = tuple[tuple[str, ...], bool]  # a group's words, an owner first, and whether it fits


class Facts(NamedTuple):
    """Groups of things, and the filter."""

    groups: tuple[tuple[tuple[str, ...], int], ...]  # (its words, how many there are)
    fitting: tuple[bool, ...]
    query: str
    owned: bool


class Counting(Task):
    """Add up the groups that a filter lets through."""

    name = "counting"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw groups and a filter, and numbers whose sum is not shown."""
        told, query = _one_word(rng) if difficulty == 1 else _filter(rng, difficulty)
        groups, fitting = zip(*told, strict=True)
        while True:
            numbers = [rng.between(2, 20) for _ in told]
            if sum(compress(numbers, fitting)) not in numbers:
                break
        return Facts(tuple(zip(groups, numbers, strict=True)), fitting, query, difficulty == 5)

    def content(self, facts: Facts) -> object:
        """How many there are of which things, in no order."""
        return sorted(facts.groups)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The things, an owner after another where they have owners, and the filter."""
        plain, owned, frame = PHRASINGS[phrasing]
        skip = 1 if facts.owned else 0
        things = [f"{k} {' '.join(words[skip:])}" for words, k in facts.groups]
        if facts.owned:
            of: dict[str, list[str]] = {}
            for (words, _), thing in zip(facts.groups, things, strict=True):
                of.setdefault(words[0][:-2], []).append(thing)
            told = " ".join([owned.format(who, listed(theirs)) for who, theirs in of.items()])
        else:
            told = plain.format(listed(things))
        question = frame.format(things=told, query=facts.query)
        numbers = [*compress([k for _, k in facts.groups], facts.fitting)]
        sums = [*accumulate(numbers)]
        steps = [f"{sums[i]} + {numbers[i + 1]} = {sums[i + 1]}" for i in range(len(sums) - 1)]
        solution = ", ".join([*compress(things, facts.fitting), *steps])
        return Posed(question, str(sums[-1]), "integer", (), solution)

    def solve(self, question: str) -> set[str]:
        """Read every group as the set of its words, and hold it against each part of the filter."""
        query = re.search(rf"(?:things|that) are ({ENOUGH})?([^?.]+)[?.]", question)
        groups: list[tuple[int, set[str]]] = []
        for sentence in re.findall(r"[^.?]+\.", question):
            owner = re.search(r"(\w+) (?:has|owns|keeps|brings) \d", sentence)
            for number, words in re.findall(r"(\d+) ([a-z ]+?)(?=,|\.| and \d)", sentence):
                groups.append((int(number), {*words.split(), *([f"{owner[1]}'s"] if owner else [])}))
        if query is None or not groups:
            raise ValueError(f"not a question of counting: {question!r}")
        parts, combine = (query[2].split(", "), any) if query[1] else (re.split(",? and ", query[2]), all)
        return {str(sum(number for number, words in groups if combine(_passes(part, words) for part in parts)))}


def _one_word(rng: Rng) -> tuple[list[Told], str]:
    """Groups of a colour and a kind; then one word of those that two or three groups have."""
    colours, kinds = rng.pick_distinct(COLOURS, 3), rng.pick_distinct(KINDS, 3)
    groups = rng.pick_distinct([(colour, kind) for colour in colours for kind in kinds], 6)
    words = [word for group in groups for word in group]
    asked = rng.pick([word for word in colours + kinds if words.count(word) > 1])
    return [(group, asked in group) for group in groups], asked


def _filter(rng: Rng, difficulty: int) -> tuple[list[Told], str]:
    """A filter, groups that fit it, and groups that do not.

    Each part of the filter decides: by that part alone some group does not fit (or does, where one part is enough).
    """
    attributes, n, most, forms = SHAPES[difficulty]
    pick = rng.pick
    values = [tuple(rng.pick_distinct(words, 4)) for words in attributes]
    if difficulty == 5:
        values.insert(0, tuple([f"{who}'s" for who in rng.pick_distinct(PEOPLE, 3)]))
    enough = difficulty > 3 and rng.random() < 0.4  # one part is enough
    if enough:
        forms = ((IS, IS_NOT),) * (difficulty - 2)
    asked = rng.pick_distinct(range(len(values)), len(forms))
    every, some, parts = list(values), list(values), []  # what meets all parts (or none), and what decides by one
    for i, allowed in zip(asked, forms, strict=True):
        form, words = pick(allowed), tuple(rng.mixed(values[i]))
        cut = 1 if form in (IS, IS_NOT) else 2
        parts.append(WORDING[form].format(*words[:cut]))
        named_pass = (form in (IS, EITHER)) != enough
        every[i], some[i] = (words[:cut], words[cut:]) if named_pass else (words[cut:], words[:cut])
    fitting = rng.between(len(parts) if enough else 2, most)
    strict = n - fitting if enough else fitting
    groups: dict[tuple[str, ...], None] = {}
    while len(groups) < n:
        j = len(groups) - strict
        pools = every if j < len(parts) else values
        if j >= 0:
            i = asked[j % len(parts)]
            pools = [*pools[:i], some[i], *pools[i + 1 :]]
        groups[tuple([pick(pool) for pool in pools])] = None
    query = ENOUGH + ", ".join(parts) if enough else (" and " if difficulty == 2 else ", and ").join(parts)
    told = rng.mixed([(group, (j < strict) != enough) for j, group in enumerate(groups)])
    if difficulty == 5:
        told.sort(key=lambda one: values[0].index(one[0][0]))  # one owner after another
    return told, query


def _passes(part: str, words: set[str]) -> bool:
    """Whether a group of those words passes one part of a filter."""
    denied = part.startswith(("not ", "neither "))
    return denied != any(word in words for word in re.findall(r"[\w']+", part))
