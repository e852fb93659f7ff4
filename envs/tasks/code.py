"""Code: write the expression that turns the inputs into the outputs.

    Complete def f(x): return ___ so that it fits all of these examples, given as x -> output: 1 -> 5; 2 -> 8; 6 -> 20.
    Use only x, whole numbers, +, -, * and parentheses, at most 24 symbols.      → 3 * x + 2

Difficulty 1 takes one step: ``x + b``, ``x - b``, ``b - x``, ``a * x``. 2 takes two: ``a * x + b``, ``a * x - b``,
``b - a * x``. 3 has two variables, ``a * x + b * y + c`` and ``x * y + c``, and is shown near 0. 4 is quadratic:
``a * x * x + b * x + c``, where b may be 0. 5 multiplies two variables, and is shown farther off:
``(x + a) * (y + b)``, ``a * x * y + c``, ``a * x * y + b * x + c * y + d``. The numbers are of either sign.

Any expression that fits the pairs is right. Of the declared ones exactly one does: three inputs determine a polynomial
of degree 2, the corners of a square one of degree 1 in x and in y, and equal functions are written in one way, what is
added before what is subtracted, and products of sums multiplied out. No constant fits, so no number is an answer. The
split goes by the pairs: a function may be asked for in two splits, from different inputs.
"""

import re
from itertools import product
from typing import NamedTuple

from reasoning_arena.envs.expression import MAX_SYMBOLS, fits, symbols
from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task

Terms = tuple[int, int, int, int]  # the factors of x * x (or x * y, where there is a y), x, y and 1
Pair = tuple[tuple[int, ...], int]  # the inputs and the output
# What ``solve`` tries: factors of x * x or x * y, of x and of y.
SQUARES, FACTORS = range(-2, 6), range(-9, 10)
_PAIR = re.compile(r"(\d+)(?:, (\d+))? -> (-?\d+)")


class Facts(NamedTuple):
    """A function, and pairs of its inputs and output."""

    terms: Terms
    pairs: tuple[Pair, ...]


class Code(Task):
    """Write an expression that fits pairs of inputs and output."""

    name = "code"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a function of the level and the inputs on which it is shown."""
        terms, inputs = _drawn(rng, difficulty)
        p, q, r, c = terms
        pairs = [(xy, p * xy[0] * xy[-1] + q * xy[0] + (r * xy[1] if r else 0) + c) for xy in inputs]
        return Facts(terms, tuple(pairs))

    def content(self, facts: Facts) -> object:
        """The pairs."""
        return facts.pairs

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The pairs, and what the expression may be made of."""
        two = len(facts.pairs[0][0]) > 1
        names = "x, y" if two else "x"
        items = tuple([f"{', '.join(map(str, xy))} -> {output}" for xy, output in facts.pairs])
        shown = "; ".join(items)
        may = f"Use only {names}, whole numbers, +, -, * and parentheses, at most {MAX_SYMBOLS} symbols."
        question = (
            f"Write an expression that fits these pairs, given as {names} -> output: {shown}. {may}",
            f"Complete def f({names}): return ___ so that it fits all of these examples, given as {names} -> output: "
            f"{shown}. {may}",
            f"What does this program compute? It shows {names} -> output as follows: {shown}. {may}",
            f"{shown}. These are inputs and outputs of one formula, {names} -> output; find it. {may}",
        )[phrasing]
        answer = _written(facts.terms, two)
        return Posed(question, answer, "expression", (), f"{_derived(facts)}, so {answer}", items)

    def solve(self, question: str) -> set[str]:
        """Try all factors of the declared families; the first pair settles what is added."""
        pairs = _PAIR.findall(question)
        if not pairs:
            raise ValueError(f"not a code question: {question!r}")
        two = bool(pairs[0][1])
        rows = [(int(x), int(y or x), int(output)) for x, y, output in pairs]
        items = tuple([match[0] for match in _PAIR.finditer(question)])
        found, (x0, y0, output0) = set(), rows[0]
        for p, q, r in product(SQUARES, FACTORS, FACTORS if two else (0,)):
            c = output0 - p * x0 * y0 - q * x0 - r * y0
            if (p or q or r) and all(p * x * y + q * x + r * y + c == output for x, y, output in rows):
                found.add(_written((p, q, r, c), two))
        return {text for text in found if fits(symbols(text), items)}


def _drawn(rng: Rng, difficulty: int) -> tuple[Terms, list[tuple[int, ...]]]:
    """A function of the level and the inputs to show it on, those that determine it first."""
    kind, x, y = rng.below(3), rng.between(1, 8), 0
    if difficulty == 1:
        b, inputs = rng.between(1, 30), sorted(rng.pick_distinct(range(1, 16), 3))
        if rng.random() < 0.25:
            return (0, rng.between(2, 9), 0, 0), [(x,) for x in inputs]
        if kind == 0:  # taken from an input that is larger
            return (0, 1, 0, -b), [(x + b,) for x in inputs]
        return ((0, 1, 0, b) if kind == 1 else (0, -1, 0, b + 15)), [(x,) for x in inputs]
    if difficulty == 2:
        a, b, c = rng.between(2, 9), rng.between(1, 20), rng.between(20, 80)
        return ((0, a, 0, b), (0, a, 0, -b), (0, -a, 0, c))[kind], [(x,), (x + 1,), (x + rng.between(2, 9),)]
    if difficulty == 4:
        a = rng.pick((1, 1, 2, 3, -1, -2))
        c = rng.between(1, 40) if a < 0 else _nonzero(rng, 30)
        return (a, rng.between(-9, 9), 0, c), [(0,), (1,), (2,), (x + 2,), (rng.between(11, 15),)]
    b, c, d = _nonzero(rng, 9), _nonzero(rng, 9), _nonzero(rng, 20)
    if difficulty == 3:
        x, far = 0, (rng.between(2, 9), rng.between(2, 9))
        terms = ((1, 0, 0, d), (0, abs(b), c, d), (0, c, abs(b), d))[kind]
    else:
        y, far = rng.between(1, 8), (rng.between(10, 12), rng.between(10, 12))
        a = rng.between(2, 5)
        terms = ((1, b, c, b * c), (a, 0, 0, d), (a - 1, b, c, d))[kind]
    return terms, [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), far]


def _nonzero(rng: Rng, most: int) -> int:
    number = rng.between(1, most)
    return number if rng.random() < 0.5 else -number


def _written(terms: Terms, two: bool) -> str:
    """The one way to write a function: a sum, and then what is subtracted."""
    names = ("x * y" if two else "x * x", "x", "y", "")
    added = [_times(factor, name) for factor, name in zip(terms, names, strict=True) if factor > 0]
    taken = [f" - {_times(-factor, name)}" for factor, name in zip(terms, names, strict=True) if factor < 0]
    return " + ".join(added or ["0"]) + "".join(taken)


def _times(factor: int, name: str) -> str:
    return name if factor == 1 and name else f"{factor} * {name}" if name else str(factor)


def _signed(number: int) -> str:
    return f"+ {number}" if number > 0 else f"- {-number}"


def _difference(first: int, *others: int) -> str:
    """What is taken from the first number, and what is left."""
    taken = " ".join([_signed(-other) for other in others])
    return f"{first} {taken} = {first - sum(others)}"


def _derived(facts: Facts) -> str:
    """How the factors follow from the first pairs."""
    (p, q, r, c), pairs = facts.terms, facts.pairs
    (at, u), ((x1, *_), v), (_, w) = pairs[:3]
    x = at[0]
    if len(at) > 1:
        y, z = at[1], pairs[3][1]
        steps = [_difference(v, u), _difference(w, u), _difference(z, w), _difference(z - w, v - u)]
        if x:
            steps += [_difference(v - u, p * y), _difference(w - u, p * x), _difference(u, p * x * y, q * x, r * y)]
    elif p:
        steps = [_difference(v, u), _difference(w, v), _difference(w - v, v - u), f"{2 * p} / 2 = {p}"]
        steps.append(_difference(v - u, p))
    elif c == 0:
        steps = [f"{u} / {x} = {q}", f"{v} / {x1} = {q}"]
    elif q == 1:
        steps = [_difference(u, x), _difference(v, x1)] if c > 0 else [_difference(x, u), _difference(x1, v)]
    elif q == -1:
        steps = [_difference(u, -x), _difference(v, -x1)]
    else:
        steps = [_difference(v, u), _difference(u, q * x)]
    return ", ".join(steps)
