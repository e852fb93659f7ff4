"""Set membership: who is in which of several overlapping lists?

    The people are Adam, Bob, Carol, Leo and Mary. The chess club has Adam, Carol and Leo. The film club has Bob, Carol
    and Mary. Who is in both the chess club and the film club?      → Carol

Difficulty is the number of names and lists and the operations: 1 has two lists that cover five names, and one operation
(both, exactly one, one but not the other); 2 has names in neither list; 3 and 4 have three lists and two operations, or
one that counts over all three; 5 has ten names and four lists. The answer is any part of the names but all of them,
never a whole list, and from 2 on rarely empty.
"""

import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, listed

THINGS = (
    "bells", "books", "brushes", "buttons", "candles", "cards", "coins", "combs", "cups", "dice", "flags", "forks",
    "gloves", "keys", "marbles", "masks", "nails", "pens", "plates", "ribbons", "rings", "ropes", "shells", "socks",
    "spoons", "stamps",
)  # fmt: skip
CLUBS = ("art", "book", "chess", "cooking", "dance", "drama", "film", "hiking", "music", "science", "ski", "tennis")
BOXES = ("black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "silver", "white", "yellow")
# Each phrasing, and its sentence for one list.
CLUB_WORDING = (
    ("The people are {all}. {lists} Who is {query}?", "The {name} club has {some}."),
    ("We look at {all}. {lists} Which of them are {query}?", "Members of the {name} club: {some}."),
    ("Among {all}, who is {query}? {lists}", "To the {name} club belong {some}."),
    ("{lists} Out of {all}, name all who are {query}.", "In the {name} club there are {some}."),
)
BOX_WORDING = (
    ("The things are {all}. {lists} Which things are {query}?", "The {name} box holds {some}."),
    ("We look for {all}. {lists} Which of them are {query}?", "Contents of the {name} box: {some}."),
    ("Among {all}, which are {query}? {lists}", "In the {name} box lie {some}."),
    ("{lists} Out of {all}, name all that are {query}.", "In the {name} box there are {some}."),
)
# A theme: what is in the lists, what the lists are called, what a list is, and the phrasings.
THEMES = ((PEOPLE, CLUBS, "club", CLUB_WORDING), (THINGS, BOXES, "box", BOX_WORDING))
ONE_LIST = r"the (\w+ (?:club|box))"
Clause = tuple[str, tuple[int, ...]]  # the wording, and how many of the lists named may hold what is asked for
Query = tuple[str, tuple[int, ...], tuple[int, ...]]  # the wording; memberships that fit, and those that do not
IN: Clause = ("in {}", (1,))
OUT: Clause = ("not in {}", (0,))
BOTH: Clause = ("in both {} and {}", (2,))
ONE: Clause = ("in exactly one of {} and {}", (1,))
SOME: Clause = ("in at least one of {} and {}", (1, 2))
NEITHER: Clause = ("in neither {} nor {}", (0,))
PAIRS = (BOTH, ONE, SOME, NEITHER)
TRIPLES: tuple[Clause, ...] = (
    ("in exactly one of {}, {} and {}", (1,)),
    ("in exactly two of {}, {} and {}", (2,)),
    ("in at least two of {}, {} and {}", (2, 3)),
)


def _query(*clauses: Clause) -> Query:
    """All clauses at once, about the first lists, the next ones …; bit j of a membership is the j-th list."""
    fits = [0]
    for wording, counts in reversed(clauses):
        size = wording.count("{}")
        fits = [high << size | low for high in fits for low in range(1 << size) if low.bit_count() in counts]
    lists = sum(wording.count("{}") for wording, _ in clauses)
    joint = " and " if clauses == (IN, OUT) else ", and "
    rest = tuple(membership for membership in range(1 << lists) if membership not in fits)
    return joint.join(wording for wording, _ in clauses), tuple(fits), rest


_TWO_STEPS = tuple(_query(pair, single) for pair in PAIRS for single in (IN, OUT))
_FOUR_LISTS = [_query(one, other) for one in PAIRS for other in PAIRS]
_FOUR_LISTS += [_query(triple, single) for triple in TRIPLES for single in (IN, OUT)]
# Difficulty → names, lists, what may be asked. One but not the other comes twice: each way round.
SHAPES: dict[int, tuple[int, int, tuple[Query, ...]]] = {
    1: (5, 2, tuple(_query(*query) for query in ((BOTH,), (ONE,), (IN, OUT), (IN, OUT)))),
    2: (7, 2, tuple(_query(*query) for query in ((BOTH,), (ONE,), (SOME,), (NEITHER,), (IN, OUT), (IN, OUT)))),
    3: (7, 3, _TWO_STEPS),
    4: (9, 3, _TWO_STEPS + tuple(_query(triple) for triple in TRIPLES)),
    5: (10, 4, tuple(_FOUR_LISTS)),
}
EMPTY = 0.03  # how often nobody fits, from difficulty 2 on


class Facts(NamedTuple):
    """All names, the lists in the order they are told, what is asked, and who fits."""

    theme: int
    names: tuple[str, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]  # (the list's name, its members)
    query: str
    fitting: tuple[str, ...]


class Sets(Task):
    """Who is in both lists, in neither, in one of them alone?"""

    name = "sets"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a query, how many fit it, and who is in which lists; every list has two members and is no answer.

        Of two lists, each has a member of its own, and they share one: so each operation gives another answer.
        """
        n, k, queries = SHAPES[difficulty]
        wording, fits, rest = rng.pick(queries)
        if difficulty == 1:
            rest = tuple(membership for membership in rest if membership)  # everybody is in some list
        everywhere, random = (1 << k) - 1, rng.random
        several, others = len(fits), len(rest)
        while True:  # two rounds or so on average: what is drawn in each is drawn without calls of pick
            fitting = rng.between(1, n - 2)
            if fitting == 1:  # seldom, as one alone is easy to guess
                fitting = rng.between(1, n - 2)
            if difficulty > 1 and rng.random() < EMPTY:
                fitting = 0
            memberships = [fits[int(random() * several)] for _ in range(fitting)]
            memberships += [rest[int(random() * others)] for _ in range(n - fitting)]
            once = twice = 0
            whole = everywhere  # the lists that hold all who fit and nobody else
            for i, membership in enumerate(memberships):
                twice |= once & membership
                once |= membership
                whole &= membership if i < fitting else ~membership
            if twice == everywhere and not whole and (k > 2 or {1, 2, 3}.issubset(memberships)):
                break
        theme = rng.below(len(THEMES))
        all_names, all_lists, noun, _ = THEMES[theme]
        names, lists = rng.pick_distinct(all_names, n), rng.pick_distinct(all_lists, k)
        where = sorted(zip(names, memberships, strict=True))
        told = [(lists[j], tuple([who for who, membership in where if membership >> j & 1])) for j in range(k)]
        query = wording.format(*[f"the {name} {noun}" for name in lists])
        return Facts(theme, tuple(sorted(names)), tuple(rng.mixed(told)), query, tuple(sorted(names[:fitting])))

    def content(self, facts: Facts) -> object:
        """All names, and the lists in no order."""
        return facts.names, sorted(facts.lists)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """All names, one sentence a list, then the query."""
        frame, one_list = THEMES[facts.theme][3][phrasing]
        told = " ".join([one_list.format(name=name, some=listed([*members])) for name, members in facts.lists])
        question = frame.format(all=listed([*facts.names]), lists=told, query=facts.query)
        answer = ", ".join(facts.fitting) or "none"
        found: dict[str, list[str]] = {who: [] for who in facts.names}
        for name, members in facts.lists:
            for who in members:
                found[who].append(name)
        steps = ", ".join([f"{who}: {' '.join(names) or 'none'}" for who, names in found.items()])
        return Posed(question, answer, "set", (), f"{steps}, so {answer}", facts.names)

    def solve(self, question: str) -> set[str]:
        """Hold every name against every clause of the query."""
        told = re.findall(ONE_LIST + r"(?: has| holds| belong| lie| there are|:) ([\w, ]+)\.", question, re.I)
        members = {name: set(re.split(r", | and ", some)) for name, some in told}
        opening = r"(?:(?:people|things) are|look (?:at|for)|Among|Out of) "
        everything = re.search(opening + r"((?:\w+, )+\w+ and \w+)", question)
        query = re.search(r"(?:is|are) ((?:not )?in [^?.]+)[?.]", question)
        if not members or everything is None or query is None:
            raise ValueError(f"not a question of sets: {question!r}")
        fitting = set(re.split(r", | and ", everything[1]))
        for clause in re.split(r",? and (?=in |not in )", query[1]):
            named = re.findall(ONE_LIST, clause)
            least = 2 if re.search(r"both|two", clause) else 0 if re.search(r"not|neither", clause) else 1
            most = len(named) if "at least" in clause else least
            fitting = {who for who in fitting if least <= sum(who in members[name] for name in named) <= most}
        return {", ".join(sorted(fitting)) or "none"}
