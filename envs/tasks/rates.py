"""Rates and units: how much comes of how much?

    All rates are steady. A tap pours 7 litres of water in 2 minutes. Exactly how many litres of water does the tap pour
    in 9 minutes?      → 63/2

Difficulty 1 is one product or one quotient: a rate for one unit, or two units of the same kind. 2 is a rule of three;
3 adds a conversion of units; 4 chains two rates and a conversion; 5 chains two rates and two conversions, and tells of
a third rate that does not matter. Half of the rates come out even, the others leave fractions. No answer is a number
that the question shows.
"""

import re
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

# Who does what to what, measured in what; what the first ten make is sold.
MAKERS = (
    ("mill", "grind", "flour", "kilograms"), ("bakery", "bake", "bread", "kilograms"), ("rig", "pump", "oil", "litres"),
    ("dairy", "make", "butter", "kilograms"), ("loom", "weave", "ribbon", "metres"), ("farm", "make", "milk", "litres"),
    ("smelter", "melt", "copper", "kilograms"), ("machine", "make", "rope", "metres"),
    ("press", "squeeze", "juice", "litres"), ("factory", "roll", "wire", "metres"), ("tap", "pour", "water", "litres"),
    ("stove", "burn", "wood", "kilograms"), ("crew", "pave", "path", "metres"), ("car", "drive", "road", "kilometres"),
)  # fmt: skip
# A unit → the smaller one, and how many of those it has.
SMALLER = {
    "hours": ("minutes", 60), "minutes": ("seconds", 60), "metres": ("centimetres", 100), "dollars": ("cents", 100),
    "kilometres": ("metres", 1000), "kilograms": ("grams", 1000), "litres": ("millilitres", 1000),
}  # fmt: skip
ROUND = {"seconds": 15, "centimetres": 25, "cents": 25, "grams": 250, "millilitres": 250}  # numbers are multiples of it
# From what to what: the end of "how many …", in a question and in a clause.
QUERIES = {
    "time to amount": ("does the {maker} {verb} in {given}", "the {maker} {verb}s in {given}"),
    "amount to time": ("does the {maker} need for {given}", "the {maker} needs for {given}"),
    "amount to money": ("do {given} cost", "{given} cost"),
    "money to amount": ("do {given} buy", "{given} buy"),
    "time to money": ("does the {thing} from {given} of work cost", "the {thing} from {given} of work costs"),
    "money to time": ("does the {maker} need for {thing} worth {given}", "the {maker} needs for {thing} worth {given}"),
}
# Two units of the same kind, without any rate.
UNITS = (
    "Exactly how many {asked} are {given}?",
    "Find exactly how many {asked} {given} are.",
    "The question is exactly how many {asked} {given} are.",
    "{given} are exactly how many {asked}?",
)


class Facts(NamedTuple):
    """Who works, what is told, given and asked, and the way to the answer; all numbers are in tenths."""

    maker: int
    rates: tuple[tuple[int, int, str, int, str], ...]  # whose; time ↔ thing or thing ↔ money
    given: tuple[int, str]
    asked: str
    query: str
    worked: str
    value: tuple[int, int]  # of the answer, in lowest terms


class Rates(Task):
    """Convert units and follow steady rates."""

    name = "rates"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw rates, units and what is given until the answer is none of the numbers shown."""
        while True:
            facts = _draw(rng, difficulty)
            above, below = facts.value
            shown = [facts.given[0], *(number for rate in facts.rates for number in rate[1::2])]
            if 10 * above not in [number * below for number in shown]:
                return facts

    def content(self, facts: Facts) -> object:
        """The rates in no order and what is given; neither the unit asked for nor a third rate counts."""
        if facts.query.startswith("unit"):  # of whatever it is
            return sorted(rate[1:] for rate in facts.rates), facts.given
        return facts.maker, sorted(rate for rate in facts.rates if rate[0] == facts.maker), facts.given

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """What is known, then or before that how much is asked for."""
        maker, verb, thing, measure = MAKERS[facts.maker]
        article = "The" if phrasing == 3 else "A"
        given, asked = _quantity(*facts.given), facts.asked
        start, end = facts.query.split(" to ")
        if start == "amount" or (start == "unit" and facts.given[1] in (measure, SMALLER[measure][0])):
            given = f"{given} of {thing}"
        if end == "amount":
            asked = f"{asked} of {thing}"
        told = ["All rates are steady."]
        for who, a, unit, b, other in facts.rates:
            one, does, what, _ = MAKERS[who]
            if other == "dollars":
                told.append(f"{_quantity(a, unit)} of {what} cost{'s' * (a == 10)} {_quantity(b, other)}.")
            else:
                told.append(f"{article} {one} {does}s {_quantity(b, other)} of {what} in {_quantity(a, unit)}.")
        known = " ".join(told)
        if start == "unit":
            question = UNITS[phrasing].format(asked=asked, given=given)
        else:
            tail = QUERIES[facts.query][phrasing in (1, 2)].format(maker=maker, verb=verb, thing=thing, given=given)
            question = (
                f"{known} Exactly how many {asked} {tail}?",
                f"{known} Find exactly how many {asked} {tail}.",
                f"We know the following. {known} The question is exactly how many {asked} {tail}.",
                f"Exactly how many {asked} {tail}? {known}",
            )[phrasing]
        above, below = facts.value
        answer = f"{above}/{below}" if below > 1 else str(above)
        return Posed(question, answer, "rational", (), facts.worked)

    def solve(self, question: str) -> set[str]:
        """Walk from the unit that is given along all rates and conversions to the unit that is asked for."""
        query = re.search(r"how many (\w+)(?:[^.?]|\.\d)*", question, re.I)
        if query is None:
            raise ValueError(f"not a question of rates: {question!r}")
        given = re.search(r"([\d.]+) (\w+)", query[0]) or re.match(r"([\d.]+) (\w+)", question)  # which may begin so
        if given is None:
            raise ValueError(f"a question of rates that gives nothing: {question!r}")
        things = {thing for _, _, thing, _ in MAKERS if re.search(rf"\b{thing}\b", query[0])}
        worth: dict[str, list[tuple[str, Fraction]]] = {}  # a unit → others, and how many of them it is worth
        pairs = [("1", large, str(factor), small) for large, (small, factor) in SMALLER.items()]
        for rate in re.findall(r"([\d.]+) (\w+) of (\w+) (?:in|costs?) ([\d.]+) (\w+)", question):
            if rate[2] in things:
                pairs.append((rate[0], rate[1], rate[3].rstrip("."), rate[4]))
        for a, unit, b, other in pairs:
            one, another = unit.rstrip("s") + "s", other.rstrip("s") + "s"
            worth.setdefault(one, []).append((another, Fraction(b) / Fraction(a)))
            worth.setdefault(another, []).append((one, Fraction(a) / Fraction(b)))
        answers, ways = set(), [([given[2]], Fraction(given[1]))]
        while ways:
            way, value = ways.pop()
            if way[-1] == query[1]:
                answers.add(str(value))
            else:
                ways += [([*way, unit], value * rate) for unit, rate in worth.get(way[-1], ()) if unit not in way]
        return answers


def _number(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}" if tenths % 10 else str(tenths // 10)


def _quantity(tenths: int, unit: str) -> str:
    return f"1 {unit[:-1]}" if tenths == 10 else f"{_number(tenths)} {unit}"


def _amount(rng: Rng, most: int, unit: str = "") -> int:
    """A number of such units, from 2 of them on: of small ones a round number, of others now and then a half."""
    number = rng.between(2, most)
    return 10 * number * ROUND[unit] if unit in ROUND else 10 * number + 5 * (rng.random() < 0.25)


def _converted(rng: Rng, unit: str) -> tuple[str, int, int]:
    """Another unit, and what to multiply and divide by to get there."""
    if unit == "minutes" and rng.random() < 0.5:
        return "hours", 10, 600
    return SMALLER[unit][0], 10 * SMALLER[unit][1], 10


def _draw(rng: Rng, difficulty: int) -> Facts:
    """Draw one or two rates, and follow them from a given number at one end to the other end."""
    bare = difficulty == 1 and rng.random() < 0.3  # no rate but that of two units
    sold = difficulty > 3 or (not bare and rng.random() < 0.4)
    maker = rng.below(10 if sold else len(MAKERS))
    ends = [("time", rng.pick(("hours", "minutes"))), ("amount", MAKERS[maker][3]), ("money", "dollars")]
    if difficulty < 4:
        ends = ends[1:] if sold else ends[:2]
    if bare:
        unit = rng.pick((MAKERS[maker][3], MAKERS[maker][3], "hours", "minutes", "dollars"))
        ends = [("unit", unit), ("unit", SMALLER[unit][0])]
        if unit != MAKERS[maker][3]:
            maker = 0  # nobody's in particular: a question of time or money does not say whose
    forwards = rng.random() < 0.5
    rates: list[tuple[int, int, str, int, str]] = []
    steps: list[tuple[str, int]] = []
    for (_, unit), (_, other) in pairwise(ends):
        source = 10 * rng.between(2, 12)
        target = source * rng.between(2, 9) if rng.random() < (0.5, 0.75)[difficulty > 3] else _amount(rng, 40)
        if difficulty == 1:
            several = 10 * SMALLER[unit][1] if bare else _amount(rng, 20)
            source, target = (10, several) if forwards else (several, 10)
        rates.append((maker, source, unit, target, other) if forwards else (maker, target, unit, source, other))
        step = [("*", target), ("/", source)]
        steps = steps + step if forwards else step + steps
    (start, unit), (end, asked) = (ends[0], ends[-1]) if forwards else (ends[-1], ends[0])
    converted = {3: rng.below(2), 4: rng.below(2), 5: 2}.get(difficulty)  # what is asked, what is given, or both
    if converted in (1, 2):
        unit, divisor, factor = _converted(rng, unit)
        steps = [("*", factor), ("/", divisor), *steps]
    if converted in (0, 2):
        asked, factor, divisor = _converted(rng, asked)
        steps += [("*", factor), ("/", divisor)]
    given = _amount(rng, 99 if bare else 30, unit)
    if difficulty == 1 and not bare and not forwards and rng.random() < 0.5:
        given = rates[0][3] * rng.between(2, 12)
    if difficulty == 5:
        another = (maker + rng.between(1, len(MAKERS) - 1)) % len(MAKERS)
        time = rng.pick(("hours", "minutes"))
        rates.append((another, 10 * rng.between(2, 12), time, _amount(rng, 40), MAKERS[another][3]))
    above, below, before, worked = given, 10, _number(given), []
    for operation, number in steps:
        if number != 10:
            above, below = (above * number, below * 10) if operation == "*" else (above * 10, below * number)
            common = gcd(above, below)
            above, below = above // common, below // common
            after = f"{above}/{below}" if below > 1 else str(above)
            worked.append(f"{before} {operation} {_number(number)} = {after}")
            before = after
    told = () if bare else tuple(rng.mixed(rates))
    return Facts(maker, told, (given, unit), asked, f"{start} to {end}", ", ".join(worked), (above, below))
