"""Number sequences: which number comes next?

    What number comes next? 3, 5, 7, 9, 11      → 13

Difficulty 1 adds or subtracts a small constant. 2 has larger constants and constant factors; 3 two alternating steps
and steps that grow; 4 sums of the two terms before and two sequences interleaved; 5 a factor and a step at once, and
steps that grow downwards. From 3 on the numbers are large: to a model, small ones are easier than any rule is hard.

A sequence has no proved continuation unless the rules are declared: ``solve`` knows this module's seven rules, and
every one of them that fits the numbers shown must give the same next number.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task


class Facts(NamedTuple):
    """The numbers shown, the next one, and all of them as a worked solution has them."""

    terms: tuple[int, ...]
    answer: int
    worked: str


class Sequence(Task):
    """Continue a sequence of integers by one."""

    name = "sequence"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a rule of the level and its numbers."""
        rules = {
            1: (_small_steps,),
            2: (_large_steps, _factor),
            3: (_two_steps, _growing_step),
            4: (_sum_of_two, _interleaved),
            5: (_factor_and_step, _growing_step_down),
        }[difficulty]
        return rng.pick(rules)(rng)

    def content(self, facts: Facts) -> object:
        """The numbers."""
        return facts.terms

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The numbers in a row."""
        terms = ", ".join(map(str, facts.terms))
        question = (
            f"What number comes next? {terms}",
            f"Continue the sequence with one number: {terms}, ...",
            f"{terms}, ? Which number replaces the question mark?",
            f"A list of numbers follows one rule: {terms}. Give the number after the last one.",
        )[phrasing]
        return Posed(question, str(facts.answer), "integer", (), f"{facts.worked}, so {facts.answer}")

    def solve(self, question: str) -> set[str]:
        """Fit every declared rule to the numbers shown."""
        x = [int(number) for number in re.findall(r"-?\d+", question)]
        if len(x) < 4:
            raise ValueError(f"not a sequence question: {question!r}")
        return {str(value) for value in _continuations(x)}


def _shown(numbers: Iterable[int], step: str = "") -> Facts:
    """All but the last of these numbers.

    A step that is the same everywhere is written between all of them: "3 +2 5 +2 7". It has to be found once and can
    then be repeated, which a small language model learns much sooner than to add it to the last number, or to continue
    the numbers alone.
    """
    *terms, answer = numbers
    return Facts(tuple(terms), answer, (f" {step} " if step else ", ").join(map(str, [*terms, answer])))


def _arithmetic(rng: Rng, shown: int, low: int, high: int, most: int) -> range:
    """Some terms and the next one, all from 1 to ``most``, rising or falling by a constant."""
    step = rng.between(low, high)
    first = rng.between(1, most - shown * step)
    numbers = range(first, first + step * (shown + 1), step)
    return numbers[::-1] if rng.random() < 0.5 else numbers


def _small_steps(rng: Rng) -> Facts:
    """From the first number to the second one by one, and as far from the last: "12 to 14: 12 13 14, 18 19 20".

    A small language model learns to count, and where to stop, sooner than to tell a difference at once.
    """
    *terms, answer = _arithmetic(rng, rng.between(4, 6), 1, 5, 99)
    sign = 1 if answer > terms[-1] else -1
    there, on = range(terms[0], terms[1] + sign, sign), range(terms[-1], answer + sign, sign)
    worked = f"{terms[0]} to {terms[1]}: {' '.join(map(str, there))}, {' '.join(map(str, on))}"
    return Facts(tuple(terms), answer, worked)


def _large_steps(rng: Rng) -> Facts:
    numbers = _arithmetic(rng, 5, 11, 40, 400)
    return _shown(numbers, f"{numbers.step:+}")


def _factor(rng: Rng) -> Facts:
    factor = rng.between(2, 3)
    numbers = [rng.between(1, 60)]
    for _ in range(5):
        numbers.append(numbers[-1] * factor)
    return _shown(numbers, f"*{factor}")


def _two_steps(rng: Rng) -> Facts:
    a, b = rng.pick_distinct(range(21, 200), 2)
    if rng.random() < 0.5:
        b = -b
    numbers = [rng.between(601, 900)]
    for i in range(6):
        numbers.append(numbers[-1] + (a, b)[i % 2])
    return _shown(numbers)


def _growing(rng: Rng, sign: int) -> Facts:
    start, step, growth = rng.between(101, 400), rng.between(41, 160), rng.between(21, 90)
    numbers = [start if sign > 0 else start + 5 * step + 15 * growth]
    for i in range(5):
        numbers.append(numbers[-1] + sign * (step + i * growth))
    return _shown(numbers)


def _growing_step(rng: Rng) -> Facts:
    return _growing(rng, 1)


def _growing_step_down(rng: Rng) -> Facts:
    return _growing(rng, -1)


def _sum_of_two(rng: Rng) -> Facts:
    numbers = [rng.between(41, 400), rng.between(41, 400)]
    for _ in range(5):
        numbers.append(numbers[-2] + numbers[-1])
    return _shown(numbers)


def _interleaved(rng: Rng) -> Facts:
    p, q = rng.between(1, 900), rng.between(1, 900)
    a, b = rng.pick_distinct(range(21, 90), 2)  # equal ones would repeat two steps
    return _shown([*(number for i in range(3) for number in (p + a * i, q + b * i)), p + 3 * a])


def _factor_and_step(rng: Rng) -> Facts:
    factor, step = rng.between(3, 4), rng.between(11, 99)
    if rng.random() < 0.5:
        step = -step
    numbers = [rng.between(51, 99)]
    for _ in range(5):
        numbers.append(numbers[-1] * factor + step)
    return _shown(numbers, f"*{factor} {step:+}")


def _continuations(x: list[int]) -> set[int]:
    """The next number by each declared rule that fits ``x``, which has at least four terms."""
    n, found = len(x), set()
    d = [b - a for a, b in pairwise(x)]
    if len(set(d)) == 1:  # a constant step
        found.add(x[-1] + d[0])
    if x[0] and all(b * x[0] == a * x[1] for a, b in pairwise(x)) and x[1] % x[0] == 0:
        found.add(x[-1] * (x[1] // x[0]))  # a constant integer factor
    if all(d[i] == d[i - 2] for i in range(2, n - 1)):  # two steps in turn
        found.add(x[-1] + d[-2])
    growth = {b - a for a, b in pairwise(d)}
    if len(growth) == 1:  # a step that grows by a constant
        found.add(x[-1] + d[-1] + growth.pop())
    if all(x[i] == x[i - 1] + x[i - 2] for i in range(2, n)):  # the sum of the two before
        found.add(x[-1] + x[-2])
    if n >= 6:  # two sequences of constant step, interleaved; fewer terms would not determine them
        halves = x[0::2], x[1::2]
        if all(len({b - a for a, b in pairwise(h)}) == 1 for h in halves):
            turn = halves[n % 2]
            found.add(2 * turn[-1] - turn[-2])
    if d[0] and d[1] % d[0] == 0:  # a factor and a step at once
        factor = d[1] // d[0]
        step = x[1] - factor * x[0]
        if all(b == factor * a + step for a, b in pairwise(x)):
            found.add(factor * x[-1] + step)
    return found
