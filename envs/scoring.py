r"""What an answer is worth: read one typed answer from free text, and compare it with the gold one.

Forms that mean the same are accepted (``9``, ``9.0``, ``$9``, ``nine``, ``**9**``, ``\boxed{9}``, ``Answer: 9.``, ``5
+ 4 = 9``, ``so Bob has 9 apples``); an answer that commits to nothing is not (``4 or 5``, ``yes no``, a list of all
options, ``not Bob``, ``at least 4``). Text is data: nothing of it is evaluated, whatever it holds, and the time taken
is linear in its length.

How an answer is found: every value of the expected type is located. If a conclusion mark (``answer``, ``so``, ``=``
    …) stands before the last value, only what follows the last such mark counts; otherwise all of the text does. What
    counts must hold exactly one distinct value, and nothing that takes it back. Two statements of the form ``Answer:
    …`` must agree. Of a list the values that count are its items, in their order; of a set its items in any order; of
    a summary every fact that the text names, which must have no more words than it may.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import NamedTuple

from reasoning_arena.envs.expression import NoExpression, fits, symbols
from reasoning_arena.envs.problem import Posed

MAX_DIGITS = 30  # longer numbers are no answer to any question of the suite
NOTHING = "none"  # the empty set
WORDS_PER_FACT = 4  # a longer summary is none


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
_CONCLUDED = _STATED + r"|\b(?:so|thus|hence|therefore|in total|altogether|finally)\b|(?<![!<>~])="
_MARKS = re.compile(_CONCLUDED, re.I)
_WORD_MARKS = re.compile(_CONCLUDED + r"|\b(?:is|becomes|gives)\b|:", re.I)
_EXPRESSION_MARKS = re.compile(_CONCLUDED + r"|\b(?:is|expression|computes|return|python)\b|:", re.I)
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|neither|nor|cannot|isnt|without|except|unless|wrong|incorrect|false|either|hardly|i doubt|"
    r"far from|nothing like|instead of|rather than|(?:all|any\w*|every\w*) but)\b|n['’]t\b",
    re.I,
)
_HEDGED = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|greater|other|smaller|larger|bigger) than|or (?:more|less|fewer)|"
    r"about|around|approximately|roughly|nearly|almost|between|no|up to|over|under|above|below|hundreds?|thousands?|"
    r"[mb]illions?|dozens?|half|halves|thirds?|quarters?|tenths?|per ?cent|squared|cubed|close to|near)\b|"
    r"(?<![-=])>|[<≤≥≠~≈±]|!=",
    re.I,
)
_OR = re.compile(r"\bor\b", re.I)
_OPERATORS = {"+", "-", "−", "*", "×", "·", "x", "/", "÷", "^", "**", "plus", "minus", "times"}
# A number is not glued to letters, other digits, or a fraction; a full stop that ends a sentence may follow.
_NUMBERS = re.compile(
    r"(?<![\w.,/^])(?<![A-Za-z−-]\()(?P<sign>[-−+]|(?:\b(?:minus|negative)\s)?)(?:[$€£]\s?)?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<rest>(?:\.{2,}|[.,/^%:])?\d[\d.,/^:]*)?(?P<after>[A-Za-z_%°^/+]*)",
    re.ASCII | re.I,
)
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD_VALUES = {word: i for i, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_NUMBER_WORDS = re.compile(
    r"(?:\b(minus|negative)\s+|(?<!\w)([-−]))?"
    rf"\b(?:({'|'.join(_TENS)})[-\s]({'|'.join(_UNITS[1:10])})|({'|'.join(_TENS + _UNITS)}))\b",
    re.I,
)
_INTRODUCTION = re.compile(r"^\s*(?:the )?(?:final )?answer(?: is|:)\s*", re.I)
_FRACTION_IS_ZERO = re.compile(r"\.0+\.?")
_DECIMALS = re.compile(r"(?:\.\d+)?", re.ASCII)
_DENOMINATOR = re.compile(r"0*[1-9]\d*", re.ASCII)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s?\{(\d{1,15})\}\{(\d{1,15})\}", re.ASCII)
_LIST_ITEMS = re.compile(r"[-−+]?[\w./%^]+")
_SIGNED_INTEGER = re.compile(rf"[-−+]?\d{{1,{MAX_DIGITS}}}", re.ASCII)
_YES_NO = re.compile(r"(?:\b(not|never|neither|hardly)\s|(n['’]t\s))?\b(yes|no)\b", re.I)
_TAG = re.compile(r"<(/?)([a-z]+)>", re.I)  # <answer>9</answer>, <b>9</b>
_NOTHING = re.compile(r"\b(?:none|nobody|no[ -]one|nothing|empty)\b", re.I)
_WORDS = re.compile(r"\d+(?:[.,]\d+)+|\w+")
_ASCII_WORDS = re.compile(r"[a-z0-9]+", re.I | re.ASCII)


def extract(text: str, answer_type: str, candidates: tuple[str, ...] = (), items: tuple[str, ...] = ()) -> str | None:
    """The one answer of that type that a text commits to, in canonical form, or None.

    Args:
        text: any string at all.
        answer_type: one of ``ANSWER_TYPES``.
        candidates: for "choice" and "name", what may be answered.
        items: for "set", "summary" and "list", what may be in it; a list without them is one of integers.
    """
    # The usual cases, and the fast ones.
    if text in candidates:
        return text
    if answer_type == "integer" and text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return str(int(text))
    if answer_type == "expression":
        return _expression(text)
    if answer_type == "text":  # of which nothing is known: the whole of it, but for how it is introduced and spaced
        return " ".join(_INTRODUCTION.sub("", text, count=1).split()) or None
    if "<" in text:
        text = _TAG.sub(lambda tag: " answer: " if tag[2].lower() == "answer" and not tag[1] else " ", text)
    found = _found(text, answer_type, candidates, items)
    if not found:
        return None

    starts = [one.start for one in found]
    marks = [] if answer_type == "summary" else [*(_WORD_MARKS if answer_type == "word" else _MARKS).finditer(text)]
    begin = max((mark.end() for mark in marks if mark.end() <= starts[-1]), default=0)
    first = bisect_right(starts, begin - 1)
    value = _together(found[first:], answer_type)
    if value is None:
        return None
    if answer_type != "yes_no" and _TAKEN_BACK.search(text, begin):
        return None
    if answer_type in ("integer", "rational"):
        others = found[first - 1].end if first else 0  # "9 or = 8": an "or" between two conclusions, too
        if _HEDGED.search(text, begin) or _OR.search(text, others) or _calculated(text, found[first:]):
            return None
    if answer_type != "summary" and _contradicted(text, found, marks, answer_type, value):
        return None
    return value


def score(text: str, posed: Posed) -> Verdict:
    """What the text answers to the question, and whether it is right."""
    answer = extract(text, posed.answer_type, posed.candidates, posed.items)
    if answer is None:
        return Verdict(None, False)
    if posed.answer_type == "expression":
        return Verdict(answer, fits(symbols(answer), posed.items))
    if posed.answer_type == "summary":
        facts = posed.answer.count(", ") + 1
        return Verdict(answer, answer == posed.answer and len(text.split()) <= WORDS_PER_FACT * facts)
    if posed.answer_type == "text":
        return Verdict(answer, answer == " ".join(posed.answer.split()))
    return Verdict(answer, answer == posed.answer)


def _found(text: str, answer_type: str, candidates: tuple[str, ...], items: tuple[str, ...]) -> list[Found]:
    """Every value of the type that a text holds; of a set or a list, every item."""
    if answer_type == "integer":
        return _numbers(text, _whole)
    if answer_type == "rational":
        return _numbers(text, _fraction)
    if answer_type == "yes_no":
        return [
            Found(None if match[1] or match[2] else match[3].lower(), match.start(3), match.end())
            for match in _YES_NO.finditer(text)
        ]
    if answer_type == "word":
        return [Found(match[0].lower(), match.start(), match.end()) for match in _ASCII_WORDS.finditer(text)]
    if answer_type == "list" and not items:
        return _listed_integers(text)
    named = _named(text, candidates or items)
    if answer_type == "set":
        named += [Found(NOTHING, match.start(), match.end()) for match in _NOTHING.finditer(text)]
        named.sort(key=lambda one: one.start)
    return named


def _together(final: list[Found], answer_type: str) -> str | None:
    """The answer that the values which count make together."""
    values = [one.value for one in final if one.value is not None]
    if len(values) < len(final):
        return None
    if answer_type == "list":
        return ", ".join(values)
    if answer_type in ("set", "summary"):
        different = sorted(set(values))
        return None if NOTHING in different and len(different) > 1 else ", ".join(different)
    return values[0] if len(set(values)) == 1 else None


def _contradicted(text: str, found: list[Found], marks: list[re.Match[str]], answer_type: str, value: str) -> bool:
    """Whether an answer that was stated before, up to the next mark, is another one."""
    starts = [one.start for one in found]
    for mark, following in zip_longest(marks, marks[1:]):
        if _STATEMENTS.match(mark[0]) is None:
            continue
        begin = bisect_right(starts, mark.end() - 1)
        if answer_type in ("list", "set"):
            end = len(found) if following is None else bisect_right(starts, following.start() - 1)
        else:
            end = begin + 1
        stated = found[begin:end]
        if stated and _together(stated, answer_type) != value:
            return True
    return False


def _calculated(text: str, final: list[Found]) -> bool:
    """Whether an operator stands between two numbers: ``3 * 3`` is no 3."""
    gaps = (text[one.end : other.start].strip().lower() for one, other in pairwise(final))
    return any(gap in _OPERATORS for gap in gaps)


def _expression(text: str) -> str | None:
    """The expression that a text is, or ends in, behind the last mark."""
    marks = list(_EXPRESSION_MARKS.finditer(text))
    tail = text[marks[-1].end() :] if marks else text
    try:
        return " ".join(symbols(tail.strip(" \t\r\n$`*.{}[]"))) or None
    except NoExpression:
        return None


def _whole(digits: str, rest: str) -> str | None:
    """An integer in canonical form, written as one or with a fraction of zero."""
    return str(int(digits)) if not rest or _FRACTION_IS_ZERO.fullmatch(rest) else None


def _fraction(digits: str, rest: str) -> str | None:
    """A rational number in lowest terms, written as an integer, a decimal or a fraction."""
    rest = rest.rstrip(".,")
    if not rest or rest[0] == ".":
        return str(Fraction(digits + rest)) if _DECIMALS.fullmatch(rest) else None
    denominator = rest[1:]
    return (
        str(Fraction(int(digits), int(denominator))) if rest[0] == "/" and _DENOMINATOR.fullmatch(denominator) else None
    )


def _numbers(text: str, read: Callable[[str, str], str | None]) -> list[Found]:
    r"""All numbers of a text; words count where there are no digits, and ``\frac{7}{2}`` is ``7/2``."""
    if "\\" in text:
        text = _LATEX_FRACTION.sub(lambda match: f"{match[1]}/{match[2]}".ljust(len(match[0])), text)
    found = []
    for match in _NUMBERS.finditer(text):
        digits, rest = match["whole"].replace(",", ""), match["rest"] or ""
        glued = match["after"] or text[match.end() : match.end() + 1].isnumeric()  # as in "9²"
        value = read(digits, rest) if not glued and len(digits) + len(rest) <= MAX_DIGITS else None
        if value is not None and value != "0" and match["sign"] not in ("", "+"):
            value = f"-{value}"
        found.append(Found(value, match.start(), match.end()))
    if found or any(map(str.isdigit, text)):
        return found
    for match in _NUMBER_WORDS.finditer(text):
        minus, dash, tens, unit, single = match.groups()
        number = _WORD_VALUES[single.lower()] if single else _WORD_VALUES[tens.lower()] + _WORD_VALUES[unit.lower()]
        found.append(Found(str(-number if minus or dash else number), match.start(), match.end()))
    return found


def _listed_integers(text: str) -> list[Found]:
    """Integers in a row, with or without blanks between them; an item that is another number is None."""
    found = []
    for match in _LIST_ITEMS.finditer(text):
        item = match[0].rstrip(".")
        if any(character.isdigit() for character in item):
            whole = _SIGNED_INTEGER.fullmatch(item)
            found.append(Found(str(int(item.replace("−", "-"))) if whole else None, match.start(), match.end()))
    return found


def _named(text: str, candidates: tuple[str, ...]) -> list[Found]:
    """All candidates that a text names as whole words, the longest where several begin at one place.

    Two that make a third, as in ``north-west``, are that one.
    """
    by_first_word: dict[str, list[tuple[list[str], str]]] = {}
    for candidate in candidates:
        parts = [candidate.lower()] if candidate.isalnum() else _WORDS.findall(candidate.lower())
        if parts:
            by_first_word.setdefault(parts[0], []).append((parts, candidate))
    lowered = text.lower()
    if not any(word in lowered for word in by_first_word):
        return []
    for options in by_first_word.values():
        options.sort(key=lambda option: -len(option[0]))
    words = [(match[0].lower(), match.start(), match.end()) for match in _WORDS.finditer(text)]
    found: list[Found] = []
    i = 0
    while i < len(words):
        for parts, candidate in by_first_word.get(words[i][0], ()):
            if [word for word, _, _ in words[i : i + len(parts)]] == parts:
                found.append(Found(candidate, words[i][1], words[i + len(parts) - 1][2]))
                i += len(parts) - 1
                break
        i += 1
    return _joined(text, found, candidates)


def _joined(text: str, found: list[Found], candidates: tuple[str, ...]) -> list[Found]:
    """What was found, with two neighbours made one where they spell a third candidate."""
    joined = found[:1]
    for one in found[1:]:
        both = f"{joined[-1].value}{one.value}"
        if both in candidates and text[joined[-1].end : one.start] in (" ", "-"):
            one = Found(both, joined.pop().start, one.end)
        joined.append(one)
    return joined
