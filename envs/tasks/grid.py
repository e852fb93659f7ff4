"""Logic grids: who has which, when everybody has a different one?

    Alice, Bob and Carol each have a different pet: cat, dog or fish. Bob has the dog. Alice has the fish.
    Which pet does Carol have?      → cat

Clues settle one person after another, outright or by what is not so. Difficulty is the number of people and how many
are settled outright: 3 with two, 3 with one, 4 with one, 4 with none, 5 with none. Where people are settled by what
they do not have, each is told not to have some more things at random, so that how much is denied to whom does not tell
who is settled when. The person (or the thing) that is asked about is drawn last and uniformly, so an answer that does
not depend on it is right once in n.
"""

import re
from itertools import permutations
from typing import NamedTuple

from reasoning_arena.envs.problem import AnswerType, Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, listed

# What they have → the names of the things.
KINDS = {
    "pet": ("cat", "dog", "fish", "bird", "rabbit", "hamster", "turtle", "pony"),
    "hat": ("red", "blue", "green", "white", "black", "yellow", "brown", "pink"),
    "fruit": ("apple", "banana", "cherry", "grape", "lemon", "mango", "peach", "pear"),
    "instrument": ("drum", "flute", "guitar", "harp", "piano", "violin", "horn", "banjo"),
}
NOUNS = tuple(KINDS)
SHAPES = {1: (3, 2), 2: (3, 1), 3: (4, 1), 4: (4, 0), 5: (5, 0)}  # difficulty → (people, settled outright)


class Facts(NamedTuple):
    """Who has what, what is told of it, and what is asked."""

    noun: str
    people: tuple[str, ...]
    things: tuple[str, ...]  # things[i] belongs to people[i]
    clues: tuple[tuple[str, tuple[str, ...], bool], ...]  # (person, things, has it / has none of them)
    asked: int
    asks_person: bool


class Grid(Task):
    """Match people with things by elimination."""

    name = "grid"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw an assignment and clues that settle one person after another."""
        n, outright = SHAPES[difficulty]
        noun = rng.pick(NOUNS)
        people = tuple(rng.pick_distinct(PEOPLE, n))
        things = tuple(rng.pick_distinct(KINDS[noun], n))
        clues: list[tuple[str, tuple[str, ...], bool]] = []
        for i in range(n if outright < n - 1 else n - 1):
            if i < outright:
                clues.append((people[i], (things[i],), True))
                continue
            # Everything that is neither this person's nor settled already, and some of what is.
            denied = [*things[i + 1 :], *[thing for thing in things[:i] if rng.random() < 0.3]]
            if denied:
                clues.append((people[i], tuple(rng.mixed(denied)), False))
        return Facts(noun, people, things, tuple(rng.mixed(clues)), rng.below(n), rng.random() < 0.5)

    def content(self, facts: Facts) -> object:
        """The clues, in no order."""
        return facts.noun, sorted([(who, sorted(what), has) for who, what, has in facts.clues])

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """Who and what there is, the clues, then a person's thing or a thing's person."""
        noun, people, things = facts.noun, facts.people, facts.things
        of = f" {noun}" if noun == "hat" else ""
        told = []
        for who, what, has in facts.clues:
            if has:
                told.append(f"{who} has the {what[0]}{of}.")
            else:
                told.append(f"{who} does not have the {listed([*what], 'or')}{of}.")
        who_and_what = f"{listed(sorted(people))} each have a different {noun}: {listed(sorted(things), 'or')}."
        if facts.asks_person:
            query = f"Who has the {things[facts.asked]}{of}?"
            answer, candidates = people[facts.asked], people
        else:
            query = f"Which {noun} does {people[facts.asked]} have?"
            answer, candidates = things[facts.asked], things
        clues = " ".join(told)
        question = (
            f"{who_and_what} {clues} {query}",
            f"{who_and_what} We know this: {clues} {query}",
            f"{clues} {who_and_what} {query}",
            f"{query} {who_and_what} {clues}",
        )[phrasing]
        outright = [who for who, _, has in facts.clues if has]  # as they are told; then whom elimination settles
        owned = dict(zip(people, things, strict=True))
        # There and back, so that its answer follows whatever is asked about: a small language model finds that sooner.
        settled = ", ".join([f"{who}: {owned[who]}: {who}" for who in (*outright, *people[len(outright) :])])
        asked = things[facts.asked] if facts.asks_person else people[facts.asked]
        kind: AnswerType = "name" if facts.asks_person else "choice"
        return Posed(question, answer, kind, tuple(sorted(candidates)), f"{settled}, so {asked}: {answer}")

    def solve(self, question: str) -> set[str]:
        """Try every assignment and keep those that all clues allow."""
        opening = re.search(r"((?:\w+, )*\w+ and \w+) each have a different (\w+): ([\w, ]+)\.", question)
        if opening is None:
            raise ValueError(f"not a grid question: {question!r}")
        people, things = re.split(r", | and ", opening[1]), re.split(r", | or ", opening[3])
        clues: list[tuple[str, set[str], bool]] = []
        for who, verb, rest in re.findall(r"(\w+) (has|does not have) the ([^.?]+)\.", question):
            named = set(re.findall(r"\w+", rest)) & set(things)
            clues.append((who, named, verb == "has"))
        person = re.search(r"Who has the (\w+)", question)
        thing = re.search(r"does (\w+) have\?", question)
        answers = set()
        for order in permutations(things):
            owned = dict(zip(people, order, strict=True))
            if all((owned[who] in named) == has for who, named, has in clues):
                if person is not None:
                    answers.add(next(who for who, what in owned.items() if what == person[1]))
                elif thing is not None:
                    answers.add(owned[thing[1]])
        return answers
