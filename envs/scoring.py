r"""What an answer is worth: read one typed answer from free text, and compare it with the gold one.

Forms that mean the same are accepted (``9``, ``9.0``, ``$9``, ``nine``, ``**9**``, ``\boxed{9}``, ``Answer: 9.``, ``5
+ 4 = 9``, ``so Bob has 9 apples``); an answer that commits to nothing is not (``4 or 5``, ``yes no``, a list of all
options, ``not Bob``, ``at least 4``). Text is data: nothing of it is evaluated, whatever it holds, and the time taken
is linear in its length.

How an answer is found: every value of the expected type is located. If a conclusion mark (``answer``, ``so``, ``=``
    …) stands before the last value, only what follows the last such mark counts; otherwise all of the text does. What
    counts must hold exactly one distinct value, and nothing that takes it back. Two statements of the form ``Answer:
    …`` must agree.
"""

import re
from bisect import bisect_right
from typing import NamedTuple

from reasoning_arena.envs.problem import Posed

MAX_DIGITS = 30  # longer numbers are no answer to any question of the suite


class Verdict(NamedTuple):
    """What an answer said and whether it was right.

    Attributes:
        answer: the answer in canonical form, or None where the text commits to none.
        correct: whether that is the gold answer.
    """

    answer: str | None
    correct: bool


class Found(NamedTuple):
    """A value in a text; ``value`` is None for one that is of the type but can be no answer, such as ``9.5``."""

    value: str | None
    start: int
    end: int


_STATED = r"\banswer(?:s|ed)?\b(?:\s+is\b|\s*[:=])?|\\boxed\b|####"
_STATEMENTS = re.compile(_STATED, re.I)
_CONCLUSIONS = re.compile(_STATED + r"|\b(?:so|thus|hence|therefore|in total|altogether|finally)\b|=", re.I)
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|neither|nor|cannot|isnt|without|except|unless|wrong|incorrect|false|either)\b|n['’]t\b",
    re.I,
)
_HEDGED = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|greater|other|smaller|larger|bigger) than|or (?:more|less|fewer)|"
    r"about|around|approximately|roughly|nearly|almost|between|no|up to|over|under|above|below)\b|[<>≤≥≠~≈±]|!=",
    re.I,
)
# A number is not glued to letters, other digits, or a fraction; a full stop that ends a sentence may follow.
_NUMBERS = re.compile(
    r"(?<![\w.,/^])(?P<sign>[-−+]?)(?:[$€£]\s?)?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<rest>[.,/^%:]?\d[\d.,/^:]*)?"
    r"(?P<after>[A-Za-z_%°^/]*)",
    re.ASCII,
)
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD_VALUES = {word: i for i, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_NUMBER_WORDS = re.compile(
    rf"\b(?:(minus|negative)\s+)?(?:({'|'.join(_TENS)})[-\s]({'|'.join(_UNITS[1:10])})|({'|'.join(_TENS + _UNITS)}))\b",
    re.I,
)
_FRACTION_IS_ZERO = re.compile(r"\.0+\.?")
_YES_NO = re.compile(r"\b(yes|no)\b", re.I)
_WORDS = re.compile(r"\w+")


def extract(text: str, answer_type: str, candidates: tuple[str, ...] = ()) -> str | None:
    """The one answer of that type that a text commits to, in canonical form, or None.

    Args:
        text: any string at all.
        answer_type: one of ``ANSWER_TYPES``.
        candidates: for "choice" and "name", what may be answered.
    """
    if answer_type == "integer":
        if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:  # the usual case, and the fast one
            return str(int(text))
        found = _integers(text)
    elif answer_type == "yes_no":
        found = [Found(match[0].lower(), match.start(), match.end()) for match in _YES_NO.finditer(text)]
    else:
        if text in candidates:
            return text
        found = _named(text, candidates)
    if not found:
        return None

    starts = [one.start for one in found]
    begin = 0
    for mark in _CONCLUSIONS.finditer(text):
        if mark.end() <= starts[-1]:
            begin = mark.end()
    final = found[bisect_right(starts, begin - 1) :]
    value = final[0].value
    if any(one.value != value for one in final):
        return None
    if answer_type != "yes_no" and _TAKEN_BACK.search(text, begin):
        return None
    if answer_type == "integer" and _HEDGED.search(text, begin):
        return None
    for mark in _STATEMENTS.finditer(text):  # an answer that was stated before must be the same
        after = bisect_right(starts, mark.end() - 1)
        if after < len(found) and found[after].value != value:
            return None
    return value


def score(text: str, posed: Posed) -> Verdict:
    """What the text answers to the question, and whether it is right."""
    answer = extract(text, posed.answer_type, posed.candidates)
    return Verdict(answer, answer == posed.answer)


def _integers(text: str) -> list[Found]:
    """All numbers of a text; words count where there are no digits."""
    found = []
    for match in _NUMBERS.finditer(text):
        digits, rest = match["whole"].replace(",", ""), match["rest"] or ""
        whole = not match["after"] and (not rest or _FRACTION_IS_ZERO.fullmatch(rest) is not None)
        value = None
        if whole and len(digits) <= MAX_DIGITS:
            number = int(digits)
            value = str(-number if match["sign"] in ("-", "−") else number)
        found.append(Found(value, match.start(), match.end()))
    if found or any(character.isdigit() for character in text):
        return found
    for match in _NUMBER_WORDS.finditer(text):
        minus, tens, unit, single = match.groups()
        number = _WORD_VALUES[single.lower()] if single else _WORD_VALUES[tens.lower()] + _WORD_VALUES[unit.lower()]
        found.append(Found(str(-number if minus else number), match.start(), match.end()))
    return found


def _named(text: str, candidates: tuple[str, ...]) -> list[Found]:
    """All candidates that a text names as whole words, the longest where several begin at one place."""
    by_first_word: dict[str, list[tuple[list[str], str]]] = {}
    for candidate in candidates:
        parts = _WORDS.findall(candidate.lower())
        if parts:
            by_first_word.setdefault(parts[0], []).append((parts, candidate))
    for options in by_first_word.values():
        options.sort(key=lambda option: -len(option[0]))
    words = [(match[0].lower(), match.start(), match.end()) for match in _WORDS.finditer(text)]
    found, i = [], 0
    while i < len(words):
        for parts, candidate in by_first_word.get(words[i][0], ()):
            if [word for word, _, _ in words[i : i + len(parts)]] == parts:
                found.append(Found(candidate, words[i][1], words[i + len(parts) - 1][2]))
                i += len(parts) - 1
                break
        i += 1
    return found
