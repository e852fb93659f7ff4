"""Scoring: answers in the words that people and models put around them."""

import pytest
from reasoning_arena.envs.scoring import extract

NAMES = ("Alice", "Bob", "Carol")
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
    ("{Alice}", "set", (), MEMBERS, "Alice"), ("[]", "set", (), MEMBERS, "none"), ("set()", "set", (), MEMBERS, "none"),
    ("['Alice', 'Jack']", "set", (), MEMBERS, "Alice, Jack"), ("Alice, Jack and Zeus", "set", (), MEMBERS, None),
    ("Alice, Jack, and Zeus.", "set", (), MEMBERS, None), ("Zeus and Alice", "set", (), MEMBERS, None), ("Alice, Zeus, Jack", "set", (), MEMBERS, None),
    ("Alice and Jack, respectively.", "set", (), MEMBERS, "Alice, Jack"), ("Sure, Alice and Jack only!", "set", (), MEMBERS, "Alice, Jack"),
    ("Alice and Jack belong to exactly two of the art, ski, and music clubs.", "set", (), MEMBERS, "Alice, Jack"),
    ("- Alice (art, ski)\n- Jack (ski, music)", "set", (), MEMBERS, "Alice, Jack"), ("Alice: art, ski\nJack: ski, music", "set", (), MEMBERS, "Alice, Jack"),
    ("The answer is Alice and Jack. I hope this helps, and thanks!", "set", (), MEMBERS, "Alice, Jack"),
    ("Answer: Alice and Jack\nExplanation\nthey fit", "set", (), MEMBERS, "Alice, Jack"), ("Alice and Jack.\n\nDone.", "set", (), MEMBERS, "Alice, Jack"),
    ("Alice, Jack, and lastly, Paul", "set", (), MEMBERS, "Alice, Jack, Paul"), ("Alice, obviously.", "set", (), MEMBERS, "Alice"),
    ("Answer:\n- Alice\n- Jack\n", "set", (), MEMBERS, "Alice, Jack"), ("The answer is:\n\nAlice\nJack", "set", (), MEMBERS, "Alice, Jack"),
    ("**Answer:**\n\n- Alice\n- Jack", "set", (), MEMBERS, "Alice, Jack"), ("Answer: Alice. Jack, too.", "set", (), MEMBERS, None),
    ("Alice, Zeus, Jack", "list", (), MEMBERS, None), ("Alice, then Jack", "list", (), MEMBERS, "Alice, Jack"),
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


@pytest.mark.parametrize(
    ("text", "answer_type", "candidates", "value"),
    [
        ("seven fifths", "rational", (), None), ("3 elevenths", "rational", (), None), (r"3\frac12", "rational", (), None), (r"\frac72", "rational", (), "7/2"),
        ("Bob is in fact not the tallest.", "name", NAMES, None), ("By no means Bob", "name", NAMES, None), ("No way it's Bob", "name", NAMES, None),
        ("It is not true that the second = Bob", "name", NAMES, None), ("Bob is in the lead.", "name", NAMES, "Bob"),
        ("He is no knight", "choice", ("knave", "knight"), None), ("He is a knight, there is no doubt", "choice", ("knave", "knight"), "knight"),
        ("It is false that 20 - 6 = 14", "integer", (), None), ("It isn't true that 20 - 6 = 14.", "integer", (), None), ("It is not 8, so it is 14", "integer", (), "14"),
        ("9 is in truth wrong", "integer", (), None), ("9. Scratch that.", "integer", (), None), ("9, just kidding", "integer", (), None),
        ("Bob. I take that back.", "name", NAMES, None), ("9-ish", "integer", (), None), ("<think>Maybe 14", "integer", (), None), ("<think>15?</think>14", "integer", (), "14"),
        ("Not: niloc", "word", (), None), ("This is wrong: niloc", "word", (), None), ("It never becomes niloc", "word", (), None), ("I doubt it is niloc", "word", (), None),
        ("The word is not abc. The word is: niloc", "word", (), "niloc"),
        ("That is a yes or no question.", "yes_no", (), None), ("Yes isn't the answer", "yes_no", (), None), ("Yes is clearly wrong", "yes_no", (), None),
        ("Answer yes or no. Answer: no", "yes_no", (), "no"),
        ("Answer: 33 - x, since f(8) = 25", "expression", (), "33 - x"), ("33 - x because 33 - 8 = 25", "expression", (), "33 - x"),
    ],
)  # fmt: skip
def test_denied_or_unfinished_answers_are_none(
    text: str, answer_type: str, candidates: tuple[str, ...], value: str | None
) -> None:
    assert extract(text, answer_type, candidates) == value
