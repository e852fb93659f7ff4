r"""What an answer is worth: read one typed answer from free text, and compare it with the gold one.

Forms that mean the same are accepted (``9``, ``9.0``, ``$9``, ``nine``, ``**9**``, ``\boxed{9}``, ``Answer: 9.``, ``5
+ 4 = 9``, ``so Bob has 9 apples``); an answer that commits to nothing is not (``4 or 5``, ``yes no``, a list of all
options, ``not Bob``, ``at least 4``). Text is data: nothing of it is evaluated, whatever it holds, and the time taken
is linear in its length.

How an answer is found: every value of the expected type is located. If a conclusion mark (``answer``, ``so``, ``=``
    …) stands before the last value, only what follows the last such mark counts; otherwise all of the text does. What
    counts must hold exactly one distinct value, and nothing that takes it back; what its sentence gives as a reason,
    from ``because`` on, does not count. Two statements of the form ``Answer: …`` must agree. Of a list the values
    that count are its items, in their order; of a set its items in any order; of a summary every fact that the text
    names, which must have no more words than it may.
"""

import re
from bisect import bisect_right
from itertools import pairwise, zip_longest
from typing import NamedTuple

from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.expression import NoExpression, fits, symbols
from reasoning_arena.envs.problem import ANSWER_TYPES, Posed
from reasoning_arena.envs.values import (
    MAX_DIGITS,
    NUMBER_WORDS,
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


# A text is in lower case, and plain, before it is searched: that is faster than to search without regard to case.
_STATED = r"\banswer(?:s|ed)?\b(?:\s+(?:is|must be|should be|has to be)\b|\s*[:=])?|\\boxed\b|####"
_STATEMENTS = re.compile(_STATED)
_CONCLUDED = _STATED + r"|\b(?:so|thus|hence|therefore|in total|altogether|finally)\b|(?<![!<>~])="
_MARKS = re.compile(_CONCLUDED)
_LIST_MARKS = re.compile(_CONCLUDED + r"|\b(?:becomes|gives|yields)\b")
_WORD_MARKS = re.compile(_CONCLUDED + r"|\b(?:is|becomes|gives|yields|gets?|got)\b|:|->|→")
_EXPRESSION_MARKS = re.compile(_CONCLUDED + r"|\b(?:is|be|expression|computes|return|python)\b|:")
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|neither|nor|cannot|isnt|without|except|unless|wrong|incorrect|false|either|hardly|i doubt|"
    r"far from|nothing like|instead of|rather than|(?:all|any\w*|every\w*) but|other than|besides(?!,)|excluding|"
    r"(?:apart|aside) from|ruled out|(?:the )?opposite of|no longer|(?:some|any)\w* else)\b|n't\b|!=|≠|~~|\?\s*no\b",
)
_HEDGED = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|greater|smaller|larger|bigger) than|or (?:more|less|fewer)|"
    r"about|around|approximately|roughly|nearly|almost|no|up to|tens|hundreds?|thousands?|(?:m|b|tr)illions?|dozens?|"
    r"twice|double|triple|half|halves|thirds?|quarters?|tenths?|per ?cent|squared|cubed|close to|sqrt|roots? of)\b|"
    r"(?<![-=])>|[<≤≥~≈±√]",
)
_BOUNDED = re.compile(r"\b(?:between|over|under|above|below|near)\b")  # in front of a number
_REASON = re.compile(r"\b(?:because|since)\b")
_ALTERNATIVE = re.compile(r"\b(?:or|maybe|perhaps|possibly|otherwise)\b")
# Behind an answer: what repeats the question, or gives a reason.
_EXPLAINED = re.compile(rf"\b(?:that|who|which) are\b|\bare neither\b|\b(?:is|are) in\b|{_REASON.pattern}")
# In front of an answer: "The number of bowls that are not tiny is".
_SUBJECT = re.compile(r"\s*the (?:number of|people|things)\b")
_FILTER = re.compile(r"\b(?:(?:that|who|which) are|and|but|in|are) (?:not|neither)\b|\bnor\b")
# A list or a set that goes on.
_OPEN = re.compile(r"\.\.\.|…|\b(?:etc|and so on|others?|(?:some|every)(?:one|body|thing)|the rest)\b")
_NUMBER_WORD_LISTED = re.compile(rf"(?:,|;|\band)\s*(?:{NUMBER_WORDS})\b")
_OPERATION = re.compile(r"[+×÷]|\b(?:plus|times|(?<=\d )minus)\b")
_WITH_A_WORD = re.compile(  # 9 + one
    rf"(?:{_OPERATION.pattern})\s*(?:{NUMBER_WORDS})\b|\b(?:{NUMBER_WORDS})\s*(?:{_OPERATION.pattern})"
)
_SENTENCE_ENDS = re.compile(r"[.!?]\s|\n")
_STATEMENT_ENDS = re.compile(rf"{_SENTENCE_ENDS.pattern}|{_REASON.pattern}")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_CLAUSE = re.compile(r"[.,;:!?\n]")
_OR = re.compile(r"\bor\b")
_OPERATORS = {
    "", "+", "-", "*", "×", "·", "⋅", "x", "/", "÷", "^", "**", "%", "plus", "minus", "times", "cdot", "mod",
    "point", "divided by", "multiplied by",
}  # fmt: skip
_LIST_OPERATORS = _OPERATORS - {"", "-"}  # dashes are bullets, too
_INTRODUCTION = re.compile(r"^\s*(?:the )?(?:final )?answer(?:\s+is\b\s*:?|\s*:)\s*", re.I)
_YES_NO = re.compile(
    # "No" says something of a noun, unless the clause or the line ends behind it, or begins.
    r"\b(?:(yes)|no(?=[ \t]*(?:[^\w\s-]|-(?!\w)|\n|\Z)|\s+(?:it|that|this|we|you|because|since)\b))\b"
    r"(?P<wrong>['\"*]*\s+(?:is|was|would be)\s+(?:not|never|wrong|false|incorrect)\b)?",
)
_BREAKS = re.compile(r"[.,;!?\n]|(?<!not):|\b(?:so|thus|hence|therefore)\b")
_NO = re.compile(r"\bno\b")
_THOUGHT = "</think>"
_TAG = re.compile(r"<(/?)([a-z]+)>")  # <answer>9</answer>, <b>9</b>
_TAGGED = re.compile(r"\s*<answer>(.*)</answer>\s*", re.I | re.S)
_NOTHING = re.compile(
    r"(?<!-)\b(?:none|nobody|no[ -]one|nothing|empty|no (?:people|person|things?|items?))\b(?! else)"
    r"|∅|(?<![a-z])\{\s*\\?\}|\\(?:emptyset|varnothing)\b",
)
# LaTeX: 12\,000 and 12{,}000; what sets a formula off, or says how it is printed.
_GROUPED = re.compile(r"(?<=\d)(?:\\,|\{,\})(?=\d{3}(?!\d))")
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

_MARKS_OF = {"word": _WORD_MARKS, "list": _LIST_MARKS}


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
    if _THOUGHT in text:  # what a model thought before it answered
        text = text.rpartition(_THOUGHT)[2]
    if answer_type == "text":  # of which nothing is known: the whole of it, but for how it is introduced and spaced
        tagged = _TAGGED.fullmatch(text)
        return " ".join(_INTRODUCTION.sub("", tagged[1] if tagged else text, count=1).split()) or None
    text = plain(text)
    if "\\" in text or "{" in text:
        text = _PRINTED.sub(" ", _GROUPED.sub(",", text))
    if "<" in text:
        text = _TAG.sub(lambda tag: " answer: " if tag[2] == "answer" and not tag[1] else " ", text)
    if answer_type in ("word", "expression"):
        text = _THE_ANSWER.sub("", text)
    if answer_type == "expression":
        return _expression(text)
    if answer_type in ("integer", "rational"):
        text = _CALCULATION.sub(r"\1 =", text if _DIGIT.search(text) else in_digits(text))
        text = _APART.sub("= -", text) if "- " in text else text
        text = improper(text) if answer_type == "rational" and "/" in text else text
    elif answer_type in ("choice", "name"):
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
        counted = _without_reason(text, counted, answer_type)
    value = _together(counted, answer_type)
    if value is None:
        return None
    last = counted[-1]
    explained = _EXPLAINED.search(text, last.end)
    end = explained.start() if explained else len(text)
    if answer_type != "yes_no" and _taken_back(text, _clause_of(text, marks, begin), begin, counted[0].start, end):
        return None
    if answer_type in ("list", "set", "summary") and _OR.search(text, counted[0].end, last.start):
        return None
    if answer_type in ("list", "set") and _OPEN.search(text, counted[0].end, end):
        return None
    if answer_type == "list" and _no_list(text, counted, end):
        return None
    if answer_type in ("integer", "rational"):
        hedged = _HEDGED.search(text, begin, end) or _BOUNDED.search(text, begin, last.start)
        if hedged or _calculated(text, counted):
            return None
        # "9 or = 8": an "or" between two conclusions, too, if one sentence holds them.
        others, until = found[first - 1].end if first else 0, max(end, starts[-1])
        if _OR.search(text, others, until):
            others = max((stop.end() for stop in _SENTENCE_ENDS.finditer(text, others, begin)), default=others)
            if _OR.search(text, others, until):
                return None
        if _OPERATION.search(text, begin, end) and _WITH_A_WORD.search(text, begin, end):
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
        void = (
            match["wrong"] or _TAKEN_BACK.search(text, begin, match.start()) or _NO.search(text, begin, match.start())
        )
        found.append(Found(None if void else "yes" if match[1] else "no", match.start(), match.end()))
        begin = match.end()
    return found


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


def _reason(text: str, begin: int, end: int) -> tuple[int, int]:
    """From where to where a reason stands that begins there: to the end of its sentence; nowhere if there is none.

    A second reason may be one for another answer, and so may one with an alternative: these are no reasons.
    """
    reason = _REASON.search(text, begin, end)
    if reason is None:
        return end, end
    stop = _SENTENCE_ENDS.search(text, reason.end())
    until = stop.start() if stop else len(text)
    if _REASON.search(text, reason.end(), until) or _ALTERNATIVE.search(text, reason.end(), until):
        return end, end
    return reason.start(), until


def _without_reason(text: str, counted: list[Found], answer_type: str) -> list[Found]:
    """What counts without the values of a reason; an item that it adds to a list, or a "no" to a "yes", leaves none."""
    begin, end = _reason(text, counted[0].end, counted[-1].start)
    kept = [one for one in counted if not begin < one.start < end]
    if answer_type in ("list", "set", "summary", "yes_no") and {one.value for one in counted} > {
        one.value for one in kept
    }:
        return [one._replace(value=None) for one in counted]
    return kept


def _taken_back(text: str, clause: int, begin: int, first: int, end: int) -> bool:
    """Whether an answer is negated; the filter of a question that is repeated in front of it does not count."""
    if not _TAKEN_BACK.search(text, clause, end):
        return False
    subject = _SUBJECT.match(text, clause) if clause == begin else None
    head = text[clause:first].rstrip(" :") if subject else ""
    if head.endswith((" is", " are")):
        return any(_TAKEN_BACK.search(part) for part in (_FILTER.sub("", head), text[first:end]))
    return True


def _no_list(text: str, counted: list[Found], end: int) -> bool:
    """Whether a list is a calculation, or goes on in words: ``3 + 5`` and ``3, 5, seven``."""
    gaps = {text[one.end : other.start].strip(" \t") for one, other in pairwise(counted)}
    return bool(gaps & _LIST_OPERATORS) or _NUMBER_WORD_LISTED.search(text, counted[0].end, end) is not None


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
        if begin < end and not _ALPHANUMERIC.search(text, mark.end(), starts[begin]):  # the answer itself, not working
            stop = _STATEMENT_ENDS.search(text, found[begin].end)
            end = min(end, bisect_right(starts, stop.start())) if stop else end
        stated = found[begin:end]
        said = _together(stated, answer_type) if stated else value
        if said is None and following is not None:
            if mark[0].isalpha() and _STATEMENTS.match(following[0]):
                continue  # "Answer yes or no. Answer: no" repeats the question
            if not _STATEMENTS.match(following[0]) and not _OR.search(text, mark.end(), following.start()):
                continue
        if said != value:
            return True
    return False


def _calculated(text: str, final: list[Found]) -> bool:
    """Whether an operator stands between two numbers: ``3 * 3`` is no 3, nor is ``(3)(3)``."""
    gaps = {text[one.end : other.start] for one, other in pairwise(final)} - {" ("}  # 3/2 (1.5)
    return any(gap.strip(" \t(){}$\\") in _OPERATORS for gap in gaps if gap.strip())


def _expression(text: str) -> str | None:
    """The expression that a text is, or ends in, behind the last mark."""
    statement = _STATEMENTS.search(text)
    if statement:
        reason, until = _reason(text, statement.end(), len(text))
        text = text[:reason] + text[until:]
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
        return " ".join(symbols(text.strip(" \t\r\n$`*.;\"'{}[]"))) or None
    except NoExpression:
        return None
