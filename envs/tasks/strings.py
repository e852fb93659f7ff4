"""Strings: what becomes of a word?

    Start with the word "planet". Write it backwards. Which word is the result?      → tenalp

Difficulty is the number of steps, one to five, and the length of the word: 5 or 6 letters at 1, 8 or 9 at 5. One word
in four is English, the others are made up. Every step makes a word that was not there before, and the result is no word
of the question. Thirteen kinds of steps are drawn about evenly, so that no one of them is worth a guess.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from reasoning_arena.envs.commitment import TAKEN_BACK
from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.vocabulary import capitalised

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
NEXT = str.maketrans(ALPHABET, ALPHABET[1:] + "a")
LAST = str.maketrans(ALPHABET, "z" + ALPHABET[:-1])
# English words by their number of letters.
WORDS = {
    5: ("bread", "chair", "cloud", "dream", "flame", "glass", "horse", "knife", "lemon", "mouse", "night", "ocean"),
    6: ("bridge", "candle", "dragon", "forest", "garden", "island", "jacket", "kitten", "market", "needle", "planet"),
    7: ("blanket", "captain", "dolphin", "fortune", "giraffe", "harvest", "kitchen", "lantern", "machine", "penguin"),
    8: ("building", "calendar", "daughter", "elephant", "festival", "hospital", "keyboard", "language", "mountain"),
    9: ("butterfly", "chocolate", "crocodile", "education", "furniture", "happiness", "invisible", "landscape"),
}
LENGTHS = {1: (5, 6), 2: (5, 7), 3: (6, 8), 4: (7, 9), 5: (8, 9)}
# What a step says of a letter and a new one, what it is called in a solution, and what it makes of a word.
STEPS: tuple[tuple[str, str, Callable[[str, str, str], str]], ...] = (
    ("write it backwards", "backwards", lambda word, old, new: word[::-1]),
    ("keep only every second letter, beginning with the first one", "every second", lambda word, old, new: word[::2]),
    ("keep only every second letter, beginning with the second one", "every second", lambda word, old, new: word[1::2]),
    ('remove every "{old}"', "remove {old}", lambda word, old, new: word.replace(old, "")),
    ('replace every "{old}" with "{new}"', "{old} to {new}", lambda word, old, new: word.replace(old, new)),
    (
        "replace each letter with the next one of the alphabet, and z with a",
        "next letters",
        lambda word, old, new: word.translate(NEXT),
    ),
    (
        "replace each letter with the one before it in the alphabet, and a with z",
        "letters before",
        lambda word, old, new: word.translate(LAST),
    ),
    ("swap the first and the last letter", "swap ends", lambda word, old, new: word[-1] + word[1:-1] + word[0]),
    ("move the first letter to the end", "first to end", lambda word, old, new: word[1:] + word[0]),
    ("move the last letter to the front", "last to front", lambda word, old, new: word[-1] + word[:-1]),
    ("drop the first letter", "drop first", lambda word, old, new: word[1:]),
    ("drop the last letter", "drop last", lambda word, old, new: word[:-1]),
    ("put the letters in alphabetical order", "in order", lambda word, old, new: "".join(sorted(word))),
)
PHRASINGS = (
    'Start with the word "{word}". {sentences} Which word is the result?',
    'Change the word "{word}" as follows: {clauses}. What does it become?',
    'Somebody has written down "{word}" and is told this. {sentences} Give what is written down in the end.',
    'What becomes of "{word}" after these instructions? {sentences}',
)
# Words that are no answer, for the question or a conclusion about it may use them.
TAKEN = {"then", *re.findall("[a-z]+", " ".join((*PHRASINGS, *(text for text, _, _ in STEPS))).lower())}


class Facts(NamedTuple):
    """The word, the kind of each step with its two letters, and the word after each step."""

    word: str
    steps: tuple[tuple[int, str, str], ...]
    results: tuple[str, ...]


class Strings(Task):
    """Change a word step by step."""

    name = "strings"
    phrasings = 4

    def facts(self, rng: Rng, difficulty: int) -> Facts:
        """Draw a word and different steps that change it, until the result is no word of the question."""
        while True:
            length = rng.between(*LENGTHS[difficulty])
            start = word = rng.pick(WORDS[length]) if rng.random() < 0.25 else _made_up(rng, length)
            steps: list[tuple[int, str, str]] = []
            results: list[str] = []
            for kind in rng.pick_distinct(range(len(STEPS)), difficulty):
                old, new = ("", "") if kind not in (3, 4) else (rng.pick(word), rng.pick(ALPHABET))
                word = STEPS[kind][2](word, old, new)
                if word in (start, *results) or len(word) < 3:
                    break
                steps.append((kind, old, new if kind == 4 else ""))
                results.append(word)
            else:
                if word not in TAKEN and not TAKEN_BACK.search(word):
                    return Facts(start, tuple(steps), tuple(results))

    def content(self, facts: Facts) -> object:
        """The word and the steps."""
        return facts.word, facts.steps

    def pose(self, facts: Facts, rng: Rng, phrasing: int) -> Posed:
        """The word, and one step after another."""
        clauses = [STEPS[kind][0].format(old=old, new=new) for kind, old, new in facts.steps]
        question = PHRASINGS[phrasing].format(
            word=facts.word,
            clauses="; then ".join(clauses),
            sentences=" ".join([f"{capitalised(clause)}." for clause in clauses]),
        )
        labels = [STEPS[kind][1].format(old=old, new=new) for kind, old, new in facts.steps]
        worked = [f"{label}: {result}" for label, result in zip(labels, facts.results, strict=True)]
        answer = facts.results[-1]
        return Posed(question, answer, "word", (), f"{facts.word}, {', '.join(worked)}, so {answer}")

    def solve(self, question: str) -> set[str]:
        """Read the instructions one by one and move letters about."""
        word = re.search(r'"([a-z]{2,})"', question)
        if word is None:
            raise ValueError(f"no word: {question!r}")
        letters, done = list(word[1]), 0
        for clause in re.split(r"[.;:?] (?:then )?", question.lower()):
            named = re.findall(r'"([a-z])"', clause)
            where = re.search(r"(?:move|drop) the (first|last) letter", clause)
            if "backwards" in clause:
                letters.reverse()
            elif "every second letter" in clause:
                letters = [letter for i, letter in enumerate(letters) if i % 2 == ("the second one" in clause)]
            elif "remove every" in clause:
                letters = [letter for letter in letters if letter != named[0]]
            elif "replace every" in clause:
                letters = [named[1] if letter == named[0] else letter for letter in letters]
            elif "replace each letter" in clause:
                shift = 1 if "the next one" in clause else 25
                letters = [chr((ord(letter) - ord("a") + shift) % 26 + ord("a")) for letter in letters]
            elif "swap the first and the last" in clause:
                letters[0], letters[-1] = letters[-1], letters[0]
            elif "alphabetical order" in clause:
                letters.sort(key=ord)
            elif where:
                letter = letters.pop(0 if where[1] == "first" else -1)
                if "to the end" in clause:
                    letters.append(letter)
                elif "to the front" in clause:
                    letters.insert(0, letter)
            else:
                continue
            done += 1
        if not done:
            raise ValueError(f"not a question about a word: {question!r}")
        return {"".join(letters)}


def _made_up(rng: Rng, length: int) -> str:
    """Consonants and vowels in turn."""
    first = rng.below(2)
    return "".join([rng.pick(("bcdfghjklmnprstvwz", "aeiou")[(first + i) % 2]) for i in range(length)])
