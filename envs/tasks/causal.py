"""Causal chains: what follows in the end from what has happened?

    Here rain causes mud and wind causes noise. Now there is wind. What follows in the end?      → noise

Difficulty is the number of chains and their length: 2×1, 3×1, 3×2, 4×3, 5×4. The rules come in random order. The chain
that is set off is drawn last and uniformly, so an answer that does not depend on it is right once in as many times as
there are chains.
"""

import re
from itertools import pairwise
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import listed

EVENTS = (
    "rain", "mud", "wind", "noise", "frost", "ice", "smoke", "fire", "heat", "drought", "hunger", "fear", "panic",
    "anger", "joy", "laughter", "dust", "fog", "thunder", "darkness", "silence", "rust", "steam", "traffic", "debt",
    "poverty", "wealth", "fever", "pain", "thirst", "doubt", "chaos", "snow", "hail", "flooding", "erosion", "decay",
    "mold", "growth", "stress",
)  # fmt: skip
SHAPES = {1: (2, 1), 2: (3, 1), 3: (3, 2), 4: (4, 3), 5: (5, 4)}  # difficulty → (chains, rules in each)


class Facts(NamedTuple):
    """Chains of events from first cause to last effect, the order of the rules, and the chain that is set off."""

    chains: tuple[tuple[str, ...], ...]
    rules: tuple[tuple[str, str], ...]
    started: int


class Causal(Task):
    """Follow a chain of causes to its last effect."""

    name = "causal"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw chains of different events, mix their rules, and set one of them off."""
        n, length = SHAPES[difficulty]
        events = rng.pick_distinct(EVENTS, n * (length + 1))
        chains = tuple([tuple(events[i * (length + 1) : (i + 1) * (length + 1)]) for i in range(n)])
        rules = rng.mixed([(a, b) for chain in chains for a, b in pairwise(chain)])
        return Facts(chains, tuple(rules), rng.below(n))

    def content(self, facts: Facts) -> object:
        """The chains, in no order."""
        return sorted(facts.chains)

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """Rules, then the event that sets a chain off."""
        verb = rng.pick(("causes", "leads to", "brings"))
        rules = f"Here {listed([f'{a} {verb} {b}' for a, b in facts.rules])}."
        chain = facts.chains[facts.started]
        start, answer = chain[0], chain[-1]
        question = (
            f"{rules} Now there is {start}. What follows in the end?",
            f"{rules} Suppose there is {start}. What is the final effect?",
            f"{rules} It starts with {start}. How does it end?",
            f"What is the last thing that follows from {start}? {rules}",
        )[phrasing]
        ends = tuple(sorted([c[-1] for c in facts.chains]))
        steps = ", ".join([f"{a} {verb} {b}" for a, b in pairwise(chain)])
        return Posed(question, answer, "choice", ends, steps)

    def solve(self, question: str) -> set[str]:
        """Walk from the event that is given until nothing more follows, along every rule there is."""
        effects: dict[str, set[str]] = {}
        for cause, effect in re.findall(r"(\w+) (?:causes|leads to|brings) (\w+)", question):
            effects.setdefault(cause, set()).add(effect)
        given = re.search(r"(?:[Tt]here is|starts with|follows from) (\w+)", question)
        if given is None or not effects:
            raise ValueError(f"not a causal question: {question!r}")
        ends, seen, frontier = set(), set(), {given[1]}
        while frontier:
            event = frontier.pop()
            seen.add(event)
            following = effects.get(event, set())
            if not following:
                ends.add(event)
            frontier |= following - seen
        return ends
