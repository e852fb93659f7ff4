"""Propositional logic: what do rules and facts say of a statement?

    Each device is either on or off. Whenever the fan is on, the lamp is off. The fan is not off. Statement: the lamp is
    on. Answer "holds" if it must be true, "fails" if it must be false and "open" if it may be either.      → fails

A chain of rules leads from a fact to the statement; where that is open, a rule of the chain does not apply. Difficulty
is the number of rules in the chain, of rules that lead nowhere, and of rules apart from all else with a fact of their
own: 1, 0, 0; 2, 1, 0; 3, 1, 0; 4, 1, 1; 5, 2, 1; from 3 on a rule may have a second condition. The rules' forms are
drawn before the answer, and whether a thing is called "on" or "not off" is drawn after all, so neither tells anything.
The last of several rules applies in both cases, so that it says nothing without the others. All rules without the fact
do: where one applies in one case only, it leaves what follows from it, or nothing.
"""

import re
from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE, capitalised

DEVICES = (
    "alarm", "blender", "boiler", "camera", "clock", "drill", "dryer", "fan", "freezer", "grill", "heater", "kettle",
    "lamp", "mixer", "monitor", "oven", "printer", "pump", "radio", "robot", "router", "scanner", "screen", "toaster",
)  # fmt: skip
# What there is, its first state, its second one, and what is said of them.
THEMES = (
    (tuple(f"the {device}" for device in DEVICES), "on", "off", "Each device is either on or off."),
    (PEOPLE, "awake", "asleep", "Each person is either awake or asleep."),
    (PEOPLE, "indoors", "outdoors", "Each person is either indoors or outdoors."),
)
SHAPES = {1: (1, 0, 0), 2: (2, 1, 0), 3: (3, 1, 0), 4: (4, 1, 1), 5: (5, 2, 1)}  # rules: chained, loose, apart
# What a rule's part on a known thing must be for it to apply, what the other part is then; "needs" is "if" backwards.
ONE_CASE = {"if": (True, True), "needs": (False, False), "or": (False, True), "bar": (True, False)}
BOTH_CASES = ("same", "either")
FORMS = (*ONE_CASE, *BOTH_CASES)
WORDING = {
    "if": ("If {}, then {}.", "Whenever {}, {}."), "or": ("{} or {}, or both.",), "fact": ("{}.",),
    "bar": ("It is impossible that {} and {}.", "It cannot be that {} and {}."),
    "same": ("{} if and only if {}.", "{} exactly when {}."), "either": ("Either {} or {}, but not both.",),
}  # fmt: skip
ANSWERS = ("fails", "holds", "open")

Part = tuple[str, bool]  # a thing, and whether it is said to be in its first state
Told = tuple[str, tuple[Part, ...]]  # which wording, and its parts; all but the last of "if" are conditions
FIRST_STATES = ("on", "awake", "indoors")
LITERAL = re.compile(r"([Tt]he \w+|[A-Z]\w+) is (not )?(on|off|awake|asleep|indoors|outdoors)\b")


class Facts(NamedTuple):
    """What is told, what is asked and how it comes out; what gets known step by step, and what does not."""

    theme: int
    told: tuple[Told, ...]
    asked: Part
    answer: str
    steps: tuple[Part, ...]
    stuck: str


class Propositional(Task):
    """Tell what holds, what fails and what stays open."""

    name = "propositional"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw the chain's forms, then the answer, then what makes each rule apply or not."""
        length, loose, apart = SHAPES[difficulty]
        theme = rng.below(len(THEMES))
        names = iter(rng.pick_distinct(THEMES[theme][0], 1 + 2 * length + loose + 2 * apart))
        forms = [rng.pick(FORMS) for _ in range(length)]
        weak = rng.below(max(1, length - 1))  # the rule that does not apply where the statement is open
        forms[weak] = rng.pick(tuple(ONE_CASE))
        if length > 1:
            forms[-1] = rng.pick(BOTH_CASES)
        answer = rng.pick(ANSWERS)
        known = (next(names), rng.random() < 0.5)
        told: list[Told] = [("fact", (known,))]
        chained, steps, stuck = [known[0]], [known], ""
        for i, form in enumerate(forms):
            applies = rng.random() < 0.5 if stuck else answer != "open" or i != weak
            two = difficulty > 2 and form in ("if", "needs") and rng.random() < 0.5
            new, known = _link(rng, form, known, next(names), next(names) if two else "", applies)
            told += new
            chained.append(known[0])
            if not stuck:
                steps += [part for _, parts in new[1:] for part in parts] + ([known] if applies else [])
                stuck = "" if applies else known[0]
        for i in range(loose + apart):
            thing = (rng.pick(chained) if i < loose else next(names), rng.random() < 0.5)
            told += _link(rng, rng.pick(FORMS), thing, next(names), "", applies=True)[0]
            told += [] if i < loose else [("fact", (thing,))]
        asked = (known[0], known[1] == (rng.random() < 0.5 if answer == "open" else answer == "holds"))
        return Facts(theme, tuple(rng.mixed(told)), asked, answer, tuple(steps), stuck)

    def content(self, facts: Facts) -> object:
        """What is told, in no order, nor the parts of a rule where their order makes no difference."""
        told = [(form, [*sorted(what[:-1]), what[-1]] if form == "if" else sorted(what)) for form, what in facts.told]
        return facts.theme, sorted(told)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """What states there are, rules and facts, then the statement."""
        _, *both, states = THEMES[facts.theme]
        sentences = []
        for form, parts in facts.told:
            *conditions, last = [_said(part, both, rng) for part in parts]
            sentence = rng.pick(WORDING[form]).format(*([" and ".join(conditions)] if conditions else []), last)
            sentences.append(capitalised(sentence))
        told, asked = " ".join(sentences), _said(facts.asked, both, rng)
        question = (
            f'{states} {told} Statement: {asked}. Answer "holds" if it must be true, "fails" if it must be false and '
            f'"open" if it may be either.',
            f"This is known. {told} {states} What about the claim that {asked}: is it certain (holds), impossible "
            f"(fails) or undecided (open)?",
            f"Judge the claim that {asked}. It holds if it must be true, it fails if it must be false, and else it is "
            f"open. {states} {told}",
            f"{told} {states} Going by this alone, is the claim that {asked} bound to be true (holds), bound to be "
            f"false (fails), or can it go either way (open)?",
        )[phrasing]
        steps = [f"{name} is {both[not first]}" for name, first in facts.steps]
        steps += [f"{facts.stuck} stays unclear"] if facts.stuck else []
        return Posed(question, facts.answer, "choice", ANSWERS, f"{', '.join(steps)}, so {facts.answer}")

    def solve(self, question: str) -> set[str]:
        """Write a truth table, each column an integer, and look at the rows in which all that is told is true."""
        asked = re.search(rf"(?:Statement: |the claim that )({LITERAL.pattern})", question)
        if asked is None:
            raise ValueError(f"not a question of propositional logic: {question!r}")
        names = sorted({name.lower() for name, _, _ in LITERAL.findall(question.replace(asked[0], asked[1]))})
        every = (1 << (1 << len(names))) - 1
        table = {(name, True): every // ((1 << (1 << i)) + 1) for i, name in enumerate(names)}
        table |= {(name, False): every ^ rows for (name, _), rows in table.items()}
        told = [part for part in re.split(r"(?<=[.?]) ", question.replace(asked[0], "")) if LITERAL.search(part)]
        worlds = reduce(and_, [_rows(sentence, table, every) for sentence in told], every)
        true = worlds & _rows(asked[1], table, every)
        return set() if not worlds else {"holds" if true == worlds else "open" if true else "fails"}


def _rows(sentence: str, table: dict[Part, int], every: int) -> int:
    """The rows of the truth table in which a sentence is true."""
    parts = [table[name.lower(), (state in FIRST_STATES) != bool(no)] for name, no, state in LITERAL.findall(sentence)]
    if sentence.startswith(("If ", "Whenever ")):
        return every ^ reduce(and_, parts[:-1]) | parts[-1]
    if sentence.startswith("It "):
        return every ^ parts[0] & parts[1]
    if sentence.startswith("Either "):
        return parts[0] ^ parts[1]
    if " if and only if " in sentence or " exactly when " in sentence:
        return every ^ parts[0] ^ parts[1]
    return parts[0] | parts[-1]


def _said(part: Part, both: Sequence[str], rng: Rng) -> str:
    """A part in words: by the state that it is in, or by the one that it is not in."""
    name, first = part
    return f"{name} is {both[not first]}" if rng.random() < 0.7 else f"{name} is not {both[first]}"


def _link(rng: Rng, form: str, known: Part, name: str, second: str, applies: bool) -> tuple[list[Told], Part]:
    """A rule from a known thing to another one, a fact on its second condition, and what becomes of the other."""
    near, far = ONE_CASE.get(form) or rng.pick(((True, form == "same"), (False, form != "same")))
    met = applies or (second != "" and rng.random() < 0.5)
    parts = [(known[0], known[1] == (near == met)), (name, rng.random() < 0.5)]
    becomes = (name, parts[1][1] == far)
    if form not in ("if", "needs"):
        return [(form, tuple(rng.mixed(parts)))], becomes
    start, end = parts if form == "if" else parts[::-1]
    conditions = [start, (second, rng.random() < 0.5)] if second else [start]
    facts: list[Told] = [("fact", ((name, first == (applies or not met)),)) for name, first in conditions[1:]]
    return [("if", (*rng.mixed(conditions), end)), *facts], becomes
