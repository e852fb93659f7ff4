"""Word problems: how many are there now?

    Emma has 7 pens. Emma buys 5 more. How many pens does Emma have now?      → 12

Difficulty is the number and kind of steps: one sum; two sums; one product and one sum; three steps; four steps with a
division among them. No answer is a number that the question shows.
"""

import operator
import re
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import PEOPLE

ITEMS = (
    "apples", "pens", "books", "coins", "marbles", "stamps", "cards", "shells", "eggs", "cookies", "stickers", "balls",
    "plums", "keys", "cups", "nuts",
)  # fmt: skip
# Which operations may come at each step of a difficulty.
STEPS = {1: ("+-",), 2: ("+-", "+-"), 3: ("*", "+-"), 4: ("*", "+-", "+-"), 5: ("+-", "*", "+-", "/")}
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}
LARGEST = {"+": 20, "-": 20, "*": 5, "/": 9}  # the largest number that a step may bring in
WORDING = {
    "+": ("{who} buys {k} more.", "{who} finds {k} more.", "A friend gives {who} {k} more."),
    "-": ("{who} gives away {k}.", "{who} loses {k}.", "{who} sells {k}."),
    "*": ("An uncle makes it {k} times as many.", "Soon {who} has {k} times as many."),
    "/": ("{who} shares them equally among {k} boxes and keeps one box.",),
}


class Facts(NamedTuple):
    """Who has what, how many at first, and what happens to them."""

    person: str
    item: str
    start: int
    steps: tuple[tuple[str, int], ...]
    numbers: tuple[int, ...]  # what there is after each step


class Math(Task):
    """Count through what happens to a collection."""

    name = "math"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw steps until all of them are possible and the answer is none of the numbers shown."""
        while True:
            start = total = rng.between(2, 20 if difficulty == 1 else 30)
            steps, numbers = [], []
            for kinds in STEPS[difficulty]:
                kind = kinds[rng.below(len(kinds))]
                k = rng.between(2, 9 if difficulty == 1 else LARGEST[kind])
                if (kind == "-" and k >= total) or (kind == "/" and total % k):
                    break
                total = OPERATIONS[kind](total, k)
                steps.append((kind, k))
                numbers.append(total)
            else:
                if total != start and total not in [k for _, k in steps]:
                    return Facts(rng.pick(PEOPLE), rng.pick(ITEMS), start, tuple(steps), tuple(numbers))

    def content(self, facts: Facts) -> object:
        """What happens to how many of which things; whose they are does not count."""
        return facts.item, facts.start, facts.steps

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """A story of one sentence a step."""
        who, item = facts.person, facts.item
        story = " ".join([rng.pick(WORDING[kind]).format(who=who, k=k) for kind, k in facts.steps])
        question = (
            f"{who} has {facts.start} {item}. {story} How many {item} does {who} have now?",
            f"{who} starts with {facts.start} {item}. {story} How many {item} does {who} end up with?",
            f"At first {who} has {facts.start} {item}. {story} What is the number of {item} that {who} has in the end?",
            f"How many {item} are left with {who} after this? {who} owns {facts.start} {item}. {story}",
        )[phrasing]
        before = (facts.start, *facts.numbers)
        worked = ", ".join([f"{before[i]} {kind} {k} = {before[i + 1]}" for i, (kind, k) in enumerate(facts.steps)])
        return Posed(question, str(facts.numbers[-1]), "integer", (), worked)

    def solve(self, question: str) -> set[str]:
        """Read the story sentence by sentence and keep count."""
        opening = re.search(r"(\w+) (?:has|starts with|owns) (\d+) (\w+)\.", question)
        if opening is None:
            raise ValueError(f"not a word problem: {question!r}")
        count = int(opening[2])
        for sentence in re.findall(r"[^.?]+[.?]", question[opening.end() :]):
            numbers = [int(number) for number in re.findall(r"\d+", sentence)]
            if not numbers:
                continue
            (k,) = numbers
            if "times as many" in sentence:
                count *= k
            elif "shares them equally" in sentence:
                if count % k:
                    return set()
                count //= k
            elif re.search(r"\b(buys|finds|gives \w+ \d+ more)\b", sentence):
                count += k
            elif re.search(r"\b(gives away|loses|sells)\b", sentence):
                count -= k
            else:
                raise ValueError(f"unreadable sentence: {sentence!r}")
            if count < 0:
                return set()
        return {str(count)}
