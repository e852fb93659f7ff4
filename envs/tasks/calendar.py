"""Calendar and clock: on which day, or how much later, when events are told relative to each other?

    The concert is on a Tuesday. The exam is 16 days after the concert.
    On which day of the week, Monday to Sunday, is the exam?      → Thursday

What is asked is a day of the week, from 2 on a day of the month, or how many minutes lie between two departures.
Difficulty is how many steps lead to the answer (1, 2, 3, 4, 6; to a day of the month one less) and how many events are
told besides (0, 0, 1, 2, 3). From 2 on they come in any order, from 3 on gaps may be weeks and days or hours and
minutes.

The first day of the week is drawn uniformly, and gaps leave every remainder by 7 equally often: whatever day is named,
every day is as likely to be the answer. No number that the question shows is one.
"""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

EVENTS = (
    "concert", "exam", "match", "wedding", "picnic", "play", "race", "dance", "parade", "lecture", "auction", "banquet",
    "recital", "party", "meeting", "interview", "trial", "ball", "lunch", "hike", "ceremony", "debate", "sale", "quiz",
)  # fmt: skip
COLORS = ("red", "blue", "green", "white", "black", "yellow", "brown", "silver")
DEPARTURES = tuple(f"{color} {vehicle}" for color in COLORS for vehicle in ("bus", "train", "ferry"))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CANDIDATES = tuple(sorted(WEEKDAYS))
MONTHS = {
    "January": 31, "February": 28, "March": 31, "April": 30, "May": 31, "June": 30, "July": 31, "August": 31,
    "September": 30, "October": 31, "November": 30, "December": 31,
}  # fmt: skip
YEARS = tuple(year for year in range(2001, 2060) if year % 4)  # none of them is a leap year
DATES = tuple((day, month) for month, days in MONTHS.items() for day in range(1, days + 1))  # of one year
# Difficulty → what is asked, steps to the answer, events besides, and the range of the gaps; any of these.
SHAPES = {
    1: (("weekday", 1, 0, 2, 22), ("minutes", 1, 0, 15, 180)),
    2: (("weekday", 2, 0, 2, 22), ("minutes", 2, 0, 15, 120), ("date", 1, 0, 8, 28)),
    3: (("weekday", 3, 1, 2, 43), ("minutes", 3, 1, 15, 120), ("date", 2, 1, 8, 28)),
    4: (("weekday", 4, 2, 2, 43), ("minutes", 4, 2, 15, 100), ("date", 3, 2, 8, 28)),
    5: (("weekday", 6, 3, 2, 43), ("minutes", 6, 3, 15, 100), ("date", 5, 3, 8, 28)),
}
SIZES = {"weekday": 7 * 99, "date": 365, "minutes": 1440}  # days or minutes that there are
WHEN = {"weekday": "is on a", "date": "is on", "minutes": "leaves at"}
# Told of the later event and of the earlier one.
TOLD = (
    ("The {0} {verb} {gap} after the {1}.", "The {0} {verb} {gap} before the {1}."),
    ("The {0} {verb} {gap} after the {1}.", "The {0} {verb} {gap} before the {1}."),
    ("It is {gap} from the {1} on to the {0}.", "It is {gap} from the {1} back to the {0}."),
    ("Count {gap} forward from the {1} to get to the {0}.", "Count {gap} back from the {1} to get to the {0}."),
)
QUERIES = {
    "weekday": (
        "On which day of the week, Monday to Sunday, is the {1}?",
        "Which of the days from Monday to Sunday is the day of the {1}?",
        "Tell me the day of the week, from Monday to Sunday, of the {1}.",
        "The {1} is on one of the days from Monday to Sunday; name it.",
    ),
    "date": (
        "On which day of the month, as a number, is the {1}?",
        "What is the number of the day of the month on which the {1} is?",
        "Tell me the number of the day of the month of the {1}.",
        "The {1} is on some day of a month; give the number of that day.",
    ),
    "minutes": (
        "How many minutes after the {0} does the {1} leave?",
        "By how many minutes does the {0} leave before the {1}?",
        "Tell me the minutes from the {0} to the {1}.",
        "Somebody sees the {0} leave and waits for the {1}; give the minutes of waiting.",
    ),
}
_NOUN = "|".join(EVENTS + DEPARTURES)
_QUERIES = [
    (asks, re.sub(r"{(\d)}", rf"(?P<e\1>{_NOUN})", query.replace("?", r"\?")))
    for asks, queries in QUERIES.items()
    for query in queries
]
_GAP = r"(?P<gap>\d+ \w+(?: and \d+ \w+)?)"
_CLUES = (
    rf"The (?P<a>{_NOUN}) (?:is|leaves) {_GAP} (?P<way>after|before) the (?P<b>{_NOUN})",
    rf"It is {_GAP} from the (?P<b>{_NOUN}) (?P<way>on|back) to the (?P<a>{_NOUN})",
    rf"Count {_GAP} (?P<way>forward|back) from the (?P<b>{_NOUN}) to get to the (?P<a>{_NOUN})",
)


class Facts(NamedTuple):
    """Events on one line of time, each told by its distance from one before; the last of the steps is asked about."""

    asks: str
    year: int
    events: tuple[str, ...]
    moments: tuple[int, ...]  # days of a week or a year, the first being 0, or minutes of a day
    steps: int
    links: tuple[tuple[int, int, bool], ...]  # events whose distance is told: the earlier, the later, which comes first
    fixed: tuple[int, ...]  # events whose day or time is told
    order: tuple[int, ...]  # in which links, then fixed events, are told
    long_units: bool  # weeks and days, hours and minutes
    answer: str


class Calendar(Task):
    """Count days and minutes from event to event."""

    name = "calendar"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw events on one line of time until the answer is none of the numbers shown."""
        asks, steps, besides, low, high = rng.pick(SHAPES[difficulty])
        n, size, random = steps + 1 + besides, SIZES[asks], rng.random
        long_units = difficulty > 2 and asks != "date" and random() < 0.5
        answer, shown = 0, [0]
        while answer in shown:
            moments, links = [0], []
            for i in range(1, n):
                near, gap, later = i - 1 if i <= steps else rng.below(i), rng.between(low, high), random() < 0.5
                moments.append(moments[near] + gap if later else moments[near] - gap)
                links.append((near, i, random() < 0.5) if later else (i, near, random() < 0.5))
            span = max(moments) - min(moments)
            if span >= size:
                continue
            first = rng.below((size - span) // 7 * 7) - min(moments)  # so that any day of the week is as likely
            moments, at = [first + moment for moment in moments], rng.below(steps)
            if asks == "minutes":  # two times instead of a distance
                del links[at]
            fixed = (at, at + 1) if asks == "minutes" else (0,)
            gaps = [moments[b] - moments[a] for a, b, _ in links]
            shown = [0, *gaps, *[part for gap in gaps for part in divmod(gap, 60)]]
            if asks == "minutes":
                answer = abs(moments[steps] - moments[0])
                shown += [*divmod(moments[at], 60), *divmod(moments[at + 1], 60)]
            elif asks == "date":
                answer = DATES[moments[steps]][0]
                shown.append(DATES[moments[0]][0])
            else:
                answer = -1  # a day of the week is no number
        said = WEEKDAYS[moments[steps] % 7] if asks == "weekday" else str(answer)
        year = rng.pick(YEARS) if asks == "date" else 0
        events = tuple(rng.pick_distinct(DEPARTURES if asks == "minutes" else EVENTS, n))
        told = range(len(links) + len(fixed))
        order = tuple(rng.mixed(told) if difficulty > 1 else told[::-1])
        return Facts(asks, year, events, tuple(moments), steps, tuple(links), fixed, order, long_units, said)

    def content(self, facts: Facts) -> object:
        """What is told of the events, in no order; the year makes no difference."""
        events, moments = facts.events, facts.moments
        gaps = sorted([(events[a], events[b], moments[b] - moments[a]) for a, b, _ in facts.links])
        fixed = sorted([(events[i], _said(facts.asks, moments[i])) for i in facts.fixed])
        return gaps, fixed

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """What is told of the events, and the question about one of them or two."""
        asks, events, moments, steps = facts.asks, facts.events, facts.moments, facts.steps
        verb, told = "leaves" if asks == "minutes" else "is", []
        for a, b, turned in facts.links:
            gap = _gap(moments[b] - moments[a], asks, facts.long_units)
            one, other = (events[a], events[b]) if turned else (events[b], events[a])
            told.append(TOLD[phrasing][turned].format(one, other, verb=verb, gap=gap))
        for i in facts.fixed:
            year = f" {facts.year}" if facts.year else ""
            told.append(f"The {events[i]} {WHEN[asks]} {_said(asks, moments[i])}{year}.")
        text = " ".join([told[i] for i in facts.order])
        if asks == "minutes":
            text = f"All of them leave on one day. {text}"
        start, end = (steps, 0) if asks == "minutes" and moments[steps] < moments[0] else (0, steps)
        query = QUERIES[asks][phrasing].format(events[start], events[end])
        question = f"{query} {text}" if phrasing == 1 else f"{text} {query}"
        candidates = CANDIDATES if asks == "weekday" else ()
        return Posed(question, facts.answer, "choice" if candidates else "integer", candidates, _worked(facts))

    def solve(self, question: str) -> set[str]:
        """Put every event on a real calendar, from those whose time is told to all others."""
        known: dict[str, datetime] = {}
        for event, weekday in re.findall(rf"The ({_NOUN}) is on a ([A-Z]\w+day)\b", question):
            known[event] = datetime(2024, 1, 1 + WEEKDAYS.index(weekday))  # which was a Monday
        for event, date in re.findall(rf"The ({_NOUN}) is on (\d+ \w+ \d+)", question):
            known[event] = datetime.strptime(date, "%d %B %Y")
        for event, hour, minute in re.findall(rf"The ({_NOUN}) leaves at (\d+):(\d+)", question):
            known[event] = datetime(2024, 1, 1, int(hour), int(minute))
        gaps = []
        for clue in (clue for wording in _CLUES for clue in re.finditer(wording, question)):
            units = {unit.rstrip("s") + "s": int(k) for k, unit in re.findall(r"(\d+) (\w+)", clue["gap"])}
            gap = timedelta(**units) * (-1 if clue["way"] in ("before", "back") else 1)
            gaps += [(clue["b"], clue["a"], gap), (clue["a"], clue["b"], -gap)]
        for _ in gaps:
            known |= {a: known[b] + gap for b, a, gap in gaps if b in known and a not in known}
        asks, asked = next(
            ((asks, found) for asks, query in _QUERIES if (found := re.search(query, question))), ("", None)
        )
        if asked is None or not {*asked.groups()} <= {*known}:
            raise ValueError(f"not a calendar question, or one without an answer: {question!r}")
        if any(known[a] - known[b] != gap for b, a, gap in gaps if b in known and a in known):
            return set()  # what is told contradicts itself
        moment = known[asked["e1"]]
        if asks == "minutes":
            return {str((moment - known[asked["e0"]]) // timedelta(minutes=1))}
        return {WEEKDAYS[moment.weekday()] if asks == "weekday" else str(moment.day)}


def _said(asks: str, moment: int) -> str:
    """A day of the week, a date without its year, or a time."""
    if asks == "weekday":
        return WEEKDAYS[moment % 7]
    return "{} {}".format(*DATES[moment]) if asks == "date" else f"{moment // 60}:{moment % 60:02}"


def _gap(gap: int, asks: str, long_units: bool) -> str:
    """A distance in words: "16 days", or "2 weeks and 2 days"."""
    long, unit, size = ("hour", "minute", 60) if asks == "minutes" else ("week", "day", 7)
    parts = ((gap // size, long), (gap % size, unit)) if long_units else ((gap, unit),)
    return " and ".join([f"{k} {name}{'s' * (k > 1)}" for k, name in parts if k])


def _worked(facts: Facts) -> str:
    """Every step from what is told to the answer."""
    asks, moments, fixed, worked = facts.asks, facts.moments, facts.fixed, []
    steps = [(i + 1, i) for i in range(fixed[0])][::-1] + [(i, i + 1) for i in range(fixed[-1], facts.steps)]
    for a, b in steps:
        gap, sign = abs(moments[b] - moments[a]), "+" if moments[b] > moments[a] else "-"
        before, after, by = _said(asks, moments[a]), _said(asks, moments[b]), str(gap)
        if asks == "weekday":  # whole weeks change nothing
            by = str(gap % 7)
            if gap > 6 and not facts.long_units:
                worked.append(f"{gap} - {gap - gap % 7} = {by}")
        elif asks == "minutes":
            by = _said(asks, gap)
        else:
            (day, month), (_, other) = DATES[moments[a]], DATES[moments[b]]
            if month != other:  # count on from the first month's end, or back from the last one's
                passed = f"{day + gap} - {MONTHS[month]}" if sign == "+" else f"{day} + {MONTHS[other]} - {gap}"
                before, by = f"{before} {sign} {gap}: {passed}", ""
        worked.append(f"{before} {sign} {by} = {after}" if by else f"{before} = {after}")
    if asks == "minutes":
        start, end = sorted((moments[0], moments[facts.steps]))
        hours = end // 60 - start // 60
        sixties = f"{end // 60} - {start // 60} = {hours}, {hours} * 60 = {hours * 60}, {hours * 60} + " * (hours > 0)
        worked.append(f"{sixties}{end % 60} - {start % 60} = {end - start}")
    return ", ".join(worked)
