"""Scoring: tolerant of form, strict on content, and safe with any text."""

import time
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.problem import ANSWER_TYPES, Posed
from reasoning_arena.envs.scoring import extract, score

NAMES = ("Alice", "Bob", "Carol")
RIGHT = [
    "9", "9.", "9.0", " 9 ", "$9", "$9.00", "nine", "Nine.", "**9**", r"\boxed{9}", r"$\boxed{9}$", "Answer: 9.", "Answer: **9**",
    "The answer is 9", "the final answer is: $9.00", "#### 9", "= 9", "5 + 4 = 9", "3 + 4 = 7, 7 + 2 = 9", "so Bob has 9 apples",
    "Bob had 5 apples and got 4, so he has 9 apples.", "9 apples", "9!", "He has 9.\n", "9, 9", "Answer: 9 (nine)", "0009",
    "Answer: 9. So the answer is 9", "<answer>9</answer>", "<think>4 or 5, 8?</think> <answer> 9 </answer>", "<b>9</b>", "3 * 3 = 9",
    "3, 5, 7, 9, so 9", "12 minus 3 = 9", "5 + 4 => 9", "-> 9", "8 or 9? 4 + 5 = 9",
    "9th", "in the 9th place", "Answer: 5 + 4 = 9", "Answer: 12 - 3 = 9.", "9 places lie between them.", "He has 9 pens left over.",
    "There are 9 things that are brown and not tiny.", "9 things are neither red nor blue.", "It is not 8, so the answer is 9",
]  # fmt: skip
WRONG = [
    "", "4 or 5", "8 9", "9, 10", "8, 9", "Answer: 4. Answer: 9", "Answer: 9. Answer: 4", "not 9", "The answer is not 9", "9 is wrong",
    "at least 9", "about 9", "9 or more", "less than 9", "9.5", "90", "99", "-9", "x9", "9x", "9/2", "9%", "9:30", "1e9", "٩",
    "9" * 5000, "the answer is correct", "no 9", "neither 9", "Answer: 9 or 10", "8 9 10", "nine or ten", "> 9", "between 8 and 9",
    "9 or ten", "9 or another number", "x = 9 or x = 8", "x = 8 or x = 9", "8 or = 9", "anything but 9", "hardly 9", "I doubt 9", "far from 9", "9 * 9",
    "9 x 9", "9 + 9", "9 × 9", "sqrt(9)", "9²", "9+", "9..10", "8...9", "9 thousand", "nine hundred", "9 million", "9 percent", "9 halves", "9 squared",
    "negative 9", "minus 9", "-nine", "9\u0664", "<answer>8</answer><answer>9</answer>", "<9>", "x<9", "9 or so", "x != 9", "x <= 9", ">= 9", "-(9)", "close to 9",
    "I do not believe the answer is 9", "It is false that the answer is 9", "9 * (9)", "(9)(9)", "9 divided by 9", r"9 \times 9", "9 ⋅ 9", "9 % 9",
    "twice 9", "9 trillion", "Answer: 4 or 9. Answer: 9", "Answer: 4 or 9, so 9", "Answer: 8 = 9", "near 9", "over 9", r"9\frac{1}{2}", "9 because 8 or 9",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_forms_of_an_integer(text: str) -> None:
    assert extract(text, "integer") == "9"


@pytest.mark.parametrize("text", WRONG)
def test_what_commits_to_no_nine(text: str) -> None:
    assert extract(text, "integer") != "9"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,000", "1000"),
        ("-3", "-3"),
        ("−3", "-3"),
        ("twenty-one", "21"),
        ("minus two", "-2"),
        ("minus 2", "-2"),
        ("-two", "-2"),
        ("- 2", "2"),
        ("4 - 6 = - 2", "-2"),
        ("Answer: 2", "2"),
        ("<think>\n5 - 4, or 3?\n</think>\n\n2", "2"),
        ("<think>2</think>", None),
    ],
)
def test_other_integers(text: str, value: str | None) -> None:
    assert extract(text, "integer") == value


@pytest.mark.parametrize(
    "text",
    [
        "Bob", "bob.", "**Bob**", "The tallest is Bob", "Answer: Bob\n", "Bob is taller than Alice, so the tallest is Bob",
        "From tallest to shortest: Bob, Alice, Carol. The answer is Bob",
    ],
)  # fmt: skip
def test_forms_of_a_name(text: str) -> None:
    assert extract(text, "name", NAMES) == "Bob"


@pytest.mark.parametrize(
    "text",
    [
        "Alice, Bob, Carol",
        "Alice Bob",
        "not Bob",
        "It isn't Bob",
        "Bobby",
        "B o b",
        "Who is it?",
        "Bob or Alice",
        "neither Bob",
        "anyone but Bob",
        "all but Bob",
        "far from Bob",
    ],
)
def test_what_names_no_one(text: str) -> None:
    assert extract(text, "name", NAMES) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("north-west", "northwest"), ("It lies North West.", "northwest"), ("northwest", "northwest"), ("north", "north"), ("north, west", None),
        ("north or west", None), ("north west or north", None), ("3 north and 2 west, so north-west", "northwest"),
    ],
)  # fmt: skip
def test_two_candidates_that_make_a_third(text: str, value: str | None) -> None:
    assert extract(text, "choice", ("north", "northwest", "west")) == value


def test_the_longest_candidate_counts() -> None:
    assert extract("the dark red one", "choice", ("red", "dark red")) == "dark red"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yes.", "yes"),
        ("No, it does not.", "no"),
        ("yes no", None),
        ("maybe", None),
        ("not yes", None),
        ("It isn't yes", None),
        ("It does not follow, so no", "no"),
    ],
)
def test_yes_and_no(text: str, value: str | None) -> None:
    assert extract(text, "yes_no", ("yes", "no")) == value


RATIONALS = [
    "7/2",
    "3.5",
    "3.50",
    "$3.50",
    "Answer: 7/2.",
    "14/4",
    r"\frac{7}{2}",
    r"\boxed{\frac{7}{2}}",
    "so it makes 3.5 parts",
    "7 / 2",
    "so 14 / 4 of them",
    "7 / 2 = 3.5",
    "21/6 = 7/2",
    "3 1/2",
]
NOT_RATIONALS = [
    "7",
    "2/7",
    "-7/2",
    "7/0",
    "3.5.1",
    "7/2/1",
    "3 7/2",
    "about 3.5",
    "3.5 or 4",
    "7 / 2 / 1",
    "3 7 / 2",
    "3.5e0",
    "35%",
    "3,5",
    "",
    "3.51",
    "7/2x",
]


@pytest.mark.parametrize("text", RATIONALS)
def test_forms_of_a_rational(text: str) -> None:
    assert extract(text, "rational") == "7/2"


@pytest.mark.parametrize("text", NOT_RATIONALS)
def test_what_is_no_seven_halves(text: str) -> None:
    assert extract(text, "rational") != "7/2"


@given(st.fractions(-(10**9), 10**9, max_denominator=1000))
def test_every_fraction_is_read_back(number: Fraction) -> None:
    assert extract(str(number), "rational") == str(number)
    assert extract(f"that makes {3 * number.numerator}/{3 * number.denominator} of them", "rational") == str(number)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3, 1, 2", "3, 1, 2"), ("[3,1,2]", "3, 1, 2"), ("3 1 2", "3, 1, 2"), ("Answer: 3, 1 and 2.", "3, 1, 2"), ("1, 2, 3, so 3, 1, 2", "3, 1, 2"),
        ("-3, +1", "-3, 1"), ("3, 1.5, 2", None), ("3, x1, 2", None), ("", None), ("Answer: 1, 2. Answer: 2, 1", None), ("not 3, 1, 2", None), ("7", "7"),
    ],
)  # fmt: skip
def test_lists_of_integers(text: str, value: str | None) -> None:
    assert extract(text, "list") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Carol and Alice", "Alice, Carol"), ("{Alice, Carol}", "Alice, Carol"), ("Answer: Carol, alice, Carol.", "Alice, Carol"), ("none", "none"),
        ("Nobody.", "none"), ("No one is.", "none"), ("none, Alice", None), ("not Alice", None), ("Alice, Bob and Carol, so Bob", "Bob"), ("Dave", None), ("", None),
        ("Answer: Alice. Answer: Bob", None), ("neither Bob nor Alice", None),
    ],
)  # fmt: skip
def test_sets(text: str, value: str | None) -> None:
    assert extract(text, "set", (), NAMES) == value


def test_lists_of_words_keep_their_order() -> None:
    assert extract("Carol, then Alice", "list", (), NAMES) == "Carol, Alice"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("olleh", "olleh"), ("OLLEH.", "olleh"), ('"olleh"', "olleh"), ("Answer: **olleh**", "olleh"), ("The reversed word is olleh", "olleh"),
        ("hello, olleh", None), ("hello reversed: olleh, so olleh", "olleh"), ("o l l e h", None), ("", None), ("not olleh", None), ("so", "so"), ("It becomes olleh.", "olleh"), ("hello, backwards, gives olleh", "olleh"),
    ],
)  # fmt: skip
def test_words(text: str, value: str | None) -> None:
    assert extract(text, "word") == value


SUMMARY = Posed("…", "Lima, Nina, drum", "summary", (), "", ("9", "Lima", "Nina", "Oslo", "Paul", "drum"))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Nina bought a drum in Lima.", True), ("drum Lima Nina", True), ("Nina bought a drum.", False), ("Nina bought a drum in Lima for 9.", False),
        ("Nina or Paul bought a drum in Lima.", False), ("Nina did not buy a drum in Lima.", False), ("Nina bought a drum in Lima" + " yes" * 7, False),
        ("9 Lima Nina Oslo Paul drum", False), ("", False),
    ],
)  # fmt: skip
def test_a_summary_names_the_facts_and_nothing_else_in_few_words(text: str, right: bool) -> None:
    assert score(text, SUMMARY).correct == right


CODE = Posed("…", "3 * x + 1", "expression", (), "", ("0 -> 1", "2 -> 7", "-1 -> -2"))


@pytest.mark.parametrize(
    "text",
    ["3 * x + 1", "3x+1", "1+3*x", "x + x + x + 1", "f(x) = 3x + 1", "Answer: 3*x + 1.", "`3 * x + 1`", "$3x + 1$", "3(x+1) - 2", "1 - -3 * x", "The expression is 3·x + 1", "Each is 3 more, so 3 * x + 1", "return 3 * x + 1", "The program computes 3x + 1.", "def f(x): return 3*x + 1", "```python\n3*x + 1\n```", "x + x(3 - 1) + 1"],
)  # fmt: skip
def test_expressions_that_fit(text: str) -> None:
    assert score(text, CODE).correct


@pytest.mark.parametrize(
    "text",
    ["3 * x", "7", "", "x", "3 * y + 1", "3 * x + 1)", "(3 * x + 1", "3 x 1", "x3 + 1", "3 ** x", "__import__('os')", "3 * x + 1 or 2", "lambda: 1", "3 * x + 1 # yes", "(" * 5000, "x" * 100_000, "1 +" * 40 + "1", "9999999 * x", "3 * x + + 1 *", "x x x", "3 * x + 1; 2", "if x == 0 then 1", "9" * 6 + "*9" * 20],
)  # fmt: skip
def test_what_is_no_expression_that_fits(text: str) -> None:
    assert not score(text, CODE).correct


@pytest.mark.parametrize("text", ["2xy + 1", "2 * x * y + 1", "xy + yx + 1", "x(2y) + 1"])
def test_products_of_two_variables(text: str) -> None:
    assert score(text, CODE._replace(items=("0, 3 -> 1", "2, 5 -> 21"))).correct


@given(st.text(st.characters(), max_size=400), st.sampled_from(ANSWER_TYPES))
@example("·", "expression")
@example("so \\cdot 3", "expression")
def test_any_text_is_read_without_error(text: str, kind: str) -> None:
    candidates, items = (NAMES, ()) if kind in ("name", "choice") else ((), NAMES if kind in ("set", "summary") else ())
    value = extract(text, kind, candidates, items)
    assert value is None or value == extract(value, kind, candidates, items)


@given(st.integers(-(10**12), 10**12))
def test_every_integer_is_read_back(number: int) -> None:
    assert extract(str(number), "integer") == str(number)
    assert extract(f"so there are {number:,} of them", "integer") == str(number)


@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=5, unique=True),
    st.sampled_from([" ", ", ", " or ", " and ", "\n"]),
)
def test_a_list_of_different_numbers_is_no_answer(numbers: list[int], glue: str) -> None:
    assert extract(glue.join(map(str, numbers)), "integer") is None


UNITS = [
    "9", "1,", "answer ", "Bob ", "= ", "-", "\x00", "\ud800", "9.9", "one ", " ", "so 9 ", "$ ", "twenty ", "\u202e",
]  # fmt: skip
MORE_UNITS = [
    "9 ", "no ", "½", "_", "9 or ", "Bob because ", "is the answer ", "one hundred and ", "+ ", "{ ", "Answer: 9. ", "the number of not ",
]  # fmt: skip


def seconds(text: str, kinds: tuple[str, ...]) -> float:
    start = time.process_time()
    for kind in kinds:
        extract(text, kind, NAMES if kind == "name" else (), NAMES if kind in ("set", "summary") else ())
    return time.process_time() - start


def is_linear(unit: str, sizes: tuple[int, int], kinds: tuple[str, ...]) -> bool:
    """Whether a text ten times as long takes nearer ten times than a hundred times as long, at the best of three times."""
    short, long = (unit * (size // len(unit)) for size in sizes)
    return any(seconds(long, kinds) < 40 * max(seconds(short, kinds), 0.02) for _ in range(3))


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_is_read_in_linear_time(unit: str) -> None:
    assert is_linear(unit, (100_000, 1_000_000), ("integer", "name"))


@pytest.mark.parametrize("unit", UNITS + MORE_UNITS)
def test_every_type_is_read_in_linear_time(unit: str) -> None:
    assert is_linear(unit, (5_000, 50_000), ANSWER_TYPES)


KIN = ("granddaughter", "aunt", "sister", "great-great-niece")
CLUB = ("Adam", "Bob", "Nina", "Quinn")


@pytest.mark.parametrize(
    ("text", "answer_type", "candidates", "items", "value"),
    [
        ("great-granddaughter", "choice", KIN, (), None), ("She is his great aunt.", "choice", KIN, (), None), ("sister-in-law", "choice", KIN, (), None),
        ("the great-great-niece", "choice", KIN, (), "great-great-niece"), ("his granddaughter", "choice", KIN, (), "granddaughter"),
        ("I doubt that the answer is Bob", "name", NAMES, (), None), ("Answer: Bob is shorter than Alice, so Alice", "name", NAMES, (), "Alice"),
        ("open, since it may be either", "choice", ("open", "true", "false"), (), "open"),
        ("Yes, no poets are pilots.", "yes_no", (), (), "yes"), ("It follows that no nurses are sailors.", "yes_no", (), (), None), ("No.", "yes_no", (), (), "no"),
        ("Nina and Quinn are in the tennis club and not in the music club.", "set", (), CLUB, "Nina, Quinn"), ("Adam or Bob", "set", (), CLUB, None),
        ("Adam and Bob", "set", (), CLUB, "Adam, Bob"), ("3 or 5 or 7", "list", (), (), None), ("3, 5, 7", "list", (), (), "3, 5, 7"),
        ("7 /2", "rational", (), (), "7/2"), ("7/ 2", "rational", (), (), "7/2"), ("7 /2", "integer", (), (), None), ("9 /0", "integer", (), (), None),
        ("–9", "integer", (), (), "-9"), ("so 14 /2 = 7", "integer", (), (), "7"),
        (".5", "rational", (), (), "1/2"), ("about $-.25", "rational", (), (), None), ("-.25", "rational", (), (), "-1/4"), ("0 .5", "rational", (), (), None),
        (".5", "integer", (), (), None), ("and .0", "integer", (), (), "0"), ("7 / 7", "integer", (), (), None), ("...5", "integer", (), (), None),
        (r"3\frac{1}{2}", "rational", (), (), None), (r"\frac{7}{2}", "rational", (), (), "7/2"),
        ("<answer>3*x+2</answer>", "expression", (), (), "3 * x + 2"), ("The answer is not: 3*x+2", "expression", (), (), None),
        ("Answer: 3*x+2. Answer: 4*x", "expression", (), (), None), ("Answer: 3*x. So the answer is 3*x", "expression", (), (), "3 * x"),
        ("<answer> two  words </answer>", "text", (), (), "two words"), ("The answer is: 9", "text", (), (), "9"), ("Answer: 9", "text", (), (), "9"),
    ],
)  # fmt: skip
def test_answers_in_other_words(
    text: str, answer_type: str, candidates: tuple[str, ...], items: tuple[str, ...], value: str | None
) -> None:
    assert extract(text, answer_type, candidates, items) == value


# What an answer says in words, beside what it answers.
MEMBERS = ("Alice", "Jack", "Paul")
DAYS = ("Friday", "Monday", "Thursday", "Tuesday", "Wednesday")
WAYS = ("east", "north", "northwest", "south", "west")
CLAIMS = ("fails", "holds", "open")
DEALS = ("45", "68", "Lima", "Nina", "Oslo", "Paul", "drum")
PHRASED: list[tuple[str, str, tuple[str, ...], tuple[str, ...], str | None]] = [
    ("9 because I am not sure, maybe 8", "integer", (), (), None), ("Bob because Alice is not, or Alice", "name", NAMES, (), None),
    ("yes because no", "yes_no", ("no", "yes"), (), None), ("3, 5 since 7", "list", (), (), None), ("_9_", "integer", (), (), "9"), ("twenty‑five", "integer", (), (), "25"), ("９", "integer", (), (), "9"), ("−9", "integer", (), (), "-9"),
    ("it isn’t 9", "integer", (), (), None), ("1_000", "integer", (), (), None), ("9_9", "integer", (), (), None),
    ("9 apples", "integer", (), (), "9"), ("There are 8 red and 18 blue plates, so 26 are red or blue. Answer: 26", "integer", (), (), "26"),
    ("If he has 3 or more boxes he keeps one. Answer: 26", "integer", (), (), "26"), ("9 or = 8", "integer", (), (), None),
    ("x = 9 or x = 8", "integer", (), (), None), ("Answer: 9. Check: 9 - 2 = 7.", "integer", (), (), None),
    ("Answer: 9 because 5 + 3 = 8", "integer", (), (), None), ("Answer: 9, since 5 + 4 = 9.", "integer", (), (), "9"),
    ("Answer: Bob has 5 apples. He gets 4 more. 5 + 4 = 9", "integer", (), (), "9"), ("26 because 8 + 18 = 26", "integer", (), (), "26"),
    ("Answer: 26, because there are 8 red and 18 blue.", "integer", (), (), "26"), ("Answer: 3.5 because 7 / 2 = 3.5", "integer", (), (), None),
    ("12{,}000", "integer", (), (), "12000"), (r"9\,200", "integer", (), (), "9200"), ("9 x8", "integer", (), (), None),
    ("9 ^2", "integer", (), (), None), ("9 ,8", "integer", (), (), None), ("9 ½", "integer", (), (), None), ("9 + one", "integer", (), (), None),
    ("nine tens", "integer", (), (), None), (r"\sqrt{9}", "integer", (), (), None), ("two times 9", "integer", (), (), None),
    ("-(9)", "integer", (), (), None), ("9 -(9)", "integer", (), (), None), ("9²", "integer", (), (), None), ("9 ²", "integer", (), (), None),
    ("9½", "integer", (), (), None), ("√9", "integer", (), (), None), ("9 f(9)", "integer", (), (), None),
    ("The answer must be 9", "integer", (), (), "9"), ("7 plus 5 is 12", "integer", (), (), "12"), ("7 + 5 equals 12", "integer", (), (), "12"),
    ("7 + 5 → 12", "integer", (), (), "12"), ("7 + 5 -> 12", "integer", (), (), "12"), ("It is 8 and it is 9", "integer", (), (), None),
    ("7 plus 5 is not 12", "integer", (), (), None), ("Answer: 7 + 5 is 12", "integer", (), (), "12"),
    ("9 times 9 is wrong", "integer", (), (), None), ("4 is one, 9 is another", "integer", (), (), None),
    ("The number of bowls that are not tiny is 9.", "integer", (), (), "9"), ("The number of bowls is not 9", "integer", (), (), None),
    ("It is false that the number of bowls is 9", "integer", (), (), None), ("The people who are not 9", "integer", (), (), None),
    ("The number of bowls, which is wrong, is 9", "integer", (), (), None),
    ("The number of bowls that are neither red nor tiny is 9.", "integer", (), (), "9"), ("one hundred and twelve", "integer", (), (), "112"),
    ("one hundred twelve", "integer", (), (), "112"), ("nine hundred", "integer", (), (), "900"), ("nine hundred thousand", "integer", (), (), None),
    ("Nine hundred apples!", "integer", (), (), "900"), ("minus twenty-one", "integer", (), (), "-21"), ("nineteen hundred", "integer", (), (), None),
    ("so there are two hundred and forty-one of them", "integer", (), (), "241"), ("nine ten", "integer", (), (), None),
    ("twenty one", "integer", (), (), "21"), ("a hundred", "integer", (), (), None),
    ("7⁄2", "rational", (), (), "7/2"), (r"12\,000", "rational", (), (), "12000"), ("1 1/2", "rational", (), (), "3/2"),
    ("1½", "rational", (), (), "3/2"), ("1 ½", "rational", (), (), "3/2"), ("3/2 (1.5)", "rational", (), (), "3/2"), ("½", "rational", (), (), "1/2"),
    ("-1 1/2", "rational", (), (), "-3/2"), ("1 and 1/2", "rational", (), (), None), ("3 7/2", "rational", (), (), None),
    ("1 1/2 or 2", "rational", (), (), None), ("1.5 (2)", "rational", (), (), None), ("2 (3/2)", "rational", (), (), None),
    ("__Bob__", "name", NAMES, (), "Bob"), ("The answer is _Bob_.", "name", NAMES, (), "Bob"),
    ("Bob is the tallest because Bob is taller than Alice.", "name", NAMES, (), "Bob"),
    ("Alice because she is tall and Bob because he is taller", "name", NAMES, (), None),
    ("Bob because he is tall. Actually, Alice.", "name", NAMES, (), None), ("Since Bob is taller than Alice, Bob is it", "name", NAMES, (), None),
    ("Bob, not Alice, because Alice is short", "name", NAMES, (), None), ("anyone other than Bob", "name", NAMES, (), None),
    ("besides Bob", "name", NAMES, (), None), ("excluding Bob", "name", NAMES, (), None), ("apart from Bob", "name", NAMES, (), None),
    ("Bob is ruled out", "name", NAMES, (), None), ("Bob? No.", "name", NAMES, (), None), ("Bob or someone else", "name", NAMES, (), None),
    ("the answer != Bob", "name", NAMES, (), None), ("~~Bob~~", "name", NAMES, (), None), ("someone else, Bob", "name", NAMES, (), None),
    ("Besides, Bob", "name", NAMES, (), "Bob"),
    ("north‑west", "choice", WAYS, (), "northwest"), ("dark_red", "choice", ("dark_red", "red"), (), "dark_red"),
    ("It is dark_red.", "choice", ("dark_red", "red"), (), "dark_red"),
    ('Answer "holds" if it must be true, "fails" if it must be false and "open" if it may be either.\nAnswer: holds', "choice", CLAIMS, (), "holds"),
    ("the opposite of north", "choice", WAYS, (), None), ("no longer holds", "choice", CLAIMS, (), None),
    ("16 days after Tuesday is Thursday.", "choice", DAYS, (), "Thursday"),
    ("Does it follow that no poets are pilots? Answer yes or no.\nAnswer: yes", "yes_no", ("no", "yes"), (), "yes"),
    ("Does it follow? Answer yes or no. Answer: no", "yes_no", ("no", "yes"), (), "no"),
    ("Answer yes. Answer: no", "yes_no", ("no", "yes"), (), None), ("Answer: yes or no. Answer: no", "yes_no", ("no", "yes"), (), None),
    ("Answer yes or no.", "yes_no", ("no", "yes"), (), None), ("yes or no", "yes_no", ("no", "yes"), (), None),
    ("There is no doubt that it follows.", "yes_no", ("no", "yes"), (), None),
    ("No baker can be a pilot, so it follows.", "yes_no", ("no", "yes"), (), None), ("It follows, no question", "yes_no", ("no", "yes"), (), None),
    ("I cannot say yes.", "yes_no", ("no", "yes"), (), None), ("Yes is wrong.", "yes_no", ("no", "yes"), (), None),
    ("it is false that yes", "yes_no", ("no", "yes"), (), None), ("No it does not", "yes_no", ("no", "yes"), (), "no"),
    ("No - it does not.", "yes_no", ("no", "yes"), (), "no"), ("**No**", "yes_no", ("no", "yes"), (), "no"),
    ("I doubt that the answer is yes", "yes_no", ("no", "yes"), (), None), ("no yes", "yes_no", ("no", "yes"), (), None),
    ("no maybe yes", "yes_no", ("no", "yes"), (), None), ("yes no", "yes_no", ("no", "yes"), (), None),
    ("no or yes", "yes_no", ("no", "yes"), (), None), ("It does not follow, so no", "yes_no", ("no", "yes"), (), "no"),
    ("It does not follow so no", "yes_no", ("no", "yes"), (), "no"), ("No, that is not right.", "yes_no", ("no", "yes"), (), "no"),
    ('"yes" is wrong', "yes_no", ("no", "yes"), (), None), ("There is no doubt, so yes", "yes_no", ("no", "yes"), (), "yes"),
    ("Yes, no bakers are pilots.", "yes_no", ("no", "yes"), (), "yes"), ("The answer is no.", "yes_no", ("no", "yes"), (), "no"),
    ("The answer is not: yes", "yes_no", ("no", "yes"), (), None), ("Answer:\nno\n", "yes_no", ("no", "yes"), (), "no"),
    ("No\nbecause it is open", "yes_no", ("no", "yes"), (), "no"), ("not no", "yes_no", ("no", "yes"), (), None),
    ("no one knows", "yes_no", ("no", "yes"), (), None), ("No. It does not follow that all bakers are pilots.", "yes_no", ("no", "yes"), (), "no"),
    ("no-one", "yes_no", ("no", "yes"), (), None), ("Answer: no (it stays open)", "yes_no", ("no", "yes"), (), "no"),
    ('{"answer": "no"}', "yes_no", ("no", "yes"), (), "no"), ("Final answer: yes.", "yes_no", ("no", "yes"), (), "yes"),
    ("the answer no is wrong", "yes_no", ("no", "yes"), (), None), ("is it yes? no.", "yes_no", ("no", "yes"), (), None),
    ("<answer>no</answer>", "yes_no", ("no", "yes"), (), "no"), ("<answer>no</answer> because it is open", "yes_no", ("no", "yes"), (), "no"),
    ("no because it is open", "yes_no", ("no", "yes"), (), "no"),
    ("_tenalp_", "word", (), (), "tenalp"), (r"\boxed{\text{tenalp}}", "word", (), (), "tenalp"),
    ("The answer must be tenalp.", "word", (), (), "tenalp"), ("tenalp is the answer.", "word", (), (), "tenalp"),
    ("You get tenalp.", "word", (), (), "tenalp"), ("planet -> tenalp", "word", (), (), "tenalp"), ("planet → tenalp", "word", (), (), "tenalp"),
    ("the answer must be not tenalp", "word", (), (), None),
    ("The answer is 3, 5 because 3 < 5.", "list", (), (), "3, 5"), ("3 + 5 + 7", "list", (), (), None), ("3, 5, 7, eight", "list", (), (), None),
    ("3, 5, 7, ...", "list", (), (), None), ("3, 5, 7 etc.", "list", (), (), None), ("- 3\n- 5\n- 7", "list", (), (), "3, 5, 7"),
    ("* 3\n* 5", "list", (), (), "3, 5"), ("**3**, **5**", "list", (), (), "3, 5"), ("3 * 5", "list", (), (), None),
    ("3, 5 and 7", "list", (), (), "3, 5, 7"), ("Sorting 7, 3 gives 3, 7", "list", (), (), "3, 7"),
    ("The answer is Alice because Jack is in both.", "set", (), MEMBERS, None),
    ("Alice, Jack because Alice and Jack are in both", "set", (), MEMBERS, "Alice, Jack"),
    ("Alice, Jack and everyone else", "set", (), MEMBERS, None), ("Alice, Jack and nobody else", "set", (), MEMBERS, "Alice, Jack"),
    ("Alice, Jack and no one else", "set", (), MEMBERS, "Alice, Jack"), ("non-empty", "set", (), MEMBERS, None), ("∅", "set", (), MEMBERS, "none"),
    ("{}", "set", (), MEMBERS, "none"), (r"\emptyset", "set", (), MEMBERS, "none"), ("No people", "set", (), MEMBERS, "none"),
    (r"\{\}", "set", (), MEMBERS, "none"), ("The set is empty.", "set", (), MEMBERS, "none"), ("not empty", "set", (), MEMBERS, None),
    ("No people except Alice", "set", (), MEMBERS, None), (r"\boxed{}", "set", (), MEMBERS, None),
    (r"\boxed{Alice, Jack}", "set", (), MEMBERS, "Alice, Jack"), ("Alice, Jack and others", "set", (), MEMBERS, None),
    ("{Alice}", "set", (), MEMBERS, "Alice"),
    ("The people in the music club and not in the drama club are Alice and Jack.", "set", (), MEMBERS, "Alice, Jack"),
    ("Nina bought a drum in Lima for 68 dollars", "summary", (), DEALS, "68, Lima, Nina, drum"),
    ("Nina bought a drum in Lima for 67, 68 or 69 dollars", "summary", (), DEALS, None),
    ("Nina bought a drum in Lima for 68, 69 dollars", "summary", (), DEALS, None),
    ("Nina bought a drum in Lima for -68 dollars", "summary", (), DEALS, None),
    ("Nina bought a drum in Lima for sixty-eight, 68 dollars", "summary", (), DEALS, None),
    ("Nina bought one drum in Lima for 68 dollars.", "summary", (), DEALS, "68, Lima, Nina, drum"),
    ("Nina bought a drum in Lima for $68.", "summary", (), DEALS, "68, Lima, Nina, drum"),
    ("Nina bought a drum in Lima for -67 dollars", "summary", (), DEALS, None),
    ("Nina bought a drum in Lima for 68.5 dollars", "summary", (), DEALS, None),
    ("38 – x", "expression", (), (), "38 - x"), (r"\(38 - x\)", "expression", (), (), "38 - x"), ('"38 - x"', "expression", (), (), "38 - x"),
    ("Answer: 2 * x because f(1) = 2", "expression", (), (), "2 * x"), ("Because f(1) = 2, the answer is 2 * x", "expression", (), (), "2 * x"),
    ("Answer: 2 * x because f(1) = 2. Answer: 3 * x", "expression", (), (), None), ("Answer: 2 * x because it fits, or 3 * x", "expression", (), (), None),
    ("38 - x;", "expression", (), (), "38 - x"), ('{"answer": "38 - x"}', "expression", (), (), "38 - x"),
    ("38 - x is the answer", "expression", (), (), "38 - x"), ("The answer must be 38 - x.", "expression", (), (), "38 - x"),
    (r"\boxed{3 \cdot x}", "expression", (), (), "3 * x"), ("The answer is not 38 - x", "expression", (), (), None),
    ("not 38 - x is the answer", "expression", (), (), None), (r"$$\boxed{38 - x}$$", "expression", (), (), "38 - x"),
    ("**38 - x** is the answer", "expression", (), (), "38 - x"),
    ("_x_y", "text", (), (), "_x_y"), ("‘a’ – b", "text", (), (), "‘a’ – b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer_type", "candidates", "items", "value"), PHRASED)
def test_phrasings(
    text: str, answer_type: str, candidates: tuple[str, ...], items: tuple[str, ...], value: str | None
) -> None:
    assert extract(text, answer_type, candidates, items) == value


def test_an_unknown_answer_type_is_refused() -> None:
    with pytest.raises(ArenaError, match="allowed are integer"):
        extract("9", "number")
