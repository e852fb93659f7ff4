"""Syllogisms: does it follow from what is known of some groups?

    All poets are bakers. No bakers are pilots. Every group named here has at least one member, and "some" means at
    least one. Does it follow that no poets are pilots? Answer yes or no.      → yes

A chain of statements links the two groups that are asked about, and others lead away from it. Difficulty is the number
of statements in the chain and off it: 2, 2 and 1, 3 and 1, 4 and 1, 5 and 2. Groups are paired at random, so knowledge
of the world does not help. The forms of the chain and of the conclusion are drawn before the answer, among those that
allow both answers, so they tell nothing; what decides is which group stands where. What follows takes all statements
of the chain at once: an answer from the conclusion and one of two statements is part of that reasoning, and may be
right up to three times in four.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

TRADES = (
    "actors", "anglers", "archers", "bakers", "bankers", "barbers", "boxers", "butchers", "chemists", "climbers",
    "cooks", "cyclists", "dancers", "drummers", "farmers", "florists", "gardeners", "golfers", "hikers", "jewelers",
    "judges", "jugglers", "knitters", "lawyers", "librarians", "magicians", "miners", "nurses", "painters", "pilots",
    "plumbers", "poets", "potters", "runners", "sailors", "singers", "skiers", "surfers", "tailors", "teachers",
    "weavers", "welders", "writers",
)  # fmt: skip
INVENTED = (
    "blickets", "brams", "cloobs", "crins", "daxes", "drells", "dreps", "feps", "flors", "glims", "gorms", "gribs",
    "hovs", "hurgs", "jeebs", "kribs", "lorps", "mimps", "morks", "nifs", "oolots", "pims", "plons", "quibs", "rulps",
    "skems", "sneds", "tilps", "toves", "trobs", "ulps", "varks", "vums", "wims", "wugs", "yaffs", "zibs", "zorks",
)  # fmt: skip
SHAPES = {1: (2, 0), 2: (2, 1), 3: (3, 1), 4: (4, 1), 5: (5, 2)}  # difficulty → (statements in the chain, off it)

# A link of x and y is the form that holds of them, or in lower case the one that holds of y and x.
FORMS = {"A": "all {} are {}", "N": "no {} are {}", "S": "some {} are {}", "O": "some {} are not {}"}
# Links of x with y and of y with z → what they make of x and z; other pairs make nothing of them.
COMPOSED = {
    "AA": "A", "aa": "a", "aA": "S", "SA": "S", "aS": "S", "AN": "N", "Na": "N", "aN": "O", "NA": "o", "SN": "O",
    "NS": "o", "Oa": "O", "oA": "o", "aO": "O", "Ao": "o",
}  # fmt: skip
FOLLOWING = {"A": "AS", "a": "S", "N": "NO", "S": "S", "O": "O", "o": "", "": ""}  # a link → conclusions on x and y
# Conclusions of two links that are never asked for, because with them a group's statement would tell the answer.
TELLTALE = {("AA", "S"), ("aA", "S"), ("AN", "O"), ("aN", "O")}

Statement = tuple[str, str, str]  # a form, its subject and its predicate
Member = tuple[str, str]  # the links of a chain from the conclusion's subject to its predicate, the conclusion's form


class Facts(NamedTuple):
    """The chain as it is told, what it makes of its ends step by step, what is told in all, and what is asked."""

    chain: tuple[Statement, ...]
    made: tuple[str, ...]
    nouns: tuple[str, ...]
    told: tuple[Statement, ...]
    asked: Statement
    follows: bool


class Syllogism(Task):
    """Tell what follows from what does not."""

    name = "syllogism"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw forms, then the answer, then a chain that has it; every other statement brings in a group of its own."""
        length, others = SHAPES[difficulty]
        follows = rng.random() < 0.5
        links, form = rng.pick(rng.pick(_groups(length))[follows])
        nouns = rng.pick_distinct(TRADES if rng.random() < 0.5 else INVENTED, length + 1 + others)
        chain = [_stated(links[i], nouns[i], nouns[i + 1], rng) for i in range(length)]
        told = list(chain)
        for i in range(length + 1, length + 1 + others):
            told.append(_stated(rng.pick("AaNSOo"), nouns[rng.below(i)], nouns[i], rng))
        asked = (form, nouns[0], nouns[length])
        return Facts(tuple(chain), _made(links), tuple(nouns), tuple(rng.mixed(told)), asked, follows)

    def content(self, facts: Facts) -> object:
        """What is told, in no order; a statement that says the same with its groups exchanged is one."""
        return sorted((form, x, y) if form in "AO" or x < y else (form, y, x) for form, x, y in facts.told)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """Statements, then the conclusion."""
        told = " ".join([f"{FORMS[form].format(x, y).capitalize()}." for form, x, y in facts.told])
        form, start, end = facts.asked
        asked = FORMS[form].format(start, end)
        question = (
            f'{told} Every group named here has at least one member, and "some" means at least one. '
            f"Does it follow that {asked}? Answer yes or no.",
            f'Suppose that these statements are true: {told} There is at least one of every kind named, and "some" '
            f"means one or more. Must it then be true that {asked}, yes or no?",
            f'Is it certain that {asked}? Say yes or no. No group is empty, and "some" may mean one, several or all. '
            f"This is what we know: {told}",
            f'{told} None of these groups is empty, and "some" means one or more of them. '
            f"Can we be sure that {asked}, yes or no?",
        )[phrasing]
        steps = [FORMS[form].format(x, y) for form, x, y in facts.chain[:1]]
        for (form, x, y), link, noun in zip(facts.chain[1:], facts.made, facts.nouns[2:], strict=False):
            made = FORMS[link.upper()] if link else "{1} and {0} stay open"
            steps += [FORMS[form].format(x, y), made.format(*((start, noun) if link.isupper() else (noun, start)))]
        answer = "yes" if facts.follows else "no"
        return Posed(question, answer, "yes_no", ("no", "yes"), f"{', '.join(steps)}, so {answer}")

    def solve(self, question: str) -> set[str]:
        """Look for a world, kinds of individuals that there are, in which all is true but the conclusion."""
        told = re.findall(r"\b(All|No|Some) (\w+) are (not )?(\w+)\.", question)
        asked = re.search(r"\bthat (all|no|some) (\w+) are (not )?(\w+)[?,]", question)
        if not told or asked is None:
            raise ValueError(f"not a syllogism: {question!r}")
        nouns = sorted({noun for _, x, _, y in (*told, asked.groups()) for noun in (x, y)})
        bits = {noun: 1 << i for i, noun in enumerate(nouns)}
        known = [(quantity.lower(), bits[x], bool(denied), bits[y]) for quantity, x, denied, y in told]
        quantity, x, denied, y = asked[1], bits[asked[2]], bool(asked[3]), bits[asked[4]]
        # Its contrary: not all are, some are not; not "none are", some are; and the other way round.
        contrary = ("some", x, quantity == "all", y) if quantity != "some" else ("all" if denied else "no", x, False, y)
        if not _possible(known, len(nouns)):
            return set()
        return {"no" if _possible([*known, contrary], len(nouns)) else "yes"}


def _made(links: str) -> tuple[str, ...]:
    """What the first two, three … links of a chain make of its first group and the last of them, up to nothing."""
    made = [links[0]]
    for link in links[1:]:
        made.append(COMPOSED.get(made[-1] + link, ""))
        if not made[-1]:
            break
    return tuple(made[1:])


@cache
def _groups(length: int) -> Sequence[tuple[Sequence[Member], Sequence[Member]]]:
    """Chains with conclusions, those that do not follow and those that do, grouped by what they look like.

    Chains of a group consist of the same forms, and their conclusions are of one form. In the longer ones besides, a
    group of the middle stands at one place of both its statements in all chains or in none.
    """
    groups: defaultdict[object, tuple[list[Member], list[Member]]] = defaultdict(lambda: ([], []))
    for links in map("".join, product("AaNSOo", repeat=length)):
        turns = any(a.isupper() != b.isupper() for a, b in pairwise(links) if a in "AaOo" and b in "AaOo")
        for form in FORMS:
            look = sorted(links.upper()), form, turns and length > 2
            if (links, form) not in TELLTALE:
                groups[repr(look)][form in FOLLOWING[_made(links)[-1]]].append((links, form))
    return [group for group in groups.values() if all(group)]


def _stated(link: str, x: str, y: str, rng: Rng) -> Statement:
    """A link in words; where the groups may change places, they do so at random."""
    turned = rng.random() < 0.5 if link in "NS" else link.islower()
    return (link.upper(), y, x) if turned else (link, x, y)


def _possible(known: list[tuple[str, int, bool, int]], n: int) -> bool:
    """Whether all of it can be true of n groups at once, each with a member.

    The largest world has an individual of every kind that "all" and "no" leave; a smaller one fulfils no more.
    """
    kinds = list(range(1 << n))
    for quantity, x, _, y in known:
        if quantity != "some":
            kinds = [kind for kind in kinds if not kind & x or bool(kind & y) == (quantity == "all")]
    some = [(x, y, not denied) for quantity, x, denied, y in known if quantity == "some"]
    some += [(1 << i, 1 << i, True) for i in range(n)]
    return all(any(kind & x and bool(kind & y) == there for kind in kinds) for x, y, there in some)
