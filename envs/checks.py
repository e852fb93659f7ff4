"""What counts as a number among the arguments that users give: Python's and numpy's, but neither bools nor NaN."""

import math
from numbers import Integral, Real
from typing import TypeGuard


def is_integer(value: object, least: int = 1) -> TypeGuard[int]:
    """Whether it is an integer of at least that much."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_number(value: object) -> bool:
    """Whether it is a finite real number."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))
    except OverflowError:  # an integer that no float holds
        return False
