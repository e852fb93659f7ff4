"""The random numbers of the problem generators: equal on every platform and Python version.

Everything is derived from ``random.Random.random()``, the one method whose sequence Python documents as stable across
versions; ``choice``, ``sample`` and ``shuffle`` carry no such promise. It is also several times faster than a scalar
draw from a numpy ``Generator``.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Rng(random.Random):
    """A stream of problems' random choices."""

    def below(self, n: int) -> int:
        """A uniform integer in ``[0, n)``."""
        return int(self.random() * n)

    def between(self, low: int, high: int) -> int:
        """A uniform integer in ``[low, high]``, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """One item, uniformly."""
        return items[int(self.random() * len(items))]

    def pick_distinct(self, items: Sequence[T], k: int) -> list[T]:
        """``k`` different items in random order."""
        pool, draw, n = list(items), self.random, len(items)
        for i in range(k):
            j = i + int(draw() * (n - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:k]

    def mixed(self, items: Sequence[T]) -> list[T]:
        """All items in random order."""
        return self.pick_distinct(items, len(items))
