"""Summaries: say in one sentence what a report tells of one matter, and nothing else.

    Nina sold the drum in Oslo. Paul sold the lamp in Lima. Summarise what Paul sold in one sentence of at most 12
    words. Name the person, the thing and the city, and no other fact.      → Lima, Paul, lamp

Difficulty is the number of deals, what is told of each, and how: 3 deals of three facts, 4 of four facts, a sentence
each; 4 of four facts told here and there; 5 of four facts with three mistakes that are corrected at the end; 6 of five
facts with four mistakes. From 3 on, the summary may have to leave out one of the facts.

All facts of a report are different words, and a sentence that names one fact too many, or a corrected one, is wrong.
The deal that is asked for is drawn last, so copying a sentence is right at most once in as many times as there are
deals, and from 3 on never.
"""

import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.scoring import WORDS_PER_FACT
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, capitalised, listed

THINGS = (
    "ball", "lamp", "coin", "rope", "drum", "ring", "map", "hat", "kite", "mirror", "bell", "clock", "basket", "violin",
    "chair", "table", "carpet", "bicycle", "boat", "camera", "piano", "tent", "vase", "sword",
)  # fmt: skip
CITIES = (
    "Oslo", "Lima", "Rome", "Paris", "Cairo", "Delhi", "Tokyo", "Berlin", "Madrid", "Vienna", "Dublin", "Boston",
    "Prague", "Athens", "Lisbon", "Geneva", "Quito", "Havana", "Seoul", "Toronto",
)  # fmt: skip
PRICES = tuple(str(price) for price in range(21, 100))
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
VERBS = ("bought", "sold", "rented")
SHAPES = {1: (3, 3, 0), 2: (4, 4, 0), 3: (4, 4, 0), 4: (5, 4, 3), 5: (6, 5, 4)}  # → (deals, facts of each, mistakes)
KINDS = ("person", "thing", "city", "price", "day")
POOLS = (PEOPLE, THINGS, CITIES, PRICES, DAYS)
PARTS = ("", "", " in %s", " for %s dollars", " on %s")  # what a sentence on a deal adds for facts of each kind
WRONG = (2, 3, 2, 4)  # the kinds that mistakes are of, in turn
_DEAL = re.compile(
    r"(\w+) (?:bought|sold|rented) the (\w+)(?: in (\w+))?(?: for (\d+) dollars)?|(\w+) did so in (\w+)"
    r"|price of the (\w+) was (\d+)|[Tt]he (\w+) was (?:bought|sold|rented) on (\w+)"
)
_ASKED = re.compile(r"\bwhat (?:is told of the (\w+)|was (?:bought|sold|rented) in (\w+)|(\w+) (?:bought|sold|rented))")
_NAMED = re.compile(r"\b(?:name|Name|gives|giving) (the .*?)(?:no other fact|leaving)")


class Facts(NamedTuple):
    """The deals, the mistakes told of them, and what is asked."""

    deals: tuple[tuple[str, ...], ...]  # facts in the order of KINDS
    mistakes: tuple[tuple[int, int, str], ...]  # (deal, kind, what is said at first)
    scattered: bool
    asked: int
    key: int  # the kind of fact that says which deal is asked for
    kinds: tuple[int, ...]  # the kinds that the summary names


class Summary(Task):
    """Summarise one deal out of a report of several."""

    name = "summary"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw deals that share no fact, mistakes, and the deal that is asked for."""
        n, m, wrong = SHAPES[difficulty]
        kinds_wrong = WRONG[:wrong]
        columns = [rng.pick_distinct(pool, n + kinds_wrong.count(kind)) for kind, pool in enumerate(POOLS[:m])]
        mistaken = rng.pick_distinct(range(n), wrong)
        mistakes = tuple([(i, kind, columns[kind].pop()) for i, kind in zip(mistaken, kinds_wrong, strict=True)])
        scattered = difficulty > 2
        left_out = 1 + rng.below(m - 1) if scattered else 1  # 1, the thing, stands for none
        kinds = tuple([kind for kind in range(m) if kind != left_out or kind == 1])
        deals = tuple(zip(*columns, strict=True))
        return Facts(deals, mistakes, scattered, rng.below(n), rng.below(2 if scattered else 3), kinds)

    def content(self, facts: Facts) -> object:
        """The deals and the mistakes, in no order."""
        return sorted(facts.deals), sorted([(facts.deals[i][0], kind, said) for i, kind, said in facts.mistakes])

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The report, then what to summarise, how long, and which facts to name."""
        verb, deals, kinds = rng.pick(VERBS), facts.deals, facts.kinds
        if facts.scattered:
            first = {(i, kind): said for i, kind, said in facts.mistakes}
            details = [
                _detail(deal, kind, first.get((i, kind), deal[kind]), verb)
                for i, deal in enumerate(deals)
                for kind in range(2, len(deal))
            ]
            told = [_sentence(deal, verb, (0, 1)) for deal in deals]
            told += map(capitalised, rng.mixed(details))
            told += [f"Correction: {_detail(deals[i], kind, deals[i][kind], verb)}" for i, kind, _ in facts.mistakes]
        else:
            told = [_sentence(deal, verb, kinds) for deal in deals]
        report = f"{'. '.join(told)}."
        deal = deals[facts.asked]
        about = (f"what {deal[0]} {verb}", f"what is told of the {deal[1]}", f"what was {verb} in {deal[2]}")[facts.key]
        named, most = listed([f"the {KINDS[kind]}" for kind in kinds]), WORDS_PER_FACT * len(kinds)
        question = (
            f"{report} Summarise {about} in one sentence of at most {most} words. Name {named}, and no other fact.",
            f"Write one sentence of at most {most} words on {about}. It has to name {named}, and no other fact of this "
            f"report: {report}",
            f"Read this report. {report} Now put {about} into one sentence of up to {most} words that gives {named}, "
            "but no other fact.",
            f"{report} A single sentence will do, {most} words long at most: sum up {about}, giving {named} and "
            "leaving out every other fact.",
        )[phrasing]
        items = [fact for deal in deals for fact in deal] + [said for _, _, said in facts.mistakes]
        answer = ", ".join(sorted([deal[kind] for kind in kinds]))
        return Posed(question, answer, "summary", (), _sentence(deal, verb, kinds), tuple(sorted(items)))

    def solve(self, question: str) -> set[str]:
        """Fill in a table of the deals, later statements over earlier ones, and look up what is asked."""
        asked, named = _ASKED.search(question), _NAMED.search(question)
        if asked is None or named is None:
            raise ValueError(f"not a summary question: {question!r}")
        table: list[dict[str, str]] = []
        for person, thing, city, price, who, there, priced, paid, what, day in _DEAL.findall(question):
            if person:
                table.append({"person": person, "thing": thing, "city": city, "price": price})
            for row in table:
                if who == row["person"]:
                    row["city"] = there
                elif priced == row["thing"]:
                    row["price"] = paid
                elif what == row["thing"]:
                    row["day"] = day
        thing, city, person = asked.groups()
        rows = [row for row in table if thing == row["thing"] or person == row["person"] or city == row["city"]]
        kinds = re.findall(r"the (\w+)", named[1])
        return {", ".join(sorted(row[kind] for kind in kinds)) for row in rows}


def _sentence(deal: tuple[str, ...], verb: str, kinds: tuple[int, ...]) -> str:
    """One sentence that names facts of those kinds, a person and a thing first."""
    return f"{deal[0]} {verb} the {deal[1]}" + "".join([PARTS[kind] % deal[kind] for kind in kinds[2:]])


def _detail(deal: tuple[str, ...], kind: int, said: str, verb: str) -> str:
    """What is said of a deal's city, price or day, in a clause of its own."""
    if kind == 2:
        return f"{deal[0]} did so in {said}"
    return f"the price of the {deal[1]} was {said} dollars" if kind == 3 else f"the {deal[1]} was {verb} on {said}"
