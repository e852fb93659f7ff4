"""Stories: where is it in the end, where was it before, who has it?

    Everybody takes along what they have. Alice has the ball. Bob has the key. On Monday Bob goes to the park.
    Alice goes to the barn. Where is the ball at the end?      → barn

Difficulty is the number of people, things and places (3, 3, 4, 4, 5) and how much happens to the things, from one day
on: hand-overs, swaps, a second and a third day, things put down by everybody or by some and found by others.

Every place holds exactly one thing on each day, everybody has exactly one where that is asked, and a day names every
place once, in an order of its own; people may return to where they were. The thing that is asked for is drawn last. So
nothing but the story's people leads from it to an answer. Whoever leaves out part of what happens, such as a hand-over,
is right where that changes nothing, which is more than once in n.
"""

import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, capitalised, listed

THINGS = ("ball", "key", "cup", "book", "lamp", "coin", "rope", "drum", "ring", "map", "hat", "kite", "bell", "box")
PLACES = ("park", "barn", "garden", "office", "library", "museum", "attic", "garage", "tower", "school", "hotel")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# What may happen on a stage of a story, and what is told of each person or thing then.
TOLD = {
    "H": "%s has the %s",
    "L": "the %s lies in the %s",
    "G": "%s gives the %s to %s",  # two people, their things to one another
    "M": "%s goes to the %s",  # everybody on a day
    "D": "%s everything down where they are",  # "everybody puts", or "Alice and Bob each put" where it is a P
    "T": "whoever finds something where they are takes it",
    "S": "%s and %s swap what they have",  # overnight
}
WHO = -1  # what is asked instead of the place on a day
# Difficulty → how many of each, and the stages that a story may have, with what is asked: WHO, or the number of a day.
SHAPES: dict[int, tuple[int, tuple[tuple[str, int], ...]]] = {
    1: (3, (("HM", 0), ("LMT", WHO))),
    2: (3, (("HGM", 0), ("HMM", 0), ("HMM", 1), ("LMTM", 1), ("LMTS", WHO))),
    3: (4, (("HGMM", 0), ("HGMM", 1), ("LMTSM", 1), ("HMPM", 1), ("HMDMT", WHO))),
    4: (4, (("HGMPM", 1), ("HMDMTM", 1), ("HMDMTM", 2), ("LMTSMM", 1), ("HGMDMT", WHO), ("LMTMPMT", WHO))),
    5: (5, (("HGGMDMTM", 1), ("HGMPMTSM", 2), ("HGGMDMTM", 2), ("LMTSMPM", 2), ("HGGMDMT", WHO), ("LMTSMDMT", WHO))),
}
RULE = "Everybody takes along what they have."
_QUERY = re.compile(r"(?:On (\w+) evening, )?(?:(who has)|where (?:is|was)) the (\w+)(?: on (\w+) evening)?", re.I)
_EVENT = re.compile(
    r"\bOn (\w+day)|(\w+) has the (\w+)|\b[Tt]he (\w+) (?:to|lies in the) (\w+)|(\w+) goes to the (\w+)"
    r"|([Ee]verybody|\w+ and \w+)(?: each)? puts? everything down|(hoever) finds|(\w+) and (\w+) swap"
)


class Facts(NamedTuple):
    """What happens, stage by stage; the thing that is asked for; WHO, or the number of the day that is asked for."""

    stages: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    asked: str
    day: int


class Story(Task):
    """Follow one thing through a story."""

    name = "story"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw what happens on each stage, then the thing that is asked for."""
        n, programs = SHAPES[difficulty]
        program, day = rng.pick(programs)
        people, things = rng.pick_distinct(PEOPLE, n), rng.pick_distinct(THINGS, n)
        where = dict(zip(people, rng.pick_distinct(PLACES, n), strict=True))
        owned = dict(zip(people, things, strict=True))
        groups: list[list[str]] = []  # within which people trade places, so that no place ever holds two things
        start = owned.items() if program[0] == "H" else zip(things, where.values(), strict=True)
        stages: list[tuple[str, tuple[tuple[str, ...], ...]]] = [(program[0], tuple(start))]
        for kind in program[1:]:
            rows: list[tuple[str, ...]] = [("everybody",)] if kind == "D" else [()]
            if kind == "G":
                a, b = rng.pick_distinct(people, 2)
                rows = [(a, owned[a], b), (b, owned[b], a)]
                owned[a], owned[b] = owned[b], owned[a]
            elif kind == "M":
                for group in groups:
                    where.update(zip(group, rng.mixed([where[who] for who in group]), strict=True))
                groups = [people]
                rows = rng.mixed([*where.items()])
            elif kind == "P":
                mixed = rng.mixed(people)
                groups = [mixed[:2], mixed[2:]]  # until the next day
                kind, rows = "D", [(who,) for who in mixed[:2]]
            elif kind == "S":
                rows = [tuple(sorted(rng.pick_distinct(people, 2)))]
            stages.append((kind, tuple(rows)))
        return Facts(tuple(stages), rng.pick(things), day)

    def content(self, facts: Facts) -> object:
        """What happens on each stage, in no order within it."""
        return [(kind, sorted(rows)) for kind, rows in facts.stages]

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The story, stage by stage, and the question about one thing."""
        first, moves = rng.below(len(DAYS)), 0
        told: list[str] = []
        for kind, rows in facts.stages:
            if kind == "D":  # in one clause, so that nobody reads one person's place into another's
                rows = (("everybody puts" if len(rows) == 1 else f"{rows[0][0]} and {rows[1][0]} each put",),)
            clauses = [TOLD[kind] % row for row in rows]
            if phrasing >= 2:  # a stage in one sentence
                clauses = [listed(clauses)]
            if kind == "M":
                clauses[0] = f"on {DAYS[(first + moves) % 7]} {clauses[0]}"
                moves += 1
            elif kind == "S":
                clauses[0] = f"overnight {clauses[0]}"
            told += map(capitalised, clauses)
        thing, story = facts.asked, ". ".join(told) + "."
        when = "at the end" if facts.day in (WHO, moves - 1) else f"on {DAYS[(first + facts.day) % 7]} evening"
        who, verb = facts.day == WHO, "is" if when == "at the end" else "was"
        asks = f"who has the {thing}" if who else f"where {verb} the {thing}"
        question = (
            f"{RULE} {story} {capitalised(asks)} {when}?",
            f"Find out from the following story: {asks} {when}? {RULE} {story}",
            f"Read this story. {RULE} {story} Now tell me: {asks} {when}?",
            f"{story} {RULE} {capitalised(when)}, {asks}?",
        )[phrasing]
        steps, answer = _followed(facts)
        visits = next(rows for kind, rows in facts.stages if kind == "M")
        candidates = tuple(sorted([row[0 if who else 1] for row in visits]))
        solution = f"{steps}, so {'' if who else 'the '}{answer}"
        return Posed(question, answer, "name" if who else "choice", candidates, solution)

    def solve(self, question: str) -> set[str]:
        """Play the whole story: who is where, who has what, what lies where."""
        query = _QUERY.search(question)
        if query is None or RULE not in question:
            raise ValueError(f"not a story question: {question!r}")
        asked_day, who_has, thing, on_day = query.groups()
        at: dict[str, str] = {}  # people → places; things → people, or places where they lie
        seen: dict[str, str] = {}  # days, and the end → where the thing was
        now, story = "end", question[: query.start()] + question[query.end() :]
        for day, owner, owned, one, there, goer, place, dropper, finds, left, right in _EVENT.findall(story):
            people = {who for who in at if who.istitle()}
            if day:
                now = day
            elif owner:
                at[owned] = owner
            elif one or goer:
                at[one or goer] = there or place
            elif dropper:
                droppers = people if dropper.lower() == "everybody" else {*dropper.split(" and ")}
                at |= {what: at[holder] for what, holder in at.items() if holder in droppers}
            elif finds:
                here = {at[who]: who for who in people}
                at |= {what: here[place] for what, place in at.items() if what not in people and place in here}
            else:
                now, turned = "end", {left: right, right: left}
                at = {what: turned.get(holder, holder) for what, holder in at.items()}
            seen[now] = seen["end"] = at.get(at.get(thing, ""), at.get(thing, ""))
        answer = at.get(thing) if who_has else seen.get(asked_day or on_day or "end")
        return {answer} if answer else set()


def _followed(facts: Facts) -> tuple[str, str]:
    """What happens to the thing that is asked for, in the story's words, and the answer."""
    day, holder, place, steps = 0, "", "", []
    visits: tuple[tuple[str, ...], ...] = ()
    for kind, rows in facts.stages:
        if kind == "T" and not holder:
            holder = next(who for who, where in visits if where == place)
            steps += [TOLD["M"] % (holder, place), f"{holder} takes it"]
        key = facts.asked if kind in "HLG" else holder
        row = next((row for row in rows if key in row or row == ("everybody",)), None)
        if row is not None:
            steps.append(f"{holder} puts everything down there" if kind == "D" else TOLD[kind] % row)
            place = row[1] if kind in "LM" else place
            other = row[-1] if row[0] == holder else row[0]
            holder = {"H": row[0], "G": row[-1], "D": "", "S": other}.get(kind, holder)
        if kind == "M":
            if day == facts.day:
                return ", ".join(steps), place
            visits, day = rows, day + 1
    return ", ".join(steps), holder
