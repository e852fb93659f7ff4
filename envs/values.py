r"""Where a text holds values: numbers in digits and in words, lists of integers, and names among candidates.

Everything is found in time linear in the text's length, and nothing of it is evaluated.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

MAX_DIGITS = 30  # longer numbers are no answer to any question of the suite
# A number is not glued to letters, other digits, or a fraction; a full stop that ends a sentence may follow.
_NUMBERS = re.compile(
    r"(?<![\w.,/^])(?<![A-Za-z−-]\()(?P<sign>[-−–+]|(?:\b(?:minus|negative)\s)?)(?:[$€£]\s?)?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?P<rest>(?:\.{2,}|[.,/^%:])?\d[\d.,/^:]*)?(?P<after>[A-Za-z_%°^/+]*)",
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
_FRACTION_IS_ZERO = re.compile(r"\.0+\.?")
_DECIMALS = re.compile(r"(?:\.\d+)?", re.ASCII)
_DENOMINATOR = re.compile(r"0*[1-9]\d*", re.ASCII)
_SPACED_FRACTION = re.compile(r"(?<!\d)(\d{1,15})(?: / | /|/ )(\d{1,15})(?!\d)", re.ASCII)
_DIVIDED = re.compile(r" ?/ ?\d")
_LATEX_FRACTION = re.compile(r"(?<!\d)\\[dt]?frac\s?\{(\d{1,15})\}\{(\d{1,15})\}", re.ASCII)
_LIST_ITEMS = re.compile(r"[-−+]?[\w./%^]+")
_SIGNED_INTEGER = re.compile(rf"[-−+]?\d{{1,{MAX_DIGITS}}}", re.ASCII)
_WORDS = re.compile(r"\d+(?:[.,]\d+)+|\w+")
_ORDINALS = {"st", "nd", "rd", "th"}
_PART_BEFORE, _PART_AFTER = re.compile(r"(?:\w-|\bgreat\s)$", re.I), re.compile(r"-\w")


class Found(NamedTuple):
    """A value in a text; ``value`` is None for one that is of the type but can be no answer, such as ``9.5``."""

    value: str | None
    start: int
    end: int


def whole(digits: str, rest: str) -> str | None:
    """An integer in canonical form, written as one or with a fraction of zero."""
    return str(int(digits or "0")) if not rest or _FRACTION_IS_ZERO.fullmatch(rest) else None


def fraction(digits: str, rest: str) -> str | None:
    """A rational number in lowest terms, written as an integer, a decimal or a fraction."""
    rest = rest.rstrip(".,")
    if not rest or rest[0] == ".":
        return str(Fraction(digits + rest)) if _DECIMALS.fullmatch(rest) else None
    denominator = rest[1:]
    return (
        str(Fraction(int(digits), int(denominator))) if rest[0] == "/" and _DENOMINATOR.fullmatch(denominator) else None
    )


def numbers(text: str, read: Callable[[str, str], str | None]) -> list[Found]:
    r"""All numbers of a text; words count where there are no digits, and ``\frac{7}{2}`` is ``7/2``.

    So is ``7 / 2`` where fractions are read; among integers it is a calculation.
    """
    written = [_LATEX_FRACTION] if "\\" in text else []
    for form in [*written, _SPACED_FRACTION] if read is fraction else written:
        text = form.sub(lambda match: f"{match[1]}/{match[2]}".ljust(len(match[0])), text)
    found = []
    for match in _NUMBERS.finditer(text):
        digits, rest = match["whole"].replace(",", ""), match["rest"] or ""
        ordinal = not rest and match["after"].lower() in _ORDINALS
        glued = (match["after"] and not ordinal) or text[match.end() : match.end() + 1].isnumeric()  # as in "9²"
        glued = glued or _DIVIDED.match(text, match.end()) is not None
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


def listed_integers(text: str) -> list[Found]:
    """Integers in a row, with or without blanks between them; an item that is another number is None."""
    found = []
    for match in _LIST_ITEMS.finditer(text):
        item = match[0].rstrip(".")
        if any(character.isdigit() for character in item):
            whole = _SIGNED_INTEGER.fullmatch(item)
            found.append(Found(str(int(item.replace("−", "-"))) if whole else None, match.start(), match.end()))
    return found


def named(text: str, candidates: tuple[str, ...]) -> list[Found]:
    """All candidates that a text names as whole words, the longest where several begin at one place.

    Two that make a third, as in ``north-west``, are that one; of what is only part of a longer word, as ``aunt`` of
    ``great-aunt``, the value is None.
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
    return [
        one._replace(value=None)
        if _PART_BEFORE.search(text[max(0, one.start - 6) : one.start]) or _PART_AFTER.match(text, one.end)
        else one
        for one in _joined(text, found, candidates)
    ]


def _joined(text: str, found: list[Found], candidates: tuple[str, ...]) -> list[Found]:
    """What was found, with two neighbours made one where they spell a third candidate."""
    joined = found[:1]
    for one in found[1:]:
        both = f"{joined[-1].value}{one.value}"
        if both in candidates and text[joined[-1].end : one.start] in (" ", "-"):
            one = Found(both, joined.pop().start, one.end)
        joined.append(one)
    return joined
