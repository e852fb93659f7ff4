"""Small programs: which number does it print?

    Which number does this program print?
    a = 7
    b = a * 3
    b = b - a
    print b      → 14

Difficulty 1 is two steps from one number; 2 four steps about two numbers; 3 adds an if with its else; 4 a loop that
repeats before the if, and a variable that does not matter; 5 an if within a while loop, then a loop that repeats, and
two such variables. What a block means is said in the question. No answer is a number that the program shows.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

LETTERS = "abcdefghkmnpqrstuvwxyz"  # the names of variables
PLACES = "ABCD"  # what stands for a variable until it has its name
MEANINGS = {
    "if": "The lines from if to else are run only when the comparison is true, those from else to end if only when it "
    "is false.",
    "repeat": "The lines from repeat to end repeat are run that many times.",
    "while": "The lines from while to end while are run again as long as the comparison is true.",
}
VARIABLES = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4}  # that have a value at first
LARGEST = 999  # that a variable may hold
MOST_STEPS = 1000  # of the solver's run
_LINE = re.compile(
    r"[a-z] = (\d+|[a-z])( [-+*] (\d+|[a-z]))?|(if|while) [a-z] [<>] (\d+|[a-z])|else|repeat \d+ times|"
    r"end (if|repeat|while)|print [a-z]"
)
Block = list[tuple[list[str], list["Block"]]]  # lines, with the blocks that they open
Choice = tuple[str, str, int, str, str]  # if A < 7 then this step, else that one


class Facts(NamedTuple):
    """The lines with places instead of names, the names, what is printed and its value, and what happens."""

    lines: tuple[str, ...]
    names: tuple[str, ...]
    printed: str
    answer: int
    worked: tuple[str, ...]


class Program(Task):
    """Run a program in one's head."""

    name = "program"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Write programs until one keeps to small numbers and prints a number that it does not show."""
        while True:
            writer = _Writer(rng, VARIABLES[difficulty])
            printed = _write(rng, difficulty, writer)
            answer, lines = writer.values[printed], "\n".join(writer.lines)
            if writer.fits and f" {answer} " not in f" {lines} ".replace("\n", " "):
                names = tuple(rng.pick_distinct(LETTERS, len(PLACES)))
                return Facts(tuple(writer.lines), names, printed, answer, tuple(writer.worked))

    def content(self, facts: Facts) -> object:
        """The lines; neither the names nor which variable is printed count."""
        return facts.lines

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """What is asked, what the blocks mean, and the program."""
        names = dict(zip(map(ord, PLACES), facts.names, strict=True))
        program = "\n".join((*facts.lines, f"print {facts.printed}")).translate(names)
        request = (
            "Which number does this program print?",
            "Run this program line by line and tell which number it prints.",
            "A computer works through these lines from top to bottom. What does it print?",
            "Here is a program. Find the number that its last line prints.",
        )[phrasing]
        opening = " ".join([request, *(meaning for word, meaning in MEANINGS.items() if f"end {word}" in program)])
        worked = f"{', '.join(facts.worked).translate(names)}, so {facts.answer}"
        return Posed(f"{opening}\n{program}", str(facts.answer), "integer", (), worked)

    def solve(self, question: str) -> set[str]:
        """Parse the lines of the program and run it."""
        lines = question.split("\n")[1:]
        if not lines or not all(map(_LINE.fullmatch, lines)):
            raise ValueError(f"not a program: {question!r}")
        block, closing = _parse(iter([line.split() for line in lines[:-1]]))
        values: dict[str, int] = {}
        try:
            _run(block, values, iter(range(MOST_STEPS)))
            printed = values[lines[-1].removeprefix("print ")]
        except (KeyError, IndexError) as error:
            raise ValueError(f"not a program: {question!r}") from error
        return {str(printed)} if not closing else set()


def _parse(lines: Iterator[list[str]]) -> tuple[Block, list[str]]:
    """The lines up to the one that closes their block, and that one."""
    block: Block = []
    for line in lines:
        if line[0] in ("else", "end"):
            return block, line
        parts: list[Block] = []
        closing = ["else"] if line[0] in MEANINGS else ["end", line[0]]
        while closing == ["else"]:
            part, closing = _parse(lines)
            parts.append(part)
        if closing != ["end", line[0]]:
            raise ValueError(f"{line[0]} is closed by {closing}")
        block.append((line, parts))
    return block, []


def _run(block: Block, values: dict[str, int], steps: Iterator[int]) -> None:
    """Run the lines of a block on the values of the variables, as long as there are steps left."""

    def value(term: str) -> int:
        return values[term] if term.isalpha() else int(term)

    def holds(line: list[str]) -> bool:
        if next(steps, None) is None:
            raise ValueError("the program does not end")
        return value(line[1]) < value(line[3]) if line[2] == "<" else value(line[1]) > value(line[3])

    for line, parts in block:
        if line[0] == "repeat":
            for _ in range(int(line[1])):
                _run(parts[0], values, steps)
        elif line[0] == "while":
            while holds(line):
                _run(parts[0], values, steps)
        elif line[0] == "if":
            _run(parts[not holds(line)], values, steps)
        else:
            a, b = value(line[2]), value(line[-1])
            kind = line[3] if len(line) > 3 else "="
            values[line[0]] = {"+": a + b, "-": a - b, "*": a * b, "=": a}[kind]


class _Writer:
    """Writes a program and keeps the values of its variables meanwhile."""

    def __init__(self, rng: Rng, variables: int) -> None:
        self.rng, self.fits = rng, True
        self.values = {place: rng.between(2, 30) for place in PLACES[:variables]}
        self.lines = [f"{place} = {value}" for place, value in self.values.items()]
        self.worked: list[str] = []

    def step(self, target: str, source: str, other: str = "") -> str:
        """A line that makes the target of the source, and perhaps of the other one; neither large nor negative."""
        rng, value = self.rng, self.values[source]
        kind = rng.pick("+-*") if 3 < value < 100 else "+"
        if kind == "*":
            return f"{target} = {source} * {rng.between(2, 5)}"
        if other and rng.random() < 0.5 and (kind == "+" or self.values[other] < value):
            return f"{target} = {source} {kind} {other}"
        return f"{target} = {source} {kind} {rng.between(2, 20 if kind == '+' else min(20, value))}"

    def choice(self, compared: str, target: str, other: str) -> Choice:
        """An if with a different step for either case."""
        kind, bound = self.rng.pick("<>"), max(1, self.values[compared] + self.rng.between(-6, 6))
        case = otherwise = self.step(target, target, other)
        while case == otherwise:
            otherwise = self.step(target, target, other)
        return compared, kind, bound, case, otherwise

    def add(self, *steps: str | Choice, loop: str = "", times: int = 1, aside: str = "") -> None:
        """Write steps and do them; in a loop so many times, with one more line that does not matter."""
        written = []
        for step in steps:
            written += (
                [step]
                if isinstance(step, str)
                else [f"if {' '.join(map(str, step[:3]))}", step[3], "else", step[4], "end if"]
            )
        self.lines += [loop, *written, aside, f"end {loop.split()[0]}"] if loop else written
        for step in steps * times:
            if not isinstance(step, str):
                compared, kind, bound, case, otherwise = step
                value = self.values[compared]
                holds = value < bound if kind == "<" else value > bound
                if not loop:
                    self.worked.append(f"{value} {kind} {bound} is {'true' if holds else 'false'}")
                step = case if holds else otherwise
            target, _, source, kind, right = step.split()
            a, b = self.values[source], self.values[right] if right in self.values else int(right)
            result = self.values[target] = a + b if kind == "+" else a - b if kind == "-" else a * b
            self.fits = self.fits and 0 <= result <= LARGEST
            self.worked.append(f"{target} = {result}" if loop else f"{target} = {a} {kind} {b} = {result}")


def _write(rng: Rng, difficulty: int, writer: _Writer) -> str:
    """Write a program of that difficulty, and say which variable it prints."""
    if difficulty == 1:
        a = rng.pick("AB")
        writer.add(writer.step(a, "A"))
        writer.add(writer.step(a, a, "A" if a == "B" else ""))
        return a
    a, b, *asides = rng.mixed(PLACES[: VARIABLES[difficulty]])
    if difficulty == 2:
        for target, other in rng.mixed(((a, b), (a, b), (b, a), (b, a))):
            writer.add(writer.step(target, target, other))
        return a
    times = rng.between(3, 4) + (difficulty == 5)  # of its first loop
    if difficulty < 5:
        writer.add(writer.step(b, b, a))
        if difficulty == 4:
            steps = rng.mixed((f"{a} = {a} {rng.pick('++-')} {b}", f"{b} = {b} {rng.pick('++-')} {rng.between(2, 6)}"))
            writer.add(*steps, loop=f"repeat {times} times", times=times, aside=writer.step(asides[0], asides[0], a))
        writer.add(writer.choice(rng.pick((a, b)), a, b))
        if difficulty == 3:
            writer.add(f"{b} = {b} {'+-'[writer.values[b] > writer.values[a]]} {a}")
        return rng.pick((a, b)) if difficulty == 3 else a
    value, by, kind = writer.values[a], rng.between(3, 9), "+"
    loop = f"while {a} < {value + times * by - rng.below(by)}"
    if value > times * by and rng.random() < 0.7:
        kind, loop = "-", f"while {a} > {value - times * by + rng.below(by)}"
    cases = f"{b} = {b} - {rng.between(2, 9)}", f"{b} = {b} + {rng.pick((a, str(rng.between(5, 15))))}"
    choice = (b, ">", max(1, writer.values[b] + rng.between(-4, 12)), *cases)
    writer.add(choice, f"{a} = {a} {kind} {by}", loop=loop, times=times, aside=writer.step(asides[0], asides[0], b))
    times, last = rng.between(3, 4), f"{b} = {b} + {rng.pick((a, str(rng.between(2, 9))))}"
    writer.add(last, loop=f"repeat {times} times", times=times, aside=writer.step(asides[1], asides[1], asides[0]))
    writer.add(f"{a} = {a} {'+-'[writer.values[a] > writer.values[b]]} {b}")
    return rng.pick((a, b))
