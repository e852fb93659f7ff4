"""Whether a text stands by the answer that it names: what takes one back, hedges it, contradicts it or gives a reason.

A text is in lower case, and plain, before it is searched: that is faster than to search without regard to case.
"""

import re
from bisect import bisect_right
from itertools import pairwise, zip_longest

from reasoning_arena.envs.values import NUMBER_WORDS, Found, said_in_words

NOTHING = "none"  # the empty set
STATED = r"\banswer(?:s|ed)?\b(?:\s+(?:is|must be|should be|has to be)\b|\s*[:=])?|\\boxed\b|####"
STATEMENTS = re.compile(STATED)
TAKEN_BACK = re.compile(
    r"\b(?:not|never|neither|nor|cannot|isnt|without|except|unless|wrong|incorrect|false|either|hardly|i doubt|"
    r"far from|nothing like|instead of|rather than|(?:all|any\w*|every\w*) but|other than|besides(?!,)|exclud\w+|"
    r"(?:apart|aside) from|ruled out|(?:the )?opposite of|no longer|(?:some|any)\w* else|by no means|no way|nope|cant|"
    r"(?:is|was) no(?! (?:doubt|other|one|such|people|person|thing|item))|"
    r"(?:scratch|strike) that|(?:take|took) (?:it|that) back|just (?:kidding|joking)|i (?:lied|lie))\b"
    r"|n't\b|!=|≠|~~|\?\s*no\b",
)
_HEDGED = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|greater|smaller|larger|bigger) than|or (?:more|less|fewer)|"
    r"about|around|approximately|roughly|nearly|almost|no|up to|upwards of|(?:minimum|maximum) of(?=\s+[$€£]?[-+]?\d)|"
    r"tens|hundreds?|thousands?|(?:m|b|tr)illions?|dozens?|"
    r"twice|double|triple|half|halves|thirds?|quarters?|tenths?|"
    r"(?:four|fif|six|seven|eigh|nin|eleven|twelf)ths|\w+(?:teen|ie|red|and)ths|"
    r"per ?cent|squared|cubed|close to|sqrt|roots? of|"
    r"(?:square|cube) of|factorial|exceed\w*|beyond|hexadecimal|octal|binary|(?<=-)ish)\b|"
    r"(?<![-=])>|[<≤≥~≈±√]",
)
_BOUNDED = re.compile(  # in front of a number
    r"\b(?:over|under|above|below|near)\b|"
    rf"\bbetween\b[\s:*(\"'$€£\[]*(?:(?:exactly|only) )?(?:[-+]?\d|(?:{NUMBER_WORDS})\b)|"
    r"\bbetween\b[^.,;\n\d]{1,30}\band\b[\s*]*[-+]?\d"
)
_EXPLANATION = r"\b(?:explanation|reasoning|justification)\**:"
# What is headed so is no reason where it says something else in the end.
_RECONSIDERED = re.compile(
    rf"{STATED}|{TAKEN_BACK.pattern}|\?|\bfinal|"
    r"\b(?:actually|wait|hmm|i now|guess|mistake\w*|correct\w*|know|tell|then)\b"
)
_REASON = re.compile(rf"\b(?:because|since)\b|{_EXPLANATION}")
_ALTERNATIVE = re.compile(r"\b(?:or|maybe|perhaps|possibly|otherwise)\b")
# Behind an answer: what repeats the question, or gives a reason.
_EXPLAINED = re.compile(
    r"\b(?:that|who|which) are\b|\bare neither\b|"
    r"\bthings are (?:not|either)\b(?! (?:the answer|right|certain|enough|that|so|what)\b)|"
    rf"\b(?:is|are) in\b(?! (?:fact|truth|no (?:way|case|sense)|error|reality)\b)|{_REASON.pattern}"
)
# In front of what states or concludes an answer: "it is false that 5 + 4 = 9", "it never becomes".
_DENIED = re.compile(
    r"(?:\b(?:not|never|hardly)|n't) (?:true|so|right|the case) that\b|"
    r"\b(?:false|untrue|wrong|incorrect|doubt(?:ful)?) that\b|"
    r"(?:\b(?:not|never|wrong|incorrect|false|doubt(?: it| this)?)|n't)\s*\Z|"
    r"\b(?:unless|if|whether|unlikely|what|not sure|not clear|some say)(?: that)?\s*\Z"
)
# In front of an answer: "The number of bowls that are not striped is".
_SUBJECT = re.compile(r"\s*the (?:number of|people|things)\b")
_FILTER = re.compile(r"\b(?:(?:that|who|which) are|and|but|in|are) (?:not|neither)\b|\bnor\b")
# A list or a set that goes on.
_OPEN = re.compile(r"\.\.\.|…|\b(?:etc|and so on|others?|(?:some|every)(?:one|body|thing)|the rest)\b")
_BETWEEN_ITEMS = re.compile(r"([,;&]|\band\b)")
_LISTING_ENDS = re.compile(r"[.!?:()\n]")
_QUOTED = " \t'\"*`[]{}$\\"
_BESIDE_ITEMS = {
    "also", "alone", "both", "next", "no", "nobody", "none", "nothing", "only", "so", "then", "together", "too", "yes",
}  # fmt: skip
_NUMBER_WORD_LISTED = re.compile(rf"(?:,|;|\band)\s*(?:{NUMBER_WORDS})\b")
_OPERATION = re.compile(r"[+×÷]|\b(?:plus|times|(?<=\d )minus)\b")
_WITH_A_WORD = re.compile(  # 9 + one
    rf"(?:{_OPERATION.pattern})\s*(?:{NUMBER_WORDS})\b|\b(?:{NUMBER_WORDS})\s*(?:{_OPERATION.pattern})"
)
SENTENCE_ENDS = re.compile(r"[.!?]\s|\n")
_STATEMENT_ENDS = re.compile(rf"{SENTENCE_ENDS.pattern}|{_REASON.pattern}")
_LISTED_STATEMENT_ENDS = re.compile(rf"[.!?]\s|{_REASON.pattern}")  # whose items may stand on lines of their own
_ALPHANUMERIC = re.compile(r"[^\W_]")
_CLAUSE = re.compile(r"[.,;:!?\n]")
_OR = re.compile(r"\bor\b")
_OPERATORS = {
    "", "+", "-", "*", "×", "·", "⋅", "x", "/", "÷", "^", "**", "%", "plus", "minus", "times", "cdot", "mod",
    "point", "divided by", "multiplied by",
}  # fmt: skip
_LIST_OPERATORS = _OPERATORS - {"", "-"}  # dashes are bullets, too


def revoked(
    text: str,
    found: list[Found],
    counted: list[Found],
    marks: list[re.Match[str]],
    begin: int,
    answer_type: str,
    items: tuple[str, ...],
    value: str,
) -> bool:
    """Whether a text takes its answer back, hedges it, or says another one elsewhere.

    Args:
        text: plain.
        found: every value in it.
        counted: those that make the answer.
        marks: what states or concludes an answer.
        begin: where the last of these ends that counts.
        answer_type: the type.
        items: what may be in a list or a set.
        value: the answer.
    """
    first = counted[0]
    explained = _EXPLAINED.search(text, counted[-1].end)
    end = explained.start() if explained else len(text)
    if explained and explained[0].endswith(":"):  # unless that is no reason
        end = reason_in(text, counted[-1].end, len(text))[0]
    if answer_type != "yes_no":
        last = next((mark for mark in reversed(marks) if mark.end() == begin), None)
        if last is not None and _denied(text, last):
            return True
        if _taken_back(text, _clause_of(text, marks, last), begin, first.start, end):
            return True
    if answer_type in ("list", "set", "summary") and _OR.search(text, first.end, counted[-1].start):
        return True
    if answer_type in ("list", "set") and _OPEN.search(text, first.end, end):
        return True
    if answer_type == "list" and _no_list(text, counted, end):
        return True
    if answer_type in ("list", "set") and items and _names_others(text, counted, begin, end, items):
        return True
    if answer_type in ("integer", "rational") and _no_number(text, found, counted, begin, end):
        return True
    return answer_type != "summary" and _contradicted(text, found, marks, answer_type, value)


def _no_number(text: str, found: list[Found], counted: list[Found], begin: int, end: int) -> bool:
    """Whether a number is a bound, a guess, one of several or part of a calculation."""
    hedged = _HEDGED.search(text, begin, end) or _BOUNDED.search(text, begin, counted[-1].end)
    if hedged or _calculated(text, counted) or said_in_words(text, begin, end) - {counted[0].value}:
        return True
    # "9 or = 8": an "or" between two conclusions, too, if one sentence holds them.
    others = max((one.end for one in found if one.start < begin), default=0)
    until = max(end, found[-1].start)
    if _OR.search(text, others, until):
        others = max((stop.end() for stop in SENTENCE_ENDS.finditer(text, others, begin)), default=others)
        if _OR.search(text, others, until):
            return True
    return bool(_OPERATION.search(text, begin, end) and _WITH_A_WORD.search(text, begin, end))


def together(final: list[Found], answer_type: str) -> str | None:
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


def reason_in(text: str, begin: int, end: int) -> tuple[int, int]:
    """From where to where a reason stands that begins there; nowhere if there is none.

    It ends with its sentence, or with the text where it is headed ``Explanation:``. A second reason may be one for
    another answer, and so may one with an alternative: these are no reasons.
    """
    reason = _REASON.search(text, begin, end)
    if reason is None:
        return end, end
    headed = reason[0].endswith(":")
    stop = None if headed else SENTENCE_ENDS.search(text, reason.end())
    until = stop.start() if stop else len(text)
    asked = text[begin : reason.start()].rstrip(" \n*").endswith("?")
    if headed and (asked or _RECONSIDERED.search(text, reason.end())):
        return end, end
    if (not headed and _REASON.search(text, reason.end(), until)) or _ALTERNATIVE.search(text, reason.end(), until):
        return end, end
    return reason.start(), until


def without_reason(text: str, counted: list[Found], answer_type: str) -> list[Found]:
    """What counts without the values of a reason; an item that it adds to a list, or a "no" to a "yes", leaves none."""
    begin, end = reason_in(text, counted[0].end, counted[-1].start)
    kept = [one for one in counted if not begin < one.start < end]
    if answer_type in ("list", "set", "summary", "yes_no") and {one.value for one in counted} > {
        one.value for one in kept
    }:
        return [one._replace(value=None) for one in counted]
    return kept


def _taken_back(text: str, clause: int, begin: int, first: int, end: int) -> bool:
    """Whether an answer is negated; the filter of a question that is repeated in front of it does not count."""
    if not TAKEN_BACK.search(text, clause, end):
        return False
    subject = _SUBJECT.match(text, clause) if clause == begin else None
    head = text[clause:first].rstrip(" :") if subject else ""
    if head.endswith((" is", " are")):
        return any(TAKEN_BACK.search(part) for part in (_FILTER.sub("", head), text[first:end]))
    return True


def _denied(text: str, mark: re.Match[str]) -> bool:
    """Whether the sentence denies what a mark in it states or concludes."""
    sentence = max((stop.end() for stop in SENTENCE_ENDS.finditer(text, 0, mark.start())), default=0)
    return _DENIED.search(text[sentence : mark.start()]) is not None


def _no_list(text: str, counted: list[Found], end: int) -> bool:
    """Whether a list is a calculation, or goes on in words: ``3 + 5`` and ``3, 5, seven``."""
    gaps = {text[one.end : other.start].strip(" \t") for one, other in pairwise(counted)}
    return bool(gaps & _LIST_OPERATORS) or _NUMBER_WORD_LISTED.search(text, counted[0].end, end) is not None


def _names_others(text: str, counted: list[Found], begin: int, end: int, items: tuple[str, ...]) -> bool:
    """Whether a word that is no item is listed among those that are: ``Alice, Zeus, Bob``, or ``Alice, Bob and Zeus``.

    A last word behind a comma may be anything, as in ``Alice, obviously``, and so may what follows more than a word.
    """
    known = {one.lower() for one in items}
    head = text[begin : counted[0].start].split()
    if len(head) == 2 and head[1] == "and" and head[0].isalpha() and head[0] not in _BESIDE_ITEMS:
        return True
    stop = _LISTING_ENDS.search(text, counted[0].end, end)
    first, *rest = _BETWEEN_ITEMS.split(text[counted[0].end : stop.start() if stop else end])
    if first.strip(_QUOTED):
        return False
    last = stranger = False  # whether an "and" came before, or a word that is no item
    for separator, part in zip(rest[::2], rest[1::2], strict=True):
        last = last or separator in ("and", "&")
        word = part.strip(_QUOTED)
        if word in known:
            if stranger:
                return True
            last = False
        elif word and not word.isalpha():
            return False
        elif word and word not in _BESIDE_ITEMS and not word.endswith("ly"):
            if last:
                return True
            stranger = True
    return False


def _clause_of(text: str, marks: list[re.Match[str]], last: re.Match[str] | None) -> int:
    """Where the clause begins in which a mark states an answer: ``I doubt that the answer is`` takes it back."""
    if last is None or STATEMENTS.match(last[0]) is None:
        return 0 if last is None else last.end()
    earlier = max((mark.end() for mark in marks if mark.end() <= last.start()), default=0)
    return max((stop.end() for stop in _CLAUSE.finditer(text, earlier, last.start())), default=earlier)


def _contradicted(text: str, found: list[Found], marks: list[re.Match[str]], answer_type: str, value: str) -> bool:
    """Whether an answer that was stated before, up to the next mark, is another one.

    Several values that lead to a conclusion are its working: ``Answer: 5 + 4 = 9``.
    """
    starts = [one.start for one in found]
    ends = _LISTED_STATEMENT_ENDS if answer_type in ("list", "set") else _STATEMENT_ENDS
    for mark, following in zip_longest(marks, marks[1:]):
        if STATEMENTS.match(mark[0]) is None:
            continue
        begin = bisect_right(starts, mark.end() - 1)
        end = len(found) if following is None else bisect_right(starts, following.start() - 1)
        if begin < end and not _ALPHANUMERIC.search(text, mark.end(), starts[begin]):  # the answer itself, not working
            stop = ends.search(text, found[begin].end, following.start() if following else len(text))
            end = min(end, bisect_right(starts, stop.start())) if stop else end
        stated = found[begin:end]
        said = together(stated, answer_type) if stated else value
        if said is None and following is not None:
            if mark[0].isalpha() and STATEMENTS.match(following[0]):
                continue  # "Answer yes or no. Answer: no" repeats the question
            if not STATEMENTS.match(following[0]) and not _OR.search(text, mark.end(), following.start()):
                continue
        if said != value:
            return True
    return False


def _calculated(text: str, final: list[Found]) -> bool:
    """Whether an operator stands between two numbers: ``3 * 3`` is no 3, nor is ``(3)(3)``."""
    gaps = {text[one.end : other.start] for one, other in pairwise(final)} - {" ("}  # 3/2 (1.5)
    return any(gap.strip(" \t(){}$\\") in _OPERATORS for gap in gaps if gap.strip())
