r"""What an answer is worth: read one typed answer from free text, and compare it with the gold one.

Forms that mean the same are accepted (``9``, ``9.0``, ``$9``, ``nine``, ``**9**``, ``\boxed{9}``, ``Answer: 9.``, ``5
+ 4 = 9``, ``so Bob has 9 apples``); an answer that commits to nothing is not (``4 or 5``, ``yes no``, a list of all
options, ``not Bob``, ``at least 4``). Text is data: nothing of it is evaluated, whatever it holds, and the time taken
is linear in its length.

How an answer is found: every value of the expected type is located. If a conclusion mark (``answer``, ``so``, ``=``
    …) stands before the last value, only what follows the last such mark counts; otherwise all of the text does. What
    counts must hold exactly one distinct value, and nothing that takes it back; what its sentence gives as a reason,
    from ``because`` on, does not count, nor does what is headed ``Explanation:``. Two statements of the form
    ``Answer: …`` must agree. Of a list the values that count are its items, in their order; of a set its items in any
    order; of a summary every fact that the text names, which must have no more words than it may.
"""

import re
from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

from reasoning_arena.envs.commitment import (
    NOTHING,
    SENTENCE_ENDS,
    STATED,
    STATEMENTS,
    TAKEN_BACK,
    reason_in,
    revoked,
    together,
    without_reason,
)
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.expression import NoExpression, fits, symbols
from reasoning_arena.envs.problem import ANSWER_TYPES, Posed
from reasoning_arena.envs.values import (
    MAX_DIGITS,
    Found,
    amounts,
    fraction,
    improper,
    in_digits,
    listed_integers,
    named,
    numbers,
    plain,
    whole,
)

WORDS_PER_FACT = 4  # a longer summary is none


class Verdict(NamedTuple):
    """What an answer said and whether it was right.

    Attributes:
        answer: the answer in canonical form, or None where the text commits to none.
        correct: whether that is the gold answer.
    """

    answer: str | None
    correct: bool


_CONCLUDED = STATED + r"|\b(?:so|thus|hence|therefore|in total|altogether|finally)\b|(?<![!<>~])="
_NUMBER_MARKS = re.compile(
    rf"{_CONCLUDED}|\b(?:the )?(?:next|missing|final|resulting) (?:number|term|value|result|total) (?:is|will be)\b"
    r"(?! \d+ (?:lower|higher|more|less|greater|after|before)\b)"
)
_MARKS = re.compile(_CONCLUDED)
_LIST_MARKS = re.compile(
    _CONCLUDED + r"|\b(?:becomes|gives|yields)\b"
    r"|\bthe (?:(?:new|final|sorted|resulting|remaining) )?(?:(?:list|result) is|numbers are)(?: now)?\b"
)
_WORD_MARKS = re.compile(_CONCLUDED + r"|\b(?:is(?: the word(?! \w+\s*\?))?|becomes|gives|yields|gets?|got)\b|:|->|→")
_EXPRESSION_MARKS = re.compile(_CONCLUDED + r"|\b(?:is|be|expression|computes|return|python)\b|:")
_INTRODUCTION = re.compile(r"^\s*(?:the )?(?:final )?answer(?:\s+is\b\s*:?|\s*:)\s*", re.I)
_YES_NO = re.compile(
    # "No" says something of a noun, unless the clause or the line ends behind it, or begins.
    r"\b(?:(yes)(?! or no \w)|no(?=[ \t]*(?:[^\w\s-]|-(?!\w)|\n|\Z)|\s+(?:it|that|this|we|you|because|since)\b))\b"
    r"(?P<wrong>['\"*]*\s+(?:isn't|(?:is|was|would be)\s+(?:\w+\s+)?(?:not|never|wrong|false|incorrect))\b)?",
)
_BREAKS = re.compile(r"[.,;!?\n]|(?<!not):|\b(?:so|thus|hence|therefore)\b")
_NO = re.compile(r"\bno\b")
_THINKS, _THOUGHT = "<think>", "</think>"
_WORDS = re.compile(r"(?:\w|(?<=\d)[.,](?=\d)|(?<=\w)['’-](?=\w))+")
_TAG = re.compile(r"<(/?)([a-z]+)>")  # <answer>9</answer>, <b>9</b>
_TAGGED = re.compile(r"\s*<answer>(.*)</answer>\s*", re.I | re.S)
_NOTHING = re.compile(
    r"(?<!-)\b(?:none|nobody|no[ -]one|nothing|empty|no (?:people|person|things?|items?))\b(?! else)"
    r"|∅|(?<![a-z])\{\s*\\?\}|(?<![\w\]])\[ ?\]|\bset\(\)|\\(?:emptyset|varnothing)\b",
)
# LaTeX: 12\,000 and 12{,}000; what sets a formula off, or says how it is printed.
_GROUPED = re.compile(r"(?<=\d)(?:\\,|\{,\})(?=\d{3}(?!\d))")
_BARE_FRACTION = re.compile(r"\\([dt]?)frac\s*(\d)(\d)")
_PRINTED = re.compile(r"\\(?:text\w*|math\w*|[()\[\]])")
# "7 plus 5 is 12" and "two days after Tuesday is Thursday" are equations.
_CALCULATION = re.compile(
    r"((?:[-+*×÷/]|\b(?:plus|minus|times|by)\b)\s*\d[\d.,]*)\s*(?:\b(?:is|equals?|makes?|gives?)\b|->|→)"
)
_APART = re.compile(r"=\s*-\s+(?=\d)")  # 4 - 13 = - 9
_RELATION = re.compile(r"(\b(?:after|before) \w+) is\b")
_THE_ANSWER = re.compile(r"\bis (?:the|my) (?:final )?answer\b\W*\Z")
_DIGIT = re.compile(r"\d")
_ASCII_WORDS = re.compile(r"[a-z0-9]+", re.ASCII)

_MARKS_OF = {"integer": _NUMBER_MARKS, "rational": _NUMBER_MARKS, "word": _WORD_MARKS, "list": _LIST_MARKS}


def extract(text: str, answer_type: str, candidates: tuple[str, ...] = (), items: tuple[str, ...] = ()) -> str | None:
    """The one answer of that type that a text commits to, in canonical form, or None.

    Args:
        text: any string at all.
        answer_type: one of ``ANSWER_TYPES``.
        candidates: for "choice" and "name", what may be answered.
        items: for "set", "summary" and "list", what may be in it; a list without them is one of integers.

    Raises:
        ArenaError: there is no such type.
    """
    if answer_type not in ANSWER_TYPES:
        raise ArenaError(f"unknown answer type {answer_type!r}; allowed are {', '.join(ANSWER_TYPES)}")
    # The usual cases, and the fast ones.
    usual = text.removeprefix("The answer is ").removeprefix("Answer: ").removesuffix(".")
    if usual in candidates:
        return usual
    if answer_type == "integer" and usual.isdigit() and usual.isascii() and len(usual) <= MAX_DIGITS:
        return str(int(usual))
    text = _said(text)
    if answer_type == "text":  # of which nothing is known: the whole of it, but for how it is introduced and spaced
        tagged = _TAGGED.fullmatch(text)
        return " ".join(_INTRODUCTION.sub("", tagged[1] if tagged else text, count=1).split()) or None
    text = plain(text)
    if "\\" in text or "{" in text:
        text = _PRINTED.sub(" ", _GROUPED.sub(",", _BARE_FRACTION.sub(r"\\\1frac{\2}{\3}", text)))
    if "<" in text:
        text = _TAG.sub(lambda tag: " answer: " if tag[2] == "answer" and not tag[1] else " ", text)
    if answer_type in ("word", "expression"):
        text = _THE_ANSWER.sub("", text)
    if answer_type == "expression":
        return _expression(text)
    if answer_type in ("integer", "rational"):
        text = text if _DIGIT.search(text) else in_digits(text)
        if not _DIGIT.search(text):
            return None
        text = _CALCULATION.sub(r"\1 =", text)
        text = _APART.sub("= -", text) if "- " in text else text
        text = improper(text) if answer_type == "rational" and "/" in text else text
    elif answer_type in ("choice", "name") and " is" in text:
        text = _RELATION.sub(r"\1 =", text)
    found = _found(text, answer_type, candidates, items)
    if not found:
        return None

    starts = [one.start for one in found]
    marks = [] if answer_type == "summary" else [*_MARKS_OF.get(answer_type, _MARKS).finditer(text)]
    begin = max((mark.end() for mark in marks if mark.end() <= starts[-1]), default=0)
    first = bisect_right(starts, begin - 1)
    counted = found[first:]
    if len(counted) > 1:
        counted = without_reason(text, counted, answer_type)
    value = together(counted, answer_type)
    if value is None:
        return None
    return None if revoked(text, found, counted, marks, begin, answer_type, items, value) else value


def score(text: str, posed: Posed) -> Verdict:
    """What the text answers to the question, and whether it is right."""
    answer = extract(text, posed.answer_type, posed.candidates, posed.items)
    if answer is None:
        return Verdict(None, False)
    if posed.answer_type == "expression":
        return Verdict(answer, fits(symbols(answer), posed.items))
    if posed.answer_type == "summary":
        facts = posed.answer.count(", ") + 1
        return Verdict(answer, answer == posed.answer and len(_WORDS.findall(_said(text))) <= WORDS_PER_FACT * facts)
    if posed.answer_type == "text":
        return Verdict(answer, answer.removesuffix(".") == " ".join(posed.answer.split()).removesuffix("."))
    return Verdict(answer, answer == posed.answer)


def _said(text: str) -> str:
    """A text without what a model thought before it answered, or did not finish thinking."""
    if _THOUGHT in text:
        text = text.rpartition(_THOUGHT)[2]
    return text.partition(_THINKS)[0]


def _found(text: str, answer_type: str, candidates: tuple[str, ...], items: tuple[str, ...]) -> list[Found]:
    """Every value of the type that a text holds; of a set or a list, every item."""
    if answer_type == "integer":
        return numbers(text, whole)
    if answer_type == "rational":
        return numbers(text, fraction)
    if answer_type == "yes_no":
        return _yes_no(text)
    if answer_type == "word":
        return [Found(match[0], match.start(), match.end()) for match in _ASCII_WORDS.finditer(text)]
    if answer_type == "list" and not items:
        return listed_integers(text)
    names = named(text, candidates or items)
    if answer_type == "set":
        names += [Found(NOTHING, match.start(), match.end()) for match in _NOTHING.finditer(text)]
    if answer_type == "summary":  # a fact that the report does not hold
        names += [one._replace(value=None) for one in amounts(text) if one.value not in items]
    if not candidates:
        names.sort(key=lambda one: one.start)
    return names


def _yes_no(text: str) -> list[Found]:
    """Every yes and no; the value is None where the clause takes it back."""
    found: list[Found] = []
    begin = 0
    for match in _YES_NO.finditer(text):
        begin = max((stop.end() for stop in _BREAKS.finditer(text, begin, match.start())), default=begin)
        void = match["wrong"] or TAKEN_BACK.search(text, begin, match.start()) or _NO.search(text, begin, match.start())
        found.append(Found(None if void else "yes" if match[1] else "no", match.start(), match.end()))
        begin = match.end()
    return found


def _expression(text: str) -> str | None:
    """The expression that a text is, or ends in, behind the last mark."""
    statement = STATEMENTS.search(text)
    reason, until = reason_in(text, statement.end() if statement else 0, len(text))
    text = text[:reason] + text[until:] if text[:reason].strip() else text
    marks = list(_EXPRESSION_MARKS.finditer(text))
    begin = marks[-1].end() if marks else 0
    answer = _symbols(text[begin:])
    if TAKEN_BACK.search(text, max((stop.end() for stop in SENTENCE_ENDS.finditer(text, 0, begin)), default=0), begin):
        return None
    for mark, following in pairwise(marks):  # two statements must agree
        stated = _symbols(text[mark.end() : following.start()])
        if STATEMENTS.match(mark[0]) and stated not in (None, answer):
            return None
    return answer


def _symbols(text: str) -> str | None:
    """A text in the form of a canonical expression, or None where it is none."""
    try:
        return " ".join(symbols(text.strip(" \t\r\n$`*.,;\"'{}[]"))).strip("* ") or None
    except NoExpression:
        return None
