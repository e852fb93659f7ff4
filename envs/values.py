r"""Where a text holds values: numbers in digits and in words, lists of integers, and names among candidates.

The text is plain: see ``plain``. Everything is found in time linear in the text's length, and nothing of it is
evaluated.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple
from unicodedata import normalize

MAX_DIGITS = 30  # longer numbers are no answer to any question of the suite
# Characters that are read as others: an underscore emphasises as an asterisk does.
_PLAIN = str.maketrans("_−\u2044\u2215’‘", "*-//''") | {
    **dict.fromkeys(range(0x2010, 0x2016), "-"),
    **dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F), " "),
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    **{ord(sign): " " + normalize("NFKC", sign).replace("\u2044", "/") for sign in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"},
}
# A number is not glued to letters, other digits, or a fraction; a full stop that ends a sentence may follow.
# One that is glued to what stands in front of it, as in "9 ^2" and "9 x8", is found, too, but has no value.
_NUMBERS = re.compile(
    r"(?<![\w.,/^])(?<![a-z-]\()(?P<sign>[-+]|(?:\b(?:minus|negative)\s)?)(?:[$€£]\s?)?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?P<rest>(?:\.{2,}|[.,/^%:])?\d[\d.,/^:]*)?(?P<after>[a-z%°^/+]*\d*)"
    r"|(?<=[.,/^(xe])\d+",
    re.ASCII,
)
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD_VALUES = {word: i for i, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_ONES, NUMBER_WORDS = "|".join(_UNITS[1:10]), "|".join(_TENS + _UNITS)  # alternatives of a regular expression
_HUNDREDS = rf"(?:({_ONES})[-\s]hundred\b(?:(?:\sand)?\s(?=(?:{NUMBER_WORDS})\b))?)?"
_BELOW_100 = rf"(?:({'|'.join(_TENS)})[-\s]({_ONES})|({NUMBER_WORDS}))?"
_IN_WORDS = re.compile(rf"(?:\b(?:(minus|negative)\s+)?|(?<!\w)(-))(?=(?:{NUMBER_WORDS})\b){_HUNDREDS}{_BELOW_100}\b")
_ENDS = re.compile(r"\W*(?:\d|\n|\Z)|[^\w\s-]")
_FRACTION_IS_ZERO = re.compile(r"\.0+\.?")
_DECIMALS = re.compile(r"(?:\.\d+)?", re.ASCII)
_DENOMINATOR = re.compile(r"0*[1-9]\d*", re.ASCII)
_SPACED_FRACTION = re.compile(r"(?<!\d)(\d{1,15})(?: / | /|/ )(\d{1,15})(?!\d)", re.ASCII)
_DIVIDED = re.compile(r" ?/ ?\d")
_LATEX_FRACTION = re.compile(r"(?<!\d)\\[dt]?frac\s?\{(\d{1,15})\}\{(\d{1,15})\}", re.ASCII)
_MIXED = re.compile(r"(?<![\w.,/^])(\d{1,15}) {1,2}(\d{1,15})/(\d{1,15})(?![\w/]|\.\d)", re.ASCII)
_LIST_ITEMS = re.compile(r"[-+]?[\w./%^]+")
_SIGNED_INTEGER = re.compile(rf"[-+]?\d{{1,{MAX_DIGITS}}}", re.ASCII)
_AMOUNTS = re.compile(rf"(?:(?<!\w)-)?\d+(?:[.,]\d+)*|\b(?:{NUMBER_WORDS.replace('|one|', '|')})\b")
_WORDS = re.compile(r"\d+(?:[.,]\d+)+|\w+")
_ORDINALS = {"st", "nd", "rd", "th"}
_UNIT_SIGNS = {"kg", "g", "l", "ml", "km", "cm", "min", "h"}  # 12kg; an m may be a million
_PART_BEFORE, _PART_AFTER = re.compile(r"(?:\w-|\bgreat\s)$"), re.compile(r"-\w")


class Found(NamedTuple):
    """A value in a text; ``value`` is None for one that is of the type but can be no answer, such as ``9.5``."""

    value: str | None
    start: int
    end: int


def plain(text: str) -> str:
    """A text in lower case, with the many spellings of a dash, a blank, a fraction or a digit made one each."""
    return (text if text.isascii() and "_" not in text else text.translate(_PLAIN)).lower()


def in_digits(text: str) -> str:
    """A text with its number words, up to ``nine hundred and ninety-nine``, in digits."""
    return _IN_WORDS.sub(_digits, text)


def said_in_words(text: str, begin: int, end: int) -> set[str]:
    """The integers that a part of a text says in words and counts nothing by: the eight of ``27, maybe eight``.

    ``two of them`` and ``eight apples`` count something, and ``one`` may be a pronoun.
    """
    return {
        _digits(match)
        for match in _IN_WORDS.finditer(text, begin, end)
        if match[0] != "one" and _ENDS.match(text, match.end())
    }


def _digits(match: re.Match[str]) -> str:
    minus, dash, hundreds, tens, unit, single = match.groups()
    number = sum(_WORD_VALUES[part] for part in (tens, unit, single) if part)
    return f"{'-' if minus or dash else ''}{number + 100 * _WORD_VALUES.get(hundreds, 0)}"


def improper(text: str) -> str:
    """A text with its mixed numbers as fractions: ``1 1/2`` is ``3/2``."""
    return _MIXED.sub(_improper, text)


def _improper(match: re.Match[str]) -> str:
    integer, numerator, denominator = map(int, match.groups())
    return f"{integer * denominator + numerator}/{denominator}" if numerator < denominator else match[0]


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
    r"""All numbers of a text in digits; ``\frac{7}{2}`` is ``7/2``.

    So is ``7 / 2`` where fractions are read; among integers it is a calculation.
    """
    written = [_LATEX_FRACTION] if "\\" in text else []
    for form in [*written, _SPACED_FRACTION] if read is fraction and "/" in text else written:
        text = form.sub(lambda match: f"{match[1]}/{match[2]}".ljust(len(match[0])), text)
    known: dict[tuple[str | None, ...], str | None] = {}  # equal numbers are read once
    divided = " /" in text or "/ " in text
    found = []
    for match in _NUMBERS.finditer(text):
        parts = match.groups()
        if parts not in known:
            known[parts] = _number(read, *parts)
        value = None if divided and _DIVIDED.match(text, match.end()) else known[parts]
        found.append(Found(value, match.start(), match.end()))
    if not text.isascii():  # other numerals are glued to a number, as in "9²", or stand beside it
        found += [
            Found(None, i, i + 1)
            for i, character in enumerate(text)
            if not character.isascii() and character.isnumeric()
        ]
        found.sort(key=lambda one: one.start)
    return found


def _number(
    read: Callable[[str, str], str | None], sign: str | None, digits: str | None, rest: str | None, after: str | None
) -> str | None:
    """The value of one match of ``_NUMBERS``."""
    if digits is None or (after and after not in _UNIT_SIGNS and (rest or after not in _ORDINALS)):
        return None
    digits, rest = digits.replace(",", ""), rest or ""
    value = read(digits, rest) if len(digits) + len(rest) <= MAX_DIGITS else None
    return value if value in (None, "0") or sign in ("", "+") else f"-{value}"


def listed_integers(text: str) -> list[Found]:
    """Integers in a row, with or without blanks between them; an item that is another number is None."""
    found = []
    for match in _LIST_ITEMS.finditer(text):
        item = match[0].rstrip(".")
        if any(character.isdigit() for character in item):
            whole = _SIGNED_INTEGER.fullmatch(item)
            found.append(Found(str(int(item)) if whole else None, match.start(), match.end()))
    return found


def amounts(text: str) -> list[Found]:
    """Numbers in digits as they stand, and in words, but for ``one``, which may be a pronoun."""
    return [Found(match[0], match.start(), match.end()) for match in _AMOUNTS.finditer(text)]


def named(text: str, candidates: tuple[str, ...]) -> list[Found]:
    """All candidates that a plain text names as whole words, the longest where several begin at one place.

    Two that make a third, as in ``north-west``, are that one; of what is only part of a longer word, as ``aunt`` of
    ``great-aunt``, the value is None.
    """
    by_first_word: dict[str, list[tuple[list[str], str]]] = {}
    for candidate in candidates:
        parts = [candidate.lower()] if candidate.isalnum() else _WORDS.findall(plain(candidate))
        if parts and parts[0] in text:
            by_first_word.setdefault(parts[0], []).append((parts, candidate))
    if not by_first_word:
        return []
    for options in by_first_word.values():
        options.sort(key=lambda option: -len(option[0]))
    words = [(match[0], match.start(), match.end()) for match in _WORDS.finditer(text)]
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
