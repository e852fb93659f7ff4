"""Scoring: tolerant of form, strict on content, and safe with any text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_arena.envs.scoring import extract

NAMES = ("Alice", "Bob", "Carol")
RIGHT = [
    "9", "9.", "9.0", " 9 ", "$9", "$9.00", "nine", "Nine.", "**9**", r"\boxed{9}", r"$\boxed{9}$", "Answer: 9.", "Answer: **9**",
    "The answer is 9", "the final answer is: $9.00", "#### 9", "= 9", "5 + 4 = 9", "3 + 4 = 7, 7 + 2 = 9", "so Bob has 9 apples",
    "Bob had 5 apples and got 4, so he has 9 apples.", "9 apples", "9!", "He has 9.\n", "9, 9", "Answer: 9 (nine)", "0009",
    "Answer: 9. So the answer is 9",
]  # fmt: skip
WRONG = [
    "", "4 or 5", "8 9", "9, 10", "8, 9", "Answer: 4. Answer: 9", "Answer: 9. Answer: 4", "not 9", "The answer is not 9", "9 is wrong",
    "at least 9", "about 9", "9 or more", "less than 9", "9.5", "90", "99", "-9", "x9", "9x", "9/2", "9%", "9:30", "1e9", "9th", "٩",
    "9" * 5000, "the answer is correct", "no 9", "neither 9", "Answer: 9 or 10", "8 9 10", "nine or ten", "> 9", "between 8 and 9",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_forms_of_an_integer(text: str) -> None:
    assert extract(text, "integer") == "9"


@pytest.mark.parametrize("text", WRONG)
def test_what_commits_to_no_nine(text: str) -> None:
    assert extract(text, "integer") != "9"


@pytest.mark.parametrize(
    ("text", "value"), [("1,000", "1000"), ("-3", "-3"), ("−3", "-3"), ("twenty-one", "21"), ("minus two", "-2")]
)
def test_other_integers(text: str, value: str) -> None:
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
    ],
)
def test_what_names_no_one(text: str) -> None:
    assert extract(text, "name", NAMES) is None


def test_the_longest_candidate_counts() -> None:
    assert extract("the dark red one", "choice", ("red", "dark red")) == "dark red"


@pytest.mark.parametrize(
    ("text", "value"), [("Yes.", "yes"), ("No, it does not.", "no"), ("yes no", None), ("maybe", None)]
)
def test_yes_and_no(text: str, value: str | None) -> None:
    assert extract(text, "yes_no", ("yes", "no")) == value


@given(st.text(st.characters(), max_size=400), st.sampled_from(["integer", "name", "choice", "yes_no"]))
def test_any_text_is_read_without_error(text: str, kind: str) -> None:
    value = extract(text, kind, NAMES)
    assert value is None or value == extract(value, kind, NAMES)


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


@pytest.mark.parametrize(
    "unit",
    ["9", "1,", "answer ", "Bob ", "= ", "-", "\x00", "\ud800", "9.9", "one ", " ", "so 9 ", "$ ", "twenty ", "\u202e"],
)
def test_a_megabyte_is_read_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text, start = unit * (size // len(unit)), time.perf_counter()
        extract(text, "integer")
        extract(text, "name", NAMES)
        return time.perf_counter() - start

    assert seconds(1_000_000) < 40 * max(seconds(100_000), 0.02)
