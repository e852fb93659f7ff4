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
    "9 (nine)", "nine (9)", "The two friends have 9", "9 is the right one", "9 square metres", "two and seven, so 9",
    "Answer: 9. So the answer is 9", "<answer>9</answer>", "<think>4 or 5, 8?</think> <answer> 9 </answer>", "<b>9</b>", "3 * 3 = 9",
    "3, 5, 7, 9, so 9", "12 minus 3 = 9", "5 + 4 => 9", "-> 9", "8 or 9? 4 + 5 = 9",
    "9th", "in the 9th place", "Answer: 5 + 4 = 9", "Answer: 12 - 3 = 9.", "9 places lie between them.", "He has 9 pens left over.",
    "There are 9 things that are brown and not tiny.", "9 things are neither red nor blue.", "It is not 8, so the answer is 9",
    "9 of the things are not striped.", "9 things are either red or blue.", "The number of places between Alice and Carol is 9.", "Between Alice and Carol lie 9 places.",
    "It grows by 2 each time. The next number is 9.", "9kg", "9 h", "9ml", "Answer: 9\n\n**Explanation:** 5 and 4 more.", "9. Reasoning: 5 + 4, because 4 more are 9", "The maximum of the list is 9.", "9 of them are in no group",
]  # fmt: skip
WRONG = [
    "", "4 or 5", "8 9", "9, 10", "8, 9", "Answer: 4. Answer: 9", "Answer: 9. Answer: 4", "not 9", "The answer is not 9", "9 is wrong",
    "at least 9", "about 9", "9 or more", "less than 9", "9.5", "90", "99", "-9", "x9", "9x", "9/2", "9%", "9:30", "1e9", "٩",
    "9" * 5000, "the answer is correct", "no 9", "neither 9", "Answer: 9 or 10", "8 9 10", "nine or ten", "> 9", "between 8 and 9",
    "9 eight", "8 nine", "9, eight", "9, alternatively eight", "nine 8", "9 factorial", "the square of 9", "exceeds 9", "beyond 9",
    "9 in hexadecimal", "9 or ten", "9 or another number", "x = 9 or x = 8", "x = 8 or x = 9", "8 or = 9", "anything but 9", "hardly 9", "I doubt 9", "far from 9", "9 * 9",
    "9 x 9", "9 + 9", "9 × 9", "sqrt(9)", "9²", "9+", "9..10", "8...9", "9 thousand", "nine hundred", "9 million", "9 percent", "9 halves", "9 squared",
    "negative 9", "minus 9", "-nine", "9\u0664", "<answer>8</answer><answer>9</answer>", "<9>", "x<9", "9 or so", "x != 9", "x <= 9", ">= 9", "-(9)", "close to 9",
    "I do not believe the answer is 9", "It is false that the answer is 9", "9 * (9)", "(9)(9)", "9 divided by 9", r"9 \times 9", "9 ⋅ 9", "9 % 9",
    "twice 9", "9 trillion", "Answer: 4 or 9. Answer: 9", "Answer: 4 or 9, so 9", "Answer: 8 = 9", "near 9", "over 9", r"9\frac{1}{2}", "9 because 8 or 9",
    "between 9", "9 is in no case right", "a minimum of 9", "upwards of 9", "9m", "9kgs2", "The next number is not 9", "I doubt the next number is 9", "Answer: 9. Explanation: the answer is 8", "9. Explanation: 8 or 9", "Answer: 9. Explanation: I was wrong, it is 8.", "9? Explanation: no, I do not know.", "9h30", "9kg500", "8 unless the next number is 9",
    "I'm not sure whether the next number is 9", "20. The next number is 9 lower", "between **9** and **9**", "9, but things are not certain",
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
        "I exclude Bob",
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


def test_a_text_may_end_in_a_full_stop() -> None:
    posed = Posed("…", "Paris", "text", (), "")
    assert score("The answer is Paris.", posed).correct
    assert not score("Paris, or Rome.", posed).correct


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
        ("Without the first 3, the list is 3, 1, 2.", "3, 1, 2"), ("1, 2, 3. The input list is 3, 2, 1.", "1, 2, 3, 3, 2, 1"), ("-3, +1", "-3, 1"), ("3, 1.5, 2", None), ("3, x1, 2", None), ("", None), ("Answer: 1, 2. Answer: 2, 1", None), ("not 3, 1, 2", None), ("7", "7"),
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
        ("hello, olleh", None), ("hello reversed: olleh, so olleh", "olleh"), ("o l l e h", None), ("", None), ("not olleh", None), ("so", "so"), ("It becomes olleh.", "olleh"), ("The result is the word olleh.", "olleh"), ("hello, backwards, gives olleh", "olleh"),
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
        ("9 Lima Nina Oslo Paul drum", False), ("", False), ("Nina,drum,Lima" + ",yes" * 12, False),
        ("<think>It was Nina, in Lima, and what she bought was a drum, if I see it well.</think>Nina, Lima, drum", True),
    ],
)  # fmt: skip
def test_a_summary_names_the_facts_and_nothing_else_in_few_words(text: str, right: bool) -> None:
    assert score(text, SUMMARY).correct == right


CODE = Posed("…", "3 * x + 1", "expression", (), "", ("0 -> 1", "2 -> 7", "-1 -> -2"))


@pytest.mark.parametrize(
    "text",
    ["3 * x + 1", "3x+1", "1+3*x", "x + x + x + 1", "f(x) = 3x + 1", "Answer: 3*x + 1.", "`3 * x + 1`", "$3x + 1$", "3(x+1) - 2", "1 - -3 * x", "The expression is 3·x + 1", "Each is 3 more, so 3 * x + 1", "Reasoning: 3 more each.\n\nExpression: 3 * x + 1", "return 3 * x + 1", "The program computes 3x + 1.", "def f(x): return 3*x + 1", "```python\n3*x + 1\n```", "x + x(3 - 1) + 1"],
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


@given(
    st.sampled_from(("", "The answer is ", "Answer: ", "The answer is Answer: ")),
    st.sampled_from(("Alice", "bob", "yes", "no", "none", "7/2", "9.0")) | st.from_regex(r"\A-?[0-9]{1,40}\Z"),
    st.sampled_from(("", ".", "..")),
    st.sampled_from(
        (("integer", ()), ("rational", ()), ("name", NAMES), ("choice", NAMES), ("yes_no", ("no", "yes")), ("text", ()))
    ),
)
def test_the_short_way_reads_what_the_long_one_does(
    head: str, said: str, tail: str, kind: tuple[str, tuple[str, ...]]
) -> None:
    text = head + said + tail
    assert extract(text, *kind) == extract(f" {text}", *kind)  # a blank in front takes the long way


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
    "9 ", "no ", "½", "_", "9 or ", "Bob because ", "is the answer ", "one hundred and ", "+ ", "{ ", "Answer: 9. ", "the number of not ", "answer 9 ", "#### 9 ", "Bob and Zeus ", "Bob, ", "\n", "x #### ", "<think>",
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


def test_an_unknown_answer_type_is_refused() -> None:
    with pytest.raises(ArenaError, match="allowed are integer"):
        extract("9", "number")
