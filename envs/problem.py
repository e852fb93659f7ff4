"""What every part of the suite speaks of: one question with its proved answer."""

import string
from typing import Literal, NamedTuple, get_args

# What everything that the suite says is made of, and how long it may be.
CHARSET = string.ascii_letters + string.digits + string.punctuation + " \n"
MAX_TEXT = 4096

AnswerType = Literal[
    "integer", "rational", "choice", "name", "yes_no", "word", "list", "set", "summary", "expression", "text"
]
ANSWER_TYPES: tuple[AnswerType, ...] = get_args(AnswerType)


class Posed(NamedTuple):
    """What a task says of one set of facts: the text, and everything that scoring it needs.

    Attributes:
        question: the text that the agent sees.
        answer: the gold answer in canonical form.
        answer_type: how an answer is read from free text.
        candidates: the closed set of answers that the question allows, or ``()`` where it is open.
        solution: a short worked solution that ends in the answer.
        items: what the answer of a set or a summary is made of, right and wrong ones; for an expression, the pairs of
            inputs and output that it has to fit.
    """

    question: str
    answer: str
    answer_type: AnswerType
    candidates: tuple[str, ...]
    solution: str
    items: tuple[str, ...] = ()


class Problem(NamedTuple):
    """One question of the arena: what a task posed, and where it comes from.

    Attributes:
        posed: the question, its answer and its solution.
        task: the name of the task that made it.
        difficulty: 1 (easiest) to 5.
        problem_id: the task's name and a hash of the problem's canonical content; equal content, equal id.
    """

    posed: Posed
    task: str
    difficulty: int
    problem_id: str
