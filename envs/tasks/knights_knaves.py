"""Knights and knaves: who lies, when everybody speaks of the others?

    Knights always tell the truth and knaves always lie. Alice and Bob are each a knight or a knave.
    Alice says: "34 is odd." Bob says: "Alice is a knave." Is Bob a knight or a knave?      → knight

What settles the first person is either a statement on a number or, from 2 on, one of the form "Bob and I are of the
same kind", which makes Bob a knight whoever says it; each statement after that settles one person more. Difficulty is
the number of people on the way to the one who is asked about, and of others who speak as well: 2; 2 and 1; 3 and 1; 4
and 1; 5 and 1. Who is a knight is drawn by tossing coins before anything is said, so who is asked about, how often
somebody is named and which kind of statement somebody makes tell nothing.
"""

import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, listed

KINDS = ("knave", "knight")
SHAPES = {1: (2, 0), 2: (2, 1), 3: (3, 1), 4: (4, 1), 5: (5, 1)}  # difficulty → (people on the way, others)
VERBS = ("says", "claims", "states")
LINKS = ("is", "is", "same")  # statements that settle either of speaker and subject when the other is known
FORMS = ("is", "is", "same", "both", "some")  # statements that settle the speaker when all subjects are known
# Which of the two parts of a statement that is true, or is false, can be wrong, bit by bit.
WRONG = {("both", True): (0,), ("both", False): (1, 2, 3), ("some", True): (0, 1, 2), ("some", False): (3,)}

# What somebody says: its form, and its subjects, each with whether "is", "both" and "some" call it a knight.
Claim = tuple[str, tuple[tuple[str, bool], ...]]


class Facts(NamedTuple):
    """People on the way to the one asked about, then others; who is a knight; what each says; in which order."""

    people: tuple[str, ...]
    knights: tuple[bool, ...]
    claims: tuple[Claim, ...]
    order: tuple[int, ...]
    first: int  # who makes the statement that settles people[0]
    way: int  # how many people are on the way


class KnightsKnaves(Task):
    """Find out what one of the speakers is."""

    name = "knights_knaves"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw who is what, then statements that are true of knights and false of knaves, and settle all of them."""
        way, others = SHAPES[difficulty]
        people = rng.pick_distinct(PEOPLE, way + others)
        knights = [rng.random() < 0.5 for _ in people]
        claims: list[Claim] = [("", ())] * (way + others)
        first = rng.below(way) if difficulty > 1 else 0
        if first == 0:
            number = rng.between(10, 99)
            claims[0] = ("even" if (number % 2 == 0) == knights[0] else "odd", ((str(number), True),))
        else:
            claims[first] = ("same" if knights[0] else "different", ((people[0], True), (people[first], True)))
        for i in range(1, way):  # people[i] is settled by what one of two neighbours says of the other
            speaker, about = (i - 1, i) if i <= first else (i, i - 1)
            third = rng.below(i - 1) if i > 1 else None
            claims[speaker] = _claim(rng, people, knights, speaker, about, third, LINKS if i <= first else FORMS)
        for i in range(way, way + others):
            about = rng.below(way)
            third = (about + rng.between(1, way - 1)) % way
            # A part of "both" is right more often than not, whoever says it: nobody says it of the one asked about.
            forms = LINKS if way - 1 in (about, third) else FORMS
            claims[i] = _claim(rng, people, knights, i, about, third, forms)
        order = rng.mixed(range(way + others))
        return Facts(tuple(people), tuple(knights), tuple(claims), tuple(order), first, way)

    def content(self, facts: Facts) -> object:
        """Who says what, in no order."""
        return sorted((who, form, sorted(about)) for who, (form, about) in zip(facts.people, facts.claims, strict=True))

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """What knights and knaves are, what everybody says, then the person asked about."""
        people, verb = facts.people, rng.pick(VERBS)
        told = " ".join([f'{people[i]} {verb}: "{_said(people[i], facts.claims[i], rng)}."' for i in facts.order])
        asked, everybody = people[facts.way - 1], listed(sorted(people))
        question = (
            f"Knights always tell the truth and knaves always lie. {everybody} are each a knight or a knave. {told} "
            f"Is {asked} a knight or a knave?",
            f"On an island live knights, who always tell the truth, and knaves, who always lie. You meet {everybody}, "
            f"each of them one or the other. {told} What is {asked}, a knight or a knave?",
            f"What is {asked}: a knight or a knave? Each of {everybody} is one of the two. Knights always tell the "
            f"truth and knaves always lie. {told}",
            f"{told} Each speaker is either a knight, who says only true things, or a knave, who says only false ones. "
            f"Which of the two is {asked}?",
        )[phrasing]
        answer = KINDS[facts.knights[facts.way - 1]]
        settled = [f"{people[i]} is a {KINDS[facts.knights[i]]}" for i in range(facts.way)]
        form, about = facts.claims[facts.first]
        if facts.first == 0:
            reason = f"{about[0][0]} is {'odd' if int(about[0][0]) % 2 else 'even'}"
        else:
            reason = "same kind" if form == "same" else "different kinds"
        return Posed(question, answer, "choice", KINDS, f"{reason}: {', '.join(settled[:-1])}, so {settled[-1]}")

    def solve(self, question: str) -> set[str]:
        """Try every way to make them knights and knaves, and keep those that fit everything said."""
        said = re.findall(r'(\w+) (?:says|claims|states): "([^"]+)\."', question)
        asked = re.search(r"\b[Ii]s (\w+)(?:[,:]? a knight or a knave)?\?", re.sub('"[^"]*"', "", question))
        if not said or asked is None or asked[1] not in dict(said):
            raise ValueError(f"not a question of knights and knaves: {question!r}")
        people = [who for who, _ in said]
        answers = set()
        for assignment in product((False, True), repeat=len(people)):
            knights = dict(zip(people, assignment, strict=True))
            if all(_is_true(text, {**knights, "I": knights[who]}) == knights[who] for who, text in said):
                answers.add(KINDS[knights[asked[1]]])
        return answers


def _claim(
    rng: Rng, people: list[str], knights: list[bool], speaker: int, about: int, third: int | None, forms: Sequence[str]
) -> Claim:
    """Something that the speaker can say of one person, or of that one and a third."""
    truth = knights[speaker]
    form = rng.pick(forms) if third is not None else "is"
    if form == "is" or third is None:
        return "is", ((people[about], knights[about] == truth),)
    one, other = (about, third) if rng.random() < 0.5 else (third, about)
    if form == "same":
        return "same" if (knights[one] == knights[other]) == truth else "different", (
            (people[one], True),
            (people[other], True),
        )
    wrong = rng.pick(WRONG[form, truth])
    return form, ((people[one], knights[one] != (wrong % 2 == 1)), (people[other], knights[other] != (wrong > 1)))


def _said(speaker: str, claim: Claim, rng: Rng) -> str:
    """A claim in its speaker's words."""
    form, about = claim
    if form in ("even", "odd"):
        return f"{about[0][0]} is {form}"
    if form in ("same", "different"):
        kinds = "the same kind" if form == "same" else "different kinds"
        return f"{about[0][0]} and {'I' if about[1][0] == speaker else about[1][0]} are of {kinds}"
    parts = [
        f"{who} is a {KINDS[knight]}" if rng.random() < 0.8 else f"{who} is not a {KINDS[not knight]}"
        for who, knight in about
    ]
    return parts[0] if form == "is" else " and ".join(parts) if form == "both" else f"{' or '.join(parts)}, or both"


def _is_true(text: str, knights: dict[str, bool]) -> bool:
    """Whether a statement is true where ``knights`` says who is one."""
    number = re.fullmatch(r"(\d+) is (even|odd)", text)
    if number is not None:
        return (int(number[1]) % 2 == 0) == (number[2] == "even")
    pair = re.fullmatch(r"(\w+) and (\w+) are of (the same kind|different kinds)", text)
    if pair is not None:
        return (knights[pair[1]] == knights[pair[2]]) == (pair[3] == "the same kind")
    parts = re.findall(r"(\w+) is (not )?a (knave|knight)", text)
    if not parts:
        raise ValueError(f"unreadable statement: {text!r}")
    true = [knights[who] == ((kind == "knight") != bool(denied)) for who, denied, kind in parts]
    return any(true) if text.endswith(", or both") else all(true)
