"""Family relations: what is one to the other, when only the closest relations are told?

    Ben is the brother of Nina. Dora is the daughter of Ben. Karl is the father of Nina. Zoe is the daughter of Karl.
    Leo is the son of Nina. Ida is the daughter of Leo. Who is Nina's niece: Dora, Ida or Zoe?      → Dora

Difficulty is the number of people to choose from, how many relations lead to each of them, and how many facts there are
besides: 3, two and none, told one person after another; then 3, two and two in any order, like all that follows; 4,
three and none; 5, three and two; 5, four and four. They are in different relations to one person, but all told of as
somebody's children, and equally far away. Which of them is asked about is drawn last and uniformly, so an answer that
does not depend on it is right once in n.
"""

import re
from itertools import combinations, permutations
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import listed

# A woman and a man; a problem has one of them at most.
NAMES = (
    ("Alice", "Adam"), ("Bella", "Ben"), ("Carol", "Carl"), ("Dora", "David"), ("Emma", "Eric"), ("Fiona", "Frank"),
    ("Grace", "George"), ("Helen", "Henry"), ("Ida", "Ivan"), ("Julia", "Jack"), ("Karen", "Karl"), ("Laura", "Leo"),
    ("Mary", "Martin"), ("Nina", "Nathan"), ("Olga", "Oscar"), ("Paula", "Paul"), ("Rosa", "Robert"),
    ("Sarah", "Simon"), ("Tina", "Tom"), ("Vera", "Victor"), ("Wendy", "Walter"), ("Yara", "Yusuf"), ("Zoe", "Zack"),
    ("Anna", "Albert"), ("Lucy", "Luke"), ("Molly", "Mark"),
)  # fmt: skip
# A step to a parent, a sibling or a child: what the one reached is called, and what the one left is to them.
STEPS = {
    "P": (("mother", "father"), ("daughter", "son")),
    "S": (("sister", "brother"), ("sister", "brother")),
    "C": (("daughter", "son"), ("mother", "father")),
}
# Steps that define a relation, and what a woman and a man are called in it: a parent's sibling is an aunt or uncle.
KIN = {
    "S": ("sister", "brother"), "PSC": ("cousin", "cousin"),
    "PP": ("grandmother", "grandfather"), "CC": ("granddaughter", "grandson"),
    "PS": ("aunt", "uncle"), "SC": ("niece", "nephew"),
    "PPP": ("great-grandmother", "great-grandfather"), "CCC": ("great-granddaughter", "great-grandson"),
    "PPS": ("great-aunt", "great-uncle"), "SCC": ("great-niece", "great-nephew"),
    "PPPP": ("great-great-grandmother", "great-great-grandfather"),
    "CCCC": ("great-great-granddaughter", "great-great-grandson"),
    "PPPS": ("great-great-aunt", "great-great-uncle"), "SCCC": ("great-great-niece", "great-great-nephew"),
}  # fmt: skip
# Difficulty → the ways from one person to those to choose from, any of these; facts besides.
SHAPES: dict[int, tuple[tuple[tuple[str, ...], ...], int]] = {
    1: (tuple(permutations(("PC", "SC", "CC"))), 0),
    2: ((("PC", "SC", "CC"),), 2),
    3: (tuple(combinations(("PPC", "PSC", "PCC", "SCC", "CCC"), 4)), 0),
    4: ((("PPC", "PSC", "PCC", "SCC", "CCC"),), 2),
    5: ((("PPPC", "PPCC", "PCCC", "SCCC", "CCCC"),), 4),
}
# Who has a relation to somebody, whose relation somebody is, and what one is to the other.
QUERIES = (
    ("Who is {x}'s {kin}: {options}?", "Whose {kin} is {x}: {options}?", "What is {x} to {y}: {options}?"),
    ("Which of {options} is the {kin} of {x}?", "Which of {options} is the one whose {kin} is {x}?",
     "Which of the words {options} says what {x} is to {y}?"),
    ("Find {x}'s {kin} among {options}.", "Find the one whose {kin} is {x} among {options}.",
     "Choose what {x} is to {y} from {options}."),
    ("One of {options} is the {kin} of {x}; tell me who.", "{x} is the {kin} of one of {options}; tell me of whom.",
     "Say what {x} is to {y}, using one of the words {options}."),
)  # fmt: skip
_GROUPS = {"x": r"(?P<x>\w+)", "y": r"(?P<y>\w+)", "kin": r"(?P<kin>[\w-]+)", "options": r"(?P<options>[\w, -]+)"}
_QUERIES = [re.sub(r"{(\w+)}", lambda part: _GROUPS[part[1]], query.replace("?", r"\?")) for query in sum(QUERIES, ())]
_CLUE = re.compile(r"(\w+) is (?:the (\w+) of (\w+)|(\w+)'s (\w+))")


class Facts(NamedTuple):
    """A family around one person, and which of the distant relatives is asked about."""

    people: tuple[str, ...]  # the person, then everybody else
    clues: tuple[tuple[str, str, str], ...]  # how each but the first is reached: (one, what they are, to whom)
    links: tuple[tuple[str, str, bool], ...]  # the same as (parent, child, False) or (sibling, sibling, True)
    order: tuple[int, ...]  # in which the clues are told
    routes: tuple[tuple[int, ...], ...]  # the clues from the person to each of the distant relatives
    kin: tuple[str, ...]  # what each of those is to the person, or the person to them
    form: int  # asked is 0 who they are, 1 whose relation the person is, 2 what they are, 3 what the person is to them
    asked: int


class Family(Task):
    """Put close relations together to a distant one."""

    name = "family"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a family around one person, how it is told, and which of the distant relatives is asked about."""
        plans, besides = _PLANS[difficulty]
        steps, routes, kin = rng.pick(plans)
        steps += tuple([(rng.below(len(steps) + 1), "SC"[rng.below(2)], False) for _ in range(besides)])
        random, gender, form = rng.random, rng.below(2), rng.below(4)
        outward = form % 2 == 0
        names = rng.pick_distinct(NAMES, len(steps) + 1)
        genders = [int(random() * 2) if outward else gender]
        people = [names[0][genders[0]]]
        clues, links = [], []
        for i, step, distant in steps:
            # Who is something to somebody is told of themselves, so that the text says whether they are a woman.
            told_of_far = outward if (distant if outward else not i) else random() < 0.5
            sex = gender if outward and distant else int(random() * 2)
            near, far, (is_far, is_near) = people[i], names[len(people)][sex], STEPS[step]
            clues.append((far, is_far[sex], near) if told_of_far else (near, is_near[genders[i]], far))
            turned = step == "P" or (step == "S" and far < near)
            links.append((far, near, step == "S") if turned else (near, far, step == "S"))
            genders.append(sex)
            people.append(far)
        order = tuple(range(len(steps)) if difficulty == 1 else rng.mixed(range(len(steps))))
        words = tuple([pair[form % 2][gender] for pair in kin])
        return Facts(tuple(people), tuple(clues), tuple(links), order, routes, words, form, rng.below(len(words)))

    def content(self, facts: Facts) -> object:
        """Who is whose parent or sibling, in no order."""
        return sorted(facts.links)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The family, and a question about the person and one of the distant relatives."""
        people, form = facts.people, facts.form
        kin, route = facts.kin[facts.asked], facts.routes[facts.asked]
        told = [f"{a} is {b}'s {word}" if phrasing == 3 else f"{a} is the {word} of {b}" for a, word, b in facts.clues]
        x, y = people[0], people[route[-1] + 1]
        if form < 2:
            answer, candidates = y, sorted([people[way[-1] + 1] for way in facts.routes])
        else:
            answer, candidates, route = kin, sorted(facts.kin), route[::-1]
            x, y = (y, x) if form == 2 else (x, y)
        options = listed(candidates, "and" if phrasing else "or")
        query = QUERIES[phrasing][min(form, 2)].format(x=x, y=y, kin=kin, options=options)
        clues = ". ".join([told[i] for i in facts.order])
        question = (
            f"{clues}. {query}",
            f"{query} {clues}.",
            f"Here is what we know of a family. {clues}. {query}",
            f"These people are related. {clues}. {query}",
        )[phrasing]
        solution = f"{', '.join([told[i] for i in route])}, so {answer}"
        return Posed(question, answer, "name" if form < 2 else "choice", tuple(candidates), solution)

    def solve(self, question: str) -> set[str]:
        """Gather all parents, siblings and children, and hold every option against the definition of the relation."""
        matches = (re.search(query, question) for query in _QUERIES)
        form, asked = next(((i % 3, found) for i, found in enumerate(matches) if found), (0, None))
        clues = _CLUE.findall(question.replace(asked[0], "")) if asked is not None else []
        if asked is None or not clues:
            raise ValueError(f"not a family question: {question!r}")
        close: dict[str, set[tuple[str, str]]] = {"P": set(), "S": set(), "C": set()}  # (from whom, to whom)
        gender: dict[str, int] = {}
        for one, word, other, owner, owned in clues:
            to, back = next((step, back) for step, back in ("PC", "CP", "SS") if (word or owned) in STEPS[step][0])
            close[to].add((other or owner, one))
            close[back].add((one, other or owner))
            gender[one] = STEPS[to][0].index(word or owned)
        close["S"] |= {(a, b) for a, parent in close["P"] for b, same in close["P"] if parent == same and a != b}

        def fits(one: str, kin: str, other: str) -> bool:
            steps = next(steps for steps, words in KIN.items() if kin in words)
            reached = {other}
            for step in steps:
                reached = {b for a, b in close[step] if a in reached}
            return one in reached and one in gender and KIN[steps][gender[one]] == kin

        options, x = re.split(r", | and | or ", asked["options"]), asked["x"]
        if form == 2:
            return {kin for kin in options if fits(x, kin, asked["y"])}
        return {who for who in options if (fits(x, asked["kin"], who) if form else fits(who, asked["kin"], x))}


_Words = tuple[tuple[str, str], tuple[str, str]]


def _plan(
    paths: tuple[str, ...],
) -> tuple[tuple[tuple[int, str, bool], ...], tuple[tuple[int, ...], ...], list[_Words]]:
    """Everybody as (who is before them, the step, whether it is a path's last), the paths, and the relations."""
    places = list(dict.fromkeys(path[:end] for path in paths for end in range(1, len(path) + 1)))
    steps = tuple((places.index(place[:-1]) + 1 if place[1:] else 0, place[-1], place in paths) for place in places)
    routes = tuple(tuple(places.index(path[:end]) for end in range(1, len(path) + 1)) for path in paths)
    kin = [path.replace("PC", "S") for path in paths]
    return steps, routes, [(KIN[one], KIN[one[::-1].translate(str.maketrans("PC", "CP"))]) for one in kin]


_PLANS = {level: ([_plan(paths) for paths in shapes], besides) for level, (shapes, besides) in SHAPES.items()}
