"""Arithmetic that an answer may hold: ``3 * (x + 1)``, parsed and interpreted here, under limits on its size.

    expression = term, { ("+" | "-"), term }
    term       = factor, { "*", factor }
    factor     = "-", factor | number | "x" | "y" | "(", expression, ")"

A variable or a parenthesis may follow a factor directly, as in ``3x``, ``xy`` and ``2(x + 1)``: that is a product.
"""

import re
from collections.abc import Mapping

MAX_SYMBOLS = 24
_MAX_TEXT = 200
_SYMBOL = re.compile(r"\s*(?:(\d{1,6})(?!\d)|([xy])(?![A-WZa-wz])|([-+*()·⋅×]|\\(?:cdot|times)\b))", re.ASCII)
_TIMES = {"·", "⋅", "×", "\\cdot", "\\times"}


class NoExpression(ValueError):
    """A text that is no expression, or too large a one."""


def symbols(text: str) -> list[str]:
    """The symbols that an expression is made of.

    Raises:
        NoExpression: it holds something else, or more than ``MAX_SYMBOLS``.
    """
    found: list[str] = []
    text, end = text.strip(), 0
    if len(text) > _MAX_TEXT:
        raise NoExpression("too long")
    while end < len(text):
        match = _SYMBOL.match(text, end)
        if match is None or len(found) == MAX_SYMBOLS:
            raise NoExpression("an unknown symbol, or too many")
        symbol = match[0].strip()
        found.append("*" if symbol in _TIMES else symbol)
        end = match.end()
    return found


def evaluate(expression: list[str], variables: Mapping[str, int]) -> int:
    """The value of an expression.

    Args:
        expression: its symbols.
        variables: the values of ``x`` and ``y``, as far as they may be used.

    Raises:
        NoExpression: the symbols are no expression, or use another variable.
    """
    position = 0

    def peek() -> str:
        return expression[position] if position < len(expression) else ""

    def total() -> int:
        nonlocal position
        value = product()
        while peek() in ("+", "-"):
            sign = 1 if peek() == "+" else -1
            position += 1
            value += sign * product()
        return value

    def product() -> int:
        nonlocal position
        value = factor()
        while peek() and peek() not in "+-)":
            if peek() == "*":
                position += 1
            elif peek().isdigit():
                raise NoExpression("a number behind another factor")
            value *= factor()
        return value

    def factor() -> int:
        nonlocal position
        symbol = peek()
        position += 1
        if symbol == "-":
            return -factor()
        if symbol.isdigit():
            return int(symbol)
        if symbol in variables:
            return variables[symbol]
        if symbol == "(":
            value = total()
            if peek() != ")":
                raise NoExpression("a parenthesis is open")
            position += 1
            return value
        raise NoExpression(f"{symbol!r} where a value belongs")

    value = total()
    if position < len(expression):
        raise NoExpression(f"{peek()!r} behind the end")
    return value


def fits(expression: list[str], pairs: tuple[str, ...]) -> bool:
    """Whether an expression gives the output of every pair such as ``2 -> 7`` or ``2, 3 -> 7``."""
    for pair in pairs:
        inputs, output = pair.split(" -> ")
        variables = dict(zip("xy", map(int, inputs.split(", ")), strict=False))
        try:
            if evaluate(expression, variables) != int(output):
                return False
        except NoExpression:
            return False
    return True
