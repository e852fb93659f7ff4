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
from itertools import pairwise, zip_longest
from typing import NamedTuple

from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.expression import NoExpression, fits, symbols
from reasoning_arena.envs.problem import ANSWER_TYPES, Posed
from reasoning_arena.envs.values import MAX_DIGITS, Found, fraction, listed_integers, named, numbers, whole

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
    r"about|around|approximately|roughly|nearly|almost|no|up to|hundreds?|thousands?|(?:m|b|tr)illions?|dozens?|twice|"
    r"double|triple|half|halves|thirds?|quarters?|tenths?|per ?cent|squared|cubed|close to)\b|"
    r"(?<![-=])>|[<≤≥≠~≈±]|!=",
    re.I,
)
_BOUNDED = re.compile(r"\b(?:between|over|under|above|below|near)\b", re.I)  # in front of a number
# Behind an answer: what repeats the question, or gives a reason.
_EXPLAINED = re.compile(r"\b(?:that|who|which) are\b|\bare neither\b|\b(?:is|are) in\b|\b(?:because|since)\b", re.I)
_SENTENCE_ENDS = re.compile(r"[.!?]\s|\n")
_CLAUSE = re.compile(r"[.,;:!?\n]")
_OR = re.compile(r"\bor\b", re.I)
_OPERATORS = {
    "", "+", "-", "−", "*", "×", "·", "⋅", "x", "/", "÷", "^", "**", "%", "plus", "minus", "times", "cdot", "mod",
    "point", "divided by", "multiplied by",
}  # fmt: skip
_INTRODUCTION = re.compile(r"^\s*(?:the )?(?:final )?answer(?:\s+is\b\s*:?|\s*:)\s*", re.I)
_YES_NO = re.compile(r"(?:\b(not|never|neither|hardly)\s|(n['’]t\s))?\b(yes|no(?!\s+\w+\s+are\b))\b", re.I)
_TAG = re.compile(r"<(/?)([a-z]+)>", re.I)  # <answer>9</answer>, <b>9</b>
_TAGGED = re.compile(r"\s*<answer>(.*)</answer>\s*", re.I | re.S)
_NOTHING = re.compile(r"\b(?:none|nobody|no[ -]one|nothing|empty)\b", re.I)
_ASCII_WORDS = re.compile(r"[a-z0-9]+", re.I | re.ASCII)


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
    if text in candidates:
        return text
    if answer_type == "integer" and text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return str(int(text))
    if answer_type == "text":  # of which nothing is known: the whole of it, but for how it is introduced and spaced
        tagged = _TAGGED.fullmatch(text)
        return " ".join(_INTRODUCTION.sub("", tagged[1] if tagged else text, count=1).split()) or None
    if "<" in text:
        text = _TAG.sub(lambda tag: " answer: " if tag[2].lower() == "answer" and not tag[1] else " ", text)
    if answer_type == "expression":
        return _expression(text)
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
    explained = _EXPLAINED.search(text, found[-1].end)
    end = explained.start() if explained else len(text)
    if answer_type != "yes_no" and _TAKEN_BACK.search(text, _clause_of(text, marks, begin), end):
        return None
    if answer_type in ("list", "set") and _OR.search(text, found[first].end, starts[-1]):
        return None
    if answer_type in ("integer", "rational"):
        others = found[first - 1].end if first else 0  # "9 or = 8": an "or" between two conclusions, too
        hedged = _HEDGED.search(text, begin, end) or _BOUNDED.search(text, begin, starts[-1])
        if hedged or _OR.search(text, others, end) or _calculated(text, found[first:]):
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
        return numbers(text, whole)
    if answer_type == "rational":
        return numbers(text, fraction)
    if answer_type == "yes_no":
        return [
            Found(None if match[1] or match[2] else match[3].lower(), match.start(3), match.end())
            for match in _YES_NO.finditer(text)
        ]
    if answer_type == "word":
        return [Found(match[0].lower(), match.start(), match.end()) for match in _ASCII_WORDS.finditer(text)]
    if answer_type == "list" and not items:
        return listed_integers(text)
    names = named(text, candidates or items)
    if answer_type == "set":
        names += [Found(NOTHING, match.start(), match.end()) for match in _NOTHING.finditer(text)]
        names.sort(key=lambda one: one.start)
    return names


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


def _clause_of(text: str, marks: list[re.Match[str]], begin: int) -> int:
    """Where the clause begins in which a mark states an answer: ``I doubt that the answer is`` takes it back."""
    last = next((mark for mark in reversed(marks) if mark.end() == begin), None)
    if last is None or _STATEMENTS.match(last[0]) is None:
        return begin
    earlier = max((mark.end() for mark in marks if mark.end() <= last.start()), default=0)
    return max((stop.end() for stop in _CLAUSE.finditer(text, earlier, last.start())), default=earlier)


def _contradicted(text: str, found: list[Found], marks: list[re.Match[str]], answer_type: str, value: str) -> bool:
    """Whether an answer that was stated before, up to the next mark, is another one.

    Several values that lead to a conclusion are its working: ``Answer: 5 + 4 = 9``.
    """
    starts = [one.start for one in found]
    for mark, following in zip_longest(marks, marks[1:]):
        if _STATEMENTS.match(mark[0]) is None:
            continue
        begin = bisect_right(starts, mark.end() - 1)
        end = len(found) if following is None else bisect_right(starts, following.start() - 1)
        stated = found[begin:end]
        said = _together(stated, answer_type) if stated else value
        concluded = following is not None and _STATEMENTS.match(following[0]) is None
        if said is None and concluded and not _OR.search(text, mark.end(), following.start()):
            continue
        if said != value:
            return True
    return False


def _calculated(text: str, final: list[Found]) -> bool:
    """Whether an operator stands between two numbers: ``3 * 3`` is no 3, nor is ``(3)(3)``."""
    gaps = (text[one.end : other.start] for one, other in pairwise(final))
    return any(gap.strip(" \t(){}$\\").lower() in _OPERATORS for gap in gaps if gap.strip())


def _expression(text: str) -> str | None:
    """The expression that a text is, or ends in, behind the last mark."""
    marks = list(_EXPRESSION_MARKS.finditer(text))
    begin = marks[-1].end() if marks else 0
    answer = _symbols(text[begin:])
    if _TAKEN_BACK.search(
        text, max((stop.end() for stop in _SENTENCE_ENDS.finditer(text, 0, begin)), default=0), begin
    ):
        return None
    for mark, following in pairwise(marks):  # two statements must agree
        stated = _symbols(text[mark.end() : following.start()])
        if _STATEMENTS.match(mark[0]) and stated not in (None, answer):
            return None
    return answer


def _symbols(text: str) -> str | None:
    """A text in the form of a canonical expression, or None where it is none."""
    try:
        return " ".join(symbols(text.strip(" \t\r\n$`*.{}[]"))) or None
    except NoExpression:
        return None
